"""Moments that are passed on as they come."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from app.platforms.capabilities import Event
from app.platforms.contract import Credentials, Page, RemotePost
from app.platforms.telegram.adapter import Telegram
from app.platforms.vk.adapter import Vk
from tests.platforms.contract.planted import Planted

FAR: Final = datetime(9999, 12, 31, 23, tzinfo=UTC)


def _far(events: Sequence[Event]) -> tuple[Event, ...]:
    return tuple(
        replace(event, messages=tuple(replace(one, sent_at=FAR) for one in event.messages)) for event in events
    )


class Believing(Vk):
    """Of posts."""

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        page = await super().posts(c, cursor, since)
        return replace(page, items=tuple(replace(item, edited_at=FAR) for item in page.items))


class Hiding(Vk):
    """A page is nothing where one of its posts was left out."""

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        page = await super().posts(c, cursor, since)
        return page if len(page.items) % 2 == 0 else replace(page, items=())


class BelievingHooks(Vk):
    """Of events that are sent."""

    @classmethod
    def parse_event(cls, payload: bytes) -> tuple[Event, ...]:
        return _far(super().parse_event(payload))


class LosingHooks(Vk):
    """An event that is not understood is no event."""

    @classmethod
    def parse_event(cls, payload: bytes) -> tuple[Event, ...]:
        return tuple(event for event in super().parse_event(payload) if event.unparsed is None)


class BelievingStream(Telegram):
    """Of events that are fetched."""

    async def updates(self, c: Credentials, cursor: str | None) -> Page[Event]:
        page = await super().updates(c, cursor)
        return replace(page, items=_far(page.items))


LISTS: Final = "posts: an extreme moment hides nothing else"
HOOKS: Final = "hooks: an extreme moment goes no further"

PLANTED: Final[tuple[Planted, ...]] = (
    (LISTS, Believing, "leaves the adapter"),
    (LISTS, Hiding, "hides|too few"),
    (HOOKS, BelievingHooks, "leaves the adapter"),
    (HOOKS, LosingHooks, "is lost"),
    ("stream: an extreme moment hides nothing else", BelievingStream, "leaves the adapter"),
)
