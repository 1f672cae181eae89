"""Every operation with every seat: allowed in the seat's project as docs/permissions.md says, and nowhere else.

The operations come from the OpenAPI document, what is expected from the page. A member has one seat in one
project; beside it there is another project of the same agency.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from app.access import permissions
from app.access.models import Seat
from app.access.permissions import OF_THE_WORKSPACE, SEATS, Permission
from app.kit.routing import PERMISSION
from tests.access.people import invited
from tests.conftest import Agency
from tests.house.conftest import session_id, stock
from tests.house.test_tenancy import call_with_ids, operations

PAGE = Path(__file__).resolve().parents[2] / "docs/permissions.md"
PROJECT_IDS = frozenset(
    {
        *("project_id", "community_id", "post_id", "link_id", "inquiry_id", "seat_id"),
        *("contact_id", "client_link_id", "subject_id", "entity_id", "alert_id"),
        *("campaign_id", "spend_id", "invite_link_id"),
        *("goal_id", "correction_id"),
    }
)
"""Path parameters that name something of a project."""


def table() -> dict[str, dict[str, bool]]:
    """The page's table: for each operation whether each seat may do it."""
    rows = [line.strip().strip("|").split("|") for line in PAGE.read_text().splitlines() if line.startswith("|")]
    header = [cell.strip() for cell in rows[0]][3:]
    return {
        cells[0].strip().strip("`"): dict(zip(header, (cell.strip() == "yes" for cell in cells[3:]), strict=True))
        for cells in rows[2:]
    }


@dataclass
class Count:
    """How many answers were judged."""

    allowed: int = 0
    refused: int = 0
    hidden: int = 0


async def exceptions(app: FastAPI, agency: Agency, seat: Seat) -> tuple[list[str], Count]:
    """The answers that are not as the page says, for a member with this seat."""
    document, expected, count = app.openapi(), table(), Count()
    ours, others = await stock(agency), await stock(agency)
    person = await invited(app, agency, seats={ours.ids["project_id"]: seat.value})
    ours.ids["session_id"] = await session_id(agency, person.id)  # the agency's own is not the member's
    member = Agency(person.http, agency.workspace_id, "", agency.resources)
    wrong = []
    for path, method, operation in sorted(operations(document), key=_deletes_last):
        if not operation.get("security") or _ends_the_session(operation):
            continue
        name, parameters = operation["operationId"], {p["name"] for p in operation.get("parameters", ())}
        may = expected[name][seat.value]
        permission = Permission(operation[PERMISSION])
        answer = await call_with_ids(member, document, path, method, operation, ours.ids)
        verdict = _verdict(answer)
        if may and (verdict in {"missing-seat", "missing-role", "not-found"} or answer.status_code >= 500):
            wrong.append(f"{name} is allowed: {answer.status_code} {answer.text[:200]}")
        elif not may and verdict != ("missing-role" if permission in OF_THE_WORKSPACE else "missing-seat"):
            wrong.append(f"{name} is not allowed: {answer.status_code} {answer.text[:200]}")
        count.allowed, count.refused = count.allowed + may, count.refused + (not may)
        if not (parameters | _body_names(document, operation)) & PROJECT_IDS or permission in OF_THE_WORKSPACE:
            continue
        elsewhere = await call_with_ids(member, document, path, method, operation, others.ids)
        unknown = {key: str(uuid.uuid4()) if key in PROJECT_IDS else value for key, value in others.ids.items()}
        as_unknown = await call_with_ids(member, document, path, method, operation, unknown)
        count.hidden += 1
        if _content(elsewhere, others.ids) != _content(as_unknown, unknown):
            wrong.append(f"{name} in another project: {elsewhere.text[:200]} and not {as_unknown.text[:200]}")
    for path, method, _ in operations(document):
        if method == "get" and "{" not in path:
            text = (await member.http.get(path)).text
            if any(value in text for key, value in others.ids.items() if key in PROJECT_IDS):
                wrong.append(f"{path} shows another project")
    await person.http.aclose()
    return wrong, count


def _deletes_last(operation: tuple[str, str, Any]) -> bool:
    return operation[1] == "delete"


def _ends_the_session(operation: dict[str, Any]) -> bool:
    return operation["operationId"] in {"sessions.sign-out", "sessions.rotate", "me.change-password"}


def _verdict(answer: Any) -> str:
    return str(answer.json()["code"]) if answer.status_code in {403, 404} else ""


def _content(answer: Any, ids: dict[str, str]) -> str:
    text = answer.text.replace(answer.headers.get("x-request-id", "-"), "…")
    for value in ids.values():
        text = text.replace(value, "…")
    return f"{answer.status_code} {text}"


def _body_names(document: dict[str, Any], operation: dict[str, Any]) -> set[str]:
    """The names of all fields in the request's body."""
    if "requestBody" not in operation:
        return set()

    def names(schema: Any) -> Iterator[str]:
        if isinstance(schema, dict):
            if "$ref" in schema:
                yield from names(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
            yield from schema.get("properties", ())
            for value in schema.values():
                yield from names(value)
        elif isinstance(schema, list):
            for value in schema:
                yield from names(value)

    return set(names(operation["requestBody"]))


def test_the_page_has_a_row_for_every_operation(app: FastAPI) -> None:
    documented = {operation["operationId"] for *_, operation in operations(app.openapi())}
    assert documented - table().keys() == set()


@pytest.mark.parametrize("seat", list(Seat))
async def test_a_seat_allows_what_the_page_says_and_in_its_project_alone(
    app: FastAPI, agency: Agency, seat: Seat, record_property: Any
) -> None:
    wrong, count = await exceptions(app, agency, seat)
    record_property("answers", str(count))
    assert wrong == []
    assert count.allowed > 20
    assert count.refused > 5
    assert count.hidden > 30


async def test_a_permission_too_many_is_found(app: FastAPI, agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with one permission more than the page says, and with one less, the test is red."""
    changed = SEATS[Seat.DESIGNER] - {Permission.POSTS_WRITE} | {Permission.LINKS_WRITE}
    monkeypatch.setattr(permissions, "SEATS", {**SEATS, Seat.DESIGNER: changed})
    monkeypatch.setattr("app.access.grants.SEATS", {**SEATS, Seat.DESIGNER: changed})
    wrong, _ = await exceptions(app, agency, Seat.DESIGNER)
    assert {text.split()[0] for text in wrong} >= {"posts.update", "posts.create", "links.create", "links.update"}


async def test_without_the_fence_other_projects_are_found(
    app: FastAPI, agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: where the database is not told the projects, the test is red."""
    monkeypatch.setattr("app.kit.db._array", lambda _: "")
    wrong, _ = await exceptions(app, agency, Seat.MANAGER)
    assert len(wrong) > 10
