"""A PATCH changes the fields it is sent and nothing else, with any client generated from the schema."""

import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

import pytest
from fastapi import FastAPI

from app.kit.schemas import Patch
from app.main import operations
from tests.access.people import another_member
from tests.conftest import Agency
from tests.house.conftest import Stock, goal_on_clicks, stock

BOOKKEEPING = {"version", "updated_at"}


@dataclass(frozen=True)
class Patched:
    """A resource that can be patched."""

    make: Callable[[Agency, Stock], Awaitable[str]]
    """Create one with a value other than the default in every field that can change; its path."""
    values: Mapping[str, Any]
    """Another value for each field that can change."""
    shows: Mapping[str, set[str]] = field(default_factory=dict)
    """The response's field that a field changes, where the names differ."""


async def _project(agency: Agency, resources: Stock) -> str:
    made = await agency.post("/v1/projects", {"title": "Bicycles", "timezone": "Asia/Tokyo"})
    path = f"/v1/projects/{made['id']}"
    await agency.patch(path, {"archived": True})
    return path


async def _post(agency: Agency, resources: Stock) -> str:
    body = {
        "community_id": resources.ids["community_id"],
        "text": "Guess the roast!",
        "category": "engaging",
        "status": "planned",
        "planned_for": "2026-10-20T09:30:00",
        "timezone": "Asia/Tokyo",
    }
    return f"/v1/posts/{(await agency.post('/v1/posts', body))['id']}"


async def _link(agency: Agency, resources: Stock) -> str:
    body = {
        **{name: resources.ids[name] for name in ("project_id", "community_id", "post_id")},
        "target": "https://coffee.example/beans",
        "title": "Beans",
    }
    path = f"/v1/links/{(await agency.post('/v1/links', body))['id']}"
    await agency.patch(path, {"archived": True})
    return path


async def _me(agency: Agency, resources: Stock) -> str:
    body = {"name": "Vera", "picture_url": "https://agency.example/vera.jpg", "language": "ru"}
    await agency.patch("/v1/me", body)
    return "/v1/me"


async def _my_alerts(agency: Agency, resources: Stock) -> str:
    body = {
        "channels": ["mail"],
        "muted_kinds": ["post-overdue"],
        "timing": "digest",
        "digest_hour": 7,
        "timezone": "Asia/Tokyo",
        "away_until": "2026-11-02T06:00:00Z",
    }
    await agency.patch("/v1/me/alerts", body)
    return "/v1/me/alerts"


async def _member(agency: Agency, resources: Stock) -> str:
    return f"/v1/users/{await another_member(agency)}"


async def _seat(agency: Agency, resources: Stock) -> str:
    people = [await another_member(agency) for _ in range(2)]
    body = {"user_id": people[0], "seat": "designer", "about": "draws", "stands_in_id": people[1]}
    seats = f"/v1/projects/{resources.ids['project_id']}/seats"
    return f"{seats}/{(await agency.post(seats, body))['id']}"


async def _contact(agency: Agency, resources: Stock) -> str:
    body = {
        "name": "Oleg",
        "email": f"{uuid.uuid4().hex}@coffee.example",
        "phone": "+375 29 123-45-67",
        "about": "owns the café",
        "language": "ru",
    }
    project = await agency.post("/v1/projects", {"title": "Bicycles", "timezone": "Asia/Tokyo"})
    contacts = f"/v1/projects/{project['id']}/contacts"
    return f"{contacts}/{(await agency.post(contacts, body))['id']}"


async def _goal(agency: Agency, resources: Stock) -> str:
    project = await agency.post("/v1/projects", {"title": "Bicycles", "timezone": "Asia/Tokyo"})
    address = f"https://m{uuid.uuid4().hex}.example/@bicycles"
    community = {"project_id": project["id"], "platform": "mastodon", "address": address}
    community_id = (await agency.post("/v1/communities", community))["id"]
    goal = await goal_on_clicks(agency, project["id"], community_ids=[community_id], is_main=True)
    return f"/v1/goals/{goal['id']}"


