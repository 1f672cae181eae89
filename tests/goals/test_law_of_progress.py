"""The law of progress: over random histories and terms, what is kept is what a recount of the sizes gives.

The recount adds, reads and divides by itself, and judges the pace by the rule of the documentation.
"""

import itertools
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.goals import progress
from app.goals.models import Pace
from app.goals.progress import Progress
from app.kit.clock import SetClock
from app.metrics import service as metrics
from tests.conftest import Agency
from tests.goals.conftest import NOON
from tests.kpis.conftest import Client, empty_project

SETTINGS = settings(
    deadline=None,
    max_examples=10,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],
)
DAY = timedelta(days=1)
LENGTH = 90
"""Days of history up to yesterday: enough for every window before a period."""
FIRST = NOON.date() - LENGTH * DAY
TOLERANCE = 0.1


@dataclass(frozen=True)
class Case:
    """A history of sizes and a goal on it."""

    kpi: str
    sizes: tuple[int, ...]
    """At the end of each day, from `FIRST` to yesterday."""
    first: date
    last: date
    share: float
    """Of what the target is above the baseline, of a tenth of it."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A case."""
    steps = draw(st.lists(st.integers(-3, 12), min_size=LENGTH, max_size=LENGTH))
    weekend = draw(st.sampled_from([0, 15]))
    season = [step + weekend * ((FIRST + number * DAY).weekday() > 4) for number, step in enumerate(steps)]
    sizes = tuple(itertools.accumulate(season, initial=1000))[1:]
    before = draw(st.integers(1, 28))
    first = NOON.date() - before * DAY
    return Case(
        kpi=draw(st.sampled_from(["community_size", "net_growth", "growth_rate"])),
        sizes=sizes,
        first=first,
        last=NOON.date() + draw(st.integers(0, 20)) * DAY,
        share=draw(st.floats(0.1, 2)),
    )


def size(case: Case, day: date) -> int:
    """The size at the end of a day."""
    return case.sizes[(day - FIRST).days]


def recounted(case: Case, first: date, last: date) -> float:
    """The KPI over these days."""
    before, after = size(case, first - DAY), size(case, last)
    return {"community_size": after, "net_growth": after - before, "growth_rate": (after - before) / before}[case.kpi]


async def stored(agency: Agency, case: Case) -> Client:
    """A project with this history."""
    client = await empty_project(agency, "Random", "Europe/Minsk")
    start = datetime.combine(FIRST, time(), UTC)
    place = await client.connect("mastodon", created_at=start, backfill_since=start)
    async with agency.resources.transaction(agency.workspace_id) as session:
        for number, value in enumerate(case.sizes):
            at = datetime.combine(FIRST + number * DAY, time(12), UTC)
            await metrics.record_size(session, place, at, value)
    await client.mark_polled(place, NOON)
    return client


async def judge(agency: Agency, case: Case) -> None:
    """Compare what is kept with the recount."""
    clock = agency.resources.clock
    assert isinstance(clock, SetClock)
    clock.at = NOON
    client = await stored(agency, case)
    days = (case.last - case.first).days + 1
    level = _level(case, days)
    target = level + abs(level) * case.share / 10 + 0.001
    body = {
        "project_id": client.project_id,
        "title": "Growth",
        "type": "awareness",
        "kpi": case.kpi,
        "target": target,
        "period": {"from": str(case.first), "to": str(case.last)},
    }
    goal = await agency.post("/v1/goals", body)
    assert goal["baseline"]["level"] == pytest.approx(level)
    await agency.work("goals.measure", passes=2)
    kept = await agency.get(f"/v1/goals/{goal['id']}/progress")
    yesterday = NOON.date() - DAY
    value = recounted(case, case.first, yesterday)
    assert kept["value"] == pytest.approx(value)
    assert kept["day"] == str(yesterday)
    elapsed = (yesterday - case.first).days + 1
    expected = _expected(case, kept["path"], level, target, elapsed, days)
    assert kept["expected"] == pytest.approx(expected)
    made = kept["forecast"]
    if made["value"] is None:
        start = level if case.kpi == "community_size" else 0
        is_near = abs(expected - value) <= TOLERANCE * abs(expected - start)
        pace = "on_track" if value >= expected else "at_risk" if is_near else "off_track"
    else:
        assert made["low"] <= made["value"] <= made["high"]
        pace = "on_track" if made["value"] >= target else "at_risk" if made["high"] >= target else "off_track"
    if case.kpi == "net_growth" and value >= target:
        pace = "met"
    assert kept["pace"] == pace


def _level(case: Case, days: int) -> float:
    last = min(case.first, NOON.date()) - DAY
    first = last - 27 * DAY
    if case.kpi == "growth_rate":
        # As often as 28 days have room for as many days as the period has: the mean.
        times = max(28 // days, 1)
        begins = [last - number * days * DAY + DAY for number in range(1, times + 1)]
        return sum(recounted(case, begin, begin + (days - 1) * DAY) for begin in begins) / times
    if case.kpi != "net_growth":
        return recounted(case, first, last)
    return recounted(case, first, last) / 28 * days


def _expected(case: Case, path: str, level: float, target: float, elapsed: int, days: int) -> float:
    if path == "linear":
        start = level if case.kpi == "community_size" else 0
        return start + (target - start) * elapsed / days
    assert case.kpi == "net_growth"
    # By weekday: the mean of the last whole weeks before the period, drawn a little towards equal shares.
    whole = [case.first - number * DAY for number in range(1, 57)]
    weeks = 8
    means = {
        weekday: sum(recounted(case, day, day) for day in whole if day.weekday() == weekday) / weeks
        for weekday in range(7)
    }
    total, trust = sum(means.values()), 7 * weeks / (7 * weeks + 7)
    shares = [trust * means[(case.first + number * DAY).weekday()] / total + (1 - trust) / 7 for number in range(days)]
    return target * sum(shares[:elapsed]) / sum(shares)


@given(case=cases())
@SETTINGS
async def test_what_is_kept_is_what_a_recount_gives(agency: Agency, case: Case) -> None:
    await judge(agency, case)


PLAIN = Case("net_growth", tuple(range(1010, 1010 + 10 * LENGTH, 10)), NOON.date() - 10 * DAY, NOON.date() + 9 * DAY, 2)


@pytest.mark.parametrize("field", ["value", "expected", "pace"])
async def test_a_wrong_number_is_found(agency: Agency, monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    """The control: each kept number, a little wrong, makes the test fail."""
    await judge(agency, PLAIN)
    right = progress.progress

    def wrong(*arguments: Any, **more: Any) -> Progress:
        made = right(*arguments, **more)
        assert made.value is not None
        assert made.expected is not None
        others: dict[str, Any] = {"value": made.value + 1, "expected": made.expected + 1, "pace": Pace.AT_RISK}
        return replace(made, **{field: others[field]})

    monkeypatch.setattr(progress, "progress", wrong)
    with pytest.raises(AssertionError):
        await judge(agency, replace(PLAIN, share=1))
