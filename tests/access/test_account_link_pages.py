"""The page on which somebody who forgot their password has a link mailed."""

import dataclasses
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from app.access.account_pages import TEXTS
from app.access.accounts import MAIL_RESET
from app.kit.resources import Resources
from tests.access.people import Person, invited
from tests.access.test_account_pages import new_browser, sign_in
from tests.access.test_mail import stranger as _stranger
from tests.access.test_mail import token_in, work
from tests.conftest import Agency
from tests.forms import forms, submit
from tests.mail_server import MailServer, mail_server

FORGOT = "/account/forgot-password"
stranger = _stranger


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as running:
        yield running


@pytest.fixture
async def person(app: FastAPI, agency: Agency) -> Person:
    """A member, from before the installation sends mail."""
    return await invited(app, agency, "Olga")


@pytest.fixture
def mailing(app: FastAPI, agency: Agency, person: Person, server: MailServer) -> Resources:
    """The installation sends mail from now on."""
    resources = dataclasses.replace(agency.resources, settings=server.settings(agency.resources.settings))
    app.state.resources = agency.resources = resources
    return resources


async def test_somebody_who_forgot_it_sets_a_new_password(
    mailing: Resources, person: Person, server: MailServer, stranger: httpx.AsyncClient
) -> None:
    sign_in_page = await stranger.get("/account/sign-in")
    assert f'href="{FORGOT}"' in sign_in_page.text
    page = await stranger.get(FORGOT)
    sent = await submit(stranger, page, FORGOT, email=person.email.upper())
    assert (sent.status_code, sent.headers["location"]) == (303, f"{FORGOT}?done=sent")
    done = await stranger.get(sent.headers["location"])
    assert "is on its way" in done.text
    assert forms(done) == []
    await work(mailing, MAIL_RESET)
    reset = await stranger.get(f"/account/password-reset?token={token_in(server, person.email)}")
    set_anew = await submit(stranger, reset, "/account/password-reset", password="four green bicycles")
    assert set_anew.headers["location"] == "/account/sign-in?done=password"
    assert (await sign_in(stranger, person.email, "four green bicycles")).status_code == 303


async def test_the_answer_does_not_say_who_has_an_account(
    mailing: Resources, person: Person, server: MailServer, stranger: httpx.AsyncClient
) -> None:
    answers = []
    for email in (person.email, f"{uuid.uuid4().hex}@elsewhere.example"):
        sent = [await stranger.post(FORGOT, data={"email": email}) for _ in range(4)]
        assert email in sent[-1].text, "what was written stays on the page"
        answers.append([(one.status_code, one.headers.get("location"), one.text.replace(email, "")) for one in sent])
    assert answers[0] == answers[1]
    assert [status for status, *_ in answers[0]] == [303, 303, 303, 429]
    assert TEXTS["too-many-password-resets"] in answers[0][-1][-1]
    await work(mailing, MAIL_RESET)
    assert set(server.recipients) == {person.email}


@pytest.mark.parametrize("email", ["", "x", "a@b.c\x00d"])
async def test_what_is_no_address(mailing: Resources, stranger: httpx.AsyncClient, email: str) -> None:
    answer = await stranger.post(FORGOT, data={"email": email, "more": "x"})
    assert (answer.status_code, TEXTS["invalid-input"] in answer.text) == (422, True)


async def test_without_mail_there_is_no_such_page(app: FastAPI, agency: Agency) -> None:
    async with new_browser(app) as browser:
        assert FORGOT not in (await browser.get("/account/sign-in")).text
        for answer in (await browser.get(FORGOT), await browser.post(FORGOT, data={"email": "anna@agency.example"})):
            assert (answer.status_code, TEXTS["no-mail"] in answer.text) == (409, True)


async def test_it_is_in_the_reader_s_language(app: FastAPI, mailing: Resources) -> None:
    async with new_browser(app, "ru") as browser:
        for path, text in (
            (FORGOT, "Прислать ссылку"),
            (f"{FORGOT}?done=sent", "в пути"),
            ("/account/sign-in", "Забыли"),
        ):
            page = await browser.get(path)
            assert text in page.text
            assert (page.headers["content-language"], page.headers["cache-control"]) == ("ru", "no-store, private")
