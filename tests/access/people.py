"""People who sign in, for tests of members and seats."""

import uuid
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from app.access import accounts, members
from app.access.models import Role
from app.kit.actors import SIGN_UP
from tests.conftest import Agency

PASSWORD = "three brown bicycles"


@dataclass
class Person:
    """Somebody who is signed in, with a bearer session."""

    http: httpx.AsyncClient
    id: str
    email: str

    async def get(self, path: str, status: int = 200, **params: Any) -> Any:
        """GET; the response's JSON. Fails on another status."""
        answer = await self.http.get(path, params=params)
        assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
        return answer.json()


def client(app: FastAPI, token: str | None = None) -> httpx.AsyncClient:
    """An HTTP client as a person's device has one."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="https://instep.test", headers=headers)


async def invited(
    app: FastAPI, agency: Agency, name: str = "Boris", *, role: str = "member", seats: dict[str, str] | None = None
) -> Person:
    """Somebody who has been invited, with these seats (project → seat), and has accepted."""
    email = f"{name.lower()}-{uuid.uuid4().hex}@agency.example"
    requested_seats = [{"project_id": project, "seat": seat} for project, seat in (seats or {}).items()]
    made = await agency.post("/v1/invitations", {"email": email, "name": name, "role": role, "seats": requested_seats})
    token = made["link"].partition("?token=")[2]
    device = client(app)
    answer = await device.post("/v1/invitations/accept", json={"token": token, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    device.headers["Authorization"] = f"Bearer {answer.json()['token']}"
    me = await device.get("/v1/me")
    return Person(device, me.json()["user"]["id"], email)


async def another_member(agency: Agency) -> str:
    """The id of another member, an admin who cannot sign in."""
    email = f"{uuid.uuid4().hex}@agency.example"
    async with agency.resources.transaction(agency.workspace_id, SIGN_UP) as session:
        user_id = await accounts.create(session, SIGN_UP, email=email, name="Boris", password_hash="none")
        await members.add(session, SIGN_UP, user_id=user_id, role=Role.ADMIN)
    return str(user_id)
