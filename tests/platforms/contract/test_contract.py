"""The contract, adapter by adapter and check by check."""

from collections.abc import Callable

import pytest

from app.platforms import adapter, adapters
from tests.platforms.contract.checks import run
from tests.platforms.contract.conftest import PROPERTY
from tests.platforms.contract.stage import wire_of
from tests.platforms.contract.table import applicable_checks


@pytest.mark.parametrize("key", sorted(adapters()))
def test_the_sandbox_speaks_every_platform(key: str) -> None:
    assert wire_of(key) is not None


@pytest.mark.parametrize(("key", "name"), applicable_checks())
async def test_contract(key: str, name: str, record_property: Callable[[str, object], None]) -> None:
    record_property(PROPERTY, (key, name))
    await run(name, key, adapter(key))
