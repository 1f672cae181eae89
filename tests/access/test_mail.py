"""Invitations and new passwords by mail: who gets the link, and who never sees it."""

import dataclasses
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI
from sqlalchemy import delete, event, select, text

from app.access.accounts import MAIL_RESET
from app.access.invitations import MAIL
from app.kit import jobs
from app.kit.clock import SetClock
from app.kit.jobs import Job
from app.kit.resources import Resources
from tests.access.people import PASSWORD, client, invited
from tests.conftest import Agency
from tests.mail_server import MailServer, mail_server

NEW = "four green bicycles"


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as running:
        yield running


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a credential, at an address of its own: requests are counted by address."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(str(uuid.uuid4()), 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://instep.test") as device:
        yield device


@pytest.fixture
async def mailing(app: FastAPI, agency: Agency, server: MailServer) -> Resources:
    """The installation sends mail from now on; no mail of another test waits, as those for people have no workspace."""
    async with agency.resources.transaction(None) as session:
        await session.execute(delete(Job).where(Job.kind == MAIL_RESET))
    resources = dataclasses.replace(agency.resources, settings=server.settings(agency.resources.settings))
    app.state.resources = agency.resources = resources
    return resources


def invitation(**more: Any) -> dict[str, Any]:
    return {"email": f"{uuid.uuid4().hex}@agency.example", "name": "Борис", **more}


def token_in(server: MailServer, address: str) -> str:
    """The token of the link in the last mail to an address."""
    body = server.to(address)[-1].get_body(("plain",))
    assert body is not None
    token: str = body.get_content().partition("?token=")[2].split()[0]
    return token


async def work(resources: Resources, kind: str) -> list[dict[str, Any]]:
    """Run the due jobs of a kind, of whatever workspace; their arguments."""
    async with resources.transaction(None) as session:
        rows = (await session.execute(select(Job.id, Job.args).where(Job.kind == kind, Job.state == "waiting"))).all()
    for row in rows:
        await jobs.perform(resources, row.id)
    return [row.args for row in rows]


async def test_an_invitation_goes_to_whoever_is_invited(
    app: FastAPI, agency: Agency, server: MailServer, mailing: Resources
) -> None:
    made = await agency.post("/v1/invitations", invitation(language="ru"))
    assert (made["link"], made["mail"]) == (None, "queued")
    await agency.work(MAIL)
    (arrived,) = server.to(made["email"])
    assert arrived["subject"] == "Приглашение в Step & Co"
    stored = await agency.get(f"/v1/invitations/{made['id']}")
    assert (stored["mail"], stored["mail_detail"]) == ("sent", None)
    accept = {"token": token_in(server, made["email"]), "password": PASSWORD}
    joined = await client(app).post("/v1/invitations/accept", json=accept)
    assert joined.status_code == 201
    me = (await client(app, joined.json()["token"]).get("/v1/me")).json()
    assert me["user"]["language"] == "ru"


async def test_without_a_language_the_invitation_is_in_that_of_whoever_invites(
    agency: Agency, server: MailServer, mailing: Resources
) -> None:
    await agency.patch("/v1/me", {"language": "ru"})
    assert (await agency.post("/v1/invitations", invitation()))["language"] == "ru"


async def test_an_invitation_is_not_sent_where_it_was_revoked_meanwhile(
    agency: Agency, server: MailServer, mailing: Resources
) -> None:
    made = await agency.post("/v1/invitations", invitation())
    await agency.post(f"/v1/invitations/{made['id']}/revoke", status=200)
    await agency.work(MAIL)
    assert server.accepted == []


async def test_a_server_that_comes_back_gets_the_invitation(
    agency: Agency, server: MailServer, mailing: Resources, clock: SetClock
) -> None:
    server.on_data = ["451 not now", "451 not now"]
    made = await agency.post("/v1/invitations", invitation())
    for _ in range(3):
        await agency.work(MAIL)
        clock.advance(timedelta(minutes=1))
    assert len(server.to(made["email"])) == 1
    assert (await agency.get(f"/v1/invitations/{made['id']}"))["mail"] == "sent"


async def test_a_refused_invitation_says_why(agency: Agency, server: MailServer, mailing: Resources) -> None:
    server.on_recipient = ["550 no such person"]
    made = await agency.post("/v1/invitations", invitation())
    await agency.work(MAIL)
    stored = await agency.get(f"/v1/invitations/{made['id']}")
    assert stored["mail"] == "failed"
    assert "550: no such person" in stored["mail_detail"]


async def test_an_invitation_in_doubt_is_not_sent_again(
    app: FastAPI, agency: Agency, server: MailServer, mailing: Resources, clock: SetClock
) -> None:
    """A second link would end the first, which may be in the person's hands."""
    server.on_data = [None]
    made = await agency.post("/v1/invitations", invitation())
    await agency.work(MAIL)
    clock.advance(timedelta(days=1))
    await agency.work(MAIL)
    assert len(server.to(made["email"])) == 1
    assert (await agency.get(f"/v1/invitations/{made['id']}"))["mail"] == "unknown"
    accept = {"token": token_in(server, made["email"]), "password": PASSWORD}
    assert (await client(app).post("/v1/invitations/accept", json=accept)).status_code == 201


