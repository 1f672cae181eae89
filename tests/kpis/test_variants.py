"""What a KPI shows beside its value: the same figure by other definitions, wherever a value stands."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from app.kpis import all_kpis
from tests.kpis.conftest import ALL, Client, empty_project

NOW = datetime(2026, 10, 15, 12, 0, tzinfo=UTC)
WEEK: dict[str, Any] = {"from": "2026-10-09", "to": "2026-10-15"}
KEY = "first_response_time"


def _stated(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every value of an answer."""
    yield answer
    if answer["previous"] is not None:
        yield answer["previous"]
    yield from answer["series"]
    yield from answer["breakdown"]


async def test_the_time_by_the_clock_stands_beside_the_working_time(client: Client) -> None:
    vk, mastodon = await client.connect("vk"), await client.connect("mastodon")
    for place, days_ago, hours, seconds in ((vk, 2, 1, 60), (vk, 2, 3, 0), (mastodon, 1, 10, 1000), (vk, 8, 6, 30)):
        wrote = NOW - timedelta(days=days_ago, hours=hours)
        await client.ask(place, wrote, wrote + timedelta(hours=hours), seconds=seconds)
    await client.ask(vk, NOW - timedelta(hours=9), NOW - timedelta(hours=8), seconds=5, resolved=True)
    for place in (vk, mastodon):
        await client.mark_polled(place)

    answer = await client.kpi(KEY, **WEEK)
    assert (answer["value"], answer["variants"]) == (60.0, {"p90": 1000.0, "wall_clock": 3 * 3600.0})
    assert answer["previous"]["variants"] == {"p90": 30.0, "wall_clock": 6 * 3600.0}
    by_day = {point["from"]: (point["value"], point["variants"]) for point in answer["series"]}
    assert by_day["2026-10-13"] == (30.0, {"p90": 60.0, "wall_clock": 2 * 3600.0})
    assert by_day["2026-10-14"] == (1000.0, {"p90": 1000.0, "wall_clock": 10 * 3600.0})
    assert by_day["2026-10-15"] == (None, {"p90": None, "wall_clock": None}), "no answer: no time, by no definition"
    by_platform = {share["platform"]: share["variants"] for share in answer["breakdown"]}
    assert by_platform == {
        "vk": {"p90": 60.0, "wall_clock": 2 * 3600.0},
        "mastodon": {"p90": 1000.0, "wall_clock": 10 * 3600.0},
    }

    explained = await client.agency.get(f"{client.path}/{KEY}/explain", **WEEK)
    assert explained["variants"] == answer["variants"]
    rows = await client.evidence(KEY, **WEEK)
    assert median(row["seconds"] for row in rows) == answer["variants"]["wall_clock"]

    (row,) = (await client.agency.get("/v1/portfolio/kpis", keys=f"{KEY},clicks", **WEEK))["data"]
    of_row = {one["key"]: (one["variants"], one["previous"]["variants"]) for one in row["kpis"]}
    assert of_row == {KEY: (answer["variants"], answer["previous"]["variants"]), "clicks": ({}, {})}


async def test_every_value_has_the_variants_of_the_catalogue(busy: Client) -> None:
    listed = (await busy.agency.get("/v1/kpis"))["data"]
    declared = {one["key"]: [variant["key"] for variant in one["variants"]] for one in listed}
    assert declared[KEY] == ["p90", "wall_clock"]
    assert set(declared) == set(all_kpis())
    seen: set[tuple[str, str]] = set()
    for client in (busy, await empty_project(busy.agency, "Nothing yet")):
        for answer in (await client.agency.get(client.path, **ALL))["data"]:
            for stated in _stated(answer):
                assert list(stated["variants"]) == declared[answer["key"]]
                amounts = {name: amount for name, amount in stated["variants"].items() if amount is not None}
                independent = {one.key for one in all_kpis()[answer["key"]].variants if one.independent}
                assert stated["value"] is not None or not amounts.keys() - independent, (
                    "of nothing known no other figure"
                )
                seen |= {(answer["key"], name) for name in amounts}
            explained = await client.agency.get(f"{client.path}/{answer['key']}/explain", **ALL)
            assert explained["variants"] == answer["variants"]
    assert seen == {(key, name) for key, names in declared.items() for name in names}, "each is given where it can be"
    for row in (await busy.agency.get("/v1/portfolio/kpis", **ALL))["data"]:
        for one in row["kpis"]:
            assert list(one["variants"]) == list(one["previous"]["variants"]) == declared[one["key"]]
