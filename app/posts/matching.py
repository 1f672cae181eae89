"""One post for each publication, whichever is known first.

A person reports where a planned post was published; polling finds publications on the platform. Either
may come first, or both at once. Matching locks the community's row, so that it is serialised; the
unique indexes of `post` would refuse a second post for a publication anyway.

Planned first: the publication that polling finds is linked to the post. Found first: the planned post
replaces the found one, keeps its own id and text, and takes the found one's category where it has none.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import audit
from app.communities.events import CommunityRef, PublicationsSeen, SeenPublication
from app.communities.models import Community, Publication
from app.kit.actors import Actor
from app.kit.bulk import bulk_insert, column_arrays, equals_any
from app.kit.db import Base, fetch, in_workspace, now, workspace_of
from app.kit.errors import Conflict, Invalid, NotFound, invalid_field
from app.kit.ids import uuid7
from app.kit.preconditions import require_version
from app.links import service as links
from app.metrics.service import set_category
from app.platforms import adapter as adapter_of
from app.platforms.contract import CommunityIdentity
from app.posts import permalinks
from app.posts.lexemes import POST_LEXEMES
from app.posts.models import Post, PostOrigin, PostStatus
from app.posts.service import bump_version, lock_for_update, lock_publication
from app.projects.models import Project

_TABLE: Final = Base.metadata.tables[Post.__tablename__]
_COLUMNS: Final = (
    *("workspace_id", "id", "project_id", "community_id", "publication_id", "origin", "text", "status", "timezone"),
    *("permalink", "permalink_key", "published_at", "version", "created_at", "updated_at"),
)
_INSERT_FOUND: Final = bulk_insert(_TABLE, _COLUMNS).on_conflict_do_nothing().returning(_TABLE.c.id, _TABLE.c.text)
CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far a caller's clock may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class _Addresses:
    """Compares addresses of the posts of one community."""

    platform: str
    community: CommunityIdentity

    def key(self, permalink: str) -> str:
        """What `post.permalink_key` is for a person's permalink."""
        return permalinks.post_key(self.platform, self.community, permalink) or permalinks.canonical(permalink)

    def publication_key(self, publication: SeenPublication) -> str:
        """The same for a publication."""
        return permalinks.post_key(self.platform, self.community, publication.url) or publication.external_id

    def require_own_site(self, permalink: str) -> None:
        """Raise `Invalid` (`permalink-of-another-site`) for an address that is none of the platform's."""
        if permalinks.is_on_another_site(self.platform, self.community, permalink):
            detail = f"This is no address on {adapter_of(self.platform).spec.title}, where this post belongs."
            raise invalid_field("permalink", "permalink-of-another-site", detail)

    def match(self, permalink: str, publication: Publication | SeenPublication) -> bool:
        return permalinks.is_same_post(
            self.platform, self.community, permalink, publication.url, publication.external_id
        )


async def _lock_community(session: AsyncSession, community_id: UUID) -> _Addresses:
    row = (
        await session.execute(
            select(Community.platform, Community.address, Community.url, Community.external_id, Community.aliases)
            .where(in_workspace(Community, workspace_of(session)), Community.id == community_id)
            .with_for_update(key_share=True)
        )
    ).one()
    addresses = (row.address, row.url) if row.url else (row.address,)
    return _Addresses(row.platform, CommunityIdentity(addresses, row.external_id, frozenset(row.aliases)))


async def mark_published(
    session: AsyncSession,
    actor: Actor,
    *,
    post_id: UUID,
    permalink: str,
    published_at: datetime | None,
    expected_versions: Collection[int] | None = None,
) -> Post:
    """Record that a post was published by hand, and match it to the publication where that is known.

    Calling it again changes the permalink, as long as nothing is matched. Raises `Conflict`:
    `already-matched`, or `permalink-taken` by another post of the plan; and `Invalid` for an address of another site.
    """
    community_id = await session.scalar(
        select(Post.community_id).where(in_workspace(Post, workspace_of(session)), Post.id == post_id)
    )
    if community_id is None:
        raise NotFound
    addresses = await _lock_community(session, community_id)
    addresses.require_own_site(permalink)
    publication, others = await _publication_at(session, community_id, addresses, permalink)
    if publication is not None:
        await lock_publication(session, publication.id)
    post = await fetch(session, Post, post_id, for_update=True)
    require_version(post.version, expected_versions)
    if post.publication_id is not None:
        if publication is not None and publication.id == post.publication_id:
            return post
        raise Conflict("It is matched to a publication already.", code="already-matched")
    if published_at is not None and published_at > now(session) + CLOCK_SKEW:
        raise Invalid("`published_at` is in the future.", code="published-in-the-future")
    for other_id in sorted(others - {post.id}):
        other = await fetch(session, Post, other_id, for_update=True)
        if other.origin != PostOrigin.FOUND or publication is None or other.publication_id != publication.id:
            raise Conflict("Another post was published there.", code="permalink-taken")
        await _replace_found_post(session, actor, post, other)
    before = audit.snapshot(post)
    if post.status != PostStatus.PUBLISHED:
        post.plan_status, post.status = post.status, PostStatus.PUBLISHED.value
    post.permalink, post.permalink_key = permalink, addresses.key(permalink)
    post.published_at = published_at or now(session)
    bump_version(session, post)
    if publication is not None:
        post.publication_id, post.published_at = publication.id, publication.published_at
    audit.record(
        session,
        actor,
        "posts.mark-published",
        post_id=post.id,
        project_id=post.project_id,
        before=before,
        after=audit.snapshot(post),
    )
    if publication is not None:
        await session.flush()
        await set_category(session, actor, [publication.id], post.category)
    await session.flush()
    await POST_LEXEMES.replace(session, {post.id: post.text})
    return post


