"""Instants near the ends of the calendar are refused: once stored, they would break the lists with their rows.

The fields come from the OpenAPI document, the columns from the migrated database. The control: without the bounds the
probe must find operations that accept such instants.
"""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, timedelta
from typing import Any, Final

import asyncpg
import pytest
from fastapi import FastAPI

from app.cli.database import asyncpg_url
from app.kit import instants
from app.kit.db import Base
from migrations import tables
from tests.conftest import Agency
from tests.house.conftest import sample, stock
from tests.servers import Servers

tables.load()

EXTREMES: Final[Mapping[str, Sequence[str]]] = {
    "instant": (
        "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-14:00", "2200-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "1969-12-31T23:59:59Z",
    ),
    "day": ("9999-12-31", "2200-01-01", "1969-12-31", "0001-01-01"),
    "wall time": ("9999-12-31T23:59:59", "0001-01-01T00:00:00"),
}  # fmt: skip
PATTERNS: Final = {
    "instant": re.compile(r"\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)"),
    "day": re.compile(r"\d{4}-\d\d-\d\d"),
    "wall time": re.compile(r"\d{4}-\d\d-\d\dT[0-9:]+"),
}
FORMATS: Final = {"date-time": "instant", "date": "day"}

Path = tuple[str | int, ...]


# ── what callers send ─────────────────────────────────────────────────────────────────────────────


def kind_of(schema: Mapping[str, Any]) -> str | None:
    """The kind of `EXTREMES` that a schema takes, by its format or its example."""
    if (kind := FORMATS.get(schema.get("format", ""))) is not None:
        return kind
    example = next((one for one in schema.get("examples", ()) if isinstance(one, str)), "")
    return next((kind for kind, shape in PATTERNS.items() if shape.fullmatch(example)), None)


def times(document: dict[str, Any], schema: dict[str, Any], path: Path = ()) -> Iterator[tuple[Path, str]]:
    """The paths at which a body takes an instant, a day or a wall time; 0 stands for a list's items."""
    if "$ref" in schema:
        referenced = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            referenced = referenced[part]
        yield from times(document, referenced, path)
        return
    choices = [one for name in ("anyOf", "oneOf", "allOf") for one in schema.get(name, ())]
    kind = next((kind for one in (schema, *choices) if (kind := kind_of(one)) is not None), None)
    if kind is not None and schema.get("type") != "array":
        yield path, kind
        return
    for one in choices:
        yield from times(document, one, path)
    for name, part in schema.get("properties", {}).items():
        yield from times(document, part, (*path, name))
    if "items" in schema:
        yield from times(document, schema["items"], (*path, 0))


def put(
    document: dict[str, Any], schema: dict[str, Any], body: Any, path: Path, value: str, ids: dict[str, str]
) -> Any:
    """The body with `value` at `path`; missing parents are created."""
    if not path:
        return value
    while "$ref" in schema or "anyOf" in schema:
        if "anyOf" in schema:
            schema = schema["anyOf"][0]
            continue
        referenced = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            referenced = referenced[part]
        schema = referenced
    step, *rest = path
    if isinstance(step, int):
        inside = sample(document, schema["items"], ids)
        return [put(document, schema["items"], inside, tuple(rest), value, ids)]
    part = schema["properties"][step]
    inside = body.get(step) if isinstance(body, dict) and body.get(step) else sample(document, part, ids, step)
    return {**(body or {}), step: put(document, part, inside, tuple(rest), value, ids)}


def _is_bulk(operation: Mapping[str, Any]) -> bool:
    """Whether an item that is refused is not the whole request, unless it is atomic."""
    return any(one["name"] == "atomic" for one in operation["parameters"])


async def taken(
    app: FastAPI, agency: Agency, extremes: Mapping[str, Sequence[str]] = EXTREMES
) -> tuple[list[str], int]:
    """Operations that do not answer an extreme with 422, and lists that fail; and the number of probes."""
    document = app.openapi()
    ids = (await stock(agency)).ids
    faults, probed = [], 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if not operation.get("security"):
                continue
            where: list[tuple[str, dict[str, Any], Any]] = [
                (f"?{one['name']}", {one["name"]: value}, None)
                for one in operation.get("parameters", ())
                if one["in"] == "query"
                for _, kind in times(document, one["schema"])
                for value in extremes[kind]
            ]
            if "application/json" in operation.get("requestBody", {}).get("content", {}):
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                sound = sample(document, schema, ids)
                where += [
                    (".".join(map(str, at)), {}, put(document, schema, copy.deepcopy(sound), at, value, ids))
                    for at, kind in times(document, schema)
                    for value in extremes[kind]
                ]
            for name, query, body in where:
                probed += 1
                params = {**query, **({"atomic": "true"} if _is_bulk(operation) else {})}
                answer = await agency.http.request(method, path.format(**ids), params=params, json=body)
                if answer.status_code != 422:
                    faults.append(f"{method.upper()} {path}: {name} in {query or body}: {answer.status_code}")
                elif name.strip("?").rpartition(".")[2] not in answer.text:
                    faults.append(f"{method.upper()} {path}: {name} is not named: {answer.text}")
    return faults + [f"{path} is broken: {status}" for path, status in await broken(app, agency, ids)], probed


