"""What is seen of changes that are made on the platforms themselves."""

from datetime import timedelta

import pytest

from app.platforms import adapters, changes, poll_intervals
from app.platforms.capabilities import ListsComments, Receives
from app.platforms.contract import Adapter
from app.platforms.poll_intervals import PollSchedule
from app.platforms.routes import describe
from app.platforms.spec import NativeChange, SeenThrough

EVERY = [pytest.param(adapter_class, id=key) for key, adapter_class in sorted(adapters().items())]


@pytest.mark.parametrize("adapter_class", EVERY)
def test_only_what_an_adapter_can_do_shows_changes(adapter_class: type[Adapter]) -> None:
    spec = adapter_class.spec
    assert not spec.no_changes & spec.changes.keys()
    ways = {way for change in NativeChange for way in changes.seen_through(adapter_class, change) or ()}
    assert SeenThrough.EVENT not in ways or issubclass(adapter_class, Receives)
    assert SeenThrough.OPEN_THREADS not in ways or issubclass(adapter_class, ListsComments)
    for change in NativeChange:
        use = describe(adapter_class).changes[change]
        assert (use.seen is None) == (change in spec.no_changes)
        assert (use.text == "not seen") == (use.seen == [])


def test_how_late_follows_from_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = PollSchedule(timedelta(hours=2), quiet=timedelta(hours=2), with_push=timedelta(days=3))
    before = describe(adapters()["facebook"]).changes[NativeChange.COMMENT_EDITED]
    assert before.text == (
        "event: at once; open threads read again: within 15 min (with a hook 1 h); "
        "recent posts read again: within 6 h (with a hook 1 day)"
    )
    monkeypatch.setitem(changes.SCHEDULES, SeenThrough.OPEN_THREADS, slow)
    after = describe(adapters()["facebook"]).changes[NativeChange.COMMENT_EDITED]
    assert [way.within_seconds for way in after.seen or ()] == [
        None,
        7200,
        poll_intervals.REVISIONS.quiet.total_seconds(),
    ]
    assert "open threads read again: within 2 h (with a hook 3 days)" in after.text


def test_native_answers() -> None:
    """To mentions too, where the account's own list is read."""
    for key in ("mastodon", "bluesky"):
        answers = describe(adapters()[key]).changes[NativeChange.ANSWER_TO_MENTION]
        assert answers.text == "list: within 15 min"
    assert describe(adapters()["telegram"]).changes[NativeChange.ANSWER_TO_MESSAGE].seen == []
    assert describe(adapters()["youtube"]).changes[NativeChange.ANSWER_TO_MESSAGE].seen is None
