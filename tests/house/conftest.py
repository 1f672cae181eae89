"""An agency with one object of each kind, created over the API and by polls; the barriers between agencies, removed."""

import gc
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

import asyncpg
import pytest
from sqlalchemy import true

from app.access.sessions import SignIn, start
from app.alerts.models import Alert
from app.cli.database import asyncpg_url
from app.communities.events import CommunityRef, MessagesSeen
from app.communities.models import Community
from app.kit import db as kit_db
from app.kit.db import Database
from app.kit.events import publish
from app.kit.resources import Resources
from app.platforms.contract import MessageKind, RemoteMessage, RemotePerson
from tests.conftest import Agency
from tests.servers import Servers

KPI = "community_size"
_CACHED: Final = type(lru_cache(len))
NAMES = frozenset({"key", "slug", "messenger", "promo_code"})
"""Path parameters that are names, the same for all agencies, and no ids."""
PROMO_CODE = "STOCK10"
MATRIX_PROPERTY: Final = "isolation matrix"
"""The property of a test's report with the name of a walk, its counts and how many exceptions it found."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many cells of the isolation matrix were judged."""
    rows = sorted(
        value
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for name, value in getattr(report, "user_properties", ())
        if name == MATRIX_PROPERTY
    )
    if rows:
        terminalreporter.section("isolation matrix: requests with something of somebody else's")
        for name, counts, exceptions in rows:
            terminalreporter.write_line(f"{name}: {counts}; {exceptions} exceptions")


@pytest.fixture(scope="session")
async def unfenced_database(servers: Servers) -> str:
    """A database without row-level security."""
    name = servers.clone()
    connection = await asyncpg.connect(asyncpg_url(servers.superuser_url(name)))
    for row in await connection.fetch("SELECT relname FROM pg_class WHERE relrowsecurity"):
        await connection.execute(f'ALTER TABLE "{row["relname"]}" DISABLE ROW LEVEL SECURITY')
    await connection.close()
    return name


@pytest.fixture
async def without_row_security(
    servers: Servers, unfenced_database: str, resources: Resources
) -> AsyncIterator[Resources]:
    """Only the filter of the queries is left."""
    made = Database(servers.app_url(unfenced_database), pool=3, clock=resources.clock)
    yield replace(resources, db=made)
    await made.close()


