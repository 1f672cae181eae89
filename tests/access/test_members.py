"""Members, invitations, roles, new passwords, and API keys within their owners' permissions, over HTTP."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from app.kit.clock import SetClock
from tests.access.people import PASSWORD, client, invited
from tests.conftest import Agency, sign_up


def invitation(**more: Any) -> dict[str, Any]:
    return {"email": f"{uuid.uuid4().hex}@agency.example", "name": "Boris", **more}


async def test_an_invitation_is_accepted_once(app: FastAPI, agency: Agency) -> None:
    made = await agency.post("/v1/invitations", invitation())
    accept = {"token": made["link"].partition("?token=")[2], "password": PASSWORD}
    joined = await client(app).post("/v1/invitations/accept", json=accept)
    assert joined.status_code == 201
    again = await client(app).post("/v1/invitations/accept", json=accept)
    assert (again.status_code, again.json()["code"]) == (404, "link-not-valid")
    (listed,) = (await agency.get("/v1/invitations"))["data"]
    assert listed["accepted_at"] is not None
    assert "link" not in listed
    refused = await agency.post("/v1/invitations", invitation(email=made["email"].upper()), status=409)
    assert refused["code"] == "member-already"


@pytest.mark.parametrize("end", ["expires", "is revoked", "is replaced"])
async def test_an_invitation_that_has_ended_is_refused(app: FastAPI, agency: Agency, clock: SetClock, end: str) -> None:
    made = await agency.post("/v1/invitations", invitation())
    if end == "expires":
        clock.advance(timedelta(days=7))
    else:
        await agency.post(f"/v1/invitations/{made['id']}/revoke", status=200)
    accept = {"token": made["link"].partition("?token=")[2], "password": PASSWORD}
    answer = await client(app).post("/v1/invitations/accept", json=accept)
    assert (answer.status_code, answer.json()["code"]) == (404, "link-not-valid")


async def test_somebody_with_an_account_joins_with_its_password(app: FastAPI, agency: Agency, rival: Agency) -> None:
    person = await invited(app, agency)
    made = await rival.post("/v1/invitations", invitation(email=person.email))
    accept = {"token": made["link"].partition("?token=")[2], "password": "not the password"}
    assert (await client(app).post("/v1/invitations/accept", json=accept)).status_code == 401
    joined = await client(app).post("/v1/invitations/accept", json={**accept, "password": PASSWORD})
    assert joined.status_code == 201
    credentials = {"email": person.email, "password": PASSWORD}
    which = await client(app).post("/v1/sessions", json=credentials)
    assert (which.status_code, which.json()["code"]) == (422, "workspace-needed")
    assert {each["detail"] for each in which.json()["errors"]} == {str(agency.workspace_id), str(rival.workspace_id)}
    there = await client(app).post("/v1/sessions", json={**credentials, "workspace_id": str(rival.workspace_id)})
    me = (await client(app, there.json()["token"]).get("/v1/me")).json()
    assert me["workspace"]["id"] == str(rival.workspace_id)
    reset = await rival.post(f"/v1/users/{person.id}/password-reset", status=404)
    assert reset["code"] == "not-only-here", "one agency must not take over an account that another one trusts"


async def test_an_invitation_does_not_take_over_an_account_without_a_password(
    app: FastAPI, agency: Agency, rival: Agency
) -> None:
    email = (await agency.get("/v1/me"))["user"]["email"]
    made = await rival.post("/v1/invitations", invitation(email=email))
    accept = {"token": made["link"].partition("?token=")[2], "password": PASSWORD}
    answer = await client(app).post("/v1/invitations/accept", json=accept)
    assert (answer.status_code, answer.json()["code"]) == (409, "no-password-yet")


async def test_a_new_password_by_a_link(app: FastAPI, agency: Agency, clock: SetClock) -> None:
    person = await invited(app, agency)
    expired = (await agency.post(f"/v1/users/{person.id}/password-reset", status=200))["link"].partition("?token=")[2]
    new = "four green bicycles"
    clock.advance(timedelta(hours=2))
    assert (
        await client(app).post("/v1/password-resets/confirm", json={"token": expired, "password": new})
    ).status_code == 404
    replaced, token = [
        (await agency.post(f"/v1/users/{person.id}/password-reset", status=200))["link"].partition("?token=")[2]
        for _ in range(2)
    ]
    for wrong in (replaced, "x" * 43):
        answer = await client(app).post("/v1/password-resets/confirm", json={"token": wrong, "password": new})
        assert (answer.status_code, answer.json()["code"]) == (404, "link-not-valid")
    body = {"token": token, "password": new}
    assert (await client(app).post("/v1/password-resets/confirm", json=body)).status_code == 200
    assert (await client(app).post("/v1/password-resets/confirm", json=body)).status_code == 404, "once"
    assert (await person.http.get("/v1/me")).status_code == 401, "all sessions end"
    credentials = {"email": person.email, "password": new}
    assert (await client(app).post("/v1/sessions", json=credentials)).status_code == 201


async def test_the_last_owner_stays(app: FastAPI, agency: Agency) -> None:
    owner = (await agency.get("/v1/me"))["user"]["id"]
    assert (await agency.patch(f"/v1/users/{owner}", {"role": "admin"}, status=409))["code"] == "last-owner"
    gone = await agency.http.delete(f"/v1/users/{owner}")
    assert (gone.status_code, gone.json()["code"]) == (409, "last-owner")
    second = await invited(app, agency, role="owner")
    assert (await agency.http.delete(f"/v1/users/{owner}")).status_code == 204
    assert (await agency.http.get("/v1/me")).status_code == 401, "their keys end with the membership"
    assert (await second.get("/v1/users"))["data"][0]["id"] == second.id


async def test_admins_make_no_owners(app: FastAPI, agency: Agency) -> None:
    admin = await invited(app, agency, role="admin")
    owner = (await agency.get("/v1/me"))["user"]["id"]
    for answer in (
        await admin.http.post("/v1/invitations", json=invitation(role="owner")),
        await admin.http.patch(f"/v1/users/{admin.id}", json={"role": "owner"}),
        await admin.http.patch(f"/v1/users/{owner}", json={"role": "member"}),
        await admin.http.delete(f"/v1/users/{owner}"),
        await admin.http.post(f"/v1/users/{owner}/password-reset"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "not-an-owner")


async def test_a_member_sees_their_projects_alone_and_loses_them_with_the_seat(app: FastAPI, agency: Agency) -> None:
    ours, other = [
        await agency.post("/v1/projects", {"title": name, "timezone": "Europe/Minsk"}) for name in ("Coffee", "Tea")
    ]
    person = await invited(app, agency, seats={ours["id"]: "designer"})
    assert [project["id"] for project in (await person.get("/v1/projects"))["data"]] == [ours["id"]]
    await person.get(f"/v1/projects/{other['id']}", status=404)
    (seat,) = (await person.get(f"/v1/projects/{ours['id']}/seats"))["data"]
    assert (seat["name"], seat["seat"]) == ("Boris", "designer")
    refused = (await person.http.patch(f"/v1/projects/{ours['id']}", json={"title": "Mine"})).json()
    assert refused["code"] == "missing-seat"
    assert refused["detail"] == "For this one needs a seat in this project: manager. It is given by Anna."
    assert (await agency.http.delete(f"/v1/projects/{ours['id']}/seats/{seat['id']}")).status_code == 204
    answer = await person.http.get("/v1/projects")
    assert (answer.status_code, answer.json()["code"]) == (403, "missing-seat")


async def test_seats_are_for_members(app: FastAPI, agency: Agency, rival: Agency) -> None:
    project = await agency.post("/v1/projects", {"title": "Coffee", "timezone": "Europe/Minsk"})
    path = f"/v1/projects/{project['id']}/seats"
    stranger = (await rival.get("/v1/me"))["user"]["id"]
    await agency.post(path, {"user_id": stranger, "seat": "designer"}, status=404)
    boris, vera = await invited(app, agency), await invited(app, agency, "Vera")
    alone = {"user_id": boris.id, "seat": "designer", "stands_in_id": boris.id}
    assert (await agency.post(path, alone, status=422))["code"] == "stands-in-for-themselves"
    made = await agency.post(path, {**alone, "stands_in_id": vera.id, "about": "draws"})
    assert (made["stands_in_name"], made["about"]) == ("Vera", "draws")
    assert (await agency.post(path, alone | {"stands_in_id": None}, status=409))["code"] == "seat-taken"
    assert (await agency.http.delete(f"/v1/users/{vera.id}")).status_code == 204
    (left,) = (await agency.get(path))["data"]
    assert left["stands_in_id"] is None


async def test_a_key_never_does_more_than_its_owner_may(app: FastAPI, agency: Agency) -> None:
    project = await agency.post("/v1/projects", {"title": "Coffee", "timezone": "Europe/Minsk"})
    admin = await invited(app, agency, role="admin")
    key = (await admin.http.post("/v1/api-keys", json={"title": "script"})).json()["key"]
    script = client(app, key)
    assert (await script.get("/v1/projects")).json()["data"][0]["id"] == project["id"]
    await agency.patch(f"/v1/users/{admin.id}", {"role": "member"})
    answer = await script.get("/v1/projects")
    assert (answer.status_code, answer.json()["code"]) == (403, "missing-permission")


async def test_a_limited_key_makes_no_unlimited_one(app: FastAPI, agency: Agency) -> None:
    ours, other = [
        await agency.post("/v1/projects", {"title": name, "timezone": "Europe/Minsk"}) for name in ("Coffee", "Tea")
    ]
    limited = {"title": "few", "permissions": ["api-keys:write", "projects:read"]}
    made = client(app, (await agency.post("/v1/api-keys", limited))["key"])
    assert (await made.post("/v1/api-keys", json={"title": "all"})).json()["code"] == "more-than-yours"
    assert (await made.post("/v1/api-keys", json=limited)).status_code == 201
    of_one = client(app, (await agency.post("/v1/api-keys", {"title": "one", "project_ids": [ours["id"]]}))["key"])
    assert [each["id"] for each in (await of_one.get("/v1/projects")).json()["data"]] == [ours["id"]]
    assert (await of_one.get(f"/v1/projects/{other['id']}")).status_code == 404
    assert (await of_one.post("/v1/api-keys", json={"title": "all"})).json()["code"] == "missing-permission"


async def test_a_rotated_key_overlaps(app: FastAPI, agency: Agency, clock: SetClock) -> None:
    old = await agency.post("/v1/api-keys", {"title": "script"})
    new = await agency.post(f"/v1/api-keys/{old['id']}/rotate", {"overlap_seconds": 60}, status=200)
    assert (new["id"], new["prefix"]) == (old["id"], old["prefix"])
    for text in (old["key"], new["key"]):
        assert (await client(app, text).get("/v1/me")).status_code == 200
    clock.advance(timedelta(seconds=60))
    assert (await client(app, old["key"]).get("/v1/me")).status_code == 401
    assert (await client(app, new["key"]).get("/v1/me")).json()["api_key"]["last_used_at"] is not None


async def test_a_repeat_by_somebody_else_does_not_show_the_first_answer(
    app: FastAPI, agency: Agency, resources: Any
) -> None:
    project = await agency.post("/v1/projects", {"title": "Coffee", "timezone": "Europe/Minsk"})
    person = await invited(app, agency, seats={project["id"]: "manager"})
    body = {"project_id": project["id"], "target": "https://coffee.example/"}
    headers = {"Idempotency-Key": "the-same"}
    assert (await agency.http.post("/v1/links", json=body, headers=headers)).status_code == 201
    again = await person.http.post("/v1/links", json=body, headers=headers)
    assert (again.status_code, again.json()["code"]) == (422, "idempotency-key-reused")


async def test_two_agencies_do_not_see_each_others_people(app: FastAPI, agency: Agency, resources: Any) -> None:
    other = await sign_up(app, resources)
    theirs = {each["id"] for each in (await other.get("/v1/users"))["data"]}
    ours = {each["id"] for each in (await agency.get("/v1/users"))["data"]}
    assert len(ours) == len(theirs) == 1
    assert not ours & theirs
    await other.http.aclose()
