"""One post for each publication, whichever is heard of first.

A person says where a planned post was published; polling says what stands on the platform. Either
may come first, or both at once. Whoever matches holds the community's row, so that they take
turns; the unique indexes of `post` would refuse a second post for a publication all the same.

Planned first: the publication that polling brings is linked to the post. Found first: the found
post is taken up by the planned one, which keeps its own id and text, and takes the found one's
category where it has none.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import CommunityRef, PublicationsSeen, SeenPublication
from app.communities.models import Community, Publication
from app.kit.bulk import bulk_insert, column_arrays, equals_any
from app.kit.db import Base, fetch, in_workspace, now, workspace_of
from app.kit.errors import Conflict, Invalid, NotFound
from app.kit.ids import uuid7
from app.links import service as links
from app.metrics.service import set_category
from app.posts import permalinks
from app.posts.models import Origin, Post, Status
from app.posts.service import Check, hold_publication, touch

_TABLE: Final = Base.metadata.tables[Post.__tablename__]
_COLUMNS: Final = (
    *("workspace_id", "id", "project_id", "community_id", "publication_id", "origin", "text", "status", "timezone"),
    *("permalink", "permalink_key", "published_at", "version", "created_at", "updated_at"),
)
_FOUND: Final = bulk_insert(_TABLE, _COLUMNS).on_conflict_do_nothing()
_AHEAD: Final = timedelta(minutes=5)
"""How far a caller's clock may be ahead of ours."""


async def _take_turns(session: AsyncSession, community_id: UUID) -> None:
    await session.execute(
        select(Community.id)
        .where(in_workspace(Community, workspace_of(session)), Community.id == community_id)
        .with_for_update(key_share=True)
    )


async def publish(
    session: AsyncSession, *, post_id: UUID, permalink: str, published_at: datetime | None, check: Check
) -> Post:
    """Mark a post as published by hand, and match it to the publication where that is known.

    Doing so again corrects the permalink, as long as nothing is matched. Raises `Conflict`:
    `already-matched`, or `permalink-taken` by another post of the plan.
    """
    community_id = await session.scalar(
        select(Post.community_id).where(in_workspace(Post, workspace_of(session)), Post.id == post_id)
    )
    if community_id is None:
        raise NotFound
    await _take_turns(session, community_id)
    publication, others = await _standing(session, community_id, permalink)
    if publication is not None:
        await hold_publication(session, publication.id)
    post = await fetch(session, Post, post_id, for_update=True)
    check(post.version)
    if post.publication_id is not None:
        if publication is not None and publication.id == post.publication_id:
            return post
        raise Conflict("It is matched to a publication already.", code="already-matched")
    if published_at is not None and published_at > now(session) + _AHEAD:
        raise Invalid("`published_at` is in the future.", code="published-in-the-future")
    for other_id in sorted(others - {post.id}):
        other = await fetch(session, Post, other_id, for_update=True)
        if other.origin != Origin.FOUND or publication is None or other.publication_id != publication.id:
            raise Conflict("Another post was published there.", code="permalink-taken")
        await _take_up(session, post, other)
    post.status = Status.PUBLISHED.value
    post.permalink, post.permalink_key = permalink, permalinks.canonical(permalink)
    post.published_at = published_at or now(session)
    touch(session, post)
    if publication is not None:
        post.publication_id, post.published_at = publication.id, publication.published_at
        await session.flush()
        await set_category(session, [publication.id], post.category)
    await session.flush()
    return post


async def _standing(session: AsyncSession, community_id: UUID, permalink: str) -> tuple[Publication | None, set[UUID]]:
    """The publication at a permalink; and the posts that have the publication, or the permalink."""
    workspace_id = workspace_of(session)
    key = permalinks.canonical(permalink)
    having_key = in_workspace(Post, workspace_id) & (Post.community_id == community_id) & (Post.permalink_key == key)
    others = set(await session.scalars(select(Post.id).where(having_key)))
    candidates = await session.execute(
        select(Publication, Post.id)
        .outerjoin(Post, (Post.workspace_id == Publication.workspace_id) & (Post.publication_id == Publication.id))
        .where(
            in_workspace(Publication, workspace_id),
            Publication.community_id == community_id,
            or_(
                Publication.external_id.in_(permalinks.names(permalink)),
                Publication.url == permalink,
                Post.permalink_key == key,
            ),
        )
        .order_by(Publication.published_at)
    )
    for publication, post_id in candidates:
        if permalinks.same(permalink, publication.url, publication.external_id):
            return publication, others | ({post_id} if post_id else set())
    return None, others