REVISED = {"revision", "content_hash"}
"""What every change of a goal changes besides."""


async def _campaign(agency: Agency, resources: Stock) -> str:
    body = {
        "project_id": resources.ids["project_id"],
        "type": "giveaway",
        "title": "Beans for free",
        "from": "2026-10-05",
        "to": "2026-10-25",
        "community_ids": [resources.ids["community_id"]],
        "budget": {"amount": "5.00", "currency": "RUB"},
    }
    return f"/v1/campaigns/{(await agency.post('/v1/campaigns', body))['id']}"


PATCHED: dict[str, Patched] = {
    "/v1/me": Patched(
        _me,
        {"name": "Olga", "picture_url": None, "language": "en"},
        {name: {"user"} for name in ("name", "picture_url", "language")},
    ),
    "/v1/me/alerts": Patched(
        _my_alerts,
        {
            "channels": None,
            "muted_kinds": [],
            "timing": "at_once",
            "digest_hour": 8,
            "timezone": "Europe/Paris",
            "away_until": None,
        },
    ),
    "/v1/users/{user_id}": Patched(_member, {"role": "member"}),
    "/v1/projects/{project_id}/seats/{seat_id}": Patched(
        _seat, {"about": None, "stands_in_id": None}, {"stands_in_id": {"stands_in_id", "stands_in_name"}}
    ),
    "/v1/projects/{project_id}/contacts/{contact_id}": Patched(
        _contact,
        {"name": "Olga", "email": "olga@tea.example", "phone": None, "about": None, "language": "en"},
    ),
    "/v1/projects/{project_id}": Patched(
        _project,
        {"title": "Scooters", "timezone": "Europe/Paris", "archived": False},
        {"archived": {"archived_at"}},
    ),
    "/v1/posts/{post_id}": Patched(
        _post,
        {
            "text": "Which roast is it?",
            "category": "educational",
            "status": "draft",
            "planned_for": "2026-10-21T10:00:00",
            "timezone": "Europe/Paris",
        },
        {"planned_for": {"planned_for", "planned_at"}, "timezone": {"timezone", "planned_at"}},
    ),
    "/v1/campaigns/{campaign_id}": Patched(
        _campaign,
        {
            "title": "Beans",
            "from": "2026-10-06",
            "to": "2026-10-26",
            "community_ids": None,
            "budget": {"amount": "7.00", "currency": "EUR"},
        },
        {"from": {"from", "starts_at"}, "to": {"to", "ends_at"}},
    ),
    "/v1/links/{link_id}": Patched(
        _link,
        {"target": "https://coffee.example/all", "title": "All beans", "archived": False},
        {"archived": {"archived_at"}, "target": {"target", "target_version"}},
    ),
    "/v1/goals/{goal_id}": Patched(
        _goal,
        {
            "title": "Many more visitors",
            "target": 500,
            "period": {"from": "2026-11-02", "to": "2026-12-01"},
            "community_ids": [],
            "stated_baseline": {"value": 130, "reason": "Counted again."},
            "is_main": False,
        },
        {
            **{name: {name, *REVISED} for name in ("title", "target", "period", "is_main")},
            "community_ids": {"communities", *REVISED},
            "stated_baseline": {"baseline", *REVISED},
        },
    ),
}


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document."""
    return app.openapi()


def resolved(document: dict[str, Any], schema: Any) -> Any:
    """A schema with its references resolved."""
    if isinstance(schema, list):
        return [resolved(document, one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        target: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return resolved(document, {**target, **{name: one for name, one in schema.items() if name != "$ref"}})
    return {name: resolved(document, one) for name, one in schema.items()}


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The path of each PATCH with its body's schema."""
    for path, item in document["paths"].items():
        if "patch" in item:
            for content in item["patch"]["requestBody"]["content"].values():
                yield path, resolved(document, content["schema"])


