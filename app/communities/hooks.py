"""Event hooks: a platform tells us what happens in a community, sooner than a poll would find it.

A call is believed once the platform's adapter has verified its raw bytes, and once it speaks of the
community whose hook it is. An event is stored under its own id together with what follows from it,
and only then acknowledged: repeated or told twice at once, it has one effect. What it brings goes
the way of what polls bring, so it matters little which comes first, and a poll finds what a hook
has missed.

A paused community takes events all the same: pausing stops our calls, not the platform's.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import orjson
from pydantic import SecretStr
from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities import publications
from app.communities.events import MessagesDeleted, MessagesSeen, Place
from app.communities.models import Community, Hook, HookEvent, HookRoute
from app.kit.crypto import Keyring, SealBroken
from app.kit.db import fetch, mine, now, workspace_of
from app.kit.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from app.kit.events import publish
from app.kit.ids import uuid7
from app.kit.resources import Resources
from app.platforms import adapters
from app.platforms.abilities import Call, Event, Receives
from app.platforms.contract import Malformed, MissingPermission
from app.projects.models import Project

REMEMBERED: Final = timedelta(days=30)
"""For how long an event's id is kept; no platform repeats one for so long."""


def receiver(platform: str) -> type[Receives]:
    """The adapter of a platform that calls us; `Conflict` for one that does not."""
    kind = adapters().get(platform)
    if kind is None or not issubclass(kind, Receives):
        raise Conflict(
            f"Instep takes no calls from {kind.spec.title if kind is not None else platform}: "
            "everything is found by polling.",
            code="hooks-unsupported",
        )
    return kind


# ── opening and closing ───────────────────────────────────────────────────────────────────────────


async def keep(
    session: AsyncSession, keyring: Keyring, *, community_id: UUID, given: Mapping[str, SecretStr]
) -> tuple[Community, Hook]:
    """Open a community's hook, or give it further secrets; those not named stay as they are.

    Raises `Conflict` where the platform never calls us, `Invalid` for a secret it does not use.
    """
    community = await fetch(session, Community, community_id)
    receiver(community.platform)
    spec = adapters()[community.platform].spec
    unused = set(given) - spec.hook_secrets
    if unused:
        raise Invalid(
            f"{spec.title} has no such secret; it has: {', '.join(sorted(spec.hook_secrets))}.",
            code="unexpected-secret",
        )
    made: UUID | None = await session.scalar(
        insert(Hook)
        .values(
            workspace_id=workspace_of(session),
            id=uuid7(),
            community_id=community_id,
            public_id=UUID(bytes=secrets.token_bytes(16)),
            sealed=keyring.seal("{}"),
            created_at=now(session),
        )
        .on_conflict_do_nothing(index_elements=["workspace_id", "community_id"])
        .returning(Hook.id)
    )
    hook = await _hook(session, community_id, for_update=True)
    if made is not None:
        route = {"workspace_id": hook.workspace_id, "community_id": community_id, "hook_id": hook.public_id}
        await session.execute(insert(HookRoute).values(route))
    held = _opened(keyring, hook.sealed) or {}  # what nobody can open is lost: it is given anew
    held |= {name: text.get_secret_value() for name, text in given.items()}
    hook.sealed = keyring.seal(orjson.dumps(held).decode())
    return community, hook


async def close(session: AsyncSession, *, community_id: UUID) -> None:
    """Forget a community's hook: its address leads nowhere from now on, for good."""
    community = await fetch(session, Community, community_id)
    receiver(community.platform)
    closed = await session.scalar(delete(Hook).where(_of(session, community_id)).returning(Hook.id))
    if closed is None:
        raise NotFound("This community has no hook.", code="no-hook")


async def _hook(session: AsyncSession, community_id: UUID, *, for_update: bool = False) -> Hook:
    query = select(Hook).where(_of(session, community_id))
    if for_update:
        # Its key stays: events that come meanwhile need not wait.
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return (await session.scalars(query)).one()


def _of(session: AsyncSession, community_id: UUID) -> ColumnElement[bool]:
    return and_(mine(Hook, workspace_of(session)), Hook.community_id == community_id)


def _opened(keyring: Keyring, sealed: str) -> dict[str, str] | None:
    """A hook's secrets; None where no key fits them any more."""
    try:
        held: dict[str, str] = orjson.loads(keyring.open(sealed))
    except SealBroken:
        return None
    return held


# ── what comes in ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Known:
    """What has to be known of a community to take a call about it."""

    place: Place
    external_id: str | None
    backfill_since: datetime
    sealed: str


