"""Campaigns' tracked links and invite links, and the template of UTM parameters."""

from uuid import UUID

from fastapi import Response, status

from app.access.current import CurrentActor, ListDep, ReadDep, ResourcesDep, SessionDep, connection_of
from app.access.permissions import Permission
from app.access.routing import Router
from app.campaigns import reads, tracking
from app.campaigns.schemas import (
    CampaignLinkRead,
    CampaignLinkSet,
    InviteLinkCreate,
    InviteLinkRead,
    UtmTemplateRead,
    UtmTemplateSet,
)
from app.kit.db import workspace_of
from app.kit.lists import json_page
from app.kit.paging import Cursor, Limit, Page
from app.kit.routing import problems
from app.links.redirects import redirects

ROUTER = Router("/v1", tag="campaigns")
"""Part of the room's own router."""


@ROUTER.post(
    "/campaigns/{campaign_id}/links",
    operation_id="campaign-links.set",
    permission=Permission.CAMPAIGNS_WRITE,
    responses=problems(404, 409),
)
async def set_link(
    campaign_id: UUID,
    body: CampaignLinkSet,
    actor: CurrentActor,
    session: SessionDep,
    resources: ResourcesDep,
) -> CampaignLinkRead:
    """Let a tracked link belong to a campaign: its clicks are proven to be the campaign's.

    The project's UTM parameters are added to its target; parameters that it has stay. A link belongs to one campaign
    at a time: 409 `link-taken`. 422 `link-of-another-project`.
    """
    link, row_id = await tracking.set_link(
        session,
        actor,
        public_url=resources.settings.public_url,
        campaign_id=campaign_id,
        link_id=body.link_id,
        with_utm=body.utm,
    )
    redirects(resources).routes.forget_after_commit(session, link.slug)
    await session.flush()
    row = await reads.LINKS.one(await session.connection(), workspace_of(session), row_id)
    return CampaignLinkRead.model_validate(reads.link_read(row))


@ROUTER.get(
    "/campaigns/{campaign_id}/links",
    operation_id="campaign-links.list",
    permission=Permission.CAMPAIGNS_READ,
    responses=problems(404),
    response_model=Page[CampaignLinkRead],
)
async def list_links(
    campaign_id: UUID,
    lists: ListDep,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """A campaign's tracked links, the last one set first.

    Links that were taken out of it are not among them.
    """
    async with connection_of(lists.request) as connection:
        await reads.require_campaign(connection, lists.actor.workspace_id, campaign_id)
    rows, next_cursor = await lists.page(
        reads.LINKS, sort="id", limit=limit, cursor=cursor, filters={"campaign_id": campaign_id}
    )
    return json_page([reads.link_read(row) for row in rows], next_cursor)


@ROUTER.delete(
    "/campaigns/{campaign_id}/links/{link_id}",
    operation_id="campaign-links.unset",
    permission=Permission.CAMPAIGNS_WRITE,
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(404, 409),
)
async def unset_link(campaign_id: UUID, link_id: UUID, actor: CurrentActor, session: SessionDep) -> None:
    """Take a tracked link out of a campaign.

    The link itself stays, with its target as it is. Its clicks do not count for the campaign any more, earlier ones
    included.
    """
    await tracking.unset_link(session, actor, campaign_id=campaign_id, link_id=link_id)


@ROUTER.post(
    "/campaigns/{campaign_id}/invite-links",
    operation_id="invite-links.create",
    permission=Permission.CAMPAIGNS_WRITE,
    status_code=status.HTTP_201_CREATED,
    responses=problems(404, 409),
)
async def add_invite_link(
    campaign_id: UUID, body: InviteLinkCreate, actor: CurrentActor, session: SessionDep
) -> InviteLinkRead:
    """Let a platform's invite link belong to a campaign: who joins through it is proven to be attracted by it.

    Make the link on the platform, one for each campaign. 422 `joins-not-attributed` where the platform does not say
    through which link somebody joined (`GET /v1/platforms`).
    """
    row = await tracking.add_invite_link(
        session, actor, campaign_id=campaign_id, community_id=body.community_id, address=body.address
    )
    return InviteLinkRead.model_validate(row)


@ROUTER.get(
    "/campaigns/{campaign_id}/invite-links",
    operation_id="invite-links.list",
    permission=Permission.CAMPAIGNS_READ,
    responses=problems(404),
    response_model=Page[InviteLinkRead],
)
async def list_invite_links(
    campaign_id: UUID,
    lists: ListDep,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """A campaign's invite links, the last one added first.

    Those that were taken out of it are not among them.
    """
    async with connection_of(lists.request) as connection:
        await reads.require_campaign(connection, lists.actor.workspace_id, campaign_id)
    rows, next_cursor = await lists.page(
        reads.INVITE_LINKS, sort="id", limit=limit, cursor=cursor, filters={"campaign_id": campaign_id}
    )
    return json_page([dict(row) for row in rows], next_cursor)


@ROUTER.delete(
    "/campaigns/{campaign_id}/invite-links/{invite_link_id}",
    operation_id="invite-links.delete",
    permission=Permission.CAMPAIGNS_WRITE,
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(404, 409),
)
async def remove_invite_link(campaign_id: UUID, invite_link_id: UUID, actor: CurrentActor, session: SessionDep) -> None:
    """Take an invite link out of a campaign.

    On the platform it goes on working. Who joined through it does not count for the campaign any more.
    """
    await tracking.remove_invite_link(session, actor, campaign_id=campaign_id, invite_link_id=invite_link_id)


@ROUTER.get(
    "/projects/{project_id}/utm-template",
    operation_id="utm-templates.read",
    permission=Permission.CAMPAIGNS_READ,
    responses=problems(404),
)
async def read_template(project_id: UUID, actor: CurrentActor, connection: ReadDep) -> UtmTemplateRead:
    """The UTM parameters that a project's links get when they are put into a campaign.

    The default one, unless another one is set.
    """
    template, is_default = await tracking.utm_template(connection, actor.workspace_id, project_id)
    return UtmTemplateRead(project_id=project_id, template=template, is_default=is_default)


@ROUTER.put(
    "/projects/{project_id}/utm-template",
    operation_id="utm-templates.set",
    permission=Permission.CAMPAIGNS_WRITE,
    responses=problems(404, 409),
)
async def set_template(
    project_id: UUID, body: UtmTemplateSet, actor: CurrentActor, session: SessionDep
) -> UtmTemplateRead:
    """Set the UTM parameters that a project's links get when they are put into a campaign.

    Links that are in campaigns already keep theirs.
    """
    await tracking.set_utm_template(session, actor, project_id=project_id, template=body.template)
    return UtmTemplateRead(project_id=project_id, template=body.template, is_default=False)
