"""Time zones must be known to both Python and PostgreSQL, in every operation."""

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.projects import zones
from tests.conftest import Agency
from tests.house.conftest import sample, stock

NO_ZONES = ("localtime", "posixrules", "Factory", "right/UTC", "posix/Europe/Minsk", "MSK-3", "UTC+3")


@pytest.fixture
def no_calcutta(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """PostgreSQL lacks an old name, as it does where it uses Debian's database."""
    without = text("SELECT name FROM pg_timezone_names WHERE name <> 'Asia/Calcutta'")
    monkeypatch.setattr(zones, "_QUERY", without)
    zones._supported.clear()
    yield
    zones._supported.clear()


async def responses_of_every_operation(app: FastAPI, agency: Agency, zone: str) -> dict[str, tuple[int, Any]]:
    """What each operation answers whose body takes a `timezone`."""
    document = app.openapi()
    ids = (await stock(agency)).ids
    responses = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if "requestBody" not in operation or not operation.get("security"):
                continue
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            shape = document
            for part in schema.get("$ref", "").removeprefix("#/").split("/"):
                shape = shape.get(part, {})
            if "timezone" in shape.get("properties", {}):
                body = {**sample(document, schema, ids), "timezone": zone}
                answer = await agency.http.request(method, path.format(**ids), json=body)
                responses[operation["operationId"]] = (answer.status_code, answer.json())
    return responses


@pytest.mark.parametrize("zone", NO_ZONES)
async def test_unknown_zones_are_refused(app: FastAPI, agency: Agency, zone: str) -> None:
    answers = await responses_of_every_operation(app, agency, zone)
    assert {"projects.create", "projects.update", "posts.create", "posts.update"} <= answers.keys()
    for operation, (status, body) in answers.items():
        assert status == 422, operation
        assert [one["field"] for one in body["errors"]] == ["timezone"], operation


async def test_a_zone_that_only_one_of_them_knows_is_refused(app: FastAPI, agency: Agency, no_calcutta: None) -> None:
    for operation, (status, body) in (await responses_of_every_operation(app, agency, "Asia/Calcutta")).items():
        assert (status, body["code"]) == (422, "unknown-zone"), operation
        assert [one["field"] for one in body["errors"]] == ["timezone"], operation
    assert {status for status, _ in (await responses_of_every_operation(app, agency, "Asia/Kolkata")).values()} <= {
        200,
        201,
    }


async def test_old_names_that_both_know_are_taken(agency: Agency) -> None:
    await agency.post("/v1/projects", {"name": "Chai house", "timezone": "Asia/Calcutta"})


async def test_one_of_many_posts_has_such_a_zone(app: FastAPI, agency: Agency, no_calcutta: None) -> None:
    community = (await stock(agency)).ids["community_id"]
    items = [{"community_id": community, "timezone": zone} for zone in ("Asia/Calcutta", "Asia/Kolkata")]
    result = await agency.post("/v1/posts/bulk", {"posts": items}, status=200)
    assert [one["problem"] and one["problem"]["code"] for one in result["data"]] == ["unknown-zone", None]


async def test_every_name_can_be_used(agency: Agency) -> None:
    """By Python, which loads it from a file, and by PostgreSQL's own function."""
    async with agency.resources.transaction(agency.workspace_id) as session:
        names = sorted(await zones.supported(session))
        assert len(names) > 500
        for name in names:
            ZoneInfo(name)
        each = text("SELECT count(timezone(name, now())) FROM unnest(CAST(:names AS text[])) AS name")
        assert await session.scalar(each, {"names": names}) == len(names)
