"""Items that the platform does not let be read now, so that one of them does not keep the others from being read.

One policy for counters, comments and lists: where a call fails and one of its items may be the cause
(`PlatformError.may_be_one_items`, `PlatformError.bypass`), the others are read without it. The item is remembered
in `UnreadItem` and tried again by itself, less and less often. Where nothing else could be read either, the platform
is unwell, and the whole part fails.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from sqlalchemy import delete, func, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.models import UnreadItem
from app.communities.polling.parts import Part
from app.communities.polling.rate_limits import RateLimitReached
from app.kit.db import now, workspace_of
from app.platforms.contract import AuthExpired, Gone, Page, PlatformError, Throttled, Unreadable

T = TypeVar("T")
R = TypeVar("R")

FIRST_RETRY: Final = timedelta(minutes=5)
LAST_RETRY: Final = timedelta(days=1)
DOUBTFUL: Final = 3
"""After so many items that could not be read, and none that could, the platform is taken for unwell."""


@dataclass(frozen=True, slots=True)
class Unread:
    """An item that could not be read."""

    part: Part
    external_id: str
    """The post's id, or that of an item of a list."""
    error: PlatformError
    retry_cursor: str | None = None
    """Reads it alone, where it is an item of a list."""
    list_name: str = ""
    """Of the list to which it belongs, where the part has several."""
    doubtful: bool = False
    """Nothing else could be read either: the platform may be unwell, so the next retry is not later than this one."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An item that could not be read before."""

    part: Part
    external_id: str
    retry_at: datetime
    retry_cursor: str | None
    list_name: str


def is_the_items(error: PlatformError) -> bool:
    """Whether the error is certainly the item's, whatever happens to the others."""
    return isinstance(error, Unreadable | Gone)


@dataclass(slots=True)
class ReadResult(Generic[T, R]):
    """What a call for several items returned, in as many calls as it took."""

    read: list[tuple[T, R]] = field(default_factory=list)
    unread: list[tuple[T, PlatformError]] = field(default_factory=list)
    stopped_by: Exception | None = None
    """To be raised once the rest is stored."""

    @property
    def doubtful(self) -> bool:
        """Nothing could be read."""
        return not self.read and self.stopped_by is not None


