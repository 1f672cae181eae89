"""What is recorded of contacts, their links and statements, of alerts, campaigns and their figures."""

import hashlib
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event

from tests.access.audit.test_values import latest
from tests.access.people import client
from tests.campaigns.conftest import campaign
from tests.conftest import Agency
from tests.links.conftest import add_community

AT = {"at": "2026-10-12T09:30:00Z", "amount": {"amount": "990", "currency": "RUB"}}
PERSONAL = ("Nina", "Olga", "coffee.example", "+375 29", "the café")


@pytest.fixture
async def project(agency: Agency) -> str:
    """A project with a brief."""
    made = await agency.post("/v1/projects", {"title": "Coffee", "timezone": "Europe/Minsk"})
    await agency.put(f"/v1/projects/{made['id']}/brief", {"business": "A café."})
    return str(made["id"])


async def entries(agency: Agency, **filters: Any) -> Any:
    """The entries of the agency, latest first."""
    return (await agency.get("/v1/audit", limit=200, **filters))["data"]


async def a_contact(agency: Agency, project: str) -> str:
    body = {
        "name": "Nina",
        "email": "nina@coffee.example",
        "phone": "+375 29 123-45-67",
        "about": "owns the café",
        "language": "ru",
    }
    return str((await agency.post(f"/v1/projects/{project}/contacts", body))["id"])


async def test_of_contacts_nothing_personal(agency: Agency, project: str) -> None:
    contact = await a_contact(agency, project)
    assert await latest(agency, "contacts.create") == (None, {"language": "ru", "removed_at": None})
    path = f"/v1/projects/{project}/contacts/{contact}"
    await agency.patch(path, {"language": "en", "name": "Olga"})
    assert await latest(agency, "contacts.update") == (
        {"language": "ru"},
        {"language": "en", "changed": ["language", "name"]},
    )
    body = {"contact_id": contact, "purpose": "read", "subject_kind": "project", "subject_id": project}
    await agency.post("/v1/client-links", body)
    assert (await agency.http.delete(path)).status_code == 204
    before, after = await latest(agency, "contacts.delete")
    assert (before, after["links_ended"], after["removed_at"] is None) == ({"removed_at": None}, 1, False)
    listed = await entries(agency, project_id=project)
    assert {one["action"].partition(".")[0] for one in listed} >= {"contacts", "client-links"}
    assert not any(word in str(listed) for word in PERSONAL)


async def test_of_statements_all_but_the_words(app: FastAPI, agency: Agency, project: str) -> None:
    contact, opinion = await a_contact(agency, project), "Yes, Nina agrees."
    body = {"contact_id": contact, "purpose": "agree", "subject_kind": "brief", "subject_id": project}
    made = await agency.post("/v1/client-links", body)
    path = "/s/" + made["link"].rpartition("/")[2]
    person: httpx.AsyncClient = client(app)
    page = (await person.get(path, headers={"Accept": "application/json"})).json()
    stated = {"answer": "agree", "content_hash": page["content_hash"], "text": opinion}
    assert (await person.post(f"{path}/statements", json=stated)).status_code == 201
    (entry,) = await entries(agency, action="client-links.state")
    assert (entry["project_id"], entry["entity_id"]) == (project, made["id"])
    assert entry["actor"] == f"client:{made['id']}"
    after = entry["after"]
    assert after.pop("stated_at") is not None
    assert after == {
        "contact_id": contact,
        "purpose": "agree",
        "subject_kind": "brief",
        "subject_id": project,
        "revision": "1",
        "answer": "agree",
        "content_hash": page["content_hash"],
        "text": {"sha256": hashlib.sha256(opinion.encode()).hexdigest(), "length": len(opinion)},
    }
    await agency.post(f"/v1/client-links/{made['id']}/revoke", status=200)
    before, revoked = await latest(agency, "client-links.revoke")
    assert (before, list(revoked)) == ({"revoked_at": None}, ["revoked_at"])
    listed = await entries(agency, project_id=project)
    assert not any(word in str(listed) for word in (*PERSONAL, path.removeprefix("/s/")))