def defaults(schema: Any, place: str = "") -> Iterator[str]:
    """Where a schema publishes a default. A property may be called `default`."""
    if isinstance(schema, list):
        for number, one in enumerate(schema):
            yield from defaults(one, f"{place}[{number}]")
    elif isinstance(schema, dict):
        if "default" in schema:
            yield place
        for name, one in schema.items():
            inner = one.items() if name == "properties" else ((name, one),)
            for part, value in inner:
                yield from defaults(value, f"{place}.{part}")


def takes_null(schema: dict[str, Any]) -> bool:
    kinds = schema.get("type", [])
    return "null" in (kinds if isinstance(kinds, list) else [kinds]) or any(
        takes_null(one) for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ()))
    )


def test_no_patch_publishes_a_default(document: dict[str, Any]) -> None:
    assert {path: list(defaults(schema)) for path, schema in bodies(document)} == {path: [] for path in PATCHED}


def test_a_default_is_found_wherever_it_is() -> None:
    nested = {"anyOf": [{"type": "null"}, {"type": "array", "items": {"properties": {"b": {"default": None}}}}]}
    schema = {"properties": {"a": nested, "default": {"type": "string"}, "c": {"default": 1}}}
    assert list(defaults(schema)) == [".a.anyOf[1].items.b", ".c"]


def test_no_patch_requires_anything(document: dict[str, Any]) -> None:
    assert {path: schema.get("required", []) for path, schema in bodies(document)} == {path: [] for path in PATCHED}


def test_every_patch_takes_a_merge_patch() -> None:
    body_types = {
        route.path_format: get_type_hints(route.endpoint).get("body")
        for route in operations()
        if "PATCH" in (route.methods or ())
    }
    assert body_types.keys() == PATCHED.keys()
    for path, body in body_types.items():
        assert isinstance(body, type), path
        assert issubclass(body, Patch), path


def test_every_field_of_every_patch_is_tried(document: dict[str, Any]) -> None:
    tried = {path: set(patched.values) for path, patched in PATCHED.items()}
    assert {path: set(schema["properties"]) for path, schema in bodies(document)} == tried


@pytest.mark.parametrize("path", PATCHED)
async def test_a_patch_changes_what_it_names_and_nothing_else(
    path: str, agency: Agency, document: dict[str, Any]
) -> None:
    """For a client that sends one field, and for one that adds published defaults."""
    patched, resources = PATCHED[path], await stock(agency)
    fields = dict(bodies(document))[path]["properties"]
    published = {name: schema["default"] for name, schema in fields.items() if "default" in schema}
    for name, value in patched.values.items():
        for body in ({name: value}, {**published, name: value}):
            one = await patched.make(agency, resources)
            before = await agency.get(one)
            answer = await agency.patch(one, body)
            after = await agency.get(one)
            assert answer == after
            assert after.get(name, value) == value
            changed = {key for key in before if before[key] != after[key]}
            assert changed - BOOKKEEPING == patched.shows.get(name, {name}), (name, body)


@pytest.mark.parametrize("path", PATCHED)
async def test_null_is_refused_where_the_schema_has_none(path: str, agency: Agency, document: dict[str, Any]) -> None:
    patched, resources = PATCHED[path], await stock(agency)
    fields = dict(bodies(document))[path]["properties"]
    one = await patched.make(agency, resources)
    before = await agency.get(one)
    for name in (name for name, schema in fields.items() if not takes_null(schema)):
        problem = await agency.patch(one, {name: None}, 422)
        assert [error["field"] for error in problem["errors"]] == [name]
        assert await agency.get(one) == before


@pytest.mark.parametrize("path", PATCHED)
async def test_an_empty_patch_changes_nothing(path: str, agency: Agency) -> None:
    one = await PATCHED[path].make(agency, await stock(agency))
    before = await agency.get(one)
    assert await agency.patch(one, {}) == before == await agency.get(one)
