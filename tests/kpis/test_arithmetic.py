"""The values of any windows, against the definitions recounted day by day from single rows.

The reference knows no running sums: it holds rows as they came, goes through the days of a window one by one,
and adds up the communities of which at least one day is known.
"""

import random
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.kpis import all_kpis
from app.kpis.arithmetic import Datasets, Values, values
from app.kpis.contract import LoadRequest, Project
from app.kpis.values import AddsUp, Community, Value
from app.kpis.windows import Days, Granularity

NOW = datetime(2026, 10, 30, 15, tzinfo=UTC)
TODAY = NOW.date()
FIRST, LAST = TODAY - timedelta(days=40), TODAY + timedelta(days=3)


def _range(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


@dataclass
class History:
    """A project with the single rows of each community."""

    project: Project
    gains: dict[Community, list[tuple[date, int]]] = field(default_factory=lambda: defaultdict(list))
    sizes: dict[Community, dict[date, tuple[int, int]]] = field(default_factory=lambda: defaultdict(dict))
    inquiries: dict[Community, list[tuple[date, date | None]]] = field(default_factory=lambda: defaultdict(list))
    waits: dict[Community, list[tuple[date, date | None, int]]] = field(default_factory=lambda: defaultdict(list))
    links: dict[Community, datetime] = field(default_factory=dict)
    clicks: dict[Community, list[tuple[date, str]]] = field(default_factory=lambda: defaultdict(list))

    @property
    def communities(self) -> Sequence[Community]:
        """Those of the project."""
        return self.project.communities


def _history(chance: random.Random) -> History:
    communities = []
    for _ in range(chance.randrange(4)):
        connected = TODAY - timedelta(days=chance.choice((60, 30, 10, 2, 0)))
        polled = chance.choice((NOW, NOW, NOW - timedelta(days=2), NOW - timedelta(days=15), None))
        if polled is not None and polled.date() < connected:
            polled = NOW
        communities.append(
            Community(
                id=uuid.UUID(int=chance.getrandbits(128)),
                platform="vk",
                connected=connected,
                backfill=connected,
                size_seen_at=polled,
                posts_seen_at=polled,
                conversations_seen_at=polled,
            )
        )
    project = Project(
        uuid.UUID(int=1), "Coffee", ZoneInfo("UTC"), TODAY, NOW, NOW - timedelta(days=90), tuple(communities), "UTC"
    )
    history = History(project)
    for one in communities:
        until = one.posts_seen_at.date() if one.posts_seen_at is not None else one.connected - timedelta(days=1)
        for day in _range(max(one.connected, FIRST), min(until, TODAY)):
            history.gains[one] += [(day, chance.randrange(-3, 30)) for _ in range(chance.randrange(3))]
            if chance.random() < 0.7:
                history.sizes[one][day] = (chance.randrange(0, 50), chance.randrange(0, 50))
            for _ in range(chance.randrange(3)):
                later = day + timedelta(days=chance.randrange(9))
                handled = later if later <= until and chance.random() < 0.8 else None
                history.inquiries[one].append((day, handled))
                history.waits[one].append((day, handled, chance.randrange(900)))
        if chance.random() < 0.6:
            history.links[one] = NOW - timedelta(days=chance.randrange(35))
            for day in _range(history.links[one].date(), TODAY):
                history.clicks[one] += [(day, chance.choice("abcdef") * 32) for _ in range(chance.randrange(4))]
    return history


def _columns(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """Rows, whose first column is a day, as the statements give them."""
    in_order = sorted(rows, key=lambda row: row[0])
    return [list(column) for column in zip(*(((row[0] - FIRST).days, *row[1:]) for row in in_order), strict=True)]


def _json(by_community: Callable[[Community], list[Sequence[Any]]], history: History) -> Any:
    return {str(one.id): _columns(rows) for one in history.communities if (rows := by_community(one))}


def _datasets(history: History, request: LoadRequest) -> Datasets:
    def gains(one: Community) -> list[Sequence[Any]]:
        days = defaultdict(list)
        for day, amount in history.gains[one]:
            days[day].append(amount)
        return [(day, len(amounts), 0, sum(amounts), 0) for day, amounts in days.items()]

    def inquiries(one: Community) -> list[Sequence[Any]]:
        came = [(day, 1, int(handled is not None), 0) for day, handled in history.inquiries[one]]
        return [*came, *((handled, 0, 0, 1) for _, handled in history.inquiries[one] if handled is not None)]

    def waits(one: Community) -> list[Sequence[Any]]:
        return [
            (day, (ended - FIRST).days if ended else None, True, ended is not None, *([seconds if ended else None] * 2))
            for day, ended, seconds in history.waits[one]
        ]

    since = {str(one.id): at.isoformat() for one, at in history.links.items()}
    data = {
        "engagement": _json(gains, history),
        "sizes": _json(lambda one: [(day, *both) for day, both in history.sizes[one].items()], history),
        "inquiries": _json(inquiries, history),
        "waits": _json(waits, history),
        "clicks": {
            "rows": _json(lambda one: [(day, 1, 0, 0) for day, _ in history.clicks[one]], history),
            "since": since,
        },
        "visitors": {"rows": _json(lambda one: list({*history.clicks[one]}), history), "since": since},
    }
    sources = {source for kpi in all_kpis().values() for source in kpi.needs if source.key in data}
    return {source: source.dataset(history.project, data[source.key], request) for source in sources}


def _known_days(history: History, one: Community, days: Days, *, clicks: bool = False) -> tuple[bool, bool]:
    """Whether the community counts in these days, and whether all of them that have come are known."""
    if clicks:
        first = history.links[one].date() if one in history.links else date.max
        last, is_stale = TODAY, False
    else:
        first, polled = one.connected, one.posts_seen_at
        last = polled.date() if polled is not None else date.min
        is_stale = polled is None or NOW - polled > timedelta(days=1)
    window = _range(*days)
    known_days = [day for day in window if first <= day <= last]
    lacking = [day for day in window if day < first or (is_stale and last < day <= TODAY)]
    return bool(known_days), not lacking


def _expected(history: History, key: str, days: Days, of: Sequence[Community]) -> tuple[float | None, bool]:
    """The value by its definition, and whether it is complete."""
    window = set(_range(*days))
    states = {one: _known_days(history, one, days, clicks=key in {"clicks", "unique_visitors"}) for one in of}
    counted = [one for one in of if states[one][0]]
    complete = all(is_known and is_complete for is_known, is_complete in states.values())
    if not counted:
        return None, False
    inquiries = [inquiry for one in counted for inquiry in history.inquiries[one]]
    waits = [wait for one in counted for wait in history.waits[one]]
    match key:
        case "engagement":
            return sum(amount for one in counted for day, amount in history.gains[one] if day in window), complete
        case "inquiries_received":
            return sum(day in window for day, _ in inquiries), complete
        case "inquiries_handled":
            return sum(handled in window for _, handled in inquiries), complete
        case "handled_rate":
            came = [handled for day, handled in inquiries if day in window]
            return (sum(handled is not None for handled in came) / len(came) if came else None), complete
        case "open_backlog":
            return sum(day <= days.last and (ended is None or ended > days.last) for day, ended, _ in waits), complete
        case "first_response_time":
            ended_in = [seconds for _, ended, seconds in waits if ended in window]
            return (median(ended_in) if ended_in else None), complete
        case "clicks":
            return sum(day in window for one in counted for day, _ in history.clicks[one]), complete
        case _:
            return len({visitor for one in counted for day, visitor in history.clicks[one] if day in window}), complete


def _expected_size(history: History, key: str, days: Days, of: Sequence[Community]) -> float | None:
    """The values of sizes by their definitions; None where no community has one."""
    start = end = 0
    average = 0.0
    counted = 0
    for one in of:
        sizes, window = history.sizes[one], _range(*days)
        within = [sizes[day] for day in window if day in sizes]
        before = [both for day, both in sorted(sizes.items()) if day < days.first]
        if key == "community_size":
            seen = [*before, *within]
            if seen and days.first <= TODAY:
                counted, end = counted + 1, end + seen[-1][1]
        elif within and not (key == "growth_rate" and (before[-1][1] if before else within[0][0]) == 0):
            counted += 1
            start += before[-1][1] if before else within[0][0]
            end += within[-1][1]
            average += sum(last for _, last in within) / len(within)
    if not counted:
        return None
    return {"community_size": end, "net_growth": end - start}.get(key, (end - start) / start if start else None)


FAMILIES = (
    *("engagement", "inquiries_received", "inquiries_handled", "handled_rate", "open_backlog", "first_response_time"),
    *("clicks", "unique_visitors"),
)
SIZES = ("community_size", "net_growth", "growth_rate")


def _values(key: str, datasets: Datasets, request: LoadRequest, ranges: Sequence[Days]) -> Values:
    def fail(error: Exception) -> None:
        raise error

    return values(all_kpis()[key], datasets, request.windows(ranges, TODAY), report=fail)


def _check(history: History, key: str, days: Days, of: Sequence[Community], value: Value) -> None:
    amount, is_complete = _expected(history, key, days, of)
    if not history.links and key in {"clicks", "unique_visitors"}:
        assert (value.amount, value.status_reason) == (None, "no-links")
        return
    assert value.amount == (pytest.approx(amount) if amount is not None else None), (key, days)
    if of:
        assert (not value.missing) == is_complete, (key, days, value)


@settings(max_examples=150, deadline=None)
@given(st.integers(min_value=0))
def test_every_window_is_as_recounted_day_by_day(seed: int) -> None:
    chance = random.Random(seed)
    history = _history(chance)
    request = LoadRequest(uuid.UUID(int=2), (history.project.id,), FIRST, LAST, NOW)
    datasets = _datasets(history, request)
    first = FIRST + timedelta(days=chance.randrange(1, 40))
    whole = Days(first, min(first + timedelta(days=chance.choice((0, 1, 6, 13, 29))), LAST))
    parts = list(whole.parts(chance.choice(list(Granularity))))
    for key in FAMILIES:
        made = _values(key, datasets, request, [whole, *parts])
        _check(history, key, whole, history.communities, made.whole)
        for part, value in zip(parts, made.others, strict=True):
            _check(history, key, part, history.communities, value)
        for one, value in made.by_community.items():
            _check(history, key, whole, [one], value)
    for key in SIZES:
        made = _values(key, datasets, request, [whole, *parts])
        for days, value in zip([whole, *parts], [made.whole, *made.others], strict=True):
            expected = _expected_size(history, key, days, history.communities)
            assert value.amount == (pytest.approx(expected) if expected is not None else None), (key, days)


@settings(max_examples=60, deadline=None)
@given(st.integers(min_value=0))
def test_parts_make_the_whole_as_each_kpi_says(seed: int) -> None:
    chance = random.Random(seed)
    history = _history(chance)
    request = LoadRequest(uuid.UUID(int=2), (history.project.id,), FIRST, LAST, NOW)
    datasets = _datasets(history, request)
    whole = Days(TODAY - timedelta(days=chance.randrange(1, 35)), TODAY)
    parts = list(whole.parts(chance.choice(list(Granularity))))
    for key in (*FAMILIES, *SIZES):
        made = _values(key, datasets, request, [whole, *parts])
        amounts = [value.amount for value in made.others if value.amount is not None]
        if all_kpis()[key].adds_up is AddsUp.FLOW:
            assert (made.whole.amount or 0) == sum(amounts)
            assert (made.whole.amount or 0) == sum(share.amount or 0 for share in made.by_community.values())
        last = made.others[-1]
        if all_kpis()[key].adds_up is AddsUp.STOCK and last.amount is not None and not last.missing:
            assert made.whole.amount == last.amount
