"""A project with a contact and a brief, and browsers of contacts."""

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.conftest import Agency
from tests.links.agents import PEOPLE

BRIEF = {"business": "A family café <with> its own roastery.", "tone": "Warm & short."}


@dataclass
class Setup:
    """A project of an agency, with a contact."""

    agency: Agency
    project_id: str
    contact_id: str

    async def link(self, purpose: str = "agree", kind: str = "brief", status: int = 201, **more: Any) -> Any:
        """The answer to a new link for the contact."""
        body = {"contact_id": self.contact_id, "purpose": purpose, "subject_kind": kind, "subject_id": self.project_id}
        return await self.agency.post("/v1/client-links", body | more, status=status)

    async def path(self, purpose: str = "agree", kind: str = "brief", **more: Any) -> str:
        """The path of a new link."""
        return path_of(await self.link(purpose, kind, **more))

    async def write_brief(self, **content: str) -> None:
        """Write the next version of the brief."""
        await self.agency.put(f"/v1/projects/{self.project_id}/brief", BRIEF | content)


def path_of(made: Any) -> str:
    """The path in the address of a new link."""
    address: str = made["link"]
    return "/s/" + address.rpartition("/")[2]


@pytest.fixture
async def setup(agency: Agency) -> Setup:
    """A project with a brief and a contact who reads Russian."""
    project = await agency.post("/v1/projects", {"title": "Coffee at Nina's", "timezone": "Europe/Minsk"})
    contact = await agency.post(
        f"/v1/projects/{project['id']}/contacts", {"name": "Nina", "email": "nina@coffee.example", "language": "ru"}
    )
    made = Setup(agency, project["id"], contact["id"])
    await made.write_brief()
    return made


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A browser of a contact."""
    headers = {"User-Agent": PEOPLE["Chrome"], "Accept": "text/html,*/*;q=0.8", "Accept-Language": "en"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://instep.test", headers=headers) as made:
        yield made


@pytest.fixture
async def program(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A program that reads and states as JSON."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Accept": "application/json"}
    async with httpx.AsyncClient(transport=transport, base_url="https://instep.test", headers=headers) as made:
        yield made


def hash_of(subject: dict[str, Any]) -> str:
    """The content hash of what a page shows, computed as its documentation says."""
    whole = {name: subject[name] for name in ("kind", "id", "revision", "content")}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
