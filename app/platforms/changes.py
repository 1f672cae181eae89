"""Which changes on a platform are seen, through what, and how late at most: as data, and as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from app.platforms import poll_intervals
from app.platforms.capabilities import ListsComments, Streams
from app.platforms.contract import Adapter
from app.platforms.poll_intervals import PollSchedule
from app.platforms.spec import NOWHERE, REREAD, NativeChange, SeenThrough

SCHEDULES: Final = {
    SeenThrough.LIST: poll_intervals.CONVERSATIONS,
    SeenThrough.OPEN_THREADS: poll_intervals.THREADS,
    SeenThrough.RECENT_POSTS: poll_intervals.REVISIONS,
}
_ANSWERS: Final = frozenset({NativeChange.ANSWER_TO_COMMENT, NativeChange.ANSWER_TO_MENTION})
_OF_COMMENTS: Final = frozenset(
    {NativeChange.ANSWER_TO_COMMENT, NativeChange.COMMENT_EDITED, NativeChange.COMMENT_DELETED}
)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One way in which a change is seen."""

    through: SeenThrough
    within: timedelta | None
    """How late at most, before multipliers, where no hook delivers events; None: not without a hook."""
    within_with_hook: timedelta
    """The same while a hook delivers events."""


def sightings(adapter_class: type[Adapter], change: NativeChange) -> tuple[Sighting, ...] | None:
    """The ways in which a change is seen; None where there is no such change."""
    through = seen_through(adapter_class, change)
    return None if through is None else tuple(_sighting(way) for way in SeenThrough if way in through)


def seen_through(adapter_class: type[Adapter], change: NativeChange) -> frozenset[SeenThrough] | None:
    """What shows a change; None where there is no such change."""
    spec = adapter_class.spec
    if change in spec.no_changes:
        return None
    ways = spec.changes.get(change, NOWHERE)
    if issubclass(adapter_class, ListsComments) and change in _OF_COMMENTS:
        ways |= REREAD
    if not issubclass(adapter_class, Streams) and change is NativeChange.POST_EDITED:
        ways |= {SeenThrough.RECENT_POSTS}
    if spec.posts_list is not None and change in _ANSWERS:
        ways |= {SeenThrough.LIST}
    return ways


def _sighting(way: SeenThrough) -> Sighting:
    schedule: PollSchedule | None = SCHEDULES.get(way)
    if schedule is None:
        return Sighting(way, None, timedelta(0))
    return Sighting(way, schedule.quiet, schedule.with_push)


def text_of(seen: Sequence[Sighting] | None, *, has_hook: bool) -> str:
    """The same for people: `event: at once; list: within 15 min`."""
    if seen is None:
        return "there is none"
    return "; ".join(_text_of(one, has_hook=has_hook) for one in seen) or "not seen"


def _text_of(one: Sighting, *, has_hook: bool) -> str:
    if one.within is None:
        return "event: at once"
    late = f"{_SUBJECTS[one.through]}: within {span(one.within)}"
    if not has_hook or one.within == one.within_with_hook:
        return late
    return f"{late} (with a hook {span(one.within_with_hook)})"


def span(time: timedelta) -> str:
    """A length of time in its largest whole unit: `15 min`, `6 h`, `14 days`."""
    seconds = int(time.total_seconds())
    unit, length = next((unit, length) for unit, length in _UNITS if seconds % length == 0)
    count = seconds // length
    return f"{count} {unit}{'s' if unit == 'day' and count != 1 else ''}"


_UNITS: Final = (("day", 86_400), ("h", 3600), ("min", 60), ("s", 1))
_SUBJECTS: Final = {
    SeenThrough.LIST: "list",
    SeenThrough.OPEN_THREADS: "open threads read again",
    SeenThrough.RECENT_POSTS: "recent posts read again",
}