async def unmark_published(
    session: AsyncSession, actor: Actor, *, post_id: UUID, expected_versions: Collection[int] | None = None
) -> Post:
    """Undo `mark_published`: the post has the status that it had before.

    What it was matched to becomes a found post, with the publication's category, so that its figures stay. Links stay
    with the planned post. Raises `Conflict`: `not-published`, or `found-post` for one that nobody had planned.
    """
    place = (
        await session.execute(
            select(Post.community_id, Post.project_id, Community.platform, Project.timezone)
            .join(Community, (Community.workspace_id == Post.workspace_id) & (Community.id == Post.community_id))
            .join(Project, (Project.workspace_id == Post.workspace_id) & (Project.id == Post.project_id))
            .where(in_workspace(Post, workspace_of(session)), Post.id == post_id)
        )
    ).one_or_none()
    if place is None:
        raise NotFound
    addresses = await _lock_community(session, place.community_id)
    post = await lock_for_update(session, post_id)
    require_version(post.version, expected_versions)
    if post.origin == PostOrigin.FOUND:
        raise Conflict("It was found on the platform: nobody had marked it as published.", code="found-post")
    if post.status != PostStatus.PUBLISHED:
        raise Conflict("It is not marked as published.", code="not-published")
    before = audit.snapshot(post)
    publication_id, plan = post.publication_id, PostStatus.DRAFT if post.planned_for is None else PostStatus.PLANNED
    post.status, post.plan_status = post.plan_status or plan.value, None
    post.publication_id = post.permalink = post.permalink_key = post.published_at = None
    bump_version(session, post)
    audit.record(
        session,
        actor,
        "posts.unmark-published",
        post_id=post.id,
        project_id=post.project_id,
        before=before,
        after=audit.snapshot(post),
    )
    await session.flush()
    if publication_id is not None:
        publication = await fetch(session, Publication, publication_id)
        community = CommunityRef(
            workspace_of(session), place.project_id, place.community_id, place.platform, place.timezone
        )
        seen = SeenPublication(
            publication.id, publication.external_id, publication.url, publication.text, publication.published_at, False
        )
        unplanned = Post(**_found_post_values(session, community, addresses, seen), category=publication.category)
        session.add(unplanned)
        await session.flush()
        await POST_LEXEMES.replace(session, {unplanned.id: unplanned.text})
    await POST_LEXEMES.replace(session, {post.id: post.text})
    return post


async def _publication_at(
    session: AsyncSession, community_id: UUID, addresses: _Addresses, permalink: str
) -> tuple[Publication | None, set[UUID]]:
    """The publication at a permalink; and the posts that have the publication, or the permalink."""
    workspace_id = workspace_of(session)
    key = addresses.key(permalink)
    keys = {key, permalinks.canonical(permalink)}  # the latter where the community had not been read yet
    has_key = in_workspace(Post, workspace_id) & (Post.community_id == community_id) & Post.permalink_key.in_(keys)
    others = set(await session.scalars(select(Post.id).where(has_key)))
    candidates = await session.execute(
        select(Publication, Post.id)
        .outerjoin(Post, (Post.workspace_id == Publication.workspace_id) & (Post.publication_id == Publication.id))
        .where(
            in_workspace(Publication, workspace_id),
            Publication.community_id == community_id,
            or_(
                Publication.external_id == key,
                Publication.url == permalink,
                Post.permalink_key.in_(keys),
            ),
        )
        .order_by(Publication.published_at)
    )
    for publication, post_id in candidates:
        if addresses.match(permalink, publication):
            return publication, others | ({post_id} if post_id else set())
    return None, others


