"""Reading what belongs to a community's publications: counters, comments, and what has changed since they were read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.communities import publications
from app.communities.events import CommentsListed, MessagesDeleted, OpenThreadsDue
from app.communities.polling import parts, unread_items
from app.communities.polling.parts import Part
from app.communities.polling.poll_state import OutOfTime, PollState
from app.communities.polling.rate_limits import Priority, RateLimitReached
from app.communities.polling.unread_items import ReadResult, Unread
from app.kit.events import publish
from app.platforms import poll_intervals
from app.platforms.capabilities import ChecksComments, ListsComments
from app.platforms.contract import AuthExpired, PlatformError, PostMetrics, Throttled

COMMENTS_PER_POLL: Final = 50
OPEN_POSTS: Final = 20
"""The most posts with open threads whose comments are read again every quarter of an hour."""
ALL_OPEN_POSTS: Final = 200
"""The same for those that are read again a few times a day."""


@dataclass(slots=True)
class PublicationReads(PollState):
    """Those methods of a poll that read what belongs to publications."""

    async def measure(self) -> int:
        """Read the counters that are due, in the platform's batches; the number of posts."""
        adapter, measured, background = self.client.adapter, 0, self.client.limiter.priority
        suspects = {one.external_id for one in self.unread_items if one.part is Part.COUNTERS}
        while True:
            async with self.run.step() as session:
                due = await publications.due(session, self.ref, self.run.now, adapter.spec.metrics_batch)
            if not due:
                return measured
            self.client.limiter.priority = Priority.REQUESTED if any(one.requested for one in due) else background
            by_external_id = {one.external_id: (one.id, one.measure_at) for one in due}
            result = await unread_items.read_each(
                list(by_external_id),
                lambda ids: adapter.metrics(self.client.credentials, ids),
                suspects=suspects,
                unwell=Part.COUNTERS in parts.problems(self.community),
            )
            at = self.run.now
            if result.read:
                since = dict(by_external_id.values())
                pairs = [(by_external_id[external][0], metrics) for external, metrics in result.read]
                async with self.run.step() as session:
                    await publications.store_metrics(session, {self.ref: pairs}, at, self.factor, since=since)
            await self._settle(result, suspects, {external: one[0] for external, one in by_external_id.items()})
            if result.stopped_by is not None:
                raise result.stopped_by
            measured += len(result.read)
            self.check_time()

    async def _settle(self, result: ReadResult[str, PostMetrics], suspects: set[str], ids: Mapping[str, UUID]) -> None:
        """Remember the posts whose counters could not be read, and forget those whose could."""
        recovered = [(self.ref.community_id, external) for external, _ in result.read if external in suspects]
        if not recovered and not result.unread:
            return
        async with self.run.step() as session:
            await unread_items.forget(session, Part.COUNTERS, recovered)
            items = [
                (self.ref.community_id, Unread(Part.COUNTERS, one, error, doubtful=result.doubtful))
                for one, error in result.unread
            ]
            await unread_items.remember(session, items)
            await publications.put_off(session, [ids[external] for external, _ in result.unread])

    async def comments(self) -> int:
        """Read the comments of posts whose comments counter has changed; the number of posts.

        A post whose comments cannot be read does not stop the others.
        """
        adapter = self.client.adapter
        if not isinstance(adapter, ListsComments):
            return 0
        async with self.run.step() as session:
            changed = await publications.with_new_comments(
                session, self.ref, self.community.backfill_since, self.started_at, COMMENTS_PER_POLL
            )
        suspects = {one.external_id for one in self.unread_items if one.part is Part.COMMENTS}
        unwell = Part.COMMENTS in parts.problems(self.community)
        failed: dict[str, PlatformError] = {}
        doubtful: list[PlatformError] = []
        read: set[str] = set()
        try:
            for publication_id, external_id, start, counter in changed:
                try:
                    await self._comments_of(adapter, publication_id, external_id, start, counter)
                except PlatformError as error:
                    if isinstance(error, Throttled | AuthExpired) or not error.may_be_one_items:
                        raise
                    failed[external_id] = error
                    if not unread_items.is_the_items(error) and (unwell or external_id not in suspects):
                        doubtful.append(error)
                    if len(doubtful) >= unread_items.DOUBTFUL and not read:
                        break
                else:
                    read.add(external_id)
        except (PlatformError, RateLimitReached, OutOfTime):
            await self._settle_comments(failed, read, suspects)
            raise
        await self._settle_comments(failed, read, suspects)
        if doubtful and not read:
            raise doubtful[0]
        return len(read)

    async def _settle_comments(self, failed: Mapping[str, PlatformError], read: set[str], suspects: set[str]) -> None:
        """Remember the posts whose comments could not be read, and forget those whose could."""
        if not failed and not read & suspects:
            return
        async with self.run.step() as session:
            recovered = [(self.ref.community_id, external_id) for external_id in read & suspects]
            await unread_items.forget(session, Part.COMMENTS, recovered)
            items = [
                (self.ref.community_id, Unread(Part.COMMENTS, external_id, error, doubtful=not read))
                for external_id, error in failed.items()
            ]
            await unread_items.remember(session, items)

    async def _comments_of(
        self, adapter: ListsComments, publication_id: UUID, external_id: str, start: str | None, counter: int | None
    ) -> None:
        """Read all comments of a post. Each scan begins anew, so that what was edited or deleted shows; one that was
        interrupted goes on where it stopped.
        """
        began, since = self.run.now, self.community.backfill_since
        cursor, more, is_whole, listed = start, True, start is None, set[str]()
        listing: CommentsListed | None = None
        while more:
            page = await adapter.comments(self.client.credentials, external_id, cursor, since)
            listed |= {message.external_id for message in page.items if not message.deleted}
            cursor, more, is_whole = page.cursor, page.more, is_whole and page.complete
            async with self.run.step() as session:
                await self.publish_messages(session, page)
                if more:
                    await publications.mark_comments_begun(session, self.ref, publication_id, cursor, counter)
                else:
                    await publications.mark_comments_read(session, self.ref, publication_id, counter)
                # Nothing at all below a post that has comments is a fault of the platform.
                if is_whole and not more and (listed or not counter):
                    in_doubt: set[str] | None = set() if isinstance(adapter, ChecksComments) else None
                    listing = CommentsListed(self.ref, publication_id, frozenset(listed), since, began, in_doubt)
                    await publish(session, listing)
            self.check_time()
        if listing is not None and listing.in_doubt:
            await self._check_existence(sorted(listing.in_doubt))

    async def _check_existence(self, comments: Sequence[str]) -> None:
        """Look up comments that the platform may have without listing them, and publish that the others are deleted."""
        adapter = self.client.adapter
        assert isinstance(adapter, ChecksComments)
        batch = tuple(comments[: adapter.spec.metrics_batch])
        existing = await adapter.existing_comments(self.client.credentials, batch)
        if deleted := tuple(one for one in batch if one not in existing):
            async with self.run.step() as session:
                await publish(session, MessagesDeleted(self.ref, deleted))

    async def threads(self) -> int:
        """Have the comments read again of posts with open threads: an answer in the platform's own app, or a deletion
        deep in a thread, moves no counter.
        """
        began = self.begin(Part.THREADS)
        async with self.run.step() as session:
            since = self.run.now - poll_intervals.OPEN_RECENTLY
            await publish(session, OpenThreadsDue(self.ref, since, OPEN_POSTS))
        self.reread_at["threads"], self.comments_requested = began.isoformat(), True
        return 0

    async def revisions(self) -> None:
        """Read the recent posts again, and the comments of recent posts and of all open threads."""
        began = self.begin(Part.REVISIONS)
        since = max(self.run.now - poll_intervals.RECENT, self.community.backfill_since)
        cursor, more = None, True
        while more:
            page, _ = await unread_items.next_page(
                lambda at: self.client.adapter.posts(self.client.credentials, at, since), cursor
            )
            at = self.run.now
            async with self.run.resources.db.read_session(self.ref.workspace_id) as session:
                changed = await publications.has_changes(session, self.ref, page.items, at, only_edits=True)
            if changed:
                async with self.run.step() as session:
                    result = await publications.store(session, self.ref, page.items, at, self.factor, only_edits=True)
                    self.posts_changed = self.posts_changed or result.written > 0
            cursor, more = page.cursor, page.more
            if more:
                self.check_time()
        if isinstance(self.client.adapter, ListsComments):
            async with self.run.step() as session:
                await publications.read_recent_comments_again(session, self.ref, since)
                await publish(session, OpenThreadsDue(self.ref, None, ALL_OPEN_POSTS))
            self.comments_requested = True
        self.reread_at["revisions"] = began.isoformat()