async def _take_up(session: AsyncSession, post: Post, found: Post) -> None:
    """Let a planned post take the place of the found one."""
    post.category = post.category or found.category
    await links.move_post(session, from_id=found.id, to_id=post.id)
    await session.delete(found)
    await session.flush()


async def seen(session: AsyncSession, event: PublicationsSeen) -> None:
    """Give every publication its post: one that was published by hand, or a found one."""
    known = await _posts_of(session, (publication.id for publication in event.publications))
    for publication in event.publications:
        post = known.get(publication.id)
        if post is not None and post.origin == Origin.FOUND and post.text != publication.text:
            post.text = publication.text
            touch(session, post)
    fresh = [publication for publication in event.publications if publication.id not in known]
    if fresh:
        await _take_turns(session, event.community.community_id)
        taken = await _posts_of(session, (publication.id for publication in fresh))
        await _welcome(session, event.community, [publication for publication in fresh if publication.id not in taken])
    await session.flush()


async def _posts_of(session: AsyncSession, publication_ids: Iterable[UUID]) -> dict[UUID, Post]:
    rows = await session.scalars(
        select(Post).where(
            in_workspace(Post, workspace_of(session)), equals_any(_TABLE.c.publication_id, list(publication_ids))
        )
    )
    return {post.publication_id: post for post in rows if post.publication_id is not None}


async def _welcome(session: AsyncSession, place: CommunityRef, fresh: Sequence[SeenPublication]) -> None:
    """Match new publications to the posts that wait for one; keep the others as found."""
    waiting = list(
        await session.scalars(
            select(Post)
            .where(
                in_workspace(Post, place.workspace_id),
                Post.community_id == place.community_id,
                Post.status == Status.PUBLISHED.value,
                Post.publication_id.is_(None),
            )
            .order_by(Post.created_at, Post.id)
            .with_for_update()
        )
    )
    categories: defaultdict[str, list[UUID]] = defaultdict(list)
    found: list[SeenPublication] = []
    for publication in fresh:
        post = _waiting_for(publication, waiting)
        if post is None:
            found.append(publication)
            continue
        waiting.remove(post)
        post.publication_id, post.published_at = publication.id, publication.published_at
        touch(session, post)
        if post.category is not None:
            categories[post.category].append(publication.id)
    if found:
        rows = [_found(session, place, publication) for publication in found]
        await session.execute(_FOUND, column_arrays(rows, _COLUMNS))
    await session.flush()
    for category in sorted(categories):
        await set_category(session, categories[category], category)


def _waiting_for(publication: SeenPublication, waiting: Sequence[Post]) -> Post | None:
    """The post that waits for this publication; the same address says more than the same id."""
    key = permalinks.canonical(publication.url)
    exact = next((post for post in waiting if post.permalink_key == key), None)
    return exact or next(
        (
            post
            for post in waiting
            if post.permalink and permalinks.same(post.permalink, publication.url, publication.external_id)
        ),
        None,
    )


def _found(session: AsyncSession, place: CommunityRef, publication: SeenPublication) -> dict[str, object]:
    return {
        "workspace_id": place.workspace_id,
        "id": uuid7(),
        "project_id": place.project_id,
        "community_id": place.community_id,
        "publication_id": publication.id,
        "origin": Origin.FOUND.value,
        "text": publication.text,
        "status": Status.PUBLISHED.value,
        "timezone": place.timezone,
        "permalink": publication.url,
        "permalink_key": permalinks.canonical(publication.url),
        "published_at": publication.published_at,
        "version": 1,
        "created_at": now(session),
        "updated_at": now(session),
    }
