"""The channels by which people can be reached: mail, and the bots of platforms that can write to people."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final, cast
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app import platforms
from app.alerts.models import AlertBot, AlertChat, BotStatus
from app.kit import mail
from app.kit.db import workspace_of
from app.kit.http import Client
from app.platforms.capabilities import Notifies
from app.platforms.contract import Adapter, Credentials, Token
from app.settings import Settings

MAIL: Final = "mail"


@lru_cache(maxsize=1)
def bots() -> Mapping[str, type[Adapter]]:
    """The adapters of platforms whose bots write to people, by key."""
    return MappingProxyType({key: one for key, one in platforms.adapters().items() if issubclass(one, Notifies)})


def every() -> tuple[str, ...]:
    """All channels that there are."""
    return MAIL, *bots()


def recognises_repeats(channel: str) -> bool:
    """Whether whoever gets the same message twice by it sees that: mail has a `Message-ID`."""
    return channel == MAIL


def text_limit(channel: str) -> int | None:
    """How long a message may be; None: as long as it is."""
    return None if channel == MAIL else bots()[channel].spec.text_limit


async def of_people(session: AsyncSession, settings: Settings, user_ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    """By which channels each of these people can be reached at the moment."""
    everybody = [MAIL] if mail.is_set_up(settings) else []
    reachable = {user_id: list(everybody) for user_id in user_ids}
    rows = await session.execute(
        select(AlertChat.user_id, AlertChat.platform)
        .join(AlertBot, (AlertBot.workspace_id == AlertChat.workspace_id) & (AlertBot.platform == AlertChat.platform))
        .where(
            AlertChat.workspace_id == workspace_of(session),
            AlertChat.user_id.in_(user_ids),
            AlertChat.chat_id.is_not(None),
            AlertBot.status == BotStatus.READY.value,
        )
        .order_by(AlertChat.platform)
    )
    for user_id, platform in rows:
        reachable[user_id].append(platform)
    return reachable


def connected(settings: Settings, client: Client, platform: str, token: str) -> tuple[Notifies, Credentials]:
    """A platform's adapter, and what a call of the agency's bot needs."""
    adapter_class = bots()[platform]
    base_url = settings.platform_urls.get(platform) or adapter_class.spec.base_url
    assert base_url is not None, "a bot's platform has one server"
    credentials = Credentials(address="", base_url=base_url, tokens={Token.COMMUNITY: token})
    return cast("Notifies", adapter_class(client)), credentials
