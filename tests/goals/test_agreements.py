"""What the client states about goals: by a link, by a seat; and what is readable of it ever after."""

from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update
from sqlalchemy.exc import ProgrammingError

from app.cli.database import prepare_database
from app.goals.models import GoalAgreement, GoalRevision
from app.kit.events import EventRecord
from tests.access.people import invited
from tests.conftest import Agency
from tests.contacts.conftest import hash_of
from tests.forms import forms
from tests.goals.conftest import Setup, answer
from tests.servers import Servers


async def topics(agency: Agency) -> list[str]:
    """The topics of the agency's events about goals."""
    query = select(EventRecord.topic).where(EventRecord.topic.like("goal.%")).order_by(EventRecord.id)
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        return list((await connection.scalars(query)).all())


async def test_a_contact_agrees_by_a_link_and_again_to_what_has_changed(
    agency: Agency, setup: Setup, program: httpx.AsyncClient
) -> None:
    goal = await setup.goal()
    path = f"/v1/goals/{goal['id']}"
    link = await setup.link(goal["id"])
    visible = (await program.get(link)).json()
    assert visible["content_hash"] == goal["content_hash"] == hash_of(visible["subject"])
    assert visible["subject"]["content"]["target"] == "2000", "JSON without fractions"
    made = await answer(program, link, text="Поехали")
    assert made.status_code == 201, made.text
    agreed = await agency.get(path)
    assert (agreed["status"], agreed["agreed_revision"]) == ("agreed", 1)
    client, ours = (await agency.get(f"{path}/agreements"))["data"]
    assert (ours["side"], ours["answer"], ours["name"], ours["revision"]) == ("agency", "propose", "Anna", 1)
    assert client == {
        "id": client["id"],
        "goal_id": goal["id"],
        "revision": 1,
        "content_hash": goal["content_hash"],
        "side": "client",
        "answer": "agree",
        "name": "Nina",
        "user_id": None,
        "contact_id": setup.contact_id,
        "client_statement_id": client["client_statement_id"],
        "text": "Поехали",
        "stated_at": "2026-10-15T12:00:00Z",
    }
    (statement,) = (await agency.get("/v1/client-statements", subject_id=goal["id"]))["data"]
    assert (statement["id"], statement["content_hash"]) == (client["client_statement_id"], client["content_hash"])

    changed = await agency.patch(path, {"target": 2100, "title": "An even larger community"})
    assert (changed["status"], changed["revision"], changed["agreed_revision"]) == ("proposed", 2, 1)
    assert changed["changes"] == [
        {"field": "title", "before": "A larger community", "after": "An even larger community"},
        {"field": "target", "before": 2000, "after": 2100},
    ]
    outdated = await answer(program, link, seen=goal["content_hash"])
    assert (outdated.status_code, outdated.json()["code"]) == (409, "revision-outdated")
    declined = await answer(program, link, "decline", text="Too much")
    assert declined.status_code == 201
    after = await agency.get(path)
    assert (after["status"], after["agreed_revision"]) == ("declined", 1), "what was agreed holds"
    again = await agency.patch(path, {"target": 2050})
    assert [one["field"] for one in again["changes"]] == ["title", "target"], "since revision 1, which was agreed"
    revisions = (await agency.get(f"{path}/revisions"))["data"]
    assert [(one["number"], one["target"], one["compared_with"]) for one in revisions] == [
        (3, 2050, 1),
        (2, 2100, 1),
        (1, 2000, None),
    ]
    assert revisions[2]["content_hash"] == goal["content_hash"], "old revisions stay as they were"
    assert await topics(agency) == [
        *("goal.proposed", "goal.agreed", "goal.proposed", "goal.declined", "goal.proposed"),
    ]


async def test_a_patch_that_changes_nothing_makes_no_revision(agency: Agency, setup: Setup) -> None:
    goal = await setup.goal()
    same = {"target": 2000, "title": "A larger community", "community_ids": [], "stated_baseline": None}
    assert await agency.patch(f"/v1/goals/{goal['id']}", same) == goal


async def test_the_page_shows_what_is_proposed_and_what_has_changed(
    agency: Agency, setup: Setup, program: httpx.AsyncClient
) -> None:
    goal = await setup.goal(title="More <people>")
    link = await setup.link(goal["id"])
    browser = {"Accept": "text/html", "User-Agent": "Mozilla/5.0"}
    page = await program.get(link, headers=browser)
    assert '<html lang="ru">' in page.text
    for text in (
        "More &lt;people&gt;",
        "Что мы предлагаем",
        "Размер сообщества",
        "2000",
        "1380",
        "Все ваши сообщества",
    ):
        assert text in page.text, text
    assert "<script" not in page.text
    assert "Что изменилось" not in page.text
    (form,) = forms(page)
    assert list(form.buttons.values()) == ["agree", "decline"]
    sent = await program.post(form.action, data={**form.fields, "answer": "agree"}, headers=browser)
    assert sent.status_code == 303
    assert forms(await program.get(link, headers=browser)) == []
    await agency.patch(f"/v1/goals/{goal['id']}", {"target": 2345})
    page = await program.get(link, headers=browser)
    assert "Что изменилось с тех пор, как вы согласились" in page.text
    assert "2345" in page.text
    assert "2000" in page.text
    assert len(forms(page)) == 1
    await agency.post(f"/v1/goals/{goal['id']}/withdraw", status=200)
    page = await program.get(link, headers=browser)
    assert "Эта цель закрыта" in page.text
    assert forms(page) == []
    refused = await answer(program, link)
    assert (refused.status_code, refused.json()["code"]) == (409, "answer-closed")


