"""A project with two communities that are read for weeks, a contact, and goals on it."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import httpx
import pytest
from fastapi import FastAPI

from app.communities.events import CommunityRef
from tests.access.people import Person, invited
from tests.conftest import Agency
from tests.kpis.conftest import Client

NOON: Final = datetime(2026, 10, 15, 12, tzinfo=UTC)
DAY: Final = timedelta(days=1)
PERIOD: Final = {"from": "2026-10-10", "to": "2026-11-08"}


@dataclass
class Setup:
    """A project whose community grows by 10 a day, from 1,000 on 1 September."""

    agency: Agency
    client: Client
    place: CommunityRef
    contact_id: str

    @property
    def project_id(self) -> str:
        """The project's id."""
        return self.client.project_id

    def body(self, **more: Any) -> dict[str, Any]:
        """The body of a goal on the size of the community."""
        return {
            "project_id": self.project_id,
            "title": "A larger community",
            "type": "awareness",
            "kpi": "community_size",
            "target": 2000,
            "period": PERIOD,
        } | more

    async def goal(self, status: int = 201, /, **more: Any) -> Any:
        """The answer to a new goal."""
        return await self.agency.post("/v1/goals", self.body(**more), status)

    async def link(self, goal_id: str, contact_id: str | None = None, /, **more: Any) -> str:
        """The path of a link for the contact to agree to a goal."""
        body = {
            "contact_id": contact_id or self.contact_id,
            "purpose": "agree",
            "subject_kind": "goal",
            "subject_id": goal_id,
        }
        made = await self.agency.post("/v1/client-links", body | more)
        address: str = made["link"]
        return "/s/" + address.rpartition("/")[2]

    async def member(self, app: FastAPI, seat: str = "client") -> Person:
        """A member with this seat in the project."""
        return await invited(app, self.agency, seats={self.project_id: seat})


async def grow(client: Client, place: CommunityRef, first: datetime, last: datetime, size: int, step: int) -> None:
    """Store a size a day, at 18:00 UTC, and mark the community as read at the end."""
    at = first
    while at <= last:
        await client.size(place, at, size)
        at, size = at + DAY, size + step
    await client.mark_polled(place, last)


@pytest.fixture
async def setup(agency: Agency) -> Setup:
    """The project; its community was connected on 1 September."""
    return await make_setup(agency)


async def make_setup(agency: Agency) -> Setup:
    """The project of an agency."""
    project = await agency.post("/v1/projects", {"title": "Coffee at Nina's", "timezone": "Europe/Minsk"})
    client = Client(agency, project["id"], ZoneInfo("Europe/Minsk"))
    place = await client.connect("mastodon", created_at=datetime(2026, 9, 1, 9, tzinfo=UTC))
    await grow(client, place, datetime(2026, 9, 1, 11, tzinfo=UTC), NOON - timedelta(hours=1), 1000, 10)
    contact = await agency.post(
        f"/v1/projects/{project['id']}/contacts", {"name": "Nina", "email": "nina@coffee.example", "language": "ru"}
    )
    return Setup(agency, client, place, contact["id"])


@pytest.fixture
async def program(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A contact's program, which reads and states as JSON."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Accept": "application/json"}
    async with httpx.AsyncClient(transport=transport, base_url="https://instep.test", headers=headers) as made:
        yield made


async def answer(
    program: httpx.AsyncClient, path: str, answer: str = "agree", *, seen: str | None = None, text: str | None = None
) -> httpx.Response:
    """State something about what the link shows now, or about what was seen before."""
    if seen is None:
        seen = (await program.get(path)).json().get("content_hash", "0" * 64)
    return await program.post(f"{path}/statements", json={"answer": answer, "content_hash": seen, "text": text})


def unknown_id() -> str:
    """An id that nothing has."""
    return str(uuid.uuid4())
