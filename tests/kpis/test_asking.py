"""Queries: windows, keys, projects, the portfolio, and a KPI added as a new file."""

import sys
import uuid
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import literal_column, select

from app import kpis
from app.kit.clock import SetClock
from app.kit.errors import Invalid
from app.kit.statement import Statement
from app.kpis import catalogue
from app.kpis.contract import LoadRequest
from app.kpis.projects import load
from app.kpis.windows import Days, Granularity, requested_days
from app.platforms.contract import Metric
from tests.conftest import Agency
from tests.kpis.conftest import ALL, Client, empty_project, fill

TODAY = date(2026, 10, 15)
DAYS = st.dates(date(2001, 1, 1), date(2099, 1, 1))


@settings(deadline=None)
@given(DAYS, DAYS, st.sampled_from(Granularity))
def test_parts_tile_the_window(one: date, other: date, granularity: Granularity) -> None:
    days = Days(min(one, other), min(max(one, other), date.fromordinal(min(one, other).toordinal() + 800)))
    parts = list(days.parts(granularity))
    covered = [day for part in parts for day in range(part.first.toordinal(), part.last.toordinal() + 1)]
    assert covered == list(range(days.first.toordinal(), days.last.toordinal() + 1))
    for part in parts[1:]:
        assert granularity is not Granularity.WEEK or part.first.weekday() == 0
        assert granularity is not Granularity.MONTH or part.first.day == 1
    before = days.before
    assert before.last.toordinal() + 1 == days.first.toordinal()
    assert before.last - before.first == days.last - days.first


@pytest.mark.parametrize(
    ("first", "last", "granularity"),
    [
        (date(2026, 10, 2), date(2026, 10, 1), Granularity.DAY),
        (date(1, 1, 1), None, Granularity.MONTH),
        (None, date(9999, 12, 31), Granularity.MONTH),
        (date(2024, 1, 1), date(2026, 1, 2), Granularity.DAY),
        (date(2010, 1, 1), date(2026, 1, 1), Granularity.MONTH),
    ],
)
def test_invalid_windows_are_refused(first: date | None, last: date | None, granularity: Granularity) -> None:
    with pytest.raises(Invalid) as refused:
        requested_days(first, last, granularity, TODAY)
    assert refused.value.code == "invalid-window"


def test_the_default_is_thirty_days_with_today() -> None:
    assert requested_days(None, None, Granularity.DAY, TODAY) == Days(date(2026, 9, 16), TODAY)
    assert requested_days(date(2026, 10, 1), None, Granularity.DAY, TODAY) == Days(date(2026, 10, 1), TODAY)
    assert requested_days(date(2024, 1, 1), date(2025, 12, 31), Granularity.DAY, TODAY).first == date(2024, 1, 1)


async def test_invalid_queries_are_refused(client: Client, rival: Agency) -> None:
    ask = client.agency.get
    assert (await ask(f"{client.path}/fame", 404))["code"] == "not-found"
    for part in ("", "/explain", "/evidence"):
        assert (await rival.get(f"{client.path}/clicks{part}", 404))["code"] == "not-found"
        refused = await ask(f"{client.path}/clicks{part}", 422, **{"from": "2026-10-02", "to": "2026-10-01"})
        assert refused["code"] == "invalid-window"
        assert refused["errors"][0]["field"] == "from"
    for strange in ({"from": "0001-01-01"}, {"to": "9999-12-31"}, {"granularity": "hour"}, {"from": "1e9"}):
        await ask(f"{client.path}/clicks", 422, **strange)
    assert (await ask("/v1/portfolio/kpis", 422, keys="clicks,fame"))["code"] == "unknown-kpi"


async def test_a_cursor_belongs_to_its_query(busy: Client) -> None:
    page = await busy.agency.get(f"{busy.path}/engagement/evidence", limit=3, **ALL)
    cursor = page["next_cursor"]
    for path, window in (("engagement", {**ALL, "to": "2026-10-14"}), ("reach", ALL)):
        refused = await busy.agency.get(f"{busy.path}/{path}/evidence", 422, cursor=cursor, **window)
        assert refused["code"] == "invalid-cursor"


async def test_the_shape_and_the_links(busy: Client) -> None:
    answer = await busy.kpi("engagement_rate", **ALL)
    assert list(answer) == [
        *("key", "title", "unit", "goal_type", "version", "direction", "window", "value", "status", "reason"),
        *("variants", "previous", "series", "annotations", "breakdown", "freshness", "coverage", "excluded", "links"),
    ]
    assert answer["window"] == {**ALL, "timezone": "Europe/Minsk", "granularity": "day"}
    # As it stands: `get` would put its own (no) parameters in place of the link's.
    explained = (await busy.agency.http.get(answer["links"]["explain"])).json()
    assert explained["value"] == answer["value"]
    assert explained["coverage"] == answer["coverage"]
    assert (await busy.agency.http.get(answer["links"]["evidence"])).json()["data"]
    total = {term["symbol"]: term["amount"] for term in explained["inputs"] if term["scope"] == "total"}
    assert explained["formula"]["symbols"] == "E / S"
    assert explained["formula"]["with_amounts"] == f"{total['E']:.6g} / {total['S']:.6g} = {answer['value']:.6g}"
    assert (await busy.kpi("engagement_rate", compare="none", **ALL))["previous"] is None


async def _post(client: Client) -> uuid.UUID:
    return await client.publish(client.places["vk"], client.agency.resources.clock.now() - timedelta(hours=1))


