"""Sign-up and API keys, as a caller meets them."""

import uuid

import httpx

from tests.conftest import Agency


async def test_the_first_key_tells_who_one_is(agency: Agency) -> None:
    me = await agency.get("/v1/me")
    assert me["workspace"]["id"] == str(agency.workspace_id)
    assert me["api_key"]["scopes"] == ["admin", "read", "write"]
    assert "key" not in me["api_key"]


async def test_no_key_and_a_wrong_key_are_problems(stranger: httpx.AsyncClient, agency: Agency) -> None:
    wrong = agency.key[:-1] + ("a" if agency.key[-1] != "a" else "b")
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Bearer {wrong}"}):
        answer = await stranger.get("/v1/me", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["code"] == "unauthenticated"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_a_revoked_key_is_useless(agency: Agency) -> None:
    made = await agency.post("/v1/api-keys", {"name": "script", "scopes": ["read"]})
    as_script = {"Authorization": f"Bearer {made['key']}"}
    assert (await agency.http.get("/v1/me", headers=as_script)).status_code == 200
    await agency.post(f"/v1/api-keys/{made['id']}/revoke", status=200)
    assert (await agency.http.get("/v1/me", headers=as_script)).status_code == 401


async def test_a_key_does_what_its_scopes_say(agency: Agency) -> None:
    made = await agency.post("/v1/api-keys", {"name": "script", "scopes": ["read"]})
    refused = await agency.http.post(
        "/v1/api-keys", json={"name": "more"}, headers={"Authorization": f"Bearer {made['key']}"}
    )
    assert refused.status_code == 403
    assert refused.json()["code"] == "missing-scope"


async def test_a_repeated_sign_up_gets_the_first_answer_again(stranger: httpx.AsyncClient) -> None:
    body = {"name": "Twice", "owner": {"name": "Ben", "email": f"ben-{uuid.uuid4().hex}@agency.example"}}
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first = await stranger.post("/v1/workspaces", json=body, headers=key)
    again = await stranger.post("/v1/workspaces", json=body, headers=key)
    assert first.status_code == again.status_code == 201, again.text
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    other = await stranger.post("/v1/workspaces", json={**body, "name": "Other"}, headers=key)
    assert other.status_code == 422
    assert other.json()["code"] == "idempotency-key-reused"
