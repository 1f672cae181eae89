"""Client links by mail: the contact gets the address, and nobody else."""

import dataclasses
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Select, select, text, update
from structlog.testing import capture_logs

from app.clients.models import ClientLinkToken
from app.clients.service import MAIL
from app.kit import jobs
from app.kit.clock import SetClock
from app.kit.jobs import Job
from app.kit.resources import Resources
from tests.contacts.conftest import Setup
from tests.contacts.test_client_links import agree
from tests.mail_server import MailServer, mail_server

NINA = "nina@coffee.example"


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as running:
        yield running


@pytest.fixture
def mailing(app: FastAPI, setup: Setup, server: MailServer) -> Resources:
    """The installation sends mail from now on."""
    agency = setup.agency
    resources = dataclasses.replace(agency.resources, settings=server.settings(agency.resources.settings))
    app.state.resources = agency.resources = resources
    return resources


def path_in(server: MailServer) -> str:
    """The path of the link in the last mail."""
    body = server.to(NINA)[-1].get_body(("plain",))
    assert body is not None
    content: str = body.get_content()
    return "/s/" + content.partition("/s/")[2].split()[0]


def _tokens(client_link_id: str) -> Select[bytes]:
    return select(ClientLinkToken.token_hash).where(ClientLinkToken.client_link_id == uuid.UUID(client_link_id))


async def test_the_contact_gets_it_in_their_language(
    setup: Setup, server: MailServer, mailing: Resources, program: httpx.AsyncClient
) -> None:
    made = await setup.link(mail=True)
    assert (made["link"], made["mail"], made["mail_detail"]) == (None, "queued", None)
    await setup.agency.work(MAIL)
    (arrived,) = server.to(NINA)
    assert arrived["subject"] == "Step & Co: Бриф"
    body = arrived.get_body(("plain",))
    assert body is not None
    assert "Здравствуйте, Nina!" in body.get_content()
    assert "Step & Co спрашивает, согласны ли вы: Бриф, Coffee at Nina's." in body.get_content()
    assert "действует до 29 октября 2026, 15:00 (время: Минск)" in body.get_content()
    stored = await setup.agency.get(f"/v1/client-links/{made['id']}")
    assert (stored["mail"], stored["mail_detail"], stored["opens"]) == ("sent", None, 0)
    assert (await agree(program, path_in(server))).status_code == 201


@pytest.mark.parametrize("purpose", ["read", "agree"])
async def test_an_english_contact_is_asked_what_the_link_is_for(
    setup: Setup, server: MailServer, mailing: Resources, purpose: str
) -> None:
    await setup.agency.patch(f"/v1/projects/{setup.project_id}/contacts/{setup.contact_id}", {"language": "en"})
    await setup.link(purpose, mail=True)
    await setup.agency.work(MAIL)
    body = server.to(NINA)[-1].get_body(("plain",))
    assert body is not None
    expected = {"read": "would like to show you something", "agree": "asks whether you agree"}[purpose]
    assert f"Step & Co {expected}: Brief, Coffee at Nina's." in body.get_content()


async def test_without_mail_the_link_is_not_made(setup: Setup) -> None:
    refused = await setup.link(mail=True, status=409)
    assert refused["code"] == "no-mail"
    assert (await setup.agency.get("/v1/client-links"))["data"] == []
    made = await setup.link()
    assert (made["mail"], made["link"] is None) == (None, False)


async def test_no_token_is_in_a_job_an_answer_or_a_log(setup: Setup, server: MailServer, mailing: Resources) -> None:
    with capture_logs() as logs:
        made = await setup.link("read", "project", mail=True)
        async with mailing.transaction(setup.agency.workspace_id) as session:
            assert (await session.scalars(_tokens(made["id"]))).all() == [], "made when it is sent"
        await setup.agency.work(MAIL)
    token = path_in(server).rpartition("/")[2]
    assert len(token) == 43
    async with mailing.transaction(setup.agency.workspace_id) as session:
        for table in ("job", "client_link", "client_link_token", "idempotent_answer", "event", "audit_entry"):
            rows = (await session.execute(text(f"SELECT {table}::text FROM {table}"))).all()
            assert token not in str(rows), table
    assert token not in str(logs)
    assert NINA not in str(logs)
    assert made["mail"] == "queued"