async def test_of_two_contacts_the_first_answers(agency: Agency, setup: Setup, program: httpx.AsyncClient) -> None:
    oleg = {"name": "Oleg", "email": "oleg@coffee.example", "language": "en"}
    contact = await agency.post(f"/v1/projects/{setup.project_id}/contacts", oleg)
    goal = await setup.goal()
    first, second = await setup.link(goal["id"]), await setup.link(goal["id"], contact["id"])
    seen = (await program.get(second)).json()["content_hash"]
    assert (await answer(program, first, "decline")).status_code == 201
    refused = await answer(program, second, seen=seen)
    assert (refused.status_code, refused.json()["code"]) == (409, "answer-closed")
    assert (await agency.get(f"/v1/goals/{goal['id']}"))["status"] == "declined"
    assert len((await agency.get("/v1/client-statements", subject_id=goal["id"]))["data"]) == 1
    page = await program.get(second, headers={"Accept": "text/html"})
    assert "Your side has answered this already." in page.text
    assert "Nina" in page.text


async def test_a_member_with_the_clients_seat_agrees(app: FastAPI, agency: Agency, setup: Setup) -> None:
    goal = await setup.goal()
    path = f"/v1/goals/{goal['id']}/agreements"
    body = {"answer": "agree", "revision": 1, "text": "Good."}
    assert (await agency.post(path, body, 403))["code"] == "client-seat-needed"
    manager = await setup.member(app, "manager")
    refused = await manager.http.post(path, json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing-seat")
    client = await setup.member(app)
    made = await client.http.post(path, json=body)
    assert made.status_code == 201, made.text
    assert made.json()["name"] == "Boris"
    assert made.json()["user_id"] == client.id
    again = await client.http.post(path, json=body)
    assert (again.status_code, again.json()) == (201, made.json())
    other = await client.http.post(path, json=body | {"answer": "decline"})
    assert (other.status_code, other.json()["code"]) == (409, "already-answered")
    unknown = await client.http.post(path, json=body | {"revision": 2})
    assert unknown.status_code == 404
    await agency.patch(f"/v1/goals/{goal['id']}", {"target": 2100})
    old = await client.http.post(path, json=body)
    assert (old.status_code, old.json()["code"]) == (409, "revision-outdated")
    assert (await agency.get(f"/v1/goals/{goal['id']}"))["agreed_revision"] == 1
    elsewhere = await agency.post("/v1/projects", {"title": "Tea", "timezone": "Europe/Minsk"})
    stranger = await invited(app, agency, "Olga", seats={elsewhere["id"]: "client"})
    hidden = await stranger.http.post(path, json=body | {"revision": 2})
    assert hidden.status_code == 404
    for person in (manager, client, stranger):
        await person.http.aclose()


async def test_what_was_answered_is_in_the_chain_of_changes(
    agency: Agency, setup: Setup, program: httpx.AsyncClient
) -> None:
    goal = await setup.goal()
    await answer(program, await setup.link(goal["id"]), "decline", text="Too much")
    (entry,) = (await agency.get("/v1/audit", action="goals.agree"))["data"]
    after = entry["after"]
    assert (after["answer"], after["side"]) == ("decline", "client")
    assert after["content_sha256"] == goal["content_hash"]
    assert after["text"]["length"] == len("Too much"), "a digest: what a client writes is not in the record"
    assert entry["actor"].startswith("client")


@pytest.mark.parametrize("model", [GoalRevision, GoalAgreement])
async def test_what_was_promised_and_agreed_cannot_be_changed(
    agency: Agency, setup: Setup, model: Any, servers: Servers, database: str
) -> None:
    await setup.goal()
    await prepare_database(servers.superuser_url(database), database)  # as at each start: it grants on all tables
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with agency.resources.transaction(agency.workspace_id) as session:
            await session.execute(update(model).values(content_hash="0"))


async def test_goals_are_found_by_what_they_are(agency: Agency, setup: Setup, program: httpx.AsyncClient) -> None:
    size = await setup.goal(is_main=True)
    growth = await setup.goal(kpi="net_growth", target=400)
    stated = {"value": 10, "reason": "Counted."}
    clicks = await setup.goal(type="traffic", kpi="clicks", target=40, stated_baseline=stated)
    await answer(program, await setup.link(growth["id"]))
    other = await agency.post("/v1/projects", {"title": "Tea", "timezone": "Europe/Minsk"})

    async def ids(**filters: str) -> list[str]:
        return [one["id"] for one in (await agency.get("/v1/goals?" + urlencode(filters)))["data"]]

    assert await ids() == [clicks["id"], growth["id"], size["id"]]
    assert await ids(project_id=setup.project_id, limit="2") == [clicks["id"], growth["id"]]
    assert await ids(project_id=other["id"]) == []
    assert await ids(type="traffic") == [clicks["id"]]
    assert await ids(kpi="net_growth") == [growth["id"]]
    assert await ids(status="agreed") == [growth["id"]]
    assert await ids(main="true") == [size["id"]]
    assert await ids(main="false", type="awareness") == [growth["id"]]
    assert await ids(pace="on_track") == []
    page = await agency.get("/v1/goals", limit=2)
    assert [one["id"] for one in (await agency.get("/v1/goals", limit=2, cursor=page["next_cursor"]))["data"]] == [
        size["id"]
    ]
