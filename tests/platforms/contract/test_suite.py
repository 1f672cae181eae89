"""Tests of the suite itself: a fault planted in an adapter makes its check fail."""

from collections.abc import Iterator, Sequence

import pytest

from app.platforms import adapters
from app.platforms.contract import Adapter
from tests.platforms.contract.checks import FAILURES, PASSED, run
from tests.platforms.contract.planted import changes, everywhere, figures, hooks, instants, lists, refusals
from tests.platforms.contract.planted.everywhere import PlantedFault
from tests.platforms.contract.suite import CHECKS
from tests.platforms.contract.table import NOT_APPLICABLE, applicable_checks, table
from tests.platforms.every_push import EVERY_PUSH

PLANTED = (*lists.PLANTED, *figures.PLANTED, *changes.PLANTED, *refusals.PLANTED, *hooks.PLANTED, *instants.PLANTED)


@pytest.mark.parametrize(("name", "planted", "because"), PLANTED)
async def test_a_planted_fault_is_detected(name: str, planted: type[Adapter], because: str) -> None:
    with pytest.raises(FAILURES, match=because):
        await run(name, planted.spec.key, planted)
    sound = next(
        kind
        for kind in planted.__mro__
        if kind.__module__.startswith("app.platforms.") and kind.__module__ != "app.platforms.contract"
    )
    if (name, sound) not in PASSED:  # once is enough
        await run(name, planted.spec.key, sound)


def _everywhere() -> Iterator[object]:
    often = everywhere.every_push()
    for one in everywhere.PLANTED:
        yield pytest.param(one, id=one.id, marks=() if one in often else pytest.mark.long)


@pytest.mark.parametrize("one", list(_everywhere()))
async def test_the_fault_is_detected_in_every_adapter(one: PlantedFault) -> None:
    """Without the fault the check passes, or else `test_contract` fails."""
    assert (one.kind.spec.key, one.check) in applicable_checks()
    with pytest.raises(FAILURES, match=one.because):
        await run(one.check, one.kind.spec.key, one.kind)


@pytest.mark.parametrize("key", sorted(adapters()))
def test_every_adapter_has_each_kind_of_fault(key: str) -> None:
    assert {one.sort for one in everywhere.PLANTED if one.kind.spec.key == key} == set(everywhere.SORTS)


def test_every_push_leaves_out_no_fault_and_few_adapters_have_them() -> None:
    """Each fault, with the check that finds it, is planted in one adapter at least; all of them in `EVERY_PUSH`."""
    often = everywhere.every_push()
    assert {(one.fault, one.check) for one in often} == {(one.fault, one.check) for one in everywhere.PLANTED}
    assert {one.id for one in everywhere.PLANTED if one.kind.spec.key in EVERY_PUSH} <= {one.id for one in often}
    assert sum(one.kind.spec.key not in EVERY_PUSH for one in often) <= 2, "choose other adapters for EVERY_PUSH"


@pytest.mark.parametrize("faults", [everywhere.PLANTED, everywhere.every_push()], ids=["all", "every push"])
def test_every_check_has_a_planted_fault(faults: Sequence[PlantedFault]) -> None:
    """One fault is enough for a check that is the same for every list or kind of message."""

    def promise(name: str) -> str:
        several = name.startswith(("posts:", "comments:", "conversations:", "reply to a "))
        return name.partition(": ")[2] if several else name

    found_by = {name for name, _, _ in PLANTED} | {one.check for one in faults}
    assert {promise(name) for _, name in applicable_checks()} == {promise(name) for name in found_by}


def test_the_table_marks_checks_that_do_not_apply() -> None:
    lines = table({("mastodon", "community"): "ok", ("vk", "community"): "FAILED"}).splitlines()
    assert lines[0].split() == ["mastodon", "vk"]
    assert lines[1].split() == ["community", "ok", "FAILED"]
    (row,) = (line for line in lines if line.startswith("hooks: an unreadable"))
    assert row.split()[-1] == NOT_APPLICABLE, "not applicable to Mastodon; VK's was not run"
    assert len(lines) == len(CHECKS) + 1
