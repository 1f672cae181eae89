"""The bounds of valid instants, and arithmetic that stays within them."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit import instants

FAR = timezone(timedelta(hours=14))
NOW = datetime(2026, 10, 15, 12, tzinfo=UTC)


@given(at=st.datetimes(timezones=st.sampled_from([UTC, FAR, timezone(-timedelta(hours=14))])))
def test_an_instant_is_the_same_in_utc_or_refused(at: datetime) -> None:
    try:
        in_utc = instants.bounded(at)
    except instants.OutOfBounds:
        assert not instants.EARLIEST <= at < instants.LATEST
    else:
        assert in_utc == at
        assert in_utc.tzinfo is UTC
        assert instants.EARLIEST <= in_utc < instants.LATEST


@pytest.mark.parametrize("at", [datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=FAR)])
def test_the_ends_of_the_calendar_are_refused(at: datetime) -> None:
    with pytest.raises(instants.OutOfBounds, match="1970-01-01 up to, not including, 2200-01-01"):
        instants.bounded(at)


def test_days_have_the_same_bounds() -> None:
    assert instants.bounded_day(date(1970, 1, 1)) == date(1970, 1, 1)
    for day in (date(1969, 12, 31), date(2200, 1, 1), date.max, date.min):
        with pytest.raises(instants.OutOfBounds):
            instants.bounded_day(day)


def test_no_wait_leads_out_of_the_bounds() -> None:
    assert instants.after(NOW, timedelta(hours=1)) == NOW + timedelta(hours=1)
    assert instants.after(NOW, timedelta.max) == NOW + instants.LONGEST
    assert instants.bounded(instants.after(NOW, timedelta.max))
    assert instants.span(1.5) == timedelta(seconds=1.5)
    assert {instants.span(seconds) for seconds in (2**63, 10.0**300, float("inf"))} == {instants.LONGEST}
    assert instants.span(-1) == timedelta(0)