async def test_a_new_password_that_a_member_makes_goes_to_the_person_alone(
    app: FastAPI, agency: Agency, server: MailServer
) -> None:
    person = await invited(app, agency)  # by a link, before the installation sends mail
    resources = dataclasses.replace(agency.resources, settings=server.settings(agency.resources.settings))
    app.state.resources = agency.resources = resources
    made = await agency.post(f"/v1/users/{person.id}/password-reset", status=200)
    assert made == {"link": None, "mailed": True}
    await agency.work(MAIL_RESET)
    confirm = {"token": token_in(server, person.email), "password": NEW}
    assert (await client(app).post("/v1/password-resets/confirm", json=confirm)).status_code == 200
    signed_in = await client(app).post("/v1/sessions", json={"email": person.email, "password": NEW})
    assert signed_in.status_code == 201


async def test_somebody_who_forgot_a_password_gets_a_link(
    app: FastAPI, agency: Agency, server: MailServer, stranger: httpx.AsyncClient
) -> None:
    person = await invited(app, agency)
    resources = dataclasses.replace(agency.resources, settings=server.settings(agency.resources.settings))
    app.state.resources = resources
    answer = await stranger.post("/v1/password-resets", json={"email": person.email.upper()})
    assert (answer.status_code, answer.json()) == (202, {"done": True})
    await work(resources, MAIL_RESET)
    confirm = {"token": token_in(server, person.email), "password": NEW}
    assert (await client(app).post("/v1/password-resets/confirm", json=confirm)).status_code == 200
    again = await client(app).post("/v1/password-resets/confirm", json=confirm)
    assert (again.status_code, again.json()["code"]) == (404, "link-not-valid")


async def test_nobody_learns_who_has_an_account(
    agency: Agency, stranger: httpx.AsyncClient, server: MailServer, mailing: Resources
) -> None:
    """The answers are equal but for the request's id, and so is what is done: the same statements, a job each."""
    ours = (await agency.get("/v1/me"))["user"]["email"]
    answers, statements, arguments = [], [], []
    for email in (ours, f"{uuid.uuid4().hex}@elsewhere.example"):
        with structlog.testing.capture_logs() as logs:
            executed = await _statements(mailing, stranger, email)
        answers.append(executed[0])
        statements.append(executed[1])
        arguments.append([sorted(args) for args in await work(mailing, MAIL_RESET)])
        assert email not in str(logs)
    assert answers[0] == answers[1] == (202, {"done": True})
    assert statements[0] == statements[1]
    assert arguments == [[["user_id"]], [["user_id"]]]
    assert server.recipients == [ours]


async def _statements(
    resources: Resources, stranger: httpx.AsyncClient, email: str
) -> tuple[tuple[int, Any], list[str]]:
    """The answer to a request for a new password, and the statements that it executed."""
    executed: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        executed.append(statement)

    engine = resources.db._write.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    answer = await stranger.post("/v1/password-resets", json={"email": email})
    event.remove(engine, "before_cursor_execute", note)
    return (answer.status_code, answer.json()), executed


async def test_a_mailbox_is_not_filled(
    agency: Agency, stranger: httpx.AsyncClient, mailing: Resources, clock: SetClock
) -> None:
    for email in ((await agency.get("/v1/me"))["user"]["email"], f"{uuid.uuid4().hex}@elsewhere.example"):
        for expected in (202, 202, 202, 429):
            answer = await stranger.post("/v1/password-resets", json={"email": email})
            assert answer.status_code == expected
        assert answer.json()["code"] == "too-many-password-resets"
        assert int(answer.headers["retry-after"]) > 0


async def test_one_source_does_not_ask_for_many(stranger: httpx.AsyncClient, mailing: Resources) -> None:
    answers = [
        await stranger.post("/v1/password-resets", json={"email": f"{uuid.uuid4().hex}@elsewhere.example"})
        for _ in range(25)
    ]
    assert answers[-1].status_code == 429


async def test_without_mail_it_says_whom_to_ask(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.post("/v1/password-resets", json={"email": "anna@agency.example"})
    assert (answer.status_code, answer.json()["code"]) == (409, "no-mail")
    assert "ask an owner or an admin" in answer.json()["detail"]


async def test_no_token_is_in_a_job_or_a_log(agency: Agency, server: MailServer, mailing: Resources) -> None:
    server.on_data = ["451 not now"]
    with structlog.testing.capture_logs() as logs:
        made = await agency.post("/v1/invitations", invitation())
        await agency.work(MAIL, passes=2)
        async with mailing.transaction(None) as session:
            waiting = (await session.execute(text("SELECT job::text FROM job WHERE kind = :k"), {"k": MAIL})).all()
        mailing.clock.advance(timedelta(minutes=1))  # type: ignore[attr-defined]
        await agency.work(MAIL)
    token = token_in(server, made["email"])
    assert token
    assert waiting
    assert made["email"] not in str(waiting)
    assert token not in str(logs)
    async with mailing.transaction(agency.workspace_id) as session:
        dump = (await session.execute(text("SELECT invitation::text FROM invitation"))).all()
        links = (await session.execute(text("SELECT account_link::text FROM account_link"))).all()
    assert token not in str(dump) + str(links) + str(waiting)
