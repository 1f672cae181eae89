"""Each value can be recomputed from its evidence rows; and the relations between values hold.

`RECOUNTS` is written from the words of each KPI's `recount`, not from its code. A KPI that is new
in the catalogue and has no recount here fails the first test.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest

from app.kpis import all_kpis
from app.kpis.values import AddsUp
from tests.kpis.conftest import ALL, Client

Rows = list[dict[str, Any]]


def _of(rows: Rows, kind: str) -> Rows:
    return [row for row in rows if row["kind"] == kind]


def _differences(rows: Rows) -> int:
    return sum(row["difference"] for row in _of(rows, "gain"))


def _growth(rows: Rows) -> tuple[int, int]:
    sums = {role: sum(row["size"] for row in rows if row["role"] == role) for role in ("start", "end")}
    return sums["start"], sums["end"]


def _average_sizes(rows: Rows) -> float:
    sizes = defaultdict(list)
    for row in _of(rows, "size_of_day"):
        sizes[row["community_id"]].append(row["size"])
    return sum(sum(daily_sizes) / len(daily_sizes) for daily_sizes in sizes.values())


def _cost(rows: Rows, kind: str) -> float:
    spent: int = sum(row["minor"] for row in _of(rows, "spend"))
    return spent / len(_of(rows, kind)) / 100


def _distance(rows: Rows, policy: dict[str, int], promotional: int) -> float:
    shares = {**policy, "promotional": promotional}
    counts = Counter(row["category"] for row in rows)
    return sum(abs(counts[category] / len(rows) - share / 100) for category, share in shares.items()) / 2


RECOUNTS: dict[str, Callable[[Rows], float]] = {
    "community_size": lambda rows: sum(row["size"] for row in rows),
    "net_growth": lambda rows: _growth(rows)[1] - _growth(rows)[0],
    "growth_rate": lambda rows: (_growth(rows)[1] - _growth(rows)[0]) / _growth(rows)[0],
    "reach": _differences,
    "engagement": _differences,
    "engagement_rate": lambda rows: _differences(rows) / _average_sizes(rows),
    "inquiries_received": len,
    "inquiries_handled": len,
    "handled_rate": lambda rows: sum(row["handled_at"] is not None for row in rows) / len(rows),
    "first_response_time": lambda rows: median(row["working_seconds"] for row in rows),
    "resolution_time": lambda rows: median(row["working_seconds"] for row in rows),
    "within_target_rate": lambda rows: sum(row["in_time"] for row in rows) / len(rows),
    "overdue": len,
    "thanks_share": lambda rows: sum(row["wants"] == "thanks" for row in rows) / len(rows),
    "mix_deviation": lambda rows: _distance(rows, {"engaging": 40, "user_generated": 30, "educational": 25}, 5),
    "published_on_time": lambda rows: sum(row["on_time"] for row in rows) / len(rows),
    "open_backlog": len,
    "clicks": len,
    "bot_clicks": len,
    "unique_visitors": lambda rows: len({row["visitor"] for row in rows}),
    "attracted_users": len,
    "cost_per_attracted_user": lambda rows: _cost(rows, "campaign_join"),
    "cost_per_click": lambda rows: _cost(rows, "campaign_click"),
    "click_through_rate": lambda rows: len(_of(rows, "click")) / _differences(rows),
    "direction_activity": len,
    "clicks_per_post": lambda rows: len(_of(rows, "click")) / len(_of(rows, "publication")),
}

WINDOWS: tuple[dict[str, Any], ...] = (
    ALL,
    {"from": "2026-10-01", "to": "2026-10-10"},
    {"from": "2026-09-15", "to": "2026-09-24"},
    {"from": "2026-08-25", "to": "2026-09-05"},
    {"from": "2026-10-15", "to": "2026-10-31"},
    {"from": "2026-07-01", "to": "2026-07-31"},
)


def test_every_kpi_has_a_recount() -> None:
    assert set(RECOUNTS) == set(all_kpis())


async def test_the_evidence_gives_the_value_of_every_kpi(busy: Client) -> None:
    seen = set()
    for window in WINDOWS:
        for key in all_kpis():
            answer = await busy.kpi(key, granularity="month", **window)
            rows = await busy.evidence(key, **window)
            if answer["value"] is None:
                assert answer["status"] == "unknown"
                assert answer["reason"]
                assert rows == [], f"{key} has no value and yet has rows"
                continue
            seen.add(key)
            assert RECOUNTS[key](rows) == pytest.approx(answer["value"], abs=1e-9), f"{key} in {window}"
    assert seen == set(all_kpis()), "every KPI had a value in one of the windows"


async def test_additive_kpis_add_up(busy: Client) -> None:
    for granularity in ("day", "week", "month"):
        answers = (await busy.agency.get(busy.path, granularity=granularity, **ALL))["data"]
        for answer in answers:
            if all_kpis()[answer["key"]].adds_up is not AddsUp.FLOW:
                continue
            for part in (answer["series"], answer["breakdown"]):
                values = [one["value"] for one in part if one["value"] is not None]
                assert sum(values) == answer["value"], f"{answer['key']} by {granularity}"
        additive = [answer for answer in answers if all_kpis()[answer["key"]].adds_up is AddsUp.FLOW]
        assert len(additive) == 9
        assert all(answer["value"] for answer in additive)


async def test_null_has_a_reason_and_a_known_value_has_none(busy: Client) -> None:
    for window in WINDOWS:
        for answer in (await busy.agency.get(busy.path, **window))["data"]:
            for value in (answer, answer["previous"], *answer["series"], *answer["breakdown"]):
                assert (value["value"] is None) == (value["status"] == "unknown")
                assert (value["reason"] is None) == (value["status"] == "ok")


async def test_the_previous_window_is_as_long_and_right_before(busy: Client) -> None:
    answer = await busy.kpi("clicks", **{"from": "2026-10-11", "to": "2026-10-15"})
    assert (answer["previous"]["from"], answer["previous"]["to"]) == ("2026-10-06", "2026-10-10")
    for key in all_kpis():
        now = await busy.kpi(key, **{"from": "2026-10-06", "to": "2026-10-10"}, granularity="month")
        after = await busy.kpi(key, **{"from": "2026-10-11", "to": "2026-10-15"}, granularity="month")
        before = after["previous"]
        assert (now["value"], now["status"], now["reason"]) == (before["value"], before["status"], before["reason"])
        if after["value"] is not None and before["value"] and before["change_reason"] is None:
            assert before["change"] == pytest.approx((after["value"] - before["value"]) / abs(before["value"]))
        else:
            assert before["change"] is None


async def test_each_part_is_what_its_own_window_answers(busy: Client) -> None:
    """A series asks nothing else than the KPI itself does, day by day."""
    days = ("2026-09-19", "2026-09-20", "2026-09-21", "2026-10-02", "2026-10-15")
    for key in all_kpis():
        series = {point["from"]: point for point in (await busy.kpi(key, **ALL))["series"]}
        for day in days:
            alone = await busy.kpi(key, **{"from": day, "to": day})
            point = series[day]
            assert (alone["value"], alone["status"]) == (point["value"], point["status"]), f"{key} on {day}"


async def test_all_kpis_at_once_equal_each_alone(busy: Client) -> None:
    together = {answer["key"]: answer for answer in (await busy.agency.get(busy.path, **ALL))["data"]}
    assert set(together) == set(all_kpis())
    for key in all_kpis():
        assert together[key] == await busy.kpi(key, **ALL)
