"""What people do with alerts: take them up, say how they want to be told, and set the agency's bots."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.audit import record
from app.access.tokens import hashed
from app.alerts import channels, deliveries
from app.alerts.models import (
    Alert,
    AlertBot,
    AlertChat,
    AlertPolicy,
    AlertPreference,
    AlertStatus,
    BotStatus,
    Timing,
)
from app.alerts.trial import TRY
from app.kit.actors import Actor
from app.kit.crypto import Keyring, SealBroken
from app.kit.db import fetch, now, workspace_of
from app.kit.errors import Conflict, NotFound
from app.kit.jobs import enqueue
from app.platforms.capabilities import Notifies
from app.projects.models import Project

WATCH: Final = "alerts.watch-workspace"
"""The job that looks for what needs a person in a workspace."""
POLL_BOT: Final = "alerts.poll-bot"
"""The job that asks a platform about an agency's bot."""
CODE_LIFETIME: Final = timedelta(minutes=15)
TAKEN_UP: Final = "Somebody has taken it up."


async def acknowledge(session: AsyncSession, actor: Actor, *, alert_id: UUID, user_id: UUID) -> Alert:
    """Take an alert up: nobody is told of it any more. Idempotent; `Conflict` (`alert-ended`) for one that ended."""
    alert = await fetch(session, Alert, alert_id, for_update=True)
    if alert.status == AlertStatus.ENDED.value:
        raise Conflict("It has ended by itself: there is nothing to take up.", code="alert-ended")
    if alert.status == AlertStatus.OPEN.value:
        alert.status = AlertStatus.ACKNOWLEDGED.value
        alert.acknowledged_at, alert.acknowledged_by = now(session), user_id
        await session.flush()
        await deliveries.cancel(session, [alert.id], TAKEN_UP)
        record(session, actor, "alerts.acknowledge", alert_id=alert.id)
    return alert


async def preference(session: AsyncSession, user_id: UUID) -> AlertPreference:
    """How a person wants to be told; the defaults, not stored, where they have not said so."""
    stored = await session.get(AlertPreference, (workspace_of(session), user_id), populate_existing=True)
    return stored or AlertPreference(
        workspace_id=workspace_of(session),
        user_id=user_id,
        channels=None,
        muted_kinds=[],
        timing=Timing.WORKING_HOURS.value,
        digest_hour=9,
        timezone="UTC",
        away_until=None,
    )


async def change_preference(
    session: AsyncSession, actor: Actor, *, user_id: UUID, changes: Mapping[str, Any]
) -> AlertPreference:
    """Change how a person wants to be told, of alerts from now on."""
    if not changes:
        return await preference(session, user_id)
    defaults = await preference(session, user_id)
    names = ("channels", "muted_kinds", "timing", "digest_hour", "timezone", "away_until")
    values = {name: getattr(defaults, name) for name in names}
    session.expunge_all()
    row = insert(AlertPreference).values(workspace_id=workspace_of(session), user_id=user_id, **values)
    await session.execute(row.on_conflict_do_nothing())
    stored = await session.get_one(AlertPreference, (workspace_of(session), user_id), with_for_update=True)
    for name, value in changes.items():
        setattr(stored, name, value)
    record(session, actor, "my-alerts.update", user_id=user_id)
    await session.flush()
    return stored


async def test_channels(session: AsyncSession, actor: Actor, *, user_id: UUID) -> None:
    """Have a test alert sent to a person by each of their channels."""
    await enqueue(session, TRY, workspace_id=workspace_of(session), key=str(user_id), user_id=user_id)
    record(session, actor, "my-alerts.test", user_id=user_id)


async def minutes_of(session: AsyncSession, project_id: UUID) -> Mapping[str, int]:
    """How long the concerns of a project may last, by kind, where it has set that; `NotFound` for no project."""
    await fetch(session, Project, project_id)
    minutes: Mapping[str, int] | None = await session.scalar(
        select(AlertPolicy.minutes).where(
            AlertPolicy.workspace_id == workspace_of(session), AlertPolicy.project_id == project_id
        )
    )
    return minutes or {}


async def set_minutes(
    session: AsyncSession, actor: Actor, *, project_id: UUID, minutes: Mapping[str, int]
) -> Mapping[str, int]:
    """Set how long the concerns of a project may last; kinds that are left out have their own threshold."""
    await fetch(session, Project, project_id)
    row = insert(AlertPolicy).values(
        workspace_id=workspace_of(session), project_id=project_id, minutes=dict(minutes), updated_at=now(session)
    )
    await session.execute(
        row.on_conflict_do_update(
            index_elements=["workspace_id", "project_id"],
            set_={"minutes": row.excluded.minutes, "updated_at": row.excluded.updated_at},
        )
    )
    record(session, actor, "alert-policies.replace", project_id=project_id, kinds=len(minutes))
    return minutes