async def broken(app: FastAPI, agency: Agency, ids: Mapping[str, str]) -> list[tuple[str, int]]:
    """Reads that fail."""
    faults = []
    for path, item in app.openapi()["paths"].items():
        if "get" in item and item["get"].get("security"):
            answer = await agency.http.get(path.format(**ids))
            if answer.status_code >= 500:
                faults.append((path, answer.status_code))
    return faults


async def test_every_operation_refuses_the_ends_of_the_calendar(app: FastAPI, agency: Agency) -> None:
    faults, probed = await taken(app, agency)
    assert faults == []
    assert probed >= 50, "the probe has lost its way"


async def test_without_the_bounds_they_are_taken(app: FastAPI, agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instants, "bounded", lambda at: at.astimezone(UTC))
    monkeypatch.setattr(instants, "bounded_day", lambda day: day)
    faults, _ = await taken(app, agency, {**EXTREMES, "instant": ["9999-12-31T23:59:59Z", "1969-12-31T23:59:59Z"]})
    assert any("POST /v1/api-keys: expires_at" in one for one in faults)
    assert any("GET /v1/posts: ?since" in one for one in faults)
    assert any("holidays.0" in one for one in faults)


async def test_the_last_instants_within_the_bounds_are_taken(agency: Agency) -> None:
    last = "2199-12-31T23:59:59.999999Z"
    assert (await agency.post("/v1/api-keys", {"title": "script", "expires_at": last}))["expires_at"] == last
    assert {one["expires_at"] for one in (await agency.get("/v1/api-keys"))["data"]} == {last, None}
    window: dict[str, Any] = {"since": "1970-01-01T00:00:00Z", "until": last}
    await agency.get("/v1/posts", **window)


async def test_what_is_to_expire_does_so_later(app: FastAPI, agency: Agency) -> None:
    """Each `expires_at` that a body takes."""
    document = app.openapi()
    ids = (await stock(agency)).ids
    now = agency.resources.clock.now()
    probed = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if "application/json" not in operation.get("requestBody", {}).get("content", {}):
                continue
            if not operation.get("security"):
                continue
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            for at in (at for at, _ in times(document, schema) if at[-1] == "expires_at"):
                probed.append(path)
                for late, status in ((now - timedelta(days=1), 422), (now, 422), (now + timedelta(seconds=1), 201)):
                    body = put(document, schema, sample(document, schema, ids), at, late.isoformat(), ids)
                    answer = await agency.http.request(method, path.format(**ids), json=body)
                    assert answer.status_code == status, answer.text
                    if status == 422:
                        assert answer.json()["code"] == "not-in-the-future"
                        assert [one["field"] for one in answer.json()["errors"]] == ["expires_at"]
    assert "/v1/api-keys" in probed


# ── what stands in the tables ─────────────────────────────────────────────────────────────────────

UNCHECKED: Final = """
    SELECT c.relname || '.' || a.attname
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
    AND a.atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
    AND NOT EXISTS (
        SELECT FROM pg_constraint k
        WHERE k.conrelid = c.oid AND k.contype = 'c' AND k.convalidated AND k.conkey = ARRAY[a.attnum]
        AND pg_get_constraintdef(k.oid) = format('CHECK (isfinite(%I))', a.attname)
        AND k.conname = format('ck_%s_%s_is_finite', c.relname, a.attname)
    )
"""
"""Columns that could hold an infinite instant or day."""


@pytest.fixture
def own(servers: Servers) -> str:
    """A migrated database for this test alone."""
    return servers.clone()


async def unchecked(servers: Servers, database: str) -> set[str]:
    connection = await asyncpg.connect(asyncpg_url(servers.superuser_url(database)))
    try:
        return {row[0] for row in await connection.fetch(UNCHECKED)}
    finally:
        await connection.close()


async def test_every_instant_is_finite(servers: Servers, database: str) -> None:
    assert await unchecked(servers, database) == set()


async def test_a_column_without_the_check_is_found(servers: Servers, own: str) -> None:
    connection = await asyncpg.connect(asyncpg_url(servers.superuser_url(own)))
    await connection.execute("ALTER TABLE api_key ADD COLUMN seen_at timestamptz, ADD COLUMN seen_on date")
    await connection.execute("ALTER TABLE link DROP CONSTRAINT ck_link_created_at_is_finite")
    await connection.execute("ALTER TABLE post ADD COLUMN told_at timestamp CHECK (isfinite(created_at))")
    await connection.close()
    assert await unchecked(servers, own) == {"api_key.seen_at", "api_key.seen_on", "link.created_at", "post.told_at"}


async def test_the_models_say_the_same(servers: Servers, database: str) -> None:
    """A new table's migration is made from the models: autogenerating compares no checks, but writes them."""
    said = {
        (table.name, str(check.name))
        for table in Base.metadata.sorted_tables
        for check in table.constraints
        if str(check.name).endswith("_is_finite")
    }
    connection = await asyncpg.connect(asyncpg_url(servers.superuser_url(database)))
    rows = await connection.fetch(
        "SELECT conrelid::regclass::text, conname::text FROM pg_constraint WHERE conname LIKE '%\\_is\\_finite'"
    )
    await connection.close()
    assert {(row[0], row[1]) for row in rows} == said
    assert len(said) > 50
