"""Contacts of a project over HTTP."""

import asyncio
import uuid
from typing import Any

from fastapi import FastAPI
from structlog.testing import capture_logs

from app.clients import contacts
from tests.access.people import invited
from tests.conftest import Agency
from tests.contacts.conftest import Setup

NINA: dict[str, Any] = {"name": "Nina Ivanova", "email": "Nina.Ivanova@Coffee.example", "about": "owns the café"}


async def test_a_contact_is_added_changed_and_removed(agency: Agency, setup: Setup) -> None:
    path = f"/v1/projects/{setup.project_id}/contacts"
    made = await agency.post(path, {**NINA, "phone": "+375 29 123-45-67", "language": "ru"})
    assert await agency.get(f"{path}/{made['id']}") == made
    assert [each["id"] for each in (await agency.get(path))["data"]] == [setup.contact_id, made["id"]]
    changed = await agency.patch(f"{path}/{made['id']}", {"phone": None})
    assert changed == {**made, "phone": None}
    assert (await agency.http.delete(f"{path}/{made['id']}")).status_code == 204
    await agency.get(f"{path}/{made['id']}", status=404)
    assert (await agency.http.delete(f"{path}/{made['id']}")).status_code == 404
    assert [each["id"] for each in (await agency.get(path))["data"]] == [setup.contact_id]
    await agency.post(path, NINA)  # the address is free again


async def test_an_address_is_once_in_a_project_in_any_case(agency: Agency, setup: Setup) -> None:
    path = f"/v1/projects/{setup.project_id}/contacts"
    made = await agency.post(path, NINA)
    assert (await agency.post(path, {**NINA, "email": NINA["email"].upper()}, status=409))["code"] == "email-taken"
    taken = await agency.patch(f"{path}/{setup.contact_id}", {"email": NINA["email"].lower()}, status=409)
    assert taken["code"] == "email-taken"
    assert await agency.patch(f"{path}/{made['id']}", {"email": NINA["email"].lower()})
    other = await agency.post("/v1/projects", {"title": "Tea", "timezone": "UTC"})
    await agency.post(f"/v1/projects/{other['id']}/contacts", NINA)


async def test_of_many_at_once_one_has_the_address_and_the_count_holds(agency: Agency, setup: Setup) -> None:
    path = f"/v1/projects/{setup.project_id}/contacts"
    answers = await asyncio.gather(*(agency.http.post(path, json=NINA) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_a_project_has_so_many_contacts_and_no_more(agency: Agency, setup: Setup, monkeypatch: Any) -> None:
    monkeypatch.setattr(contacts, "MAX_CONTACTS", 3)
    path = f"/v1/projects/{setup.project_id}/contacts"
    bodies = [{**NINA, "email": f"{uuid.uuid4().hex}@coffee.example"} for _ in range(4)]
    answers = await asyncio.gather(*(agency.http.post(path, json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"too-many-contacts"}


async def test_a_contact_is_of_one_project(agency: Agency, setup: Setup) -> None:
    other = await agency.post("/v1/projects", {"title": "Tea", "timezone": "UTC"})
    path = f"/v1/projects/{other['id']}/contacts/{setup.contact_id}"
    await agency.get(path, status=404)
    await agency.patch(path, {"name": "N"}, status=404)
    assert (await agency.http.delete(path)).status_code == 404


async def test_who_sees_them(app: FastAPI, agency: Agency, setup: Setup) -> None:
    path = f"/v1/projects/{setup.project_id}/contacts"
    designer = await invited(app, agency, "Dora", seats={setup.project_id: "designer"})
    client = await invited(app, agency, "Clara", seats={setup.project_id: "client"})
    assert len((await designer.get(path))["data"]) == 1
    assert (await client.get(path, status=403))["code"] == "missing-seat"
    refused = await designer.http.post(path, json=NINA)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing-seat")


async def test_nothing_of_a_contact_is_logged(agency: Agency, setup: Setup) -> None:
    path = f"/v1/projects/{setup.project_id}/contacts"
    with capture_logs() as logs:
        made = await agency.post(path, {**NINA, "phone": "+375291234567"})
        await agency.patch(f"{path}/{made['id']}", {"name": "Nina Petrova"})
        await agency.post(path, NINA, status=409)
        await agency.http.delete(f"{path}/{made['id']}")
    text = str(logs)
    assert [line["action"] for line in logs if line["event"] == "change"] == [
        "contacts.create",
        "contacts.update",
        "contacts.delete",
    ]
    assert [word for word in ("Ivanova", "Petrova", "@", "375", "café") if word in text] == []
