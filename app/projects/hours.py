"""Working hours, and how much of a period they cover.

An instant is working time when the project's wall clock shows a working hour at it. That is
right across daylight saving changes: a skipped hour is never shown, and one that the clock shows
twice counts twice. A day of 23 or 25 hours needs no rule of its own.

Pure: no clock, no database.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

Opening = tuple[int, int]
"""From and to, in minutes after midnight; to 1440 at most."""

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

LOOK_AHEAD: Final = timedelta(days=400)
_DAY: Final = timedelta(days=1)
_MIDNIGHT: Final = 24 * 60
_WALL_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")


class DayRule(StrEnum):
    """What says at which hours a day is worked."""

    WEEK = "week"
    """The hours of its weekday."""
    SPECIAL = "special_day"
    """Hours of its own."""
    HOLIDAY = "holiday"


@dataclass(frozen=True)
class WorkingHours:
    """When the agency answers for a project, by the project's wall clock.

    Raises `ValueError`, worded for people, for openings that are empty or overlap.
    """

    week: tuple[tuple[Opening, ...], ...]
    """Seven days' openings, Monday first; no opening: a day off."""
    holidays: frozenset[date] = frozenset()
    """Days on which nobody works."""
    special: Mapping[date, tuple[Opening, ...]] = field(default_factory=dict)
    """Days with openings of their own, in place of the weekday's."""

    def __post_init__(self) -> None:
        if len(self.week) != len(WEEKDAYS):
            raise ValueError("a week has seven days")
        for name, openings in zip(WEEKDAYS, self.week, strict=True):
            _check(name, openings)
        for day, openings in self.special.items():
            _check(day.isoformat(), openings)
        if both := self.holidays & self.special.keys():
            raise ValueError(f"{min(both)} is a holiday and has hours of its own")

    def on(self, day: date) -> tuple[Opening, ...]:
        """The openings of one day."""
        if day in self.holidays:
            return ()
        openings = self.special.get(day)
        return self.week[day.weekday()] if openings is None else openings

    def written(self, day: date) -> list[dict[str, str]]:
        """The openings of one day, as in `as_json`."""
        return _written(self.on(day))

    def rule(self, day: date) -> DayRule:
        """What `on` goes by."""
        if day in self.holidays:
            return DayRule.HOLIDAY
        return DayRule.SPECIAL if day in self.special else DayRule.WEEK

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> "WorkingHours":
        """From the form of `as_json`; openings are sorted."""
        return cls(
            week=tuple(_openings(data["week"][name]) for name in WEEKDAYS),
            holidays=frozenset(map(_day, data["holidays"])),
            special={_day(each["day"]): _openings(each["hours"]) for each in data["special_days"]},
        )

    @cached_property
    def as_json(self) -> dict[str, Any]:
        """As stored and as in the API: local `HH:MM`, 24:00 being the end of the day."""
        return {
            "week": {name: _written(openings) for name, openings in zip(WEEKDAYS, self.week, strict=True)},
            "holidays": [day.isoformat() for day in sorted(self.holidays)],
            "special_days": [
                {"day": day.isoformat(), "hours": _written(openings)} for day, openings in sorted(self.special.items())
            ],
        }


def working_seconds(start: datetime, end: datetime, hours: WorkingHours, zone: ZoneInfo) -> int:
    """Seconds of working time from `start` to `end`, both aware; 0 where `end` is not later.

    Parts of a second are cut off at both ends, so that adjoining periods add up exactly.
    """
    return sum(_length(*period) for period in working_periods(start, end, hours, zone))


def working_periods(
    start: datetime, end: datetime, hours: WorkingHours, zone: ZoneInfo
) -> Iterator[tuple[datetime, datetime]]:
    """The working time from `start` to `end`, in order, in UTC. One opening may be several periods that adjoin."""
    at, last = _whole_seconds(start), _whole_seconds(end)
    for since, until in _wall_clock_ranges(at, last, zone):
        for opens_at, closes_at in _open_between(since, until, hours):
            yield at + (opens_at - since), at + (closes_at - since)
        at += until - since


def working_days(
    start: datetime, end: datetime, hours: WorkingHours, zone: ZoneInfo
) -> list[tuple[date, list[tuple[datetime, datetime]]]]:
    """Each local day from `start` to `end`, closed ones too, with its working time within; nothing adjoins in a day."""
    last_second = max(start, end - timedelta(seconds=1))  # a day that ends at midnight is the last one
    first, last = start.astimezone(zone).date(), last_second.astimezone(zone).date()
    days: dict[date, list[tuple[datetime, datetime]]] = {
        first + number * _DAY: [] for number in range((last - first).days + 1)
    }
    for since, until in working_periods(start, end, hours, zone):
        periods = days[since.astimezone(zone).date()]
        if periods and periods[-1][1] == since:
            since, _ = periods.pop()
        periods.append((since, until))
    return list(days.items())