async def read_each(
    items: Sequence[T],
    read: Callable[[tuple[T, ...]], Awaitable[Sequence[R]]],
    *,
    suspects: Collection[T] = frozenset(),
    unwell: bool = False,
) -> ReadResult[T, R]:
    """Read items with one call, or with calls for halves of them where it fails, down to those that cannot be read.

    `suspects` could not be read before: they have a call of their own. Where everything fails, so that the platform
    may be unwell, only few calls are made, and `ReadResult.stopped_by` is set; where nothing but suspects was
    requested, only if the part fails already (`unwell`).
    """
    result: ReadResult[T, R] = ReadResult()
    groups = [[item for item in items if item in suspects], [item for item in items if item not in suspects]]
    pending, failures = [tuple(group) for group in groups if group], 0
    while pending:
        batch = pending.pop()
        try:
            answers = await read(batch)
        except RateLimitReached as wait:
            result.stopped_by = wait
            break
        except PlatformError as error:
            if isinstance(error, Throttled | AuthExpired) or not error.may_be_one_items:
                result.stopped_by = error
                break
            failures += 1
            if len(batch) > 1:
                half = len(batch) // 2
                pending += [batch[half:], batch[:half]]
            else:
                result.unread.append((batch[0], error))
            if not result.read and failures > len(items).bit_length() + DOUBTFUL:
                return ReadResult(stopped_by=error)
        else:
            result.read += zip(batch, answers, strict=True)
    doubtful = [error for item, error in result.unread if not is_the_items(error) and (unwell or item not in suspects)]
    if doubtful and not result.read and result.stopped_by is None:
        result.stopped_by = doubtful[0]
    return result


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An item without which a page was read."""

    id: str
    error: PlatformError
    retry_cursor: str | None


async def next_page(
    fetch: Callable[[str | None], Awaitable[Page[T]]], cursor: str | None
) -> tuple[Page[T], list[LeftOut]]:
    """The next page of a list, smaller or without an item where it fails otherwise; and the items that are left out."""
    left_out: list[LeftOut] = []
    while True:
        try:
            return await fetch(cursor), left_out
        except PlatformError as error:
            bypass = error.bypass
            if bypass is None or bypass.cursor == cursor:
                raise
            if bypass.item is not None:
                left_out.append(LeftOut(bypass.item, error, bypass.retry))
                if len(left_out) > DOUBTFUL:
                    raise
            if bypass.complete:
                return Page((), bypass.cursor, more=False), left_out
            cursor = bypass.cursor


def stored_items(rows: Sequence[Mapping[str, Any]]) -> tuple[Stored, ...]:
    """From the rows of `STORED_ITEMS`."""
    return tuple(
        Stored(
            Part(row["part"]),
            row["external_id"],
            datetime.fromisoformat(row["retry_at"]),
            row["retry_cursor"],
            row["list_name"],
        )
        for row in rows
    )


async def remember(session: AsyncSession, items: Sequence[tuple[UUID, Unread]]) -> None:
    """Store items that could not be read, each with its community's id, and when they are tried again."""
    by_key = {(community_id, one.part, one.external_id): one for community_id, one in items}
    for (community_id, part, external_id), one in sorted(by_key.items(), key=lambda pair: pair[0]):
        # In key order, to avoid deadlocks; mostly one.
        params = {
            "workspace": workspace_of(session),
            "community": community_id,
            "part": part.value,
            "external_id": external_id,
            "code": one.error.code,
            "reason": one.error.message,
            "at": now(session),
            "first": FIRST_RETRY,
            "last": LAST_RETRY,
            "retry_cursor": one.retry_cursor,
            "list_name": one.list_name,
            "more": 0 if one.doubtful else 1,
        }
        await session.execute(_REMEMBER, params)


async def forget(session: AsyncSession, part: Part, items: Sequence[tuple[UUID, str]]) -> None:
    """Delete items that could be read, by their communities' ids and their own."""
    if items:
        await session.execute(
            delete(UnreadItem).where(
                UnreadItem.workspace_id == workspace_of(session),
                UnreadItem.part == part.value,
                tuple_(UnreadItem.community_id, UnreadItem.external_id).in_(items),
            )
        )


async def retry_now(session: AsyncSession, community_id: UUID) -> None:
    """Have all items of a community tried again now, as a person requested."""
    await session.execute(
        update(UnreadItem)
        .where(UnreadItem.workspace_id == workspace_of(session), UnreadItem.community_id == community_id)
        .values(retry_at=now(session))
    )


async def counts(session: AsyncSession, community_id: UUID) -> dict[Part, int]:
    """How many items of each part cannot be read now."""
    rows = await session.execute(
        select(UnreadItem.part, func.count())
        .where(UnreadItem.workspace_id == workspace_of(session), UnreadItem.community_id == community_id)
        .group_by(UnreadItem.part)
    )
    return {Part(row[0]): row[1] for row in rows}


_REMEMBER: Final = text("""
INSERT INTO unread_item AS u (
    workspace_id, community_id, part, external_id, failures, code, reason, since, retry_at, retry_cursor, list_name
)
VALUES (:workspace, :community, :part, :external_id, 1, :code, :reason, CAST(:at AS timestamptz),
        CAST(:at AS timestamptz) + CAST(:first AS interval),
        :retry_cursor, :list_name)
ON CONFLICT (workspace_id, community_id, part, external_id) DO UPDATE
SET failures = u.failures + :more, code = excluded.code, reason = excluded.reason,
    retry_at = CAST(:at AS timestamptz)
        + least(CAST(:first AS interval) * 2 ^ least(u.failures - 1 + :more, 20), CAST(:last AS interval)),
    retry_cursor = coalesce(excluded.retry_cursor, u.retry_cursor), list_name = excluded.list_name
""")