async def take(have: Resources, platform: str, hook_id: UUID, call: Call) -> str:
    """Verify a call, keep what it brings, and give the answer that the platform expects.

    When this returns, all is committed. Raises `NotFound` for an address that is no hook's (any
    more), `Forbidden` for a call that is not the platform's or speaks of another community,
    `Invalid` for one that is not understood, `Unavailable` where its secrets cannot be opened.
    """
    known = await _find(have, platform, hook_id)
    held = _opened(have.keyring, known.sealed)
    if held is None:
        raise Unavailable("No key opens the secrets of this hook: give them to it anew.", code="hook-secrets-lost")
    try:
        received = receiver(platform).receive(call, held)
    except MissingPermission as error:
        raise Forbidden(f"{error.message[:1].upper()}{error.message[1:]}.", code="hook-not-verified") from None
    except Malformed as error:
        raise Invalid(f"{error.message[:1].upper()}{error.message[1:]}.", code="hook-not-understood") from None
    if any(event.account_id not in {None, known.external_id} for event in received.events):
        raise Forbidden("The call is about another community than this hook's.", code="hook-of-another")
    kept = [(event.event_id, event) for event in received.events if event.event_id is not None]
    if kept:
        async with have.transaction(known.place.workspace_id) as session:
            for event_id, event in kept:
                await _keep(session, known, event_id, event)
    return received.answer


async def _find(have: Resources, platform: str, hook_id: UUID) -> _Known:
    async with have.db.reading(None) as connection:
        route = (
            await connection.execute(
                select(HookRoute.workspace_id, HookRoute.community_id).where(HookRoute.hook_id == hook_id)
            )
        ).one_or_none()
    if route is None:
        raise NotFound
    async with have.db.reading(route.workspace_id) as connection:
        row = (
            await connection.execute(
                select(
                    Hook.sealed, Community.external_id, Community.backfill_since, Community.project_id, Project.timezone
                )
                .join(Community, and_(Community.workspace_id == Hook.workspace_id, Community.id == Hook.community_id))
                .join(
                    Project,
                    and_(Project.workspace_id == Community.workspace_id, Project.id == Community.project_id),
                )
                .where(
                    mine(Hook, route.workspace_id),
                    Hook.community_id == route.community_id,
                    Hook.public_id == hook_id,
                    Community.platform == platform,
                )
            )
        ).one_or_none()
    if row is None:
        raise NotFound
    place = Place(route.workspace_id, row.project_id, route.community_id, platform, row.timezone)
    return _Known(place, row.external_id, row.backfill_since, row.sealed)


async def _keep(session: AsyncSession, known: _Known, event_id: str, event: Event) -> None:
    """Store an event with all that follows from it; a repeat only shows that the platform still calls.

    Locks are taken in the order of polls: what the event concerns first, the community's row last.
    """
    place, at = known.place, now(session)
    new = await session.scalar(
        insert(HookEvent)
        .values(
            workspace_id=place.workspace_id,
            community_id=place.community_id,
            event_id=event_id,
            batch=uuid7(),
            received_at=at,
        )
        .on_conflict_do_nothing()
        .returning(HookEvent.event_id)
    )
    if new is not None:
        await _apply(session, known, event)
    await session.execute(
        update(Community)
        .where(mine(Community, place.workspace_id), Community.id == place.community_id)
        .where(or_(Community.event_at.is_(None), Community.event_at < at))
        .values(event_at=at)
    )


async def _apply(session: AsyncSession, known: _Known, event: Event) -> None:
    """What an event brings, by the way of the polls: older things than those are not wanted either."""
    place = known.place
    posts = [post for post in event.posts if post.published_at >= known.backfill_since]
    await publications.announced(session, place, posts, now(session))
    messages = [message for message in event.messages if message.sent_at >= known.backfill_since]
    if messages:
        under = await publications.known(session, place, sorted({m.post_id for m in messages if m.post_id}))
        await publish(session, MessagesSeen(place, tuple((m, under.get(m.post_id or "")) for m in messages)))
    if event.deleted_ids:
        await publish(session, MessagesDeleted(place, event.deleted_ids))


async def forget(session: AsyncSession, community_id: UUID, *, most: int) -> None:
    """Drop up to `most` of a community's event ids that are older than any repeat."""
    ours = and_(HookEvent.workspace_id == workspace_of(session), HookEvent.community_id == community_id)
    old = (
        select(HookEvent.event_id)
        .where(ours, HookEvent.received_at < now(session) - REMEMBERED)
        .order_by(HookEvent.received_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    await session.execute(delete(HookEvent).where(ours, HookEvent.event_id.in_(old)))
