"""An agency's own bots: their tokens, and the chats that people start with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.tokens import hashed
from app.alerts.models import AlertBot, AlertChat, BotStatus
from app.kit.crypto import Keyring, SealBroken
from app.kit.db import now, workspace_of
from app.platforms.capabilities import StartedChat
from app.platforms.contract import AuthExpired, Page

POLL_INTERVAL: Final = timedelta(seconds=5)
"""While somebody has a code that is not used yet; else the bot is not polled at all."""


@dataclass(frozen=True, slots=True)
class BotPoll:
    """What a poll of a bot needs."""

    token: str = field(repr=False)
    sealed: str = field(repr=False)
    username: str | None
    cursor: str | None
    expects_chats: bool


async def _bot(session: AsyncSession, platform: str, *, for_update: bool = False) -> AlertBot | None:
    query = select(AlertBot).where(AlertBot.workspace_id == workspace_of(session), AlertBot.platform == platform)
    row: AlertBot | None = await session.scalar(query.with_for_update() if for_update else query)
    return row


async def token(session: AsyncSession, keyring: Keyring, platform: str) -> str:
    """The token of the workspace's bot; `AuthExpired` where there is none, or none that a key opens."""
    row = await _bot(session, platform)
    if row is None:
        raise AuthExpired("The agency has no bot there any more")
    try:
        return keyring.open(row.sealed)
    except SealBroken:
        raise AuthExpired("No key of this installation opens the bot's token: set it anew") from None


async def refuse(session: AsyncSession, *, platform: str, detail: str) -> None:
    """The platform does not accept the bot's token."""
    row = await _bot(session, platform, for_update=True)
    if row is not None:
        row.status, row.detail = BotStatus.REFUSED.value, detail


async def to_poll(session: AsyncSession, keyring: Keyring, *, platform: str) -> BotPoll | None:
    """The bot, where there is something to ask; None where there is not."""
    row = await _bot(session, platform)
    if row is None or row.status == BotStatus.REFUSED.value:
        return None
    expects_chats = await _codes_until(session, platform) is not None
    if row.username is not None and not expects_chats:
        return None
    try:
        opened = keyring.open(row.sealed)
    except SealBroken:
        await refuse(session, platform=platform, detail="No key of this installation opens the token: set it anew.")
        return None
    return BotPoll(opened, row.sealed, row.username, row.cursor, expects_chats)


async def _codes_until(session: AsyncSession, platform: str) -> datetime | None:
    """When the last code expires that is not used yet."""
    at: datetime | None = await session.scalar(
        select(func.max(AlertChat.code_expires_at)).where(
            AlertChat.workspace_id == workspace_of(session),
            AlertChat.platform == platform,
            AlertChat.code_hash.is_not(None),
            AlertChat.code_expires_at > now(session),
        )
    )
    return at


async def store_poll(
    session: AsyncSession, *, platform: str, polled: BotPoll, username: str, page: Page[StartedChat] | None
) -> datetime | None:
    """Store what a poll has read, and link the chats whose codes are right; when the next poll is."""
    row = await _bot(session, platform, for_update=True)
    if row is None or row.sealed != polled.sealed:  # another one was set meanwhile
        return None
    row.username, row.status, row.detail = username, BotStatus.READY.value, None
    if page is not None:
        row.cursor = page.cursor
        for chat in page.items:
            await _link(session, platform, chat)
    await session.flush()
    if page is not None and page.more:
        return now(session)
    return None if await _codes_until(session, platform) is None else now(session) + POLL_INTERVAL


async def _link(session: AsyncSession, platform: str, chat: StartedChat) -> None:
    changes: Mapping[str, object] = {
        "chat_id": chat.chat_id,
        "linked_at": now(session),
        "code_hash": None,
        "code_expires_at": None,
    }
    await session.execute(
        update(AlertChat)
        .where(
            AlertChat.workspace_id == workspace_of(session),
            AlertChat.platform == platform,
            AlertChat.code_hash == hashed(chat.code),
            AlertChat.code_expires_at > now(session),
        )
        .values(**changes)
    )
