"""The pages of accounts, walked through as a browser does: forms of the page, cookies, redirects."""

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pyotp
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.access.account_pages import TEXTS, device
from app.kit.clock import SetClock
from app.kit.i18n import translate
from app.kit.pages import own_path
from app.kit.resources import Resources
from tests.access.people import PASSWORD, Person, client, invited
from tests.conftest import Agency, sign_up
from tests.forms import forms, submit
from tests.links.agents import PEOPLE


def new_browser(app: FastAPI, language: str = "en") -> httpx.AsyncClient:
    """A browser with a jar of its own."""
    headers = {"Accept": "text/html", "Accept-Language": language, "User-Agent": "Mozilla/5.0 (X11; Linux) Gecko/1"}
    made = client(app)
    made.headers.update(headers)
    return made


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A browser."""
    async with new_browser(app) as made:
        yield made


@pytest.fixture
async def person(app: FastAPI, agency: Agency) -> Person:
    """A member with the password `PASSWORD`."""
    return await invited(app, agency, "Olga")


def path_of(link: str) -> str:
    """The path with the query of a link's address."""
    parts = urlsplit(link)
    return f"{parts.path}?{parts.query}"


async def sign_in(
    browser: httpx.AsyncClient, email: str, password: str = PASSWORD, page: str = "/account/sign-in"
) -> httpx.Response:
    form = await browser.get(page)
    return await submit(browser, form, "/account/sign-in", email=email, password=password)


async def invitation(agency: Agency, email: str | None = None) -> tuple[str, str]:
    """The path of a new invitation, and who it is for."""
    email = email or f"{uuid.uuid4().hex}@agency.example"
    made = await agency.post("/v1/invitations", {"email": email, "name": "Boris"})
    return path_of(made["link"]), email


async def test_signing_in_and_out(browser: httpx.AsyncClient, person: Person) -> None:
    away = await browser.get("/account")
    assert (away.status_code, away.headers["location"]) == (303, "/account/sign-in?next=/account")
    answer = await sign_in(browser, person.email, page=away.headers["location"])
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    page = await browser.get("/account")
    assert page.status_code == 200
    for text in (person.email, "Olga", "Step &amp; Co", "Member", "this one"):
        assert text in page.text
    assert (await browser.get("/v1/me")).json()["user"]["email"] == person.email, "the API takes the cookie too"
    out = await submit(browser, page, "/account/sign-out")
    assert (out.status_code, out.headers["location"]) == (303, "/account/sign-in")
    assert not browser.cookies
    assert (await browser.get("/account")).status_code == 303


def test_a_device_has_a_short_name() -> None:
    names = {device(agent) for agent in PEOPLE.values()}
    assert {"Chrome, Windows", "Chrome, Android", "Safari, iPhone", "Firefox, Linux"} <= names
    assert {name for name in names if name is not None and len(name) > 80} == set()
    assert (device(None), device("my-script/1.0")) == (None, "my-script/1.0")


async def test_a_wrong_password_stays_on_the_page(browser: httpx.AsyncClient, person: Person) -> None:
    for email in (person.email, "nobody@agency.example"):
        answer = await sign_in(browser, email, "not the password")
        assert (answer.status_code, TEXTS["wrong-credentials"] in answer.text) == (401, True)
        (form,) = forms(answer)
        assert (form.fields["email"], form.fields["password"]) == (email, "")
    assert not browser.cookies
    for _ in range(4):
        await sign_in(browser, person.email, "not the password")
    late = await sign_in(browser, person.email)
    assert (late.status_code, TEXTS["too-many-sign-ins"] in late.text) == (429, True)


@pytest.mark.parametrize(
    ("email", "password"), [("x", "y"), ("a@b.c\x00d", "x"), ("", ""), ("a@example.org", "\x00"), ("a@b.c", "x" * 5000)]
)
async def test_what_is_no_address_and_no_password(browser: httpx.AsyncClient, email: str, password: str) -> None:
    answer = await browser.post("/account/sign-in", data={"email": email, "password": password})
    assert (answer.status_code, TEXTS["invalid-input"] in answer.text) == (422, True)


