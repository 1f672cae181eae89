"""The content plan's subscriptions: to polled publications, and to links that are made for posts."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import PublicationsSeen
from app.kit.db import actor_of, fetch
from app.kit.errors import Invalid
from app.kit.events import subscribe
from app.links.events import LinkMadeForPost
from app.posts import matching
from app.posts.models import Post


@subscribe(PublicationsSeen)
async def match(session: AsyncSession, event: PublicationsSeen) -> None:
    """Match every publication to a post."""
    await matching.match_seen(session, actor_of(session), event)


@subscribe(LinkMadeForPost)
async def require_post_of_the_project(session: AsyncSession, event: LinkMadeForPost) -> None:
    """Refuse a link for a post of another project, or for none."""
    post = await fetch(session, Post, event.post_id, for_update=True)  # it could be deleted meanwhile
    if post.project_id != event.project_id:
        raise Invalid("This post belongs to another project.", code="post-of-another-project")
