"""All checks, in the order of the table."""

from typing import Final

from tests.platforms.contract import failing, hooks, instants, reading, refusals, writing
from tests.platforms.contract.checks import REGISTERED, Check

MODULES: Final = (reading, failing, writing, refusals, hooks, instants)
"""Each module registers its checks when it is imported."""

CHECKS: Final[dict[str, Check]] = {
    name: check for module in MODULES for name, check in REGISTERED.items() if check.run.__module__ == module.__name__
}
