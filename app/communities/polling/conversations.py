"""Reading what customers wrote, as a platform lists it for the whole community.

Where a platform has several lists (`ListsSeparately`), each has a cursor of its own and fails by itself: the others
are read meanwhile. `conversations_seen_at` moves only once all of them are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from app.communities import publications
from app.communities.inbound import store
from app.communities.polling import parts, unread_items
from app.communities.polling.parts import ListResults, Part
from app.communities.polling.poll_state import PollState
from app.communities.polling.unread_items import Stored, Unread
from app.platforms import poll_intervals
from app.platforms.capabilities import ListsSeparately, Streams
from app.platforms.contract import AuthExpired, Page, PlatformError, RemoteMessage, RemotePost, Throttled

ONLY_LIST: Final = ""
"""The name of the list where a platform has one."""


class PartlyRead(Exception):
    """Some lists of a part were read, and others were not."""


@dataclass(slots=True)
class ConversationReads(PollState):
    """Those methods of a poll that read conversations."""

    async def conversations(self) -> None:
        """Read all lists, or all events of a stream; raises `PartlyRead` where a list is left unread."""
        adapter = self.client.adapter
        if isinstance(adapter, Streams):
            await self._read_stream(adapter)
            return
        began = self.begin(Part.CONVERSATIONS)
        names = (
            adapter.conversation_lists(self.client.credentials)
            if isinstance(adapter, ListsSeparately)
            else (ONLY_LIST,)
        )
        cursors = load_cursors(self.community.conversations_cursor, names)
        put_off = {name for name, at in parts.list_retry_times(self.community).items() if at > self.started_at}
        errors: dict[str, PlatformError] = {}
        read, new = dict[str, datetime](), False
        # Its posts first, so that they are known before what is written below them.
        for name in sorted(names, key=lambda one: one != adapter.spec.posts_list):
            if name in put_off:
                continue
            try:
                covered_until, has_new = await self._read_list(name, cursors)
            except PlatformError as error:
                if len(names) == 1 or isinstance(error, Throttled | AuthExpired):
                    raise
                errors[name] = error
            else:
                read[name], new = covered_until, new or has_new
        await self._retry_items()
        idle_polls = 0 if new else self.community.conversations_idle_polls + 1
        self.column_updates["conversations_cursor"] = dump_cursors(cursors)
        self.column_updates["unfinished_scans"] = self.unfinished_scans
        self.column_updates["conversations_idle_polls"] = idle_polls
        if read.keys() == set(names):
            self.column_updates["conversations_seen_at"] = min(read.values(), default=began)
            self.check_time()
            return
        interval = poll_intervals.CONVERSATIONS.interval(
            self.run.resources.settings.poll_interval_multiplier * self.multipliers.content,
            idle=idle_polls,
            push_is_active=self.community.push_is_active,
        )
        self.list_results = ListResults(read.keys(), errors, next_read_at=self.run.now + interval)
        if errors and not read:
            raise next(iter(errors.values()))
        raise PartlyRead

    async def _read_list(self, name: str, cursors: dict[str, str | None]) -> tuple[datetime, bool]:
        """Read one list to its end; up to when it is covered, and whether it had something new."""
        last, new, new_posts, more = self.community.conversations_seen_at, False, 0, True
        scan = self.begin_scan(Part.CONVERSATIONS, name)
        posts_began = min(self.begin(Part.POSTS), scan.began)
        while more:
            page, left_out = await unread_items.next_page(lambda cursor: self._page(name, cursor), cursors[name])
            at = self.run.now
            posts = await self._changed_posts(page.posts, at)
            self.newly_unread += [
                Unread(Part.CONVERSATIONS, one.id, one.error, one.retry_cursor, name) for one in left_out
            ]
            new = new or any(last is None or message.sent_at > last for message in page.items)
            cursors[name], more = page.cursor, page.more
            unfinished = self.unfinished_after(scan, more=more)
            if page.items or posts or more or self.newly_unread:
                async with self.run.step() as session:
                    community = await self.lock_community(session)  # before its publications, as everywhere
                    new_posts += await self.store_posts(session, posts, at) if posts else 0
                    await self.publish_messages(session, page)
                    community.conversations_cursor, community.unfinished_scans = dump_cursors(cursors), unfinished
                    await self.store_newly_unread(session)
            if more:
                self.check_time()
        if name == self.client.adapter.spec.posts_list:
            self._mark_posts(posts_began, new_posts)
        return scan.began, new or new_posts > 0

    async def _changed_posts(self, posts: Sequence[RemotePost], at: datetime) -> Sequence[RemotePost]:
        """The posts of a page, if any of them is to be written."""
        if not posts:
            return ()
        async with self.run.resources.db.read_session(self.ref.workspace_id) as session:
            return posts if await publications.has_changes(session, self.ref, posts, at) else ()

    def _mark_posts(self, began: datetime, new: int) -> None:
        """Mark the posts read by a list that has them too. After a failure they are read by themselves."""
        if self.community.backfilled_at is None or Part.POSTS in parts.problems(self.community):
            return
        self.posts_listed = True
        self.costs[Part.POSTS.value] = {}  # the list's cost is that of conversations
        self.column_updates["posts_seen_at"] = began
        self.column_updates["posts_idle_polls"] = 0 if new else self.community.posts_idle_polls + 1

    async def _page(self, name: str, cursor: str | None) -> Page[RemoteMessage]:
        adapter, since = self.client.adapter, self.community.backfill_since
        if isinstance(adapter, ListsSeparately):
            return await adapter.conversation_list(self.client.credentials, name, cursor, since)
        return await adapter.conversations(self.client.credentials, cursor, since)

    async def _retry_items(self) -> None:
        """Read items that lists were read without, each by itself."""
        for one in self.unread_items:
            if one.part is Part.CONVERSATIONS and one.retry_cursor is not None and one.retry_at <= self.started_at:
                await self._retry_item(one, one.retry_cursor)

    async def _retry_item(self, one: Stored, retry_cursor: str) -> None:
        cursor, more = retry_cursor, True
        while more:
            try:
                page = await self._page(one.list_name, cursor)
            except PlatformError as error:
                if isinstance(error, Throttled | AuthExpired):
                    raise
                self.newly_unread.append(Unread(one.part, one.external_id, error, cursor, one.list_name))
                return
            async with self.run.step() as session:
                await self.publish_messages(session, page)
                if not page.more:
                    await unread_items.forget(session, one.part, [(self.ref.community_id, one.external_id)])
            if page.cursor is None:
                return
            cursor, more = page.cursor, page.more
            if more:
                self.check_time()

    async def _read_stream(self, adapter: Streams) -> None:
        began, posts_began = self.begin(Part.CONVERSATIONS), self.begin(Part.POSTS)
        cursor, more, new = self.community.conversations_cursor, True, False
        while more:
            page = await adapter.updates(self.client.credentials, cursor)
            new = new or bool(page.items)
            at = self.run.now
            if not page.items and not page.more:
                self._mark_stream(page.cursor, began, posts_began, new=new)
                return
            async with self.run.step() as session:
                await store.store_stream_events(session, self.ref, page.items)
                community = await self.lock_community(session)
                community.conversations_cursor = page.cursor
                if not page.more:
                    community.conversations_seen_at, community.posts_seen_at = began, posts_began
                    community.conversations_idle_polls = 0 if new else community.conversations_idle_polls + 1
                    community.backfilled_at = community.backfilled_at or at
            cursor, more = page.cursor, page.more
            self.check_time()

    def _mark_stream(self, cursor: str | None, began: datetime, posts_began: datetime, *, new: bool) -> None:
        self.column_updates |= {"conversations_cursor": cursor, "conversations_seen_at": began}
        self.column_updates["conversations_idle_polls"] = 0 if new else self.community.conversations_idle_polls + 1
        self.column_updates["posts_seen_at"] = posts_began
        self.column_updates["backfilled_at"] = self.community.backfilled_at or self.run.now


def load_cursors(stored: str | None, names: tuple[str, ...]) -> dict[str, str | None]:
    """The cursor of each list, from `Community.conversations_cursor`."""
    if names == (ONLY_LIST,):
        return {ONLY_LIST: stored}
    try:
        loaded = orjson.loads(stored or "{}")
    except orjson.JSONDecodeError:
        loaded = {}
    by_name = loaded if isinstance(loaded, dict) else {}
    # Before lists were read separately, their paginators stood in one cursor, under the same names.
    texts = {name: one if isinstance(one, str) else orjson.dumps(one).decode() for name, one in by_name.items() if one}
    return {name: texts.get(name) for name in names} if names else dict(texts)


def dump_cursors(cursors: Mapping[str, str | None]) -> str | None:
    """The inverse of `load_cursors`."""
    if cursors.keys() == {ONLY_LIST}:
        return cursors[ONLY_LIST]
    return orjson.dumps(dict(cursors), option=orjson.OPT_SORT_KEYS).decode()
