"""Faults in the handling of extreme moments."""

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


class FarPosts(Vk):
    """Extreme moments of posts are returned."""

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        page = await super().posts(c, cursor, since)
        return replace(page, items=tuple(replace(item, edited_at=FAR) for item in page.items))


class EmptiesPage(Vk):
    """A page with an odd number of posts is returned empty, as if one left out emptied it."""

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        page = await super().posts(c, cursor, since)
        return page if len(page.items) % 2 == 0 else replace(page, items=())


class FarHookEvents(Vk):
    """Extreme moments of webhook events are returned."""

    @classmethod
    def parse_event(cls, payload: bytes) -> tuple[Event, ...]:
        return _far(super().parse_event(payload))


class DropsHookEvents(Vk):
    """Unparsed events are dropped."""

    @classmethod
    def parse_event(cls, payload: bytes) -> tuple[Event, ...]:
        return tuple(event for event in super().parse_event(payload) if event.unparsed is None)


class FarStreamEvents(Telegram):
    """Extreme moments of events in the stream are returned."""

    async def updates(self, c: Credentials, cursor: str | None) -> Page[Event]:
        page = await super().updates(c, cursor)
        return replace(page, items=_far(page.items))


LISTS: Final = "posts: an extreme moment hides no others"
HOOKS: Final = "hooks: an extreme moment is not returned"

PLANTED: Final[tuple[Planted, ...]] = (
    (LISTS, FarPosts, "the adapter returns"),
    (LISTS, EmptiesPage, "hides|too few"),
    (HOOKS, FarHookEvents, "the adapter returns"),
    (HOOKS, DropsHookEvents, "is lost"),
    ("stream: an extreme moment hides no others", FarStreamEvents, "the adapter returns"),
)