async def _replace_found_post(session: AsyncSession, actor: Actor, post: Post, found_post: Post) -> None:
    """Replace the found post by the planned one."""
    post.category = post.category or found_post.category
    await links.move_post(session, actor, from_id=found_post.id, to_id=post.id)
    audit.record(
        session,
        actor,
        "posts.delete",
        post_id=found_post.id,
        project_id=found_post.project_id,
        replaced_by_id=post.id,
        before=audit.snapshot(found_post),
    )
    await session.delete(found_post)
    await POST_LEXEMES.remove(session, found_post.id)
    await session.flush()


async def match_seen(session: AsyncSession, actor: Actor, event: PublicationsSeen) -> None:
    """Match every publication to the post published by hand, or store it as a found post."""
    matched = await _posts_of(session, (publication.id for publication in event.publications))
    edited: dict[UUID, str] = {}
    for publication in event.publications:
        post = matched.get(publication.id)
        if post is not None and post.origin == PostOrigin.FOUND and post.text != publication.text:
            post.text = edited[post.id] = publication.text
            bump_version(session, post)
    if edited:
        await session.flush()
        await POST_LEXEMES.replace(session, edited)
    new = [publication for publication in event.publications if publication.id not in matched]
    if new:
        addresses = await _lock_community(session, event.community.community_id)
        matched_meanwhile = await _posts_of(session, (publication.id for publication in new))
        await _match_new(
            session,
            actor,
            event.community,
            addresses,
            [publication for publication in new if publication.id not in matched_meanwhile],
        )
    await session.flush()


async def _posts_of(session: AsyncSession, publication_ids: Iterable[UUID]) -> dict[UUID, Post]:
    rows = await session.scalars(
        select(Post).where(
            in_workspace(Post, workspace_of(session)), equals_any(_TABLE.c.publication_id, list(publication_ids))
        )
    )
    return {post.publication_id: post for post in rows if post.publication_id is not None}


async def _match_new(
    session: AsyncSession,
    actor: Actor,
    community: CommunityRef,
    addresses: _Addresses,
    new: Sequence[SeenPublication],
) -> None:
    """Match new publications to posts without one; store the others as found posts."""
    unmatched = list(
        await session.scalars(
            select(Post)
            .where(
                in_workspace(Post, community.workspace_id),
                Post.community_id == community.community_id,
                Post.status == PostStatus.PUBLISHED.value,
                Post.publication_id.is_(None),
            )
            .order_by(Post.created_at, Post.id)
            .with_for_update()
        )
    )
    categories: defaultdict[str, list[UUID]] = defaultdict(list)
    to_add: list[SeenPublication] = []
    for publication in new:
        post = _post_for(publication, addresses, unmatched)
        if post is None:
            to_add.append(publication)
            continue
        unmatched.remove(post)
        before = audit.snapshot(post)
        post.publication_id, post.published_at = publication.id, publication.published_at
        bump_version(session, post)
        audit.record(
            session,
            actor,
            "posts.match",
            post_id=post.id,
            project_id=post.project_id,
            before=before,
            after=audit.snapshot(post),
        )
        if post.category is not None:
            categories[post.category].append(publication.id)
    if to_add:
        rows = [_found_post_values(session, community, addresses, publication) for publication in to_add]
        added = await session.execute(_INSERT_FOUND, column_arrays(rows, _COLUMNS))
        await POST_LEXEMES.replace(session, {row.id: row.text for row in added})
    await session.flush()
    for category in sorted(categories):
        await set_category(session, actor, categories[category], category)


def _post_for(publication: SeenPublication, addresses: _Addresses, unmatched: Sequence[Post]) -> Post | None:
    """The unmatched post for this publication.

    Addresses are compared anew: when a post was published the community may not have been read yet.
    """
    return next((post for post in unmatched if post.permalink and addresses.match(post.permalink, publication)), None)


def _found_post_values(
    session: AsyncSession, community: CommunityRef, addresses: _Addresses, publication: SeenPublication
) -> dict[str, object]:
    return {
        "workspace_id": community.workspace_id,
        "id": uuid7(),
        "project_id": community.project_id,
        "community_id": community.community_id,
        "publication_id": publication.id,
        "origin": PostOrigin.FOUND.value,
        "text": publication.text,
        "status": PostStatus.PUBLISHED.value,
        "timezone": community.timezone,
        "permalink": publication.url,
        "permalink_key": addresses.publication_key(publication),
        "published_at": publication.published_at,
        "version": 1,
        "created_at": now(session),
        "updated_at": now(session),
    }
