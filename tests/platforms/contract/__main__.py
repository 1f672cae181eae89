"""`python -m tests.platforms.contract [adapter …]`: run the suite and print its table."""

import asyncio
import sys
import traceback

import pytest

from app.platforms import adapter
from tests.platforms.contract.checks import run
from tests.platforms.contract.table import Result, applicable_checks, table


async def _results(keys: list[str]) -> dict[tuple[str, str], Result]:
    results: dict[tuple[str, str], Result] = {}
    for key, name in applicable_checks(keys):
        try:
            await run(name, key, adapter(key))
        except (Exception, pytest.fail.Exception):  # one failure must not stop the other checks
            results[key, name] = "FAILED"
            sys.stderr.write(f"\n{key}: {name}\n{traceback.format_exc()}")
        else:
            results[key, name] = "ok"
    return results


def main(keys: list[str]) -> int:
    """The exit status: 1 if a check failed, else 0."""
    results = asyncio.run(_results(keys))
    sys.stdout.write(table(results) + "\n")
    return int("FAILED" in results.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