def _require_bots(platform: str) -> type[Notifies]:
    adapter_class = channels.bots().get(platform)
    if adapter_class is None or not issubclass(adapter_class, Notifies):
        raise NotFound("No bot can write to people there.")
    return adapter_class


async def set_bot(
    session: AsyncSession, actor: Actor, keyring: Keyring, *, platform: str, token: SecretStr
) -> AlertBot:
    """Set the agency's bot of a platform; a job asks the platform whether the token is good.

    Chats with another bot before are of no use to this one: people link theirs anew. The same token again keeps them.
    """
    _require_bots(platform)
    text = token.get_secret_value()
    stored = await session.get(AlertBot, (workspace_of(session), platform), with_for_update=True)
    is_same = stored is not None and _opened(keyring, stored.sealed) == text
    if not is_same:
        await session.execute(
            delete(AlertChat).where(AlertChat.workspace_id == workspace_of(session), AlertChat.platform == platform)
        )
    if stored is None:
        stored = AlertBot(workspace_id=workspace_of(session), platform=platform, cursor=None)
        session.add(stored)
    stored.sealed, stored.username = keyring.seal(text), None
    stored.status, stored.detail = BotStatus.CHECKING.value, None
    stored.updated_at = now(session)
    if not is_same:
        stored.cursor = None
    await session.flush()
    await _poll(session, platform)
    record(session, actor, "alert-bots.replace", platform=platform)
    return stored


def _opened(keyring: Keyring, sealed: str) -> str | None:
    try:
        return keyring.open(sealed)
    except SealBroken:
        return None


async def remove_bot(session: AsyncSession, actor: Actor, *, platform: str) -> None:
    """Forget a bot, its token and the chats with it. Idempotent."""
    _require_bots(platform)
    stored = await session.get(AlertBot, (workspace_of(session), platform), with_for_update=True)
    if stored is None:
        return
    await session.execute(
        delete(AlertChat).where(AlertChat.workspace_id == workspace_of(session), AlertChat.platform == platform)
    )
    await session.delete(stored)
    record(session, actor, "alert-bots.remove", platform=platform)


async def _poll(session: AsyncSession, platform: str) -> None:
    await enqueue(session, POLL_BOT, workspace_id=workspace_of(session), key=platform, platform=platform)


@dataclass(frozen=True, slots=True)
class ChatCode:
    """What links a person's chat."""

    link: str = field(repr=False)
    code: str = field(repr=False)
    expires_at: datetime


async def link_chat(session: AsyncSession, actor: Actor, *, platform: str, user_id: UUID) -> ChatCode:
    """A code with which a person starts a chat with the agency's bot; `Conflict` (`no-bot`) where it cannot be used.

    The chat that is linked at the moment stays until another one is.
    """
    adapter_class = _require_bots(platform)
    bot = await session.get(AlertBot, (workspace_of(session), platform))
    if bot is None or bot.status != BotStatus.READY.value or bot.username is None:
        raise Conflict(
            f"The agency has no bot there that can be used: PUT /v1/alert-bots/{platform} sets one.", code="no-bot"
        )
    code, expires_at = secrets.token_urlsafe(24), now(session) + CODE_LIFETIME
    row = insert(AlertChat).values(
        workspace_id=workspace_of(session),
        user_id=user_id,
        platform=platform,
        code_hash=hashed(code),
        code_expires_at=expires_at,
    )
    await session.execute(
        row.on_conflict_do_update(
            index_elements=["workspace_id", "user_id", "platform"],
            set_={"code_hash": row.excluded.code_hash, "code_expires_at": row.excluded.code_expires_at},
        )
    )
    await _poll(session, platform)
    record(session, actor, "my-alerts.link-chat", user_id=user_id)
    return ChatCode(adapter_class.start_link(bot.username, code), code, expires_at)


async def unlink_chat(session: AsyncSession, actor: Actor, *, platform: str, user_id: UUID) -> None:
    """Forget a person's chat. Idempotent."""
    _require_bots(platform)
    stored = await session.get(AlertChat, (workspace_of(session), user_id, platform), with_for_update=True)
    if stored is None:
        return
    await session.delete(stored)
    record(session, actor, "my-alerts.unlink-chat", user_id=user_id)


async def reseal(session: AsyncSession, actor: Actor, keyring: Keyring) -> int:
    """Seal the tokens of this workspace's bots under the current key; their number. One that none opens is left."""
    rows = await session.scalars(
        select(AlertBot)
        .where(AlertBot.workspace_id == workspace_of(session))
        .order_by(AlertBot.platform)
        .with_for_update()
    )
    resealed = 0
    for row in rows:
        try:
            row.sealed = keyring.reseal(row.sealed)
        except SealBroken:
            continue
        resealed += 1
    record(session, actor, "tokens.reseal", bots=resealed)
    return resealed
