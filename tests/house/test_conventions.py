"""The conventions of the HTTP API hold for every operation."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from app.access import current
from app.main import operations as all_operations
from tests.conftest import Agency

OPERATION_ID = re.compile(r"[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*")


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document."""
    return app.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    ids = []
    for name, operation in operations(document):
        assert OPERATION_ID.fullmatch(operation["operationId"]), name
        assert operation["summary"], name
        assert operation["tags"], name
        ids.append(operation["operationId"])
    assert len(ids) == len(set(ids))


def test_every_operation_documents_its_errors(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        answers = set(operation["responses"])
        assert {"429", "503"} <= answers, name
        if "{" in name:
            assert "404" in answers, name
        if "requestBody" in operation:
            assert {"413", "422"} <= answers, name
        if name.startswith(("POST /hooks/", "POST /s/")):
            # A platform's repeat is harmless by the event's id, a contact's by the revision that they answered.
            assert "Idempotency-Key" not in {p["name"] for p in operation["parameters"]}, name
        elif name.startswith("POST"):
            assert "409" in answers, name
            assert "Idempotency-Key" in {p["name"] for p in operation["parameters"]}, name
        for status, answer in operation["responses"].items():
            if "400" <= status <= "599":
                assert "application/problem+json" in answer["content"], (name, status)


HOLDERS = {current.read_connection, current.write_session, current.sign_up_session, current.list_request}
"""Dependencies that take a connection of a pool, each for itself."""


def _dependencies(dependant: Dependant) -> Iterator[object]:
    for one in dependant.dependencies:
        yield one.call
        yield from _dependencies(one)


def test_no_operation_takes_two_connections() -> None:
    """As many requests at once as the pool has connections would wait for each other."""
    routes = [route for route in all_operations() if isinstance(route, APIRoute)]
    held = {route.operation_id: HOLDERS.intersection(_dependencies(route.dependant)) for route in routes}
    assert {frozenset({one}) for one in HOLDERS} <= {frozenset(one) for one in held.values()}
    assert [name for name, holders in held.items() if len(holders) > 1] == []


def test_every_operation_but_the_public_ones_needs_a_key(document: dict[str, Any]) -> None:
    open_to_all = {name for name, operation in operations(document) if not operation.get("security")}
    assert open_to_all == {
        "POST /v1/workspaces",
        "POST /v1/sessions",
        "POST /v1/invitations/accept",
        "POST /v1/password-resets/confirm",
        "POST /v1/password-resets",
        "GET /live",
        "GET /ready",
        "GET /s/{token}",
        "HEAD /s/{token}",
        "POST /s/{token}/statements",
        "GET /r/{slug}",
        "HEAD /r/{slug}",
        "GET /v1/platforms",
        "GET /hooks/{platform}/{hook_id}",
        "POST /hooks/{platform}/{hook_id}",
    } & {name for name, _ in operations(document)}


async def test_every_answer_tells_the_limit_and_its_id(agency: Agency, stranger: httpx.AsyncClient) -> None:
    for answer in (await agency.http.get("/v1/me"), await stranger.get("/v1/me"), await stranger.get("/nowhere")):
        assert answer.headers["ratelimit"].startswith('"default";r=')
        assert answer.headers["ratelimit-policy"].startswith('"default";q=')
        assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("DELETE", "/v1/me", 405, "method-not-allowed"),
        ("GET", "/v1/projects/not-an-id", 404, "not-found"),
        ("GET", "/v1/projects?limit=201", 422, "invalid-input"),
        ("GET", "/v1/projects?limit=x", 422, "invalid-input"),
        ("GET", "/v1/projects?cursor=made-up", 422, "invalid-cursor"),
    ],
)
async def test_every_refusal_is_a_problem(agency: Agency, method: str, path: str, status: int, code: str) -> None:
    answer = await agency.http.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "instance", "code", "request_id", "errors"}
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["instance"] == path.partition("?")[0]


async def test_a_wrong_method_is_told_the_right_ones(agency: Agency) -> None:
    project = await agency.post("/v1/projects", {"title": "Bicycles", "timezone": "Europe/Minsk"})
    for path, methods in (
        ("/v1/me", "GET, PATCH"),
        ("/v1/projects", "GET, POST"),
        (f"/v1/projects/{project['id']}", "GET, PATCH"),
        ("/docs", "GET, HEAD"),
        ("/r/any", "GET, HEAD"),
    ):
        answer = await agency.http.put(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, methods)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b"",
        b"\xff\xfe",
        b'{"title": "x"',
        b'{"title": true, "timezone": "UTC"}',
        b'{"title": "a\\u0000b", "timezone": "UTC"}',
        b'{"title": "\\ud800", "timezone": "UTC"}',
        b'{"title": "x", "timezone": "UTC", "unknown": 1}',
        b'{"title": "x", "timezone": "Mars/Olympus"}',
        b'{"title": "' + b"x" * 500 + b'", "timezone": "UTC"}',
        b"[" * 50_000,
    ],
)
async def test_a_bad_body_is_a_clear_refusal_and_stores_nothing(agency: Agency, body: bytes) -> None:
    answer = await agency.http.post("/v1/projects", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await agency.get("/v1/projects"))["data"] == []


async def test_a_body_over_the_limit_is_refused_while_it_streams(agency: Agency) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 50_000_000:
            sent += 65_536
            yield b" " * 65_536

    answer = await agency.http.post("/v1/projects", content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["code"] == "body-too-large"
    announced = await agency.http.post(
        "/v1/projects", content=b"{}", headers={"Content-Type": "application/json", "Content-Length": "99999999"}
    )
    assert announced.status_code == 413


async def test_what_is_polled_costs_no_body_when_nothing_changed(agency: Agency) -> None:
    first = await agency.http.get("/v1/me")
    again = await agency.http.get("/v1/me", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"].removeprefix("W/")  # weak where the answer is compressed
    await agency.post("/v1/projects", {"title": "P", "timezone": "UTC"})
    before = await agency.http.get("/v1/projects")
    await agency.post("/v1/projects", {"title": "Q", "timezone": "UTC"})
    after = await agency.http.get("/v1/projects", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200


async def test_pages_together_are_the_list(agency: Agency, rival: Agency) -> None:
    for number in range(7):
        await agency.post("/v1/projects", {"title": f"P{number}", "timezone": "UTC"})
    whole = [row["id"] for row in (await agency.get("/v1/projects"))["data"]]
    walked: list[str] = []
    cursor = None
    while True:
        page = await agency.get("/v1/projects", limit=3, **({"cursor": cursor} if cursor else {}))
        walked += [row["id"] for row in page["data"]]
        if (cursor := page["next_cursor"]) is None:
            break
        stolen = await rival.http.get("/v1/projects", params={"cursor": cursor})
        assert stolen.json()["code"] == "invalid-cursor"
    assert walked == whole
    assert len(whole) == 7
