"""Posts of several pictures that a platform reports part by part (Telegram's albums): each is one publication.

The parts may come in any order, each in an event of its own. The publication has the id of the first part, and the
text of whichever part has one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.communities.events import CommunityRef, SeenPublication
from app.communities.models import Publication
from app.kit.db import in_workspace, lock
from app.platforms.contract import RemotePost

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class JoinedPosts:
    """Posts with each album as one."""

    posts: list[RemotePost]
    renamed: tuple[SeenPublication, ...] = ()
    """Stored publications whose first part was among these posts: they have its id now."""


async def joined(session: AsyncSession, ref: CommunityRef, posts: Sequence[RemotePost]) -> JoinedPosts:
    """The posts with the parts of each album, here and stored, as one; without parts that change nothing of it.

    Takes a lock of the community's albums: two transactions with parts of the same one would store it twice.
    """
    albums = {post.album for post in posts if post.album is not None}
    if not albums:
        return JoinedPosts(list(posts))
    await lock(session, "albums", ref.community_id)
    query = select(Publication.album, Publication.id, Publication.external_id, Publication.url)
    rows = await session.execute(query.where(_ours(ref), Publication.album.in_(albums)).order_by(Publication.id))
    stored = {row.album: row for row in rows}
    whole = [post for post in posts if post.album is None]
    renamed: list[SeenPublication] = []
    for album in sorted(albums):
        parts = sorted((post for post in posts if post.album == album), key=lambda post: _order(post.external_id))
        first, row = parts[0], stored.get(album)
        if row is not None and _order(row.external_id) > _order(first.external_id):
            renamed += await _rename(session, ref, row, first)
        if row is not None and not (renamed and renamed[-1].id == row.id):
            first = replace(first, external_id=row.external_id, url=row.url)
        version = max((part for part in parts if part.text), key=version_order, default=None)
        if version is not None:
            whole.append(replace(first, text=version.text, edited_at=version.edited_at))
        elif row is None:
            whole.append(first)
    return JoinedPosts(whole, tuple(renamed))


def version_order(post: RemotePost) -> datetime:
    """Versions of one post in the order of their edits."""
    return post.edited_at or _BEGINNING


def _order(external_id: str) -> tuple[int, str]:
    """Numbers in their order."""
    return len(external_id), external_id


async def _rename(session: AsyncSession, ref: CommunityRef, row: Any, first: RemotePost) -> list[SeenPublication]:
    """Give a stored album the id of its first part; empty where another publication has that already."""
    other = aliased(Publication)
    taken = select(other.id).where(
        in_workspace(other, ref.workspace_id),
        other.community_id == ref.community_id,
        other.external_id == first.external_id,
    )
    changed = await session.execute(
        update(Publication)
        .where(_ours(ref), Publication.id == row.id, ~taken.exists())
        .values(external_id=first.external_id, url=first.url, published_at=first.published_at)
        .returning(Publication.id, Publication.external_id, Publication.url, Publication.text, Publication.published_at)
    )
    return [SeenPublication(one.id, one.external_id, one.url, one.text, one.published_at, False) for one in changed]


def _ours(ref: CommunityRef) -> ColumnElement[bool]:
    return in_workspace(Publication, ref.workspace_id) & (Publication.community_id == ref.community_id)
