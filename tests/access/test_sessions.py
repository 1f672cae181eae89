"""Signing in and out over HTTP, as apps and browsers do."""

import uuid
from datetime import timedelta
from typing import Any

import httpx
import pyotp
import pytest
from fastapi import FastAPI

from app.access import passwords
from app.kit.clock import SetClock
from tests.access.people import PASSWORD, client, invited
from tests.conftest import Agency


async def sign_in(device: httpx.AsyncClient, email: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
    return await device.post("/v1/sessions", json={"email": email, "password": password, **more})


@pytest.fixture
async def email(app: FastAPI, agency: Agency) -> str:
    """The e-mail address of a member with the password `PASSWORD`."""
    return (await invited(app, agency)).email


async def test_an_app_signs_in_with_a_bearer(app: FastAPI, email: str, agency: Agency) -> None:
    device = client(app)
    made = await sign_in(device, email.upper())
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    device.headers["Authorization"] = f"Bearer {made.json()['token']}"
    me = (await device.get("/v1/me")).json()
    assert (me["user"]["email"], me["role"], me["api_key"]) == (email, "member", None)
    assert me["workspace"]["id"] == str(agency.workspace_id)
    assert (await device.post("/v1/sessions/sign-out")).status_code == 200
    assert (await device.get("/v1/me")).status_code == 401


async def test_a_browser_signs_in_with_a_cookie(app: FastAPI, email: str) -> None:
    browser = client(app)
    made = await sign_in(browser, email, cookie=True)
    cookie = made.headers["set-cookie"]
    assert made.json()["token"] is None
    assert cookie.startswith("__Host-instep=iss_")
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    me = (await browser.get("/v1/me")).json()
    assert me["csrf_token"] == made.json()["csrf_token"]
    refused = await browser.patch("/v1/me", json={"name": "Bo"})
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf")
    other = await sign_in(client(app), email, cookie=True)
    for wrong in ("", "00", "xyz", other.json()["csrf_token"]):
        answer = await browser.patch("/v1/me", json={"name": "Bo"}, headers={"X-CSRF-Token": wrong})
        assert answer.status_code == 403
    with_token = {"X-CSRF-Token": made.json()["csrf_token"]}
    assert (await browser.patch("/v1/me", json={"name": "Bo"}, headers=with_token)).json()["user"]["name"] == "Bo"
    assert (await browser.post("/v1/sessions/sign-out", headers=with_token)).status_code == 200
    assert not browser.cookies
    assert (await browser.get("/v1/me")).status_code == 401


async def test_neither_the_answer_nor_the_work_tells_whether_there_is_an_account(
    app: FastAPI, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    compute = passwords._fits

    def counted(stored: str, password: str) -> bool:
        verified.append(stored)
        return compute(stored, password)

    monkeypatch.setattr(passwords, "_fits", counted)
    wrong = await sign_in(client(app), email, "another password")
    unknown = await sign_in(client(app), f"{uuid.uuid4().hex}@agency.example", "another password")
    assert wrong.status_code == unknown.status_code == 401
    hidden = {"request_id": None}
    assert wrong.json() | hidden == unknown.json() | hidden
    parameters = [stored.split("$")[1:4] for stored in verified]
    assert len(parameters) == 2
    assert parameters[0] == parameters[1] == ["argon2id", "v=19", "m=19456,t=2,p=1"]


async def test_guessing_is_bounded_and_the_owner_is_not_locked_out(app: FastAPI, email: str, clock: SetClock) -> None:
    at_home = client(app)
    assert (await sign_in(at_home, email)).status_code == 201
    statuses = [(await sign_in(client(app), email, "wrong guess")).status_code for _ in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    refused = await sign_in(at_home, email)
    assert (refused.status_code, refused.json()["code"]) == (429, "too-many-sign-ins")
    assert 0 < int(refused.headers["retry-after"]) <= 900
    clock.advance(timedelta(minutes=15))
    assert (await sign_in(at_home, email)).status_code == 201


async def test_guessing_from_many_sources_stops_elsewhere_not_where_the_owner_is(
    app: FastAPI, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def from_source(address: str) -> httpx.AsyncClient:
        device = client(app)
        device._transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 1))
        return device

    assert (await sign_in(from_source("203.0.113.7"), email)).status_code == 201
    statuses = [
        (await sign_in(from_source(f"198.51.100.{number}"), email, "wrong guess")).status_code for number in range(22)
    ]
    assert statuses == [401] * 20 + [429] * 2
    assert (await sign_in(from_source("198.51.100.200"), email)).status_code == 429, "even with the with_token password"
    assert (await sign_in(from_source("203.0.113.7"), email)).status_code == 201


async def test_a_session_ends(app: FastAPI, email: str, clock: SetClock) -> None:
    device = client(app)
    device.headers["Authorization"] = f"Bearer {(await sign_in(device, email)).json()['token']}"
    for _ in range(7):
        clock.advance(timedelta(days=12))
        assert (await device.get("/v1/me")).status_code == 200
    clock.advance(timedelta(days=6))
    assert (await device.get("/v1/me")).status_code == 401, "after 90 days, however much it is used"
    idle = client(app)
    idle.headers["Authorization"] = f"Bearer {(await sign_in(idle, email)).json()['token']}"
    clock.advance(timedelta(days=14))
    assert (await idle.get("/v1/me")).status_code == 401, "after 14 days without use"


async def test_a_rotated_token_overlaps_for_a_minute(app: FastAPI, email: str, clock: SetClock) -> None:
    first = (await sign_in(client(app), email)).json()["token"]
    second = (await client(app, first).post("/v1/sessions/rotate")).json()["token"]
    assert (await client(app, first).get("/v1/me")).status_code == 200
    clock.advance(timedelta(seconds=60))
    assert (await client(app, first).get("/v1/me")).status_code == 401
    assert (await client(app, second).get("/v1/me")).status_code == 200


async def test_a_changed_password_ends_the_other_sessions(app: FastAPI, email: str) -> None:
    here, elsewhere = [client(app, (await sign_in(client(app), email)).json()["token"]) for _ in range(2)]
    change = {"current_password": "wrong", "password": "four green bicycles"}
    refused = await here.post("/v1/me/password", json=change)
    assert (refused.status_code, refused.json()["code"]) == (422, "wrong-password")
    weak = await here.post("/v1/me/password", json={"current_password": PASSWORD, "password": "password12"})
    assert (weak.status_code, weak.json()["code"]) == (422, "weak-password")
    assert (await elsewhere.get("/v1/me")).status_code == 200
    done = await here.post("/v1/me/password", json={**change, "current_password": PASSWORD})
    assert done.status_code == 200
    assert (await here.get("/v1/me")).status_code == 200
    assert (await elsewhere.get("/v1/me")).status_code == 401
    assert (await sign_in(client(app), email)).status_code == 401
    assert (await sign_in(client(app), email, "four green bicycles")).status_code == 201


async def test_sessions_are_listed_and_revoked(app: FastAPI, email: str) -> None:
    here, lost = [client(app, (await sign_in(client(app), email)).json()["token"]) for _ in range(2)]
    listed = (await here.get("/v1/sessions")).json()["data"]
    assert len(listed) == 3, "these two and the one of the invitation"
    lost_id = (await lost.get("/v1/me")).json()["session"]["id"]
    assert (await here.post(f"/v1/sessions/{lost_id}/revoke")).status_code == 200
    assert (await lost.get("/v1/me")).status_code == 401
    assert lost_id not in {each["id"] for each in (await here.get("/v1/sessions")).json()["data"]}


async def test_the_second_factor(app: FastAPI, email: str, clock: SetClock) -> None:
    device = client(app, (await sign_in(client(app), email)).json()["token"])
    begun = (await device.post("/v1/me/second-factor")).json()
    assert begun["qr_svg"].startswith("<svg")
    totp = pyotp.parse_uri(begun["uri"])
    assert isinstance(totp, pyotp.TOTP)
    assert (await sign_in(client(app), email)).status_code == 201, "not before it is confirmed"
    wrong = await device.post("/v1/me/second-factor/confirm", json={"code": "000000"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "wrong-code")
    code = totp.at(clock.now())
    codes = (await device.post("/v1/me/second-factor/confirm", json={"code": code})).json()["codes"]
    assert len(set(codes)) == 10

    needed = await sign_in(client(app), email)
    assert (needed.status_code, needed.json()["code"]) == (401, "second-factor-needed")
    assert (await sign_in(client(app), email, code=code)).status_code == 422, "a code fits once"
    clock.advance(timedelta(seconds=30))
    assert (await sign_in(client(app), email, code=totp.at(clock.now()))).status_code == 201
    assert (await sign_in(client(app), email, code=codes[0])).status_code == 201
    assert (await sign_in(client(app), email, code=codes[0])).status_code == 422, "a recovery code fits once"
    assert (await device.post("/v1/me/second-factor/turn-off", json={"code": codes[1]})).status_code == 200
    assert (await sign_in(client(app), email)).status_code == 201


async def test_an_api_key_has_no_account_of_its_own(agency: Agency) -> None:
    for path in ("/v1/me/second-factor", "/v1/sessions/rotate", "/v1/sessions/sign-out"):
        assert (await agency.post(path, status=403))["code"] == "session-needed"
