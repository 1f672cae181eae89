"""Faults in lists and in the stream."""

from dataclasses import replace
from datetime import datetime
from typing import Final

import httpx

from app.platforms.capabilities import Event
from app.platforms.contract import Credentials, Gone, Page, PlatformError, RemoteMessage, RemotePost, Token
from app.platforms.mastodon.adapter import Mastodon
from app.platforms.telegram.adapter import Telegram
from app.platforms.vk import translate, wire_models
from app.platforms.vk.adapter import Vk
from tests.platforms.contract.planted import Planted

Posts = Page[RemotePost]
Messages = Page[RemoteMessage]

WHOLE: Final = "complete, once, newest first"


class WrongOrder(Mastodon):
    """Each page is oldest first."""

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Posts:
        page = await super().posts(c, cursor, since)
        return replace(page, items=page.items[::-1])


class LostPage(Mastodon):
    """The second page is returned empty."""

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Posts:
        page = await super().posts(c, cursor, since)
        return replace(page, items=()) if cursor is not None and page.more else page


class LostLastPage(Vk):
    """Paging ends after the first page."""

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Messages:
        page = await super().comments(c, post_id, cursor, since)
        return replace(page, more=False)


class RepeatsFirst(Vk):
    """The first item is repeated in place of the last."""

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Posts:
        page = await super().posts(c, cursor, since)
        return replace(page, items=(*page.items[:-1], page.items[0])) if page.items else page


class NewIdEachTime(Mastodon):
    """An item has another id each time."""

    async def conversations(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Messages:
        page = await super().conversations(c, cursor, since)
        return replace(page, items=tuple(replace(one, external_id=f"{one.external_id}/{n}") for n, one in
                                         enumerate((*page.items, *page.items[:1]))))  # fmt: skip


class ErrorIsEmpty(Mastodon):
    """An error is returned as an empty page."""

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Posts:
        try:
            return await super().posts(c, cursor, since)
        except PlatformError:
            return Page((), cursor, more=False)


class CursorsInMemory(Mastodon):
    """Cursors are valid only for the object that returned them."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        super().__init__(http)
        self._cursors: list[str | None] = [None]

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Posts:
        place = int(cursor or 0)
        page = await super().posts(c, self._cursors[place] if place < len(self._cursors) else None, since)
        self._cursors.append(page.cursor)
        return replace(page, cursor=str(len(self._cursors) - 1))


class DependsOnCount(Mastodon):
    """The page of a cursor depends on the number of requests."""

    calls = 0

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Posts:
        page = await super().posts(c, cursor, since)
        DependsOnCount.calls += 1
        return replace(page, items=page.items[DependsOnCount.calls % 2 :])


class StaleCursor(Vk):
    """The last cursor skips newer items."""

    async def conversations(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Messages:
        return Page((), cursor, more=False) if cursor == "done" else await self._first(c, cursor, since)

    async def _first(self, c: Credentials, cursor: str | None, since: datetime | None) -> Messages:
        page = await super().conversations(c, cursor, since)
        return page if page.more else replace(page, cursor="done")


class ByOffset(Vk):
    """Paging by offset without regard to deletions."""

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Posts:
        offset = int(cursor or 0)
        query = {"owner_id": -int(c.external_id or 0), "filter": "owner", "offset": offset, "count": 50}
        wall = await self._calls.call(c, wire_models.WALL, "wall.get", (Token.USER,), query)
        done = offset + 50 >= wall.count
        items = tuple(translate.post(one) for one in wall.items)
        return Page(items, None if done else str(offset + 50), more=not done)


class SinceIgnored(Mastodon):
    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Posts:
        return await super().posts(c, cursor)


class SinceTooMuch(Vk):
    """New replies to old comments are left out."""

    async def conversations(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Messages:
        page = await super().conversations(c, cursor, since)
        return replace(page, items=tuple(one for one in page.items if since is None or one.sent_at > since))


class NothingForGone(Mastodon):
    """The comments of a deleted post are an empty page."""

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Messages:
        try:
            return await super().comments(c, post_id, cursor, since)
        except Gone:
            return Page((), "{}", more=False)


class LosesEvents(Telegram):
    """One event of each page is left out."""

    async def updates(self, c: Credentials, cursor: str | None) -> Page[Event]:
        page = await super().updates(c, cursor)
        return replace(page, items=page.items[1:])


class Backwards(Telegram):
    """Events are returned newest first."""

    async def updates(self, c: Credentials, cursor: str | None) -> Page[Event]:
        page = await super().updates(c, cursor)
        return replace(page, items=page.items[::-1])


class FromTheStart(Telegram):
    """Each page starts at the oldest event."""

    async def updates(self, c: Credentials, cursor: str | None) -> Page[Event]:
        page = await super().updates(c, None)
        return replace(page, more=False)


PLANTED: Final[tuple[Planted, ...]] = (
    (f"posts: {WHOLE}", WrongOrder, "not newest first"),
    (f"posts: {WHOLE}", LostPage, "are missing"),
    (f"comments: {WHOLE}", LostLastPage, "are missing"),
    (f"posts: {WHOLE}", RepeatsFirst, "are missing"),
    (f"conversations: {WHOLE}", NewIdEachTime, "have two ids"),
    ("errors: a 502 is transient", ErrorIsEmpty, "posts: None"),
    ("posts: cursors survive a restart", CursorsInMemory, "a second time"),
    (f"posts: {WHOLE}", CursorsInMemory, "a second time"),
    ("posts: cursors survive a restart", DependsOnCount, "another page"),
    ("conversations: late items", StaleCursor, "are missing"),
    ("conversations: cursors survive a restart", StaleCursor, "does not return newer"),
    ("conversations: an empty list", StaleCursor, "skips a newer item"),
    ("posts: deleted items", ByOffset, "are missing"),
    ("posts: since", SinceIgnored, "do not exist"),
    ("posts: an empty list", SinceIgnored, "older than `since`"),
    ("conversations: since", SinceTooMuch, "are missing"),
    ("comments: none of a deleted post", NothingForGone, "DID NOT RAISE"),
    ("stream: every event once, oldest first", LosesEvents, "differ from the ledger"),
    ("stream: every event once, oldest first", Backwards, "not oldest first"),
    ("stream: every event once, oldest first", FromTheStart, "differ from the ledger"),
)