async def test_an_unchanged_answer_is_not_sent_again(busy: Client) -> None:
    first = await busy.agency.http.get(f"{busy.path}/engagement")
    clock = busy.agency.resources.clock
    assert isinstance(clock, SetClock)
    clock.advance(timedelta(seconds=1))
    again = await busy.agency.http.get(f"{busy.path}/engagement", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304, "that a later instant stands in its links is no change"
    await busy.measure(busy.places["vk"], clock.now(), {await _post(busy): {Metric.REACTIONS: 5}})
    changed = await busy.agency.http.get(f"{busy.path}/engagement", headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200


async def test_the_catalogue_by_goal(client: Client) -> None:
    listed = (await client.agency.get("/v1/kpis"))["data"]
    assert {one["key"] for one in listed} == set(kpis.all_kpis())
    for goal in ("awareness", "support", "traffic"):
        answers = (await client.agency.get(client.path, goal_type=goal))["data"]
        assert [one["key"] for one in answers] == [one["key"] for one in listed if one["goal_type"] == goal]
        assert answers


async def test_only_frequent_statements_are_kept(busy: Client, clock: SetClock) -> None:
    """Each connection keeps a plan of megabytes for a statement: callers could have it keep a thousand."""
    project_ids = (uuid.UUID(busy.project_id),)
    workspace_id, last = busy.agency.workspace_id, clock.now().date()
    request = LoadRequest(workspace_id, project_ids, last - timedelta(days=6), last, clock.now())
    # A connection may have kept the statement of all KPIs before; it is the longest.
    prepared = Statement(select(literal_column("count(*), max(length(statement)) FROM pg_prepared_statements")))
    whole = list(kpis.all_kpis().values())
    async with busy.agency.resources.db.read_connection(workspace_id) as connection:
        assert await load(connection, request, whole)
        ((kept, longest),) = await prepared.rows(connection, {})
        assert longest > 30_000, "all KPIs are requested often"
        for one in whole[1:]:
            assert await load(connection, request, [whole[0], one])
        # The last one that is not kept is closed once another is prepared.
        ((after, longest_after),) = await prepared.rows(connection, {})
        assert longest_after == longest
        assert after <= kept + 1


async def test_the_portfolio_equals_each_projects_own_answer(agency: Agency, rival: Agency) -> None:
    zones = ("Europe/Minsk", "Pacific/Auckland", "America/New_York")
    clients = [await fill(await empty_project(agency, zone, zone), seed) for seed, zone in enumerate(zones)]
    await fill(await empty_project(rival))
    rows: list[dict[str, Any]] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await agency.get("/v1/portfolio/kpis", limit=2, **cursor)
        rows += page["data"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert [row["project_id"] for row in rows] == [client.project_id for client in clients]
    for row, client in zip(rows, clients, strict=True):
        assert [one["key"] for one in row["kpis"]] == list(kpis.all_kpis())
        for one in row["kpis"]:
            alone = await client.kpi(one["key"], granularity="month")
            assert {name: alone["window"][name] for name in ("from", "to", "timezone")} == row["window"]
            assert all(alone[name] == one[name] for name in ("value", "status", "reason", "variants"))
            assert alone.get("currency") == one.get("currency")
            days = ("from", "to")
            assert one["previous"] == {name: it for name, it in alone["previous"].items() if name not in days}
    two = await agency.get("/v1/portfolio/kpis", keys="clicks,reach")
    assert [one["key"] for one in two["data"][0]["kpis"]] == ["clicks", "reach"]


DROPPED = """
from typing import Final

from app.kpis.values import AddsUp, Direction, GoalType, Term, Unit, Value
from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.publications import POSTS, PUBLISHED


def value(posts: int) -> Value:
    return Value(posts, evidence=(Term("P", "Posts that appeared", posts),))


KPI: Final = Kpi(
    key="posts_published",
    title="Posts published",
    unit=Unit.COUNT,
    goal=GoalType.PROCESS,
    version=1,
    direction=Direction.NEUTRAL,
    adds_up=AddsUp.FLOW,
    measures=(POSTS,),
    value=value,
    evidence=(PUBLISHED,),
    doc=Doc(formula="The posts that appeared.", symbols="{P}", source="The platforms.", recount="Count the rows."),
)
"""


@pytest.fixture
def dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One new file in the catalogue's reach, and nothing else."""
    (tmp_path / "posts_published.py").write_text(DROPPED)
    monkeypatch.setattr(catalogue, "__path__", [*catalogue.__path__, str(tmp_path)])
    kpis.all_kpis.cache_clear()
    yield
    kpis.all_kpis.cache_clear()
    sys.modules.pop("app.kpis.catalogue.posts_published", None)


async def test_a_new_file_is_a_new_kpi(dropped: None, busy: Client, app: FastAPI) -> None:
    listed = {one["key"]: one for one in (await busy.agency.get("/v1/kpis"))["data"]}
    assert listed["posts_published"]["goal_type"] == "process"
    answer = await busy.kpi("posts_published", **ALL)
    assert answer["value"] > 0
    assert sum(point["value"] or 0 for point in answer["series"]) == answer["value"]
    rows = await busy.evidence("posts_published", limit=3, **ALL)
    assert len(rows) == answer["value"]
    explained = await busy.agency.get(f"{busy.path}/posts_published/explain", **ALL)
    assert explained["formula"]["with_amounts"] == str(answer["value"])
    everything = (await busy.agency.get(busy.path, goal_type="process"))["data"]
    assert "posts_published" in {one["key"] for one in everything}
    portfolio = await busy.agency.get("/v1/portfolio/kpis", keys="posts_published")
    assert portfolio["data"][0]["kpis"][0]["key"] == "posts_published"
    # No list of keys is written into the document that could leave it out.
    parameters = app.openapi()["paths"]["/v1/projects/{project_id}/kpis/{key}"]["get"]["parameters"]
    assert "enum" not in next(one for one in parameters if one["name"] == "key")["schema"]