def next_working_instant(at: datetime, hours: WorkingHours, zone: ZoneInfo) -> datetime | None:
    """The instant itself in working time, else when that begins, in UTC; None where it does not in `LOOK_AHEAD`."""
    after_one = after_working_seconds(at, 1, hours, zone)
    return after_one and after_one - timedelta(seconds=1)


def after_working_seconds(start: datetime, seconds: int, hours: WorkingHours, zone: ZoneInfo) -> datetime | None:
    """The first instant at which `working_seconds` from `start` are so many (1 at least), in UTC.

    None where there is not so much working time in the next `LOOK_AHEAD`.
    """
    left = seconds
    for opens_at, closes_at in working_periods(start, start + LOOK_AHEAD, hours, zone):
        length = _length(opens_at, closes_at)
        if length >= left:
            return opens_at + timedelta(seconds=left)
        left -= length
    return None


def _whole_seconds(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("an instant needs its offset")
    return at.astimezone(UTC).replace(microsecond=0)


def _wall_clock_ranges(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """The wall-clock times from `start` to `end`, split at changes of the UTC offset.

    No zone has changed its offset and changed it back within a day, so comparing once a day finds
    every change.
    """
    while start < end:
        until = min(start + _DAY, end)
        utc_offset = offset(start, zone)
        if offset(until, zone) != utc_offset:
            until = _change(start, until, zone)
        wall_clock = start.replace(tzinfo=None) + utc_offset
        yield wall_clock, wall_clock + (until - start)
        start = until


def offset(at: datetime, zone: ZoneInfo) -> timedelta:
    """A zone's offset from UTC at an instant."""
    utc_offset = at.astimezone(zone).utcoffset()
    assert utc_offset is not None
    return utc_offset


def changes(zone: ZoneInfo, first: datetime, last: datetime, step: timedelta) -> Iterator[tuple[datetime, timedelta]]:
    """The zone's UTC offset at `first`, and each other one by `last`, with the instant from which it holds.

    A change that is taken back within `step` is not found.
    """
    at, utc_offset = first, offset(first, zone)
    yield at, utc_offset
    while at < last:
        until = min(at + step, last)
        if offset(until, zone) != utc_offset:
            until = _change(at, until, zone)
            utc_offset = offset(until, zone)
            yield until, utc_offset
        at = until


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first second with another offset than at `before`; there is one by `after`."""
    utc_offset = offset(before, zone)
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if offset(before + timedelta(seconds=middle), zone) == utc_offset:
            low = middle
        else:
            high = middle
    return before + timedelta(seconds=high)


def _length(since: datetime, until: datetime) -> int:
    return int((until - since).total_seconds())


def _open_between(since: datetime, until: datetime, hours: WorkingHours) -> Iterator[tuple[datetime, datetime]]:
    """The working time while the wall clock runs evenly from `since` to `until`, in order."""
    day = since.date()
    while day <= until.date():
        midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a wall-clock time has no zone
        for opens, closes in hours.on(day):
            opens_at = max(since, midnight + timedelta(minutes=opens))
            closes_at = min(until, midnight + timedelta(minutes=closes))
            if opens_at < closes_at:
                yield opens_at, closes_at
        day += _DAY


def _check(day: str, openings: tuple[Opening, ...]) -> None:
    for opens, closes in openings:
        if not 0 <= opens < closes <= _MIDNIGHT:
            raise ValueError(f"{day}: {_clock(opens)} to {_clock(closes)} is not a period of a day")
    for (_, closes), (opens, _) in pairwise(openings):
        if opens < closes:
            raise ValueError(f"{day}: hours overlap at {_clock(opens)}")


def _openings(written: list[Mapping[str, str]]) -> tuple[Opening, ...]:
    return tuple(sorted((_minutes(each["opens"]), _minutes(each["closes"])) for each in written))


def _written(openings: tuple[Opening, ...]) -> list[dict[str, str]]:
    return [{"opens": _clock(opens), "closes": _clock(closes)} for opens, closes in openings]


def _minutes(text: str) -> int:
    if not _WALL_TIME.fullmatch(text):
        raise ValueError(f"{text!r} is no time of day: write HH:MM, up to 24:00")
    return int(text[:2]) * 60 + int(text[3:])


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _day(value: str | date) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)


_OFFICE: Final = ((9 * 60, 18 * 60),)
DEFAULT: Final = WorkingHours(week=(_OFFICE,) * 5 + ((), ()))
"""Monday to Friday, 09:00 to 18:00."""
ALWAYS: Final = WorkingHours(week=(((0, _MIDNIGHT),),) * 7)
"""Day and night."""