async def test_a_refused_mail_says_why(setup: Setup, server: MailServer, mailing: Resources) -> None:
    server.on_recipient = ["550 no such person"]
    made = await setup.link(mail=True)
    await setup.agency.work(MAIL)
    (listed,) = (await setup.agency.get("/v1/client-links"))["data"]
    assert (listed["id"], listed["mail"]) == (made["id"], "failed")
    assert "550: no such person" in listed["mail_detail"]


async def test_a_mail_in_doubt_is_not_sent_again(
    setup: Setup, server: MailServer, mailing: Resources, clock: SetClock, program: httpx.AsyncClient
) -> None:
    server.on_data = [None]
    made = await setup.link(mail=True)
    await setup.agency.work(MAIL)
    clock.advance(timedelta(hours=3))
    await setup.agency.work(MAIL)
    assert len(server.to(NINA)) == 1
    stored = await setup.agency.get(f"/v1/client-links/{made['id']}")
    assert (stored["mail"], "make another link" in stored["mail_detail"]) == ("unknown", True)
    assert (await program.get(path_in(server))).status_code == 200, "it works, if it has arrived"


async def test_a_server_that_comes_back_gets_one_link_that_works(
    setup: Setup, server: MailServer, mailing: Resources, clock: SetClock, program: httpx.AsyncClient
) -> None:
    server.on_data = ["451 not now", "451 not now"]
    made = await setup.link(mail=True)
    for _ in range(3):
        await setup.agency.work(MAIL)
        clock.advance(timedelta(minutes=1))
    assert len(server.to(NINA)) == 1
    assert (await program.get(path_in(server))).status_code == 200
    assert (await setup.agency.get(f"/v1/client-links/{made['id']}"))["mail"] == "sent"
    async with mailing.transaction(setup.agency.workspace_id) as session:
        assert len((await session.scalars(_tokens(made["id"]))).all()) == 1


async def test_a_server_that_does_not_come_back(setup: Setup, server: MailServer, mailing: Resources) -> None:
    server.on_data = ["451 not now"]
    made = await setup.link(mail=True)
    async with mailing.transaction(setup.agency.workspace_id) as session:
        query = select(Job.id).where(Job.kind == MAIL, Job.workspace_id == setup.agency.workspace_id)
        job_id = (await session.scalars(query)).one()
        await session.execute(update(Job).where(Job.id == job_id).values(attempts=13))
    await jobs.perform(mailing, job_id)
    stored = await setup.agency.get(f"/v1/client-links/{made['id']}")
    assert (stored["mail"], "for hours" in stored["mail_detail"]) == ("failed", True)


@pytest.mark.parametrize("end", ["revoked", "expired", "contact removed"])
async def test_what_has_ended_meanwhile_is_not_sent(
    setup: Setup, server: MailServer, mailing: Resources, clock: SetClock, end: str
) -> None:
    made = await setup.link(mail=True, expires_at="2026-10-15T13:00:00Z")
    if end == "revoked":
        await setup.agency.post(f"/v1/client-links/{made['id']}/revoke", status=200)
    elif end == "expired":
        clock.advance(timedelta(hours=2))
    else:
        path = f"/v1/projects/{setup.project_id}/contacts/{setup.contact_id}"
        assert (await setup.agency.http.delete(path)).status_code == 204
    await setup.agency.work(MAIL)
    assert server.accepted == []
    stored = await setup.agency.get(f"/v1/client-links/{made['id']}")
    assert (stored["mail"], stored["mail_detail"]) == ("failed", "It was not sent: the link had ended.")
