"""Planning posts.

Rows are locked in the order community, publication, post, to avoid deadlocks. `expected_versions` are compared
with the locked post's version; `PreconditionFailed` where it is none of them (None: any version).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import audit
from app.communities.models import Community, Publication
from app.kit.actors import Actor
from app.kit.db import fetch, in_the_future, in_workspace, now, workspace_of
from app.kit.errors import AppError, Conflict, Invalid, NotFound, invalid_field
from app.kit.ids import uuid7
from app.kit.preconditions import require_version
from app.links import service as links
from app.metrics.service import set_category
from app.platforms import adapter as adapter_of
from app.platforms import outgoing
from app.posts import times
from app.posts.lexemes import POST_LEXEMES
from app.posts.models import Post, PostOrigin, PostStatus
from app.posts.schemas import PostCreate
from app.projects.models import Project


async def create(session: AsyncSession, actor: Actor, new_post: PostCreate) -> Post:
    """Add a post to the plan. `NotFound` for an unknown community, `Invalid` for an impossible time."""
    (result,) = await create_many(session, actor, [new_post])
    if isinstance(result, AppError):
        raise result
    return result


async def create_many(session: AsyncSession, actor: Actor, new_posts: Sequence[PostCreate]) -> list[Post | AppError]:
    """Add posts to the plan; returns each post, or its error, in the order given."""
    communities = await _communities(session, {item.community_id for item in new_posts})
    results: list[Post | AppError] = []
    for item in new_posts:
        try:
            results.append(_post(session, item, communities))
        except AppError as error:
            results.append(error)
    created = [post for post in results if isinstance(post, Post)]
    session.add_all(created)
    await session.flush()
    await POST_LEXEMES.replace(session, {post.id: post.text for post in created})
    for post in created:
        audit.record(
            session, actor, "posts.create", post_id=post.id, project_id=post.project_id, after=audit.snapshot(post)
        )
    return results


async def _communities(session: AsyncSession, community_ids: set[UUID]) -> dict[UUID, Row[UUID, UUID, str, str]]:
    """Project, platform and zone of communities; those of other workspaces are absent."""
    rows = await session.execute(
        select(Community.id, Community.project_id, Community.platform, Project.timezone)
        .join(Project, (Project.workspace_id == Community.workspace_id) & (Project.id == Community.project_id))
        .where(in_workspace(Community, workspace_of(session)), Community.id.in_(community_ids))
    )
    return {row.id: row for row in rows}


def _post(session: AsyncSession, item: PostCreate, communities: Mapping[UUID, Row[UUID, UUID, str, str]]) -> Post:
    community = communities.get(item.community_id)
    if community is None:
        raise NotFound("There is no such community here.")
    zone = item.timezone or community.timezone
    planned_at = _instant(item.planned_for, zone)
    in_the_future(session, "planned_for", planned_at)
    _require_fit(item.text, community.platform)
    return Post(
        workspace_id=workspace_of(session),
        id=uuid7(),
        project_id=community.project_id,
        community_id=item.community_id,
        origin=PostOrigin.PLANNED.value,
        text=item.text,
        category=item.category,
        status=item.status.value,
        planned_for=item.planned_for,
        timezone=zone,
        planned_at=planned_at,
        version=1,
        created_at=now(session),
        updated_at=now(session),
    )


def _instant(planned_for: datetime | None, zone: str) -> datetime | None:
    return None if planned_for is None else times.instant(planned_for, zone)


def _require_fit(text: str, platform: str) -> None:
    """Raise `Invalid` (`text-too-long`) for a text that the platform would refuse."""
    spec = adapter_of(platform).spec
    if (excess := outgoing.excess(text, spec.post_text_limit)) is not None:
        raise invalid_field("text", "text-too-long", f"{spec.title} takes posts of {excess}.")


async def lock_for_update(session: AsyncSession, post_id: UUID) -> Post:
    """The post, locked, and its publication locked before it."""
    workspace_id = workspace_of(session)
    publication_id = await session.scalar(
        select(Post.publication_id).where(in_workspace(Post, workspace_id), Post.id == post_id)
    )
    if publication_id is not None:
        await lock_publication(session, publication_id)
    return await fetch(session, Post, post_id, for_update=True)


async def lock_publication(session: AsyncSession, publication_id: UUID) -> None:
    """Lock a publication until this transaction ends."""
    await session.execute(
        select(Publication.id)
        .where(in_workspace(Publication, workspace_of(session)), Publication.id == publication_id)
        .with_for_update(key_share=True)
    )


def bump_version(session: AsyncSession, post: Post) -> None:
    """Increase the version and set `updated_at`."""
    post.version += 1
    post.updated_at = now(session)


async def change(
    session: AsyncSession,
    actor: Actor,
    *,
    post_id: UUID,
    changes: Mapping[str, Any],
    expected_versions: Collection[int] | None = None,
) -> Post:
    """Apply a merge patch: `text`, `category`, `status`, `planned_for`, `timezone`.

    Raises `Conflict` (`already-published`) for anything but the category of a published post, and `Invalid` for a
    plan for the past (`not-in-the-future`) and for more text than the platform takes (`text-too-long`).
    """
    post = await lock_for_update(session, post_id)
    require_version(post.version, expected_versions)
    changed = {name: value for name, value in changes.items() if getattr(post, name) != value}
    if not changed:
        return post
    if post.status == PostStatus.PUBLISHED and set(changed) - {"category"}:
        raise Conflict("It is published: only its category may change now.", code="already-published")
    before = audit.snapshot(post)
    for name, value in changed.items():
        setattr(post, name, value)
    if {"planned_for", "timezone"} & set(changed):
        post.planned_at = _instant(post.planned_for, post.timezone)
    if post.status == PostStatus.PLANNED and {"planned_for", "timezone", "status"} & set(changed):
        in_the_future(session, "planned_for", post.planned_at)
    if "text" in changed:
        of_post = (in_workspace(Community, post.workspace_id), Community.id == post.community_id)
        _require_fit(post.text, (await session.scalars(select(Community.platform).where(*of_post))).one())
    if post.status == PostStatus.PLANNED and post.planned_for is None:
        raise Invalid("A planned post needs planned_for.", code="planned-for-missing")
    bump_version(session, post)
    await session.flush()
    audit.record(
        session,
        actor,
        "posts.update",
        post_id=post.id,
        project_id=post.project_id,
        before=before,
        after=audit.snapshot(post),
    )
    await POST_LEXEMES.replace(session, {post.id: post.text})
    if "category" in changed and post.publication_id is not None:
        await set_category(session, actor, [post.publication_id], post.category)
    return post


async def delete(
    session: AsyncSession, actor: Actor, *, post_id: UUID, expected_versions: Collection[int] | None = None
) -> None:
    """Delete a draft. Raises `Conflict` (`not-a-draft`) for any other status."""
    post = await fetch(session, Post, post_id, for_update=True)
    require_version(post.version, expected_versions)
    if post.status != PostStatus.DRAFT:
        raise Conflict("Only a draft can be deleted.", code="not-a-draft")
    await links.move_post(session, actor, from_id=post.id, to_id=None)
    await session.delete(post)
    await POST_LEXEMES.remove(session, post.id)
    await session.flush()
    audit.record(
        session, actor, "posts.delete", post_id=post.id, project_id=post.project_id, before=audit.snapshot(post)
    )
