"""Reads of communities, in the one form in which all operations return them."""

from enum import StrEnum
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, Text, cast, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.inbound.models import Hook
from app.communities.models import Community, CommunityStatus, CommunityToken
from app.kit.db import in_workspace, workspace_of
from app.kit.lists import WORKSPACE, Listing, Row, Sort, equal, parameter
from app.kit.paging import Keyset


def project_of_community() -> dict[str, tuple[str, ColumnElement[bool]]]:
    """What a list's filter by project is where it is filtered by community too (`Listing`, `within`)."""
    is_its = select(Community.id).where(
        in_workspace(Community, WORKSPACE),
        Community.id == parameter("community_id", Community.id),
        Community.project_id == parameter("project_id", Community.project_id),
    )
    return {"project_id": ("community_id", is_its.correlate(None).exists())}


class CommunitySort(StrEnum):
    """The order of a list of communities."""

    CREATED = "created_at"


_PLAIN: Final = (
    *("id", "project_id", "platform", "address", "external_id", "title", "url", "status", "created_at"),
    "disconnected_at",
)
_SEEN: Final = ("size", "posts", "conversations")
_OF_HEALTH: Final = (
    *("status_code", "status_reason", "polled_at", "throttled_until", "last_event_at", "backfilled_at"),
    *(f"{part}_seen_at" for part in _SEEN),
)
_q: Final = parameter("q", Community.address)


def _listing(*, with_health: bool) -> Listing:
    query = select(*(getattr(Community, name) for name in _PLAIN)).where(in_workspace(Community, WORKSPACE))
    if with_health:
        tokens = (
            select(
                func.min(CommunityToken.expires_at).label("token_expires_at"),
                func.json_agg(CommunityToken.missing_scopes).label("token_scopes"),
            )
            .where(in_workspace(CommunityToken, WORKSPACE), CommunityToken.community_id == Community.id)
            .correlate(Community)
            .lateral("tokens")
        )
        query = (
            query.add_columns(
                *(getattr(Community, name) for name in _OF_HEALTH),
                cast(Community.part_problems, Text).label("part_problems"),
                cast(Community.missing_scopes, Text).label("missing_scopes"),
                tokens.c.token_expires_at,
                cast(tokens.c.token_scopes, Text).label("token_scopes"),
                Hook.id.is_not(None).label("has_hook"),
                Hook.status.label("hook_status"),
                Hook.reason.label("hook_reason"),
            )
            .select_from(Community)
            .outerjoin(Hook, (Hook.workspace_id == Community.workspace_id) & (Hook.community_id == Community.id))
            .join(tokens, true())
        )
    return Listing(
        query,
        Community.id,
        sorts={CommunitySort.CREATED: Sort(Keyset((Community.created_at, Community.id)))},
        filters={
            **equal(project_id=Community.project_id, platform=Community.platform),
            "status": {one.value: Community.status == one.value for one in CommunityStatus},
            # A workspace's communities are few enough to be searched one by one.
            "q": or_(Community.title.ilike(_q), Community.address.ilike(_q)),
        },
    )


COMMUNITIES: Final = {with_health: _listing(with_health=with_health) for with_health in (False, True)}
"""By whether they come with their health."""


def community_read(row: Row) -> dict[str, Any]:
    """A community as `CommunityRead` describes it."""
    return {**{name: row[name] for name in _PLAIN}, "health": _health(row) if "part_problems" in row else None}


def _health(row: Row) -> dict[str, Any]:
    problems = orjson.loads(row["part_problems"])
    scopes = {*orjson.loads(row["missing_scopes"])}.union(*orjson.loads(row["token_scopes"] or "[]"))
    hook = {"status": row["hook_status"], "reason": row["hook_reason"]} if row["has_hook"] else None
    return {
        "code": row["status_code"],
        "reason": row["status_reason"],
        "missing_scopes": sorted(scopes),
        "token_expires_at": row["token_expires_at"],
        "polled_at": row["polled_at"],
        "seen_at": {part: row[f"{part}_seen_at"] for part in _SEEN},
        "throttled_until": row["throttled_until"],
        "unread_parts": [
            {"part": part, "code": one["code"], "reason": one["reason"], "since": _instant(one["since"])}
            for part, one in sorted(problems.items())
        ],
        "hook": hook,
        "last_event_at": row["last_event_at"],
        "backfilled_at": row["backfilled_at"],
    }


def _instant(text: str) -> str:
    """A stored instant, as others are written."""
    return text.replace("+00:00", "Z")


async def changed(session: AsyncSession, community: Community) -> dict[str, Any]:
    """A community with the changes of this transaction."""
    await session.flush()
    listing = COMMUNITIES[False]
    return community_read(await listing.one(await session.connection(), workspace_of(session), community.id))
