"""Every operation declares the permission that it needs, and refuses credentials without it."""

import uuid
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.access.permissions import OF_A_PROJECT, ROLES, SEATS, Permission
from app.access.routing import ProtectedRoute, Router
from app.kit.routing import PERMISSION, Route, public_router
from app.main import operations
from tests.conftest import Agency
from tests.house.conftest import KPI
from tests.house.test_tenancy import call_with_ids

PUBLIC = frozenset(
    {
        "workspaces.create",
        "sessions.create",
        "invitations.accept",
        "password-resets.confirm",
        "password-resets.create",
        "platforms.list",
        "client-links.open",
        "client-links.open-head",
        "client-links.state",
        "links.follow",
        "links.follow-head",
        "communities.hook-challenge",
        "communities.hook-event",
        "operations.live",
        "operations.ready",
        "operations.metrics",
    }
)
"""The operations that need no credential. `/docs` and `/openapi.json` are no operations."""


def faults(routes: Sequence[Route]) -> list[str]:
    """What is wrong with the declarations of operations."""
    return [f"{route.operation_id}: {fault}" for route in routes for fault in _faults(route)]


def _faults(route: Route) -> Iterator[str]:
    if route.operation_id in PUBLIC:
        if route.permission is not None or isinstance(route, ProtectedRoute):
            yield "is public, and needs a credential"
        return
    if route.permission not in set(Permission):
        yield f"declares {route.permission!r}, which is no permission"
    if not isinstance(route, ProtectedRoute):
        yield "is not of a `Router`, which checks the permission"


def test_every_operation_declares_a_permission() -> None:
    assert len(operations()) > 60
    assert faults(operations()) == []


class OtherPermission(StrEnum):
    """Not one of ours."""

    ANYTHING = "anything"


def test_operations_without_are_found() -> None:
    async def things() -> None:
        """Does nothing."""

    open_by_mistake, guarded = public_router("/v1", tag="things"), Router("/v1", tag="things")
    declares_only = {PERMISSION: Permission.POSTS_WRITE.value}
    open_by_mistake.get("/things", operation_id="things.list")(things)
    open_by_mistake.post("/things", operation_id="things.create", openapi_extra=declares_only)(things)
    guarded.get("/things", operation_id="things.read", permission=OtherPermission.ANYTHING)(things)
    guarded.get("/live", operation_id="operations.live", permission=Permission.POSTS_READ)(things)
    planted = [route for made in (open_by_mistake, guarded.api) for route in made.routes if isinstance(route, Route)]
    assert faults(planted) == [
        "things.list: declares None, which is no permission",
        "things.list: is not of a `Router`, which checks the permission",
        "things.create: is not of a `Router`, which checks the permission",
        "things.read: declares 'anything', which is no permission",
        "operations.live: is public, and needs a credential",
    ]


def test_an_operation_cannot_be_declared_without() -> None:
    declare: Any = Router("/v1", tag="things").get
    with pytest.raises(TypeError, match="permission"):
        declare("/things", operation_id="things.list")


def test_every_permission_is_needed_by_an_operation_and_held_by_somebody() -> None:
    assert {route.permission for route in operations()} - {None} == set(Permission)
    assert frozenset[Permission]().union(*ROLES.values()) == set(Permission)
    assert frozenset[Permission]().union(*SEATS.values()) == OF_A_PROJECT


def test_the_openapi_document_shows_them(app: FastAPI) -> None:
    documented = {operation["operationId"]: operation.get(PERMISSION) for *_, operation in _documented(app.openapi())}
    declared = {route.operation_id: route.permission for route in operations() if route.include_in_schema}
    assert documented == declared


def _documented(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


async def wrongly_answered(app: FastAPI, agency: Agency, held: Sequence[Permission]) -> list[str]:
    """Operations that refuse a key with these permissions though it has theirs, or accept it though it has not."""
    key = (await agency.post("/v1/api-keys", {"title": "some", "permissions": [each.value for each in held]}))["key"]
    admin, agency.http.headers["Authorization"] = agency.http.headers["Authorization"], f"Bearer {key}"
    wrong = []
    try:
        for path, method, operation in _documented(app.openapi()):
            if not operation.get("security"):
                continue
            names = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
            ids = {name: str(uuid.uuid4()) for name in names | {"project_id", "community_id", "post_id"}} | {"key": KPI}
            answer = await call_with_ids(agency, app.openapi(), path, method, operation, ids)
            refused = answer.status_code == 403 and answer.json()["code"] == "missing-permission"
            if refused != (NEEDED[operation["operationId"]] not in held):
                wrong.append(f"{operation['operationId']}: {answer.status_code} {answer.text[:200]}")
            elif refused:
                assert repr(operation[PERMISSION]) in answer.json()["detail"], operation["operationId"]
    finally:
        agency.http.headers["Authorization"] = admin
    return wrong


NEEDED = {str(route.operation_id): route.permission for route in operations()}
HALVES = [sorted(Permission)[::2], sorted(Permission)[1::2]]


@pytest.mark.parametrize("held", HALVES)
async def test_a_key_may_do_exactly_what_it_was_given(app: FastAPI, agency: Agency, held: list[Permission]) -> None:
    """Each operation with a key that has its permission, and with one that has not."""
    assert await wrongly_answered(app, agency, held) == []


async def test_an_operation_with_the_wrong_permission_is_found(
    app: FastAPI, agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    (route,) = [route for route in operations() if route.operation_id == "inquiries.reply"]
    monkeypatch.setattr(route, "permission", Permission.POSTS_READ.value)
    (fault,) = await wrongly_answered(app, agency, [Permission.POSTS_READ])
    assert fault.startswith("inquiries.reply: ")


async def test_asking_who_acts_in_a_public_operation_is_an_error(
    app: FastAPI, agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a declared permission nothing is allowed, whatever the key."""
    (route,) = [route for route in operations() if route.operation_id == "me.read"]
    assert isinstance(route, APIRoute)
    monkeypatch.setattr(route, "permission", None)
    answer = await agency.http.get("/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
