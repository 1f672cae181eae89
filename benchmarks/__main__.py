"""`python -m benchmarks <name> [options]`; without a name: the list of names."""

import asyncio
import sys

from app.kit.registry import modules


def main() -> None:
    """Run the named benchmark."""
    benchmarks_by_name = {module.__name__.rpartition(".")[2]: module for module in modules("benchmarks")}
    name, *arguments = sys.argv[1:] or ["--help"]
    if name not in benchmarks_by_name:
        print(f"python -m benchmarks <name> [options]; names: {', '.join(benchmarks_by_name)}")
        raise SystemExit(0 if name in {"-h", "--help"} else 2)
    with asyncio.Runner(loop_factory=getattr(benchmarks_by_name[name], "LOOP", None)) as runner:
        runner.run(benchmarks_by_name[name].main(arguments))


if __name__ == "__main__":
    main()
