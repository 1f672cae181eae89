"""`python -m benchmarks <name> [options]`; without a name: which there are."""

import asyncio
import sys

from app.kit.registry import modules


def main() -> None:
    """Run the benchmark that is named."""
    known = {module.__name__.rpartition(".")[2]: module for module in modules("benchmarks")}
    name, *arguments = sys.argv[1:] or ["--help"]
    if name not in known:
        print(f"python -m benchmarks <name> [options]; names: {', '.join(known)}")
        raise SystemExit(0 if name in {"-h", "--help"} else 2)
    with asyncio.Runner(loop_factory=getattr(known[name], "LOOP", None)) as runner:
        runner.run(known[name].main(arguments))


if __name__ == "__main__":
    main()
