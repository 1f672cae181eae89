"""What names a campaign: tracked links, and platforms' invite links. Each belongs to one campaign at a time."""

from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.access import audit
from app.campaigns import utm
from app.campaigns.events import CampaignLinkSet
from app.campaigns.models import Campaign, CampaignCommunity, CampaignLink, InviteLink, UtmTemplate
from app.campaigns.service import lock_for_update, require_not_cancelled
from app.communities.models import Community
from app.kit.actors import Actor
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.errors import Conflict, Invalid, NotFound
from app.kit.events import publish
from app.kit.ids import uuid7
from app.links import service as links
from app.links.models import Link
from app.platforms import adapter
from app.projects.models import Project

_TEMPLATE: Final = select(UtmTemplate.template)


async def set_link(
    session: AsyncSession, actor: Actor, *, public_url: str, campaign_id: UUID, link_id: UUID, with_utm: bool
) -> tuple[Link, UUID]:
    """Let a tracked link belong to a campaign, with the project's UTM parameters where `with_utm`.

    Returns the link, and the id of its row of the campaign. `Invalid` for a link of another project, `Conflict` for
    one of another campaign. Done twice, it is done once.
    """
    campaign = await lock_for_update(session, campaign_id)
    require_not_cancelled(campaign)
    link = await fetch(session, Link, link_id, for_update=True)
    if link.project_id != campaign.project_id:
        raise Invalid("This link belongs to another project.", code="link-of-another-project")
    row = await session.scalar(
        select(CampaignLink).where(
            in_workspace(CampaignLink, campaign.workspace_id),
            CampaignLink.link_id == link.id,
            CampaignLink.ended_at.is_(None),
        )
    )
    if row is not None and row.campaign_id != campaign.id:
        raise Conflict("This link belongs to another campaign: take it out of that one first.", code="link-taken")
    if with_utm:
        target = await _with_utm(session, campaign, link)
        if target != link.target:
            link = await links.change(
                session, actor, public_url=public_url, link_id=link.id, changes={"target": target}
            )
    if row is None:
        row = CampaignLink(
            workspace_id=campaign.workspace_id,
            id=uuid7(),
            project_id=campaign.project_id,
            campaign_id=campaign.id,
            link_id=link.id,
            set_at=now(session),
            ended_at=None,
        )
        session.add(row)
        await session.flush()
        audit.record(session, actor, "campaign-links.set", campaign_id=campaign.id, link_id=link.id)
        await publish(session, CampaignLinkSet(campaign.id, campaign.project_id, link.id))
    return link, row.id


async def _with_utm(session: AsyncSession, campaign: Campaign, link: Link) -> str:
    platform = None
    if link.community_id is not None:
        platform = (await fetch(session, Community, link.community_id)).platform
    own = await session.scalar(
        _TEMPLATE.where(
            UtmTemplate.workspace_id == campaign.workspace_id, UtmTemplate.project_id == campaign.project_id
        )
    )
    values = {
        "platform": platform or utm.NO_PLATFORM,
        "campaign": campaign.slug,
        "type": campaign.type,
        "link": link.slug,
    }
    return utm.with_parameters(link.target, own or utm.DEFAULT, values)


async def unset_link(session: AsyncSession, actor: Actor, *, campaign_id: UUID, link_id: UUID) -> None:
    """Take a link out of a campaign: its clicks do not count for it any more. Its target stays as it is."""
    campaign = await lock_for_update(session, campaign_id)
    row = await session.scalar(
        select(CampaignLink)
        .where(in_workspace(CampaignLink, campaign.workspace_id), CampaignLink.campaign_id == campaign.id)
        .where(CampaignLink.link_id == link_id, CampaignLink.ended_at.is_(None))
        .with_for_update()
    )
    if row is None:
        raise NotFound("This link is none of the campaign's.")
    row.ended_at = now(session)
    await session.flush()
    audit.record(session, actor, "campaign-links.unset", campaign_id=campaign.id, link_id=link_id)


async def add_invite_link(
    session: AsyncSession, actor: Actor, *, campaign_id: UUID, community_id: UUID, address: str
) -> InviteLink:
    """Let an invite link belong to a campaign: who joins through it was attracted by the campaign.

    `Invalid` for a community that is none of the campaign's, or whose platform does not say through which link
    somebody joined; `Conflict` where the link belongs to a campaign already.
    """
    campaign = await lock_for_update(session, campaign_id)
    require_not_cancelled(campaign)
    community = await fetch(session, Community, community_id)
    if community.project_id != campaign.project_id or not await _runs_in(session, campaign, community_id):
        raise Invalid("This community is none of the campaign's.", code="community-of-another-campaign")
    spec = adapter(community.platform).spec
    if not spec.attributes_joins:
        raise Invalid(f"{spec.title} does not say through which link somebody joined.", code="joins-not-attributed")
    new_id = await session.scalar(
        insert(InviteLink)
        .values(
            workspace_id=campaign.workspace_id,
            id=uuid7(),
            project_id=campaign.project_id,
            campaign_id=campaign.id,
            community_id=community_id,
            address=address,
            set_at=now(session),
        )
        .on_conflict_do_nothing()
        .returning(InviteLink.id)
    )
    if new_id is None:
        raise Conflict("This invite link belongs to a campaign already.", code="invite-link-taken")
    audit.record(session, actor, "invite-links.create", campaign_id=campaign.id, invite_link_id=new_id)
    return await fetch(session, InviteLink, new_id)


async def _runs_in(session: AsyncSession, campaign: Campaign, community_id: UUID) -> bool:
    if campaign.all_communities:
        return True
    row = await session.scalar(
        select(CampaignCommunity.community_id).where(
            CampaignCommunity.workspace_id == campaign.workspace_id,
            CampaignCommunity.campaign_id == campaign.id,
            CampaignCommunity.community_id == community_id,
        )
    )
    return row is not None


async def remove_invite_link(session: AsyncSession, actor: Actor, *, campaign_id: UUID, invite_link_id: UUID) -> None:
    """Take an invite link out of a campaign: who joins through it does not count for it any more."""
    campaign = await lock_for_update(session, campaign_id)
    row = await fetch(session, InviteLink, invite_link_id, for_update=True)
    if row.campaign_id != campaign.id or row.ended_at is not None:
        raise NotFound("This invite link is none of the campaign's.")
    row.ended_at = now(session)
    await session.flush()
    audit.record(session, actor, "invite-links.delete", campaign_id=campaign.id, invite_link_id=invite_link_id)


async def utm_template(connection: AsyncConnection, workspace_id: UUID, project_id: UUID) -> tuple[str, bool]:
    """A project's template, and whether it is the default one. `NotFound` for an unknown project."""
    project = await connection.scalar(
        select(Project.id).where(in_workspace(Project, workspace_id), Project.id == project_id)
    )
    if project is None:
        raise NotFound
    own = await connection.scalar(
        _TEMPLATE.where(UtmTemplate.workspace_id == workspace_id, UtmTemplate.project_id == project_id)
    )
    return own or utm.DEFAULT, own is None


async def set_utm_template(session: AsyncSession, actor: Actor, *, project_id: UUID, template: str) -> None:
    """Set a project's template. Links that belong to campaigns already keep their targets."""
    await fetch(session, Project, project_id)
    values = {"template": template, "updated_at": now(session)}
    await session.execute(
        insert(UtmTemplate)
        .values(workspace_id=workspace_of(session), project_id=project_id, **values)
        .on_conflict_do_update(index_elements=["workspace_id", "project_id"], set_=values)
    )
    audit.record(session, actor, "utm-templates.set", project_id=project_id)