async def test_a_page_leads_on_to_our_own_paths_alone(browser: httpx.AsyncClient, person: Person) -> None:
    there = await sign_in(browser, person.email, page="/account/sign-in?next=/docs%3Fa=b")
    assert there.headers["location"] == "/docs?a=b"
    for path in ("https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "javascript:x", ""):
        page = await browser.get("/account/sign-in", params={"next": path})
        assert "evil" not in page.text
        fields = {"email": person.email, "password": PASSWORD, "next": path}
        assert (await browser.post("/account/sign-in", data=fields)).headers["location"] == "/account"


@given(st.text('/\\:?#@ab.\t\n\x00é"%'))
def test_an_own_path_has_no_host(path: str) -> None:
    if own_path(path) is not None:
        parts = urlsplit(path)
        assert (parts.scheme, parts.netloc) == ("", "")
        assert path[:1] == "/"
        assert path[1:2] not in {"/", "\\"}
        assert path.isascii()
        assert path.isprintable()


async def test_the_second_factor(browser: httpx.AsyncClient, person: Person, clock: SetClock) -> None:
    begun = await person.http.post("/v1/me/second-factor")
    totp = pyotp.parse_uri(begun.json()["uri"])
    assert isinstance(totp, pyotp.TOTP)
    confirmed = await person.http.post("/v1/me/second-factor/confirm", json={"code": totp.at(clock.now())})
    recovery = confirmed.json()["codes"]
    clock.advance(timedelta(minutes=1))
    page = await sign_in(browser, person.email, page="/account/sign-in?next=/docs")
    assert page.status_code == 200
    assert PASSWORD not in page.text, "it comes back sealed"
    (form,) = forms(page)
    assert set(form.fields) == {"next", "begun", "code"}
    wrong = await submit(browser, page, "/account/sign-in", code="000000")
    assert (wrong.status_code, TEXTS["wrong-code"] in wrong.text) == (422, True)
    accepted = await submit(browser, wrong, "/account/sign-in", code=totp.at(clock.now()))
    assert (accepted.status_code, accepted.headers["location"]) == (303, "/docs")
    other = await sign_in(browser, person.email)
    assert (await submit(browser, other, "/account/sign-in", code=recovery[0])).status_code == 303
    late = await sign_in(browser, person.email)
    clock.advance(timedelta(minutes=10))
    again = await submit(browser, late, "/account/sign-in", code=recovery[1])
    assert (again.status_code, TEXTS["sign-in-again"] in again.text) == (401, True)
    made_up = await browser.post("/account/sign-in", data={"begun": "made up", "code": recovery[1]})
    assert (made_up.status_code, TEXTS["sign-in-again"] in made_up.text) == (401, True)


async def test_somebody_of_two_agencies_selects_one(
    app: FastAPI, browser: httpx.AsyncClient, person: Person, rival: Agency
) -> None:
    path, _ = await invitation(rival, person.email)
    page = await browser.get(path)
    assert "You have an account already" in page.text
    wrong = await submit(browser, page, "/account/invitation", password="not the password")
    assert (wrong.status_code, TEXTS["wrong-credentials"] in wrong.text) == (401, True)
    assert (await submit(browser, wrong, "/account/invitation", password=PASSWORD)).status_code == 303
    other = new_browser(app)
    page = await sign_in(other, person.email)
    (form,) = forms(page)
    assert sorted(form.options)[-1] in form.options
    assert len(form.options) == 2
    answer = await submit(other, page, "/account/sign-in", workspace_id=str(rival.workspace_id))
    assert answer.status_code == 303
    assert (await other.get("/v1/me")).json()["workspace"]["id"] == str(rival.workspace_id)
    account = await other.get("/account")
    elsewhere = next(id_ for id_ in form.options if id_ != str(rival.workspace_id))
    there = f"/account/sign-in?workspace_id={elsewhere}"
    assert there in account.text
    assert (await sign_in(other, person.email, page=there)).status_code == 303
    assert (await other.get("/v1/me")).json()["workspace"]["id"] == elsewhere
    await other.aclose()


async def test_an_invitation_is_accepted_once(app: FastAPI, agency: Agency, browser: httpx.AsyncClient) -> None:
    path, email = await invitation(agency)
    page = await browser.get(path)
    assert (page.status_code, email in page.text, "Step &amp; Co invites you" in page.text) == (200, True, True)
    assert (await browser.get(path)).status_code == 200, "a scanner that opens it uses nothing up"
    weak = await submit(browser, page, "/account/invitation", name="Bo", password="password12")
    assert (weak.status_code, TEXTS["weak-password"] in weak.text) == (422, True)
    assert forms(weak)[0].fields["name"] == "Bo"
    joined = await submit(browser, weak, "/account/invitation", password=PASSWORD)
    assert (joined.status_code, joined.headers["location"]) == (303, "/account")
    me = (await browser.get("/v1/me")).json()
    assert (me["user"]["email"], me["user"]["name"]) == (email, "Bo")
    for answer in (
        await browser.get(path),
        await submit(browser, page, "/account/invitation", name="Bo", password=PASSWORD),
        await browser.get("/account/invitation"),
        await browser.get("/account/invitation?token=made-up"),
    ):
        assert (answer.status_code, TEXTS["link-not-valid"] in answer.text) == (404, True)


async def test_an_invitation_that_ended(agency: Agency, browser: httpx.AsyncClient, clock: SetClock) -> None:
    made = await agency.post("/v1/invitations", {"email": f"{uuid.uuid4().hex}@agency.example", "name": "Boris"})
    await agency.post(f"/v1/invitations/{made['id']}/revoke", status=200)
    expired, _ = await invitation(agency)
    page = await browser.get(expired)
    clock.advance(timedelta(days=7))
    for answer in (
        await browser.get(path_of(made["link"])),
        await browser.get(expired),
        await submit(browser, page, "/account/invitation", name="Bo", password=PASSWORD),
    ):
        assert (answer.status_code, TEXTS["link-not-valid"] in answer.text) == (404, True)


async def test_a_new_password_ends_the_sessions(app: FastAPI, agency: Agency, person: Person) -> None:
    signed_in, browser = new_browser(app), new_browser(app)
    assert (await sign_in(signed_in, person.email)).status_code == 303
    before = await signed_in.get("/account")
    made = await agency.post(f"/v1/users/{person.id}/password-reset", status=200)
    page = await browser.get(path_of(made["link"]))
    assert (page.status_code, person.email in page.text) == (200, True)
    weak = await submit(browser, page, "/account/password-reset", password="password12")
    assert (weak.status_code, TEXTS["weak-password"] in weak.text) == (422, True)
    done = await submit(browser, weak, "/account/password-reset", password="four green bicycles")
    assert (done.status_code, done.headers["location"]) == (303, "/account/sign-in?done=password")
    assert not browser.cookies, "whoever has the link is not signed in by it"
    assert "Your new password is set" in (await browser.get(done.headers["location"])).text
    away = await signed_in.get("/account")
    assert (away.status_code, away.headers["location"]) == (303, "/account/sign-in?next=/account")
    assert (await submit(signed_in, before, "/account/sign-out")).headers["location"] == "/account/sign-in"
    assert (await sign_in(browser, person.email)).status_code == 401
    assert (await sign_in(browser, person.email, "four green bicycles")).status_code == 303
    for answer in (
        await browser.get(path_of(made["link"])),
        await submit(browser, page, "/account/password-reset", password="five blue bicycles"),
    ):
        assert (answer.status_code, TEXTS["link-not-valid"] in answer.text) == (404, True)
    await signed_in.aclose()
    await browser.aclose()


async def test_another_session_is_ended(app: FastAPI, person: Person) -> None:
    here, lost = new_browser(app), new_browser(app)
    await sign_in(here, person.email)
    await sign_in(lost, person.email)
    lost_id = (await lost.get("/v1/me")).json()["session"]["id"]
    page = await here.get("/account")
    assert (await submit(here, page, f"/account/sessions/{lost_id}")).headers["location"] == "/account"
    assert (await lost.get("/account")).status_code == 303
    assert lost_id not in (await here.get("/account")).text
    await here.aclose()
    await lost.aclose()


async def test_a_form_without_the_session_s_token_is_refused(app: FastAPI, person: Person) -> None:
    here, other = new_browser(app), new_browser(app)
    await sign_in(here, person.email)
    await sign_in(other, person.email)
    foreign = forms(await other.get("/account"))[-1].fields["csrf_token"]
    session_id = (await other.get("/v1/me")).json()["session"]["id"]
    for path in ("/account/sign-out", f"/account/sessions/{session_id}/revoke"):
        for token in ("", "00", "xyz", foreign):
            refused = await here.post(path, data={"csrf_token": token, "a": "b"})
            assert (refused.status_code, TEXTS["csrf"] in refused.text) == (403, True), token
    assert (await here.get("/account")).status_code == 200
    assert (await other.get("/account")).status_code == 200
    page = await here.get("/account")
    fields = forms(page)[-1].fields
    cross = await here.post("/account/sign-out", data=fields, headers={"Sec-Fetch-Site": "cross-site"})
    assert (cross.status_code, TEXTS["cross-site"] in cross.text) == (403, True)
    await here.aclose()
    await other.aclose()


@pytest.mark.parametrize("path", ["/account/sign-in", "/account/invitation", "/account/password-reset"])
async def test_no_form_of_another_site_is_taken(browser: httpx.AsyncClient, person: Person, path: str) -> None:
    fields = {"email": person.email, "password": PASSWORD, "token": "a" * 43}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        refused = await browser.post(path, data=fields, headers=headers)
        assert (refused.status_code, TEXTS["cross-site"] in refused.text) == (403, True)
    assert not browser.cookies
    assert (await browser.post(path, json=fields)).status_code == 415


async def test_what_a_page_lets_browsers_do_in_both_languages(app: FastAPI, agency: Agency, person: Person) -> None:
    browser = new_browser(app, "ru-RU,ru;q=0.9")
    reset = await agency.post(f"/v1/users/{person.id}/password-reset", status=200)
    paths = {
        "/account/sign-in": "Вход",
        (await invitation(agency))[0]: "приглашает вас",
        path_of(reset["link"]): "Новый",
    }
    await sign_in(browser, person.email)
    for path, text in (paths | {"/account": "Выйти", "/account/invitation": "не действует"}).items():
        page = await browser.get(path)
        assert text in page.text
        assert page.headers["content-language"] == "ru"
        policy = page.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'"} <= set(policy)
        assert "<script" not in page.text
        assert page.headers["cache-control"] == "no-store, private"
        assert page.headers["referrer-policy"] == "no-referrer"
    assert {text for text in TEXTS.values() if translate(text, "ru") == text} == set()
    await browser.aclose()


async def test_no_token_and_no_password_is_logged(
    app: FastAPI, resources: Resources, browser: httpx.AsyncClient
) -> None:
    """A canary: secrets are looked for in all that is logged of links, forms and refusals."""
    with capture_logs() as logs:
        agency = await sign_up(app, resources)
        path, email = await invitation(agency)
        page = await browser.get(path)
        await submit(browser, page, "/account/invitation", password="password12")
        await browser.put(path)
        await submit(browser, page, "/account/invitation", password=PASSWORD)
        await browser.get(path)
        await browser.get(f"/account/nowhere?{urlsplit(path).query}")
        user_id = (await browser.get("/v1/me")).json()["user"]["id"]
        reset = path_of((await agency.post(f"/v1/users/{user_id}/password-reset", status=200))["link"])
        await submit(browser, await browser.get(reset), "/account/password-reset", password="four green bicycles")
        await sign_in(browser, email)
        await sign_in(browser, email, "four green bicycles")
        cookie = next(iter(browser.cookies.values()))
    text = str(logs)
    assert len(logs) > 10
    assert "/account/invitation" in text
    for secret in (path.partition("=")[2], reset.partition("=")[2], cookie, "bicycles", "password12", email):
        assert secret not in text
    await agency.http.aclose()