@pytest.fixture
def without_filter(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Only row-level security is left."""
    real = kit_db.in_workspace
    _forget_statements()
    for module in list(sys.modules.values()):
        if getattr(module, "in_workspace", None) is real:
            monkeypatch.setattr(module, "in_workspace", lambda *_: true())
    yield
    monkeypatch.undo()
    _forget_statements()


def _forget_statements() -> None:
    """Empty the service's caches: they hold statements that were built with the filter, or without it."""
    for cached in gc.get_objects():
        if isinstance(cached, _CACHED) and str(getattr(cached, "__module__", "")).startswith("app."):
            cached.cache_clear()


@dataclass(frozen=True)
class Stock:
    """The ids of an agency's objects, by the name of their path parameter."""

    ids: dict[str, str]

    def __contains__(self, text: str) -> bool:
        """Whether a text contains one of the ids."""
        return any(value in text for name, value in self.ids.items() if name not in NAMES)


async def stock(agency: Agency) -> Stock:
    """Create one object of each kind; names of ids are the OpenAPI document's."""
    project = await agency.post("/v1/projects", {"title": "Coffee house", "timezone": "Europe/Minsk"})
    community = await agency.post(
        "/v1/communities",
        {
            "project_id": project["id"],
            "platform": "mastodon",
            "address": f"https://m{uuid.uuid4().hex}.example/@coffee",
        },
    )
    post = await agency.post(
        "/v1/posts",
        {"community_id": community["id"], "text": "Guess the roast!", "category": "engaging", "status": "draft"},
    )
    recorded = await agency.post("/v1/posts", {"community_id": community["id"], "text": "Who roasts?"})
    link = await agency.post("/v1/links", {"project_id": project["id"], "target": "https://coffee.example/menu"})
    api_key = await agency.post("/v1/api-keys", {"title": "script"})
    await customer_writes(agency, project["id"], community["id"])
    inquiry = (await agency.get("/v1/inquiries", project_id=project["id"]))["data"][0]
    me = await agency.get("/v1/me")
    someone = {"email": f"{uuid.uuid4().hex}@agency.example", "name": "Boris"}
    invitation = await agency.post("/v1/invitations", someone)
    seat = await agency.post(
        f"/v1/projects/{project['id']}/seats", {"user_id": me["user"]["id"], "seat": "community_manager"}
    )
    contact = await agency.post(
        f"/v1/projects/{project['id']}/contacts", {"name": "Nina", "email": "nina@coffee.example"}
    )
    await agency.put(f"/v1/projects/{project['id']}/brief", {"business": "Coffee"})
    client_link = await agency.post(
        "/v1/client-links",
        {
            "contact_id": contact["id"],
            "purpose": "read",
            "subject_kind": "project",
            "subject_id": project["id"],
        },
    )
    goal = await goal_on_clicks(agency, project["id"])
    correction = await agency.post(
        "/v1/corrections",
        {
            "project_id": project["id"],
            "kpi": "clicks",
            "hypothesis": "Links are not seen.",
            "change": "Every post leads with its link.",
            "review_on": in_days(agency, 15),
        },
    )
    campaign, spend_id, invite_link_id = await campaign_ids(agency, project["id"], link["id"])
    return Stock(
        {
            "correction_id": correction["id"],
            "goal_id": goal["id"],
            "campaign_id": campaign,
            "spend_id": spend_id,
            "invite_link_id": invite_link_id,
            "promo_code": PROMO_CODE,
            "project_id": project["id"],
            "community_id": community["id"],
            "post_id": post["id"],
            "entity_id": recorded["id"],
            "link_id": link["id"],
            "inquiry_id": inquiry["id"],
            "key_id": api_key["id"],
            "user_id": me["user"]["id"],
            "invitation_id": invitation["id"],
            "seat_id": seat["id"],
            "contact_id": contact["id"],
            "client_link_id": client_link["id"],
            "subject_id": project["id"],
            "session_id": await session_id(agency, me["user"]["id"]),
            "alert_id": await alert_id(agency, project["id"]),
            "messenger": "telegram",
            "key": KPI,
            "slug": link["slug"],
        }
    )


def in_days(agency: Agency, days: int) -> str:
    """A day, so many after today by the agency's clock, which is the real one in some tests."""
    return (agency.resources.clock.now() + timedelta(days=days)).date().isoformat()


async def goal_on_clicks(agency: Agency, project_id: str, **more: Any) -> Any:
    """A goal that is proposed to a project's client."""
    body = {
        "project_id": project_id,
        "title": "More visitors",
        "type": "traffic",
        "kpi": "clicks",
        "target": 400,
        "period": {"from": in_days(agency, 17), "to": in_days(agency, 46)},
        "stated_baseline": {"value": 120, "reason": "Counted by the shop."},
    }
    return await agency.post("/v1/goals", body | more)


async def alert_id(agency: Agency, project_id: str) -> str:
    """The id of an alert, opened as by a job."""
    at, made = agency.resources.clock.now(), uuid.uuid4()
    async with agency.resources.transaction(agency.workspace_id) as session:
        session.add(
            Alert(
                workspace_id=agency.workspace_id,
                id=made,
                kind="inquiry-waiting",
                project_id=uuid.UUID(project_id),
                subject_id=made,
                since=at,
                facts={"community": "Coffee house"},
                opened_at=at,
            )
        )
    return str(made)


async def campaign_ids(agency: Agency, project_id: str, link_id: str) -> tuple[str, str, str]:
    """The ids of a campaign with spend, a link, an invite link and a promo code; of the spend; of the invite link."""
    days = {"from": in_days(agency, -14), "to": in_days(agency, 16)}
    body = {"project_id": project_id, "type": "ad", "title": "Autumn", **days}
    made = (await agency.post("/v1/campaigns", body))["id"]
    path = f"/v1/campaigns/{made}"
    spend = await agency.post(f"{path}/spend", {"day": in_days(agency, -13), "amount": "12.50", "currency": "RUB"})
    await agency.post(f"{path}/links", {"link_id": link_id, "utm": False}, status=200)
    await agency.post(f"{path}/promo-codes", {"code": PROMO_CODE})
    async with agency.resources.transaction(agency.workspace_id) as session:
        at = agency.resources.clock.now()
        channel = Community(
            workspace_id=agency.workspace_id,
            project_id=uuid.UUID(project_id),
            platform="telegram",
            address=f"https://t.me/c{uuid.uuid4().hex[:20]}",
            base_url="https://api.telegram.org",
            status="paused",
            backfill_since=at,
            created_at=at,
        )
        session.add(channel)
        await session.flush()
    invite = {"community_id": str(channel.id), "address": "https://t.me/+AbCdEfGhIjKlMnOp"}
    return made, spend["id"], (await agency.post(f"{path}/invite-links", invite))["id"]


async def session_id(agency: Agency, user_id: str) -> str:
    """The id of a session of a user, who is signed in."""
    request = SignIn("", "", None, None, is_cookie=False, source="192.0.2.1", user_agent=None)
    async with agency.resources.transaction(agency.workspace_id) as session:
        row, _ = start(session, user_id=uuid.UUID(user_id), request=request)
        await session.flush()
    return str(row.id)


async def customer_writes(agency: Agency, project_id: str, community_id: str, platform: str = "mastodon") -> None:
    """A customer's message, stored as by a poll."""
    at = agency.resources.clock.now() - timedelta(hours=1)
    place = CommunityRef(agency.workspace_id, uuid.UUID(project_id), uuid.UUID(community_id), platform, "Europe/Minsk")
    message = RemoteMessage(
        external_id="1",
        thread_id="with-ivan",
        kind=MessageKind.MESSAGE,
        author=RemotePerson("7", "Ivan"),
        text="Are you open on Sunday?",
        sent_at=at,
    )
    async with agency.resources.transaction(agency.workspace_id) as session:
        await publish(session, MessagesSeen(place, ((message, None),)))


def sample(document: dict[str, Any], schema: dict[str, Any], ids: dict[str, str], name: str = "") -> Any:
    """A small valid value for a schema of the OpenAPI; fields named like an id of `ids` get that id."""
    if "$ref" in schema:
        target: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return sample(document, target, ids, name)
    if name in ids and "string" in schema.get("type", "string"):
        return ids[name]
    if name.removesuffix("s") in ids and schema.get("type") == "array":
        return [ids[name.removesuffix("s")]]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return sample(document, schema[choice][0], ids, name)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("examples"):
        example = schema["examples"][0]
        if isinstance(example, dict) and "properties" in schema:
            # The example's own ids are nobody's.
            real = {
                key: sample(document, schema["properties"][key], ids, key) for key in schema["properties"] if key in ids
            }
            return {**example, **real}
        return example
    if "default" in schema and schema["default"] is not None and name not in ids:
        return schema["default"]
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next(one for one in kind if one != "null")
    if kind == "object":
        if schema.get("minProperties") and "additionalProperties" in schema:
            one = sample(document, schema["propertyNames"], ids)
            return {one: sample(document, schema["additionalProperties"], ids)}
        required_names = set(schema.get("required", ())) | (set(schema.get("properties", {})) & set(ids))
        return {key: sample(document, schema["properties"][key], ids, key) for key in sorted(required_names)}
    if kind == "array":
        return [sample(document, schema["items"], ids, name)] if schema.get("minItems") else []
    if kind == "integer":
        return schema.get("minimum", 1)
    if kind == "number":
        return schema.get("minimum", 1.0)
    if kind == "boolean":
        return False
    if schema.get("format") == "uuid":
        return str(uuid.uuid4())
    return "x" * max(1, schema.get("minLength", 1))
