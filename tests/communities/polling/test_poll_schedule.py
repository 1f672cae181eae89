"""Intervals of polls, and how many calls they take."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.communities.polling import poll_schedule

PUBLISHED = datetime(2026, 1, 1, tzinfo=UTC)


def metrics_polls(days: int) -> int:
    at, count = PUBLISHED, 0
    while (at := poll_schedule.next_metrics_poll(PUBLISHED, at)) < PUBLISHED + timedelta(days=days):
        count += 1
    return count


def test_a_year_of_a_post_costs_less_than_a_hundredth_of_hourly_polls() -> None:
    assert metrics_polls(365) * 100 <= 365 * 24


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=800)))
def test_the_older_a_post_the_longer_we_wait(age: timedelta) -> None:
    at = PUBLISHED + age
    wait = poll_schedule.next_metrics_poll(PUBLISHED, at) - at
    later = at + timedelta(days=1)
    assert (
        timedelta(minutes=15) <= wait <= poll_schedule.next_metrics_poll(PUBLISHED, later) - later <= timedelta(days=30)
    )


def test_failures_are_answered_by_patience() -> None:
    waits = [poll_schedule.back_off(n).total_seconds() for n in range(1, 20)]
    assert waits[:3] == [30, 60, 120]
    assert waits == sorted(waits)
    assert waits[-1] == 3600
