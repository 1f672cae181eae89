"""What cannot be computed is unknown with a reason and affects nothing else; an outage is reported as one."""

import uuid
import zoneinfo
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

import asyncpg
import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from app import kpis
from app.kit.db import in_workspace
from app.kit.statement import Statement
from app.kpis.contract import Dataset, Kpi, LoadRequest, Window
from app.kpis.contract import Project as KpiProject
from app.kpis.inputs.clicks import CLICKS
from app.kpis.inputs.columns import Counted, DailyCounts
from app.kpis.inputs.inquiries import Inquiries
from app.projects.models import Project
from tests.conftest import Agency
from tests.kpis.conftest import Client, empty_project, fill

ZONED = ("inquiries_received", "first_response_time", "open_backlog")
"""KPIs for which PostgreSQL computes the project's days."""
UNKNOWN = (None, "unknown")


async def _move(client: Client, zone: str) -> None:
    """The project's zone is one that PostgreSQL, or Python, has stopped knowing."""
    async with client.agency.resources.transaction(client.agency.workspace_id) as session:
        await session.execute(
            update(Project)
            .where(in_workspace(Project, client.agency.workspace_id), Project.id == uuid.UUID(client.project_id))
            .values(timezone=zone)
        )


async def _rows(agency: Agency) -> dict[str, dict[str, dict[str, Any]]]:
    """The portfolio: values by project and key."""
    page = await agency.get("/v1/portfolio/kpis")
    return {row["project_id"]: {one["key"]: one for one in row["kpis"]} for row in page["data"]}


async def _three(agency: Agency) -> list[Client]:
    return [await fill(await empty_project(agency, f"Project {seed}"), seed) for seed in range(3)]


@pytest.fixture
def only_in_python(tmp_path: Path) -> Iterator[None]:
    """Python knows `Europe/Nowhere`."""
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe" / "Nowhere").write_bytes(files("tzdata.zoneinfo.Europe").joinpath("Minsk").read_bytes())
    zoneinfo.reset_tzpath([tmp_path])
    yield
    zoneinfo.reset_tzpath(())


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "Mars/Olympus"])
async def test_a_zone_that_is_not_known_any_more(agency: Agency, only_in_python: None, zone: str) -> None:
    clients = await _three(agency)
    sound = await _rows(agency)
    bad = clients[1]
    await _move(bad, zone)
    with capture_logs() as logs:
        rows = await _rows(agency)
    for client in (clients[0], clients[2]):
        assert rows[client.project_id] == sound[client.project_id], "a neighbour's row"
    for key in ZONED:
        stated = rows[bad.project_id][key]
        assert (stated["value"], stated["status"], stated["reason"]) == (*UNKNOWN, "zone-not-known")
    if zone == "Europe/Nowhere":  # Python knows it: what is computed without PostgreSQL's days stands
        assert rows[bad.project_id]["community_size"] == sound[bad.project_id]["community_size"]
        assert {one["project_id"] for one in logs if one["event"] == "kpis.not_loaded"} == {bad.project_id}
        assert all(one["exc_info"] for one in logs if one["event"] == "kpis.not_loaded")
    answers = {one["key"]: one for one in (await agency.get(bad.path))["data"]}
    for key in ZONED:
        for answer in (answers[key], await bad.kpi(key), await bad.kpi(f"{key}/explain")):
            assert (answer["value"], answer["status"], answer["reason"]) == (*UNKNOWN, "zone-not-known")
            assert answer["window"]["timezone"] == zone
            assert answer["coverage"]["seen"] == 0
            assert answer["coverage"]["expected"] > 0
            assert {gap["reason"] for gap in answer["coverage"]["gaps"]} == {"zone-not-known"}
        parts = [*answers[key]["series"], *answers[key]["breakdown"], answers[key]["previous"]]
        assert {(one["value"], one["status"], one["reason"]) for one in parts} == {(*UNKNOWN, "zone-not-known")}
        assert await bad.evidence(key) == []
    await agency.patch(f"/v1/projects/{bad.project_id}", {"timezone": "Europe/Minsk"})
    after = await _rows(agency)
    assert {key: after[bad.project_id][key] for key in ZONED} == {key: sound[bad.project_id][key] for key in ZONED}


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Kpi:
    """A KPI that stumbles over every window of more than a day."""
    real = kpis.all_kpis()["clicks"]

    class Faulty(Counted):
        """As the real one, for a day."""

        def amounts(self, data: DailyCounts, windows: Sequence[Window]) -> list[list[int]]:
            if any(window.first < window.last for window in windows):
                raise ZeroDivisionError("not thought of")
            return super().amounts(data, windows)

    one = replace(real, measures=(Faulty(CLICKS, 1, 2, 3),))
    everything = MappingProxyType({**kpis.all_kpis(), real.key: one})
    monkeypatch.setattr("app.kpis.routes.all_kpis", lambda: everything)
    return one


