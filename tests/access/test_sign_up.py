"""Sign-up and API keys over HTTP."""

import asyncio
import secrets
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.access.current import guessable
from app.kit.clock import SetClock
from tests.conftest import Agency


async def test_me_shows_workspace_and_key(agency: Agency) -> None:
    me = await agency.get("/v1/me")
    assert me["workspace"]["id"] == str(agency.workspace_id)
    assert me["api_key"]["scopes"] == ["admin", "read", "write"]
    assert "key" not in me["api_key"]


async def test_a_missing_and_a_wrong_key_are_problems(stranger: httpx.AsyncClient, agency: Agency) -> None:
    wrong_key = agency.key[:-1] + ("a" if agency.key[-1] != "a" else "b")
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Bearer {wrong_key}"}):
        answer = await stranger.get("/v1/me", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["code"] == "unauthenticated"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_a_revoked_key_is_refused(agency: Agency) -> None:
    made = await agency.post("/v1/api-keys", {"title": "script", "scopes": ["read"]})
    script_headers = {"Authorization": f"Bearer {made['key']}"}
    assert (await agency.http.get("/v1/me", headers=script_headers)).status_code == 200
    await agency.post(f"/v1/api-keys/{made['id']}/revoke", status=200)
    assert (await agency.http.get("/v1/me", headers=script_headers)).status_code == 401


async def test_a_key_may_do_only_what_its_scopes_allow(agency: Agency) -> None:
    made = await agency.post("/v1/api-keys", {"title": "script", "scopes": ["read"]})
    refused = await agency.http.post(
        "/v1/api-keys", json={"title": "more"}, headers={"Authorization": f"Bearer {made['key']}"}
    )
    assert refused.status_code == 403
    assert refused.json()["code"] == "missing-scope"


def sign_up_body(name: str) -> dict[str, Any]:
    return {"title": name, "owner": {"name": "Ben", "email": f"ben-{uuid.uuid4().hex}@agency.example"}}


@pytest.mark.parametrize("later", [timedelta(0), timedelta(hours=23), timedelta(days=2)])
async def test_a_repeated_sign_up_makes_no_second_agency_and_shows_no_secret(
    stranger: httpx.AsyncClient, clock: SetClock, later: timedelta
) -> None:
    """The repeat may come from somebody else, and the first response holds an API key."""
    body, key = sign_up_body("Once"), {"Idempotency-Key": uuid.uuid4().hex}
    first = await stranger.post("/v1/workspaces", json=body, headers=key)
    assert first.status_code == 201
    clock.advance(later)
    for repeated in (body, {**body, "title": "Other"}, sign_up_body("Another")):
        again = await stranger.post("/v1/workspaces", json=repeated, headers=key)
        assert (again.status_code, again.json()["code"]) == (409, "idempotency-key-taken")
        assert "isk_" not in again.text
        assert body["owner"]["email"] not in again.text
    made = {"Authorization": f"Bearer {first.json()['api_key']['key']}"}
    assert (await stranger.get("/v1/me", headers=made)).json()["workspace"]["title"] == "Once"


async def test_many_sign_ups_at_once_with_one_key_are_one(stranger: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    answers = await asyncio.gather(
        *(stranger.post("/v1/workspaces", json=sign_up_body("Storm"), headers=key) for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {
        "idempotency-key-in-use",
        "idempotency-key-taken",
    }


@pytest.mark.parametrize(
    "key", ["1", "sign-up", "a" * 255, "1234567890123456789012", "00000000-0000-0000-0000-000000000001", "ab" * 16]
)
async def test_a_guessable_key_is_refused(stranger: httpx.AsyncClient, key: str) -> None:
    answer = await stranger.post("/v1/workspaces", json=sign_up_body("Guess"), headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (422, "guessable-idempotency-key")


@pytest.mark.parametrize("make", [lambda: uuid.uuid4().hex, lambda: str(uuid.uuid4()), lambda: secrets.token_urlsafe()])
def test_random_keys_of_128_bits_are_accepted(make: Callable[[], str]) -> None:
    assert not any(guessable(make()) for _ in range(2_000))


async def test_a_refused_sign_up_does_not_use_up_its_key(stranger: httpx.AsyncClient) -> None:
    body, key = sign_up_body("Second try"), {"Idempotency-Key": uuid.uuid4().hex}
    assert (await stranger.post("/v1/workspaces", json={"title": ""}, headers=key)).status_code == 422
    await stranger.post("/v1/workspaces", json=body)
    assert (await stranger.post("/v1/workspaces", json=body, headers=key)).json()["code"] == "email-taken"
    assert (await stranger.post("/v1/workspaces", json=sign_up_body("Ok"), headers=key)).status_code == 201