async def test_alerts_and_targets(agency: Agency, project: str) -> None:
    await agency.patch("/v1/me/alerts", {"digest_hour": 7})
    assert await latest(agency, "my-alerts.update") == ({"digest_hour": 9}, {"digest_hour": 7})
    for minutes, earlier in (({"inquiry-waiting": 90}, {}), ({}, {"inquiry-waiting": 90})):
        thresholds = [{"kind": kind, "minutes": number} for kind, number in minutes.items()]
        await agency.put(f"/v1/projects/{project}/alert-policy", {"thresholds": thresholds})
        assert await latest(agency, "alert-policies.replace") == ({"minutes": earlier}, {"minutes": minutes})
    path = f"/v1/projects/{project}/response-targets"
    for agreed in (30, 45):
        await agency.put(path, {"first_response_minutes": agreed, "resolution_minutes": None})
    before, after = await latest(agency, "response-targets.replace")
    assert (before, after) == ({"first_response_minutes": 30}, {"first_response_minutes": 45})


async def test_campaigns(agency: Agency, project: str) -> None:
    community = await add_community(agency, project)
    path = f"/v1/campaigns/{(await campaign(agency, project))['id']}"
    await agency.patch(path, {"budget": {"amount": "100", "currency": "EUR"}, "community_ids": [community]})
    before, after = await latest(agency, "campaigns.update")
    assert (before["budget"], after["budget"], after["currency"]) == (None, 10_000, "EUR")
    assert (before["community_ids"], after["community_ids"]) == ([], [community])
    await agency.patch(f"/v1/projects/{project}", {"timezone": "Europe/London"})
    await agency.work()
    before, after = await latest(agency, "campaigns.redate")
    assert set(before) == set(after) == {"starts_at", "ends_at"}
    for template, earlier in (("utm_source=a", None), ("utm_source=b", "utm_source=a")):
        await agency.put(f"/v1/projects/{project}/utm-template", {"template": template})
        assert await latest(agency, "utm-templates.set") == ({"template": earlier}, {"template": template})
    await agency.post(f"{path}/promo-codes", {"code": "AUTUMN"})
    assert (await latest(agency, "promo-codes.create"))[1] == {"code": "AUTUMN", "retired_at": None}
    await agency.post(f"{path}/cancel", status=200)
    before, after = await latest(agency, "campaigns.cancel")
    assert (before["status"], after["status"], after["codes_retired"]) == ("running", "cancelled", 1)
    assert {one["project_id"] for one in await entries(agency, entity_id=path.rpartition("/")[2])} == {project}


async def test_spend(agency: Agency, project: str) -> None:
    path = f"/v1/campaigns/{(await campaign(agency, project))['id']}/spend"
    made = await agency.post(path, {"day": "2026-10-12", "amount": "12.50", "currency": "EUR", "note": "to Nina"})
    _, after = await latest(agency, "spend.record")
    assert (after["day"], after["amount"], after["currency"], after["note"]["length"]) == ("2026-10-12", 1250, "EUR", 7)
    await agency.post(f"{path}/{made['id']}/void", {"reason": "Nina paid"}, 200)
    before, after = await latest(agency, "spend.void")
    assert (before["voided_at"], after["void_reason"]["length"]) == (None, 9)
    listed = await entries(agency, entity_id=made["id"])
    assert [one["action"] for one in listed] == ["spend.void", "spend.record"]
    assert "Nina" not in str(listed)


async def test_500_redemptions_are_recorded_by_one_statement(agency: Agency, project: str) -> None:
    path = f"/v1/campaigns/{(await campaign(agency, project))['id']}/promo-codes"
    await agency.post(path, {"code": "AUTUMN"})
    executed: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        executed.append(statement)

    engine = agency.resources.db._write.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    items = [{**AT, "external_id": f"order-{number}"} for number in range(500)]
    await agency.post(f"{path}/autumn/redemptions/bulk", {"items": items}, 200)
    event.remove(engine, "before_cursor_execute", note)
    assert len(executed) < 20
    _, after = await latest(agency, "redemptions.record")
    assert (after["amount"], after["currency"], "order" in str(after)) == (99_000, "RUB", False)
    listed = await entries(agency, action="redemptions.record")
    assert len({one["entity_id"] for one in listed}) == 200, "a page of the 500"
