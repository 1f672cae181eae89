"""Working time against a count of its minutes."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.projects.hours import (
    ALWAYS,
    DEFAULT,
    LOOK_AHEAD,
    Opening,
    WorkingHours,
    after_working_seconds,
    next_working_instant,
    working_seconds,
)

MINUTE = timedelta(minutes=1)
BERLIN = ZoneInfo("Europe/Berlin")
"""Skips 02:00–03:00 on 29 March 2026 and shows it twice on 25 October 2026."""
ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata")]
CHANGES = [datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 8), (3, 29), (4, 4), (10, 3), (10, 25))]


@st.composite
def openings(draw: st.DrawFn) -> tuple[Opening, ...]:
    marks = sorted(draw(st.sets(st.integers(0, 96), max_size=6)))
    return tuple((marks[i] * 15, marks[i + 1] * 15) for i in range(0, len(marks) - 1, 2))


@st.composite
def hours(draw: st.DrawFn) -> WorkingHours:
    near = st.sampled_from([change.date() + timedelta(days=n) for change in CHANGES for n in (-1, 0, 1)])
    holidays = draw(st.frozensets(near, max_size=3))
    special = draw(st.dictionaries(near.filter(lambda day: day not in holidays), openings(), max_size=3))
    return WorkingHours(week=tuple(draw(st.tuples(*[openings()] * 7))), holidays=holidays, special=special)


instants = st.builds(lambda change, n: change + n * MINUTE, st.sampled_from(CHANGES), st.integers(-2880, 2880))


def counted_by_minute(start: datetime, end: datetime, hours: WorkingHours, zone: ZoneInfo) -> int:
    """The same, counted minute by minute."""
    seconds, at = 0, start
    while at < end:
        wall = at.astimezone(zone)
        minute = wall.hour * 60 + wall.minute
        seconds += 60 * any(opens <= minute < closes for opens, closes in hours.on(wall.date()))
        at += MINUTE
    return seconds


@settings(max_examples=150, deadline=None)
@given(instants, st.integers(0, 3000), hours(), st.sampled_from(ZONES))
def test_working_time_equals_a_count_of_minutes(
    start: datetime, length: int, hours: WorkingHours, zone: ZoneInfo
) -> None:
    end = start + length * MINUTE
    assert working_seconds(start, end, hours, zone) == counted_by_minute(start, end, hours, zone)


@settings(max_examples=150, deadline=None)
@given(instants, st.integers(0, 59), hours(), st.sampled_from(ZONES))
def test_the_next_working_instant_is_the_first(
    minute: datetime, second: int, hours: WorkingHours, zone: ZoneInfo
) -> None:
    at = minute + timedelta(seconds=second)
    begins = next_working_instant(at, hours, zone)
    if begins is None:
        assert working_seconds(at, at + timedelta(days=366), hours, zone) == 0
        return
    assert begins >= at
    assert working_seconds(at, begins, hours, zone) == 0
    assert working_seconds(begins, begins + timedelta(seconds=1), hours, zone) == 1


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(*[st.builds(lambda s: CHANGES[1] + timedelta(seconds=s), st.floats(-2e6, 2e6))] * 3),
    hours(),
    st.sampled_from(ZONES),
)
def test_adjoining_periods_add_up_and_longer_ones_are_not_less(
    at: tuple[datetime, datetime, datetime], hours: WorkingHours, zone: ZoneInfo
) -> None:
    first, middle, last = sorted(at)
    whole = working_seconds(first, last, hours, zone)
    parts = working_seconds(first, middle, hours, zone), working_seconds(middle, last, hours, zone)
    assert whole == sum(parts)
    assert min(parts) >= 0
    assert whole <= (last - first).total_seconds() + 1


@pytest.mark.parametrize(
    ("day", "worked"),
    [(date(2026, 3, 28), 24), (date(2026, 3, 29), 23), (date(2026, 10, 25), 25)],
    ids=["ordinary", "put forward", "put back"],
)
def test_a_day_has_as_many_hours_as_the_clock_shows(day: date, worked: int) -> None:
    start = datetime(day.year, day.month, day.day, tzinfo=BERLIN)
    following = day + timedelta(days=1)
    end = datetime(following.year, following.month, following.day, tzinfo=BERLIN)
    assert working_seconds(start, end, ALWAYS, BERLIN) == worked * 3600


def test_a_night_shift_works_the_hour_shown_twice_twice_and_the_skipped_one_never() -> None:
    night = WorkingHours(week=(((120, 180),),) * 7)
    back = datetime(2026, 10, 24, 22, tzinfo=UTC)
    forward = datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert working_seconds(back, back + timedelta(days=1), night, BERLIN) == 2 * 3600
    assert working_seconds(forward, forward + timedelta(hours=12), night, BERLIN) == 0


def test_a_zone_that_leaves_out_a_whole_day() -> None:
    samoa = ZoneInfo("Pacific/Apia")  # went from 29 to 31 December 2011
    start = datetime(2011, 12, 29, 0, tzinfo=samoa)
    end = datetime(2012, 1, 1, 0, tzinfo=samoa)
    assert working_seconds(start, end, ALWAYS, samoa) == 2 * 24 * 3600


def test_nights_weekends_and_holidays_do_not_count() -> None:
    minsk = ZoneInfo("Europe/Minsk")
    friday, monday = datetime(2026, 10, 16, 17, 30, tzinfo=minsk), datetime(2026, 10, 19, 9, 10, tzinfo=minsk)
    assert working_seconds(friday, monday, DEFAULT, minsk) == 40 * 60
    off = WorkingHours(week=DEFAULT.week, holidays=frozenset({date(2026, 10, 19)}))
    assert working_seconds(friday, monday, off, minsk) == 30 * 60
    short = WorkingHours(week=DEFAULT.week, special={date(2026, 10, 17): ((600, 660),)})
    assert working_seconds(friday, monday, short, minsk) == 100 * 60


def test_no_time_passes_backwards_and_parts_of_a_second_are_cut_off() -> None:
    at = datetime(2026, 10, 15, 12, tzinfo=UTC)
    assert working_seconds(at, at, ALWAYS, BERLIN) == 0
    assert working_seconds(at, at - timedelta(hours=1), ALWAYS, BERLIN) == 0
    half = timedelta(milliseconds=500)
    assert working_seconds(at + half, at + timedelta(seconds=1), ALWAYS, BERLIN) == 1
    with pytest.raises(ValueError, match="offset"):
        working_seconds(at.replace(tzinfo=None), at, ALWAYS, BERLIN)


@given(hours())
def test_hours_survive_a_round_trip(hours: WorkingHours) -> None:
    assert WorkingHours.parse(hours.as_json) == hours


@pytest.mark.parametrize(
    ("day", "complaint"),
    [
        (((540, 720), (700, 800)), "overlap at 11:40"),
        (((600, 600),), "not a period"),
        (((600, 1441),), "not a period"),
    ],
)
def test_invalid_hours_are_refused(day: tuple[Opening, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        WorkingHours(week=(day, *[()] * 6))


@settings(deadline=None)
@given(instants, st.integers(1, 100_000), hours(), st.sampled_from(ZONES))
def test_a_target_ends_with_its_last_working_second(
    start: datetime, seconds: int, hours: WorkingHours, zone: ZoneInfo
) -> None:
    end = after_working_seconds(start, seconds, hours, zone)
    if end is None:
        assert working_seconds(start, start + LOOK_AHEAD, hours, zone) < seconds
        return
    assert working_seconds(start, end, hours, zone) == seconds
    assert working_seconds(start, end - timedelta(seconds=1), hours, zone) == seconds - 1


def test_nobody_is_due_where_nobody_works() -> None:
    never = WorkingHours(week=((),) * 7)
    assert after_working_seconds(datetime(2026, 10, 15, tzinfo=UTC), 60, never, BERLIN) is None
