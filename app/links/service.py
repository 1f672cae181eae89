"""Making and changing tracked links."""

import secrets
import string
from typing import Any, Final
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import audit
from app.communities.models import Community
from app.kit.actors import Actor
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.errors import Conflict, Invalid
from app.kit.events import publish
from app.links import targets
from app.links.events import LinkMadeForPost
from app.links.lexemes import LINK_LEXEMES, searched_text
from app.links.models import Link, LinkRoute, LinkTarget
from app.projects.models import Project

_ALPHABET: Final = string.ascii_letters + string.digits
_LENGTH: Final = 8
"""62 ** 8 slugs: too many to guess one."""
_ATTEMPTS: Final = 5


async def create(
    session: AsyncSession,
    actor: Actor,
    *,
    public_url: str,
    project_id: UUID,
    target: str,
    slug: str | None,
    title: str | None,
    community_id: UUID | None,
    post_id: UUID | None,
) -> Link:
    """Create a link. Raises `Conflict` where the requested slug is taken, in any workspace.

    Raises `Invalid` where the community or the post is of another project, and `NotFound` where there is none.
    """
    if targets.is_loop(target, public_url):
        raise Invalid("A tracked link must not lead to a tracked link.", code="redirect-loop")
    await fetch(session, Project, project_id)
    if community_id is not None:
        community = await fetch(session, Community, community_id)
        if community.project_id != project_id:
            raise Invalid("This community belongs to another project.", code="community-of-another-project")
    link = Link(
        workspace_id=workspace_of(session),
        project_id=project_id,
        community_id=community_id,
        post_id=post_id,
        slug=slug or _new_slug(),
        target=target,
        target_version=1,
        title=title,
        created_at=now(session),
        archived_at=None,
    )
    if post_id is not None:
        await publish(session, LinkMadeForPost(project_id, post_id))
    session.add(link)
    await session.flush()
    for _ in range(_ATTEMPTS):
        if await _reserve_slug(session, link):
            _add_target(session, actor, link)
            await session.flush()
            await LINK_LEXEMES.replace(session, {link.id: searched_text(link.title, link.target)})
            audit.record(
                session, actor, "links.create", link_id=link.id, project_id=project_id, after=audit.snapshot(link)
            )
            return link
        if slug is not None:
            break
        link.slug = _new_slug()
    raise Conflict("This slug is taken.", code="slug-taken")


def _add_target(session: AsyncSession, actor: Actor, link: Link) -> None:
    """Add the link's present target to its history."""
    session.add(
        LinkTarget(
            workspace_id=link.workspace_id,
            link_id=link.id,
            version=link.target_version,
            target=link.target,
            since=now(session),
            actor=str(actor),
        )
    )


def _new_slug() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


async def _reserve_slug(session: AsyncSession, link: Link) -> bool:
    """Reserve the link's slug; False where it is taken."""
    taken = await session.scalar(
        insert(LinkRoute)
        .values(
            slug=link.slug,
            workspace_id=link.workspace_id,
            link_id=link.id,
            target=targets.location(link.target),
            target_version=1,
            archived=False,
        )
        .on_conflict_do_nothing()
        .returning(LinkRoute.slug)
    )
    return taken is not None


async def change(
    session: AsyncSession, actor: Actor, *, public_url: str, link_id: UUID, changes: dict[str, Any]
) -> Link:
    """Apply a merge patch: `target`, `title`, `archived`. A new target begins a new version; the old ones are kept."""
    link = await fetch(session, Link, link_id, for_update=True)
    before = audit.snapshot(link)
    if "title" in changes:
        link.title = changes["title"]
    if "target" in changes and changes["target"] != link.target:
        if targets.is_loop(changes["target"], public_url):
            raise Invalid("A tracked link must not lead to a tracked link.", code="redirect-loop")
        link.target, link.target_version = changes["target"], link.target_version + 1
        _add_target(session, actor, link)
    if "archived" in changes and changes["archived"] != (link.archived_at is not None):
        link.archived_at = now(session) if changes["archived"] else None
    await session.execute(
        update(LinkRoute)
        .where(LinkRoute.workspace_id == link.workspace_id, LinkRoute.slug == link.slug)
        .values(
            target=targets.location(link.target),
            target_version=link.target_version,
            archived=link.archived_at is not None,
        )
    )
    await session.flush()
    if {"title", "target"} & set(changes):
        await LINK_LEXEMES.replace(session, {link.id: searched_text(link.title, link.target)})
    if (after := audit.snapshot(link)) != before:
        audit.record(
            session, actor, "links.update", link_id=link.id, project_id=link.project_id, before=before, after=after
        )
    return link


async def move_post(session: AsyncSession, actor: Actor, *, from_id: UUID, to_id: UUID | None) -> None:
    """Move the links of one post to another (or to none), before the first is deleted."""
    moved = await session.execute(
        update(Link)
        .where(in_workspace(Link, workspace_of(session)), Link.post_id == from_id)
        .values(post_id=to_id)
        .returning(Link.id, Link.project_id)
    )
    for link in moved.all():
        audit.record(
            session,
            actor,
            "links.update",
            link_id=link.id,
            project_id=link.project_id,
            before={"post_id": from_id},
            after={"post_id": to_id},
        )
