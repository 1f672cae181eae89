"""Planning posts.

Rows are always locked in one order, so that nobody waits in a circle: community, publication, post.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.models import Community, Publication
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.errors import AppError, Conflict, Invalid, NotFound
from app.kit.ids import uuid7
from app.links import service as links
from app.metrics.service import set_category
from app.posts import times
from app.posts.models import Origin, Post, Status
from app.posts.schemas import PostCreate
from app.projects import zones
from app.projects.models import Project

Check = Callable[[int], None]
"""Raises `PreconditionFailed` for a version the caller has not seen."""


async def create(session: AsyncSession, wanted: PostCreate) -> Post:
    """Put a post into the plan. `NotFound` for an unknown community, `Invalid` for an impossible time."""
    (made,) = await create_many(session, [wanted])
    if isinstance(made, AppError):
        raise made
    return made


async def create_many(session: AsyncSession, wanted: Sequence[PostCreate]) -> list[Post | AppError]:
    """Put posts into the plan, each on its own: what cannot be done is told in its place."""
    places = await _places(session, {item.community_id for item in wanted})
    known = await zones.known(session) if any(item.timezone is not None for item in wanted) else frozenset()
    made: list[Post | AppError] = []
    for item in wanted:
        try:
            made.append(_post(session, item, places, known))
        except AppError as error:
            made.append(error)
    session.add_all(post for post in made if isinstance(post, Post))
    await session.flush()
    return made


async def _places(session: AsyncSession, community_ids: set[UUID]) -> dict[UUID, tuple[UUID, str]]:
    """Project and zone of communities; those of others are missing."""
    rows = await session.execute(
        select(Community.id, Community.project_id, Project.timezone)
        .join(Project, (Project.workspace_id == Community.workspace_id) & (Project.id == Community.project_id))
        .where(in_workspace(Community, workspace_of(session)), Community.id.in_(community_ids))
    )
    return {row.id: (row.project_id, row.timezone) for row in rows}


def _post(
    session: AsyncSession, item: PostCreate, places: Mapping[UUID, tuple[UUID, str]], known: Collection[str]
) -> Post:
    if item.community_id not in places:
        raise NotFound("There is no such community here.")
    if item.timezone is not None:
        zones.require(item.timezone, known)
    project_id, project_zone = places[item.community_id]
    zone = item.timezone or project_zone
    return Post(
        workspace_id=workspace_of(session),
        id=uuid7(),
        project_id=project_id,
        community_id=item.community_id,
        origin=Origin.PLANNED.value,
        text=item.text,
        category=item.category,
        status=item.status.value,
        planned_for=item.planned_for,
        timezone=zone,
        planned_at=_instant(item.planned_for, zone),
        version=1,
        created_at=now(session),
        updated_at=now(session),
    )


def _instant(planned_for: datetime | None, zone: str) -> datetime | None:
    return None if planned_for is None else times.instant(planned_for, zone)


async def hold(session: AsyncSession, post_id: UUID) -> Post:
    """The post for changing it, its publication held before it."""
    workspace_id = workspace_of(session)
    publication_id = await session.scalar(
        select(Post.publication_id).where(in_workspace(Post, workspace_id), Post.id == post_id)
    )
    if publication_id is not None:
        await hold_publication(session, publication_id)
    return await fetch(session, Post, post_id, for_update=True)


async def hold_publication(session: AsyncSession, publication_id: UUID) -> None:
    """Keep others from changing a publication until this unit of work ends."""
    await session.execute(
        select(Publication.id)
        .where(in_workspace(Publication, workspace_of(session)), Publication.id == publication_id)
        .with_for_update(key_share=True)
    )


def touch(session: AsyncSession, post: Post) -> None:
    """Count a change."""
    post.version += 1
    post.updated_at = now(session)


async def change(session: AsyncSession, *, post_id: UUID, changes: Mapping[str, Any], check: Check) -> Post:
    """Apply a merge patch: `text`, `category`, `status`, `planned_for`, `timezone`.

    Raises `Conflict` (`already-published`) for anything but the category of a published post, `Invalid`
    (`unknown-zone`) for a zone that PostgreSQL does not know.
    """
    if "timezone" in changes:
        zones.require(changes["timezone"], await zones.known(session))
    post = await hold(session, post_id)
    check(post.version)
    altered = {name: value for name, value in changes.items() if getattr(post, name) != value}
    if not altered:
        return post
    if post.status == Status.PUBLISHED and set(altered) - {"category"}:
        raise Conflict("It is published: only its category may change now.", code="already-published")
    for name, value in altered.items():
        setattr(post, name, value)
    if {"planned_for", "timezone"} & set(altered):
        post.planned_at = _instant(post.planned_for, post.timezone)
    if post.status == Status.PLANNED and post.planned_for is None:
        raise Invalid("A planned post needs planned_for.", code="planned-for-missing")
    touch(session, post)
    await session.flush()
    if "category" in altered and post.publication_id is not None:
        await set_category(session, [post.publication_id], post.category)
    return post


async def delete(session: AsyncSession, *, post_id: UUID, check: Check) -> None:
    """Throw a draft away. `Conflict` (`not-a-draft`) for anything that has come further."""
    post = await fetch(session, Post, post_id, for_update=True)
    check(post.version)
    if post.status != Status.DRAFT:
        raise Conflict("Only a draft can be deleted.", code="not-a-draft")
    await links.move_post(session, from_id=post.id, to_id=None)
    await session.delete(post)
    await session.flush()
