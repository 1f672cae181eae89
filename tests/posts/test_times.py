"""Local times, daylight saving included."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.errors import Invalid
from app.posts import times

ZONES = st.sampled_from(sorted(available_timezones()))
TIMES = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2099, 12, 31)).map(  # noqa: DTZ001 - local
    lambda at: at.replace(microsecond=0)
)


@given(ZONES, TIMES)
def test_a_local_time_comes_back_or_does_not_exist(zone: str, local: datetime) -> None:
    here = ZoneInfo(zone)
    # Independently of the code: those instants around that the zone's clocks show as this time.
    offsets = {
        (local.replace(tzinfo=UTC) + timedelta(hours=hours)).astimezone(here).utcoffset() for hours in range(-30, 31)
    }
    showing = sorted(
        at
        for offset in offsets
        if offset is not None
        for at in [local.replace(tzinfo=UTC) - offset]
        if at.astimezone(here).replace(tzinfo=None) == local
    )
    if not showing:
        with pytest.raises(Invalid) as refused:
            times.instant(local, zone)
        assert refused.value.code == "nonexistent-local-time"
    else:
        assert times.instant(local, zone) == showing[0]


@pytest.mark.parametrize(
    ("zone", "local", "expected"),
    [
        ("Europe/Berlin", "2026-03-29T01:59:59", "2026-03-29T00:59:59+00:00"),
        ("Europe/Berlin", "2026-03-29T02:00:00", None),
        ("Europe/Berlin", "2026-03-29T02:59:59", None),
        ("Europe/Berlin", "2026-03-29T03:00:00", "2026-03-29T01:00:00+00:00"),
        ("Europe/Berlin", "2026-10-25T02:30:00", "2026-10-25T00:30:00+00:00"),  # twice; the first
        ("Australia/Lord_Howe", "2026-10-04T02:15:00", None),  # a gap of half an hour
        ("Pacific/Apia", "2011-12-30T12:00:00", None),  # a day that never was
        ("Europe/Minsk", "2026-10-25T02:30:00", "2026-10-24T23:30:00+00:00"),
    ],
)
def test_gaps_and_folds(zone: str, local: str, expected: str | None) -> None:
    at = datetime.fromisoformat(local)
    if expected is None:
        with pytest.raises(Invalid, match="does not exist"):
            times.instant(at, zone)
    else:
        assert times.instant(at, zone).isoformat() == expected


@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        ("Europe/Minsk", "2026-10-15", "2026-10-14T21:00:00+00:00"),
        ("Asia/Beirut", "2026-03-29", "2026-03-28T22:00:00+00:00"),  # 0:00 is passed over: it begins at 1:00
        ("America/Scoresbysund", "2026-03-29", "2026-03-29T01:00:00+00:00"),  # from 23:00 straight to 0:00
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00+00:00"),  # a day of no length
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00+00:00"),
        ("America/Toronto", "1919-03-31", "1919-03-31T04:30:00+00:00"),  # from 23:30 to 0:30
    ],
)
def test_a_day_begins_at_local_midnight_or_the_clock_change(zone: str, day: str, begins: str) -> None:
    at = date.fromisoformat(day)
    assert times.bounds(at, at, zone)[0].isoformat() == begins


@given(ZONES, st.dates(date(2000, 1, 2), date(2099, 12, 30)), st.integers(0, 40))
def test_days_adjoin_without_gap_or_overlap(zone: str, first: date, length: int) -> None:
    last = min(first + timedelta(days=length), date(2099, 12, 30))
    begin, end = times.bounds(first, last, zone)
    assert times.bounds(last + timedelta(days=1), last + timedelta(days=1), zone)[0] == end
    here = ZoneInfo(zone)
    if begin < end:
        days = [at.astimezone(here).date() for at in (begin, end - timedelta(microseconds=1))]
        assert first <= days[0] <= days[1] <= last
        assert (begin - timedelta(microseconds=1)).astimezone(here).date() < first