async def test_a_kpi_that_fails_is_unknown_alone(agency: Agency, faulty: Kpi) -> None:
    clients = await _three(agency)
    with capture_logs() as logs:
        rows = await _rows(agency)
    for client in clients:
        stated = rows[client.project_id].pop(faulty.key)
        assert (stated["value"], stated["status"], stated["reason"]) == (*UNKNOWN, "not-computed")
        assert "not-computed" not in {one["reason"] for one in rows[client.project_id].values()}
    failures = [one for one in logs if one["event"] == "kpis.not_computed"]
    assert [one["project_id"] for one in failures] == [client.project_id for client in clients], "each once"
    assert all(isinstance(one["exc_info"], ZeroDivisionError) for one in failures)
    answer = await clients[0].kpi(faulty.key, granularity="day")
    assert (answer["value"], answer["status"], answer["reason"]) == (*UNKNOWN, "not-computed")
    assert {point["status"] for point in answer["series"]} != {"unknown"}, "what can be computed stands"
    assert answer["coverage"]["seen"] == 0
    assert (await clients[0].kpi(f"{faulty.key}/explain"))["reason"] == "not-computed"


async def test_a_source_that_fails_for_one_project(agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    clients = await _three(agency)
    sound = await _rows(agency)
    bad = clients[2].project_id
    real = Inquiries.dataset

    def dataset(self: Inquiries, project: KpiProject, rows: Any, request: LoadRequest) -> Dataset[DailyCounts]:
        if project.id == uuid.UUID(bad):
            raise KeyError("an unexpected row")
        return real(self, project, rows, request)

    monkeypatch.setattr(Inquiries, "dataset", dataset)
    rows = await _rows(agency)
    assert {key: rows[key] for key in rows if key != bad} == {key: sound[key] for key in sound if key != bad}
    reasons = {key: one["reason"] for key, one in rows[bad].items()}
    assert reasons["inquiries_received"] == "not-computed"
    assert reasons["clicks"] == sound[bad]["clicks"]["reason"]


async def test_gaps_that_fail_are_not_taken_for_none(busy: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def gaps(*_: Any) -> Any:
        raise KeyError("not thought of")

    before = await busy.kpi("inquiries_received")
    monkeypatch.setattr(Inquiries, "gaps", gaps)
    after = await busy.kpi("inquiries_received")
    assert after["value"] == before["value"]
    assert after["coverage"]["seen"] == 0
    assert {gap["reason"] for gap in after["coverage"]["gaps"]} == {"not-computed"}


OUTAGES: dict[str, Exception] = {
    "shutting down": asyncpg.AdminShutdownError("terminating connection"),
    "cancelled": asyncpg.QueryCanceledError("canceling statement"),
    "out of memory": asyncpg.OutOfMemoryError("out of memory"),
    "broken": ConnectionResetError("gone"),
}


@pytest.mark.parametrize("name", OUTAGES)
async def test_an_outage_is_not_an_unknown_value(busy: Client, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the inputs are loaded."""

    async def fetch(*_: Any, **__: Any) -> Any:
        raise OUTAGES[name]

    monkeypatch.setattr(asyncpg.Connection, "fetch", fetch)
    for path in ("/v1/portfolio/kpis", busy.path, f"{busy.path}/open_backlog"):
        assert (await busy.agency.get(path, status=503))["code"] == "database-away"


async def test_a_connection_that_breaks_is_an_outage(busy: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Statement.rows
    calls = 0

    async def rows(self: Statement, connection: Any, values: Any) -> list[Any]:
        nonlocal calls
        calls += 1
        if calls == 1:
            (await connection.get_raw_connection()).driver_connection.terminate()
        return await real(self, connection, values)

    monkeypatch.setattr(Statement, "rows", rows)
    assert (await busy.agency.get("/v1/portfolio/kpis", status=503))["code"] == "database-away"
    assert (await _rows(busy.agency))[busy.project_id]["open_backlog"]["status"] == "ok"
