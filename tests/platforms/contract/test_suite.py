"""The suite itself: a fault planted in an adapter makes the check that is there for it red."""

import pytest

from app.platforms.contract import Adapter
from tests.platforms.contract.checks import RED, run
from tests.platforms.contract.planted import changes, figures, hooks, lists, refusals
from tests.platforms.contract.suite import CHECKS
from tests.platforms.contract.table import NOT_ASKED, asked, table

PLANTED = (*lists.PLANTED, *figures.PLANTED, *changes.PLANTED, *refusals.PLANTED, *hooks.PLANTED)


@pytest.mark.parametrize(("name", "planted", "because"), PLANTED)
async def test_a_planted_fault_is_found(name: str, planted: type[Adapter], because: str) -> None:
    with pytest.raises(RED, match=because):
        await run(name, planted.spec.key, planted)
    sound = next(kind for kind in planted.__mro__ if kind.__module__.startswith("app.platforms.adapters."))
    if (name, sound) not in seen_green:
        await run(name, planted.spec.key, sound)
        seen_green.add((name, sound))


seen_green: set[tuple[str, type[Adapter]]] = set()
"""Checks of adapters without a fault: once is enough."""


def test_every_promise_has_its_fault() -> None:
    """One is enough for what is the same with every list, or with every kind of message."""

    def promise(name: str) -> str:
        several = name.startswith(("posts:", "comments:", "conversations:", "reply to a "))
        return name.partition(": ")[2] if several else name

    assert {promise(name) for _, name in asked()} == {promise(name) for name, _, _ in PLANTED}


def test_the_table_shows_what_is_not_there() -> None:
    lines = table({("mastodon", "community"): "ok", ("vk", "community"): "FAILED"}).splitlines()
    assert lines[0].split() == ["mastodon", "vk"]
    assert lines[1].split() == ["community", "ok", "FAILED"]
    (garbage,) = (line for line in lines if line.startswith("hooks: garbage"))
    assert garbage.split()[-1] == NOT_ASKED, "of Mastodon it is not asked; of VK it was not run"
    assert len(lines) == len(CHECKS) + 1
