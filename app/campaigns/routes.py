"""Campaigns."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response, status

from app.access.current import CurrentActor, ListDep, ReadDep, ResourcesDep, SessionDep
from app.access.permissions import Permission
from app.access.routing import Router
from app.campaigns import link_routes, promo_code_routes, reads, results, service, spend_routes
from app.campaigns.models import CampaignStatus, CampaignType
from app.campaigns.schemas import CampaignCreate, CampaignRead, CampaignResults, CampaignSort, CampaignUpdate
from app.kit.lists import json_page, json_response
from app.kit.paging import Cursor, Limit, Page
from app.kit.routing import problems
from app.kit.schemas import Id, Instant

ROUTER = Router("/v1", tag="campaigns")


@ROUTER.post(
    "/campaigns",
    operation_id="campaigns.create",
    permission=Permission.CAMPAIGNS_WRITE,
    status_code=status.HTTP_201_CREATED,
    responses=problems(404, 409),
)
async def create(body: CampaignCreate, actor: CurrentActor, session: SessionDep) -> CampaignRead:
    """Make a campaign.

    For some local days of its project, in all of its communities or in some. Its status follows from its days.
    """
    campaign = await service.create(session, actor, body)
    return CampaignRead.model_validate(await reads.changed(session, campaign))


@ROUTER.get(
    "/campaigns",
    operation_id="campaigns.list",
    permission=Permission.CAMPAIGNS_READ,
    response_model=Page[CampaignRead],
)
async def list_campaigns(
    lists: ListDep,
    project_id: Annotated[Id | None, Query(description="Only campaigns of this project.")] = None,
    type: Annotated[CampaignType | None, Query(description="Only those of this type.")] = None,  # noqa: A002
    status: Annotated[CampaignStatus | None, Query(description="Only those with this status.")] = None,
    community_id: Annotated[
        Id | None, Query(description="Only those that run in this community, those of all communities included.")
    ] = None,
    sort: Annotated[CampaignSort, Query(description="Latest first by this time.")] = CampaignSort.CREATED,
    since: Annotated[Instant | None, Query(description="Not before this instant, by `sort`.")] = None,
    until: Annotated[Instant | None, Query(description="Before this instant, by `sort`.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The campaigns, cancelled ones among them.

    Filters can be combined; `since` and `until` go by `sort`.
    """
    filters = {
        "project_id": project_id,
        "type": type,
        "status": status,
        "community_id": community_id,
        f"since_{sort.value}": since,
        f"until_{sort.value}": until,
    }
    rows, next_cursor = await lists.page(reads.CAMPAIGNS, sort=sort, limit=limit, cursor=cursor, filters=filters)
    return json_page([reads.campaign_read(row) for row in rows], next_cursor)


@ROUTER.get(
    "/campaigns/{campaign_id}",
    operation_id="campaigns.read",
    permission=Permission.CAMPAIGNS_READ,
    responses=problems(404),
    response_model=CampaignRead,
)
async def read(campaign_id: UUID, lists: ListDep) -> Response:
    """One campaign.

    Its days, communities and budget. `/results` has what is attributed to it, `/spend` what it cost.
    """
    return json_response(reads.campaign_read(await lists.one(reads.CAMPAIGNS, campaign_id)))


@ROUTER.patch(
    "/campaigns/{campaign_id}",
    operation_id="campaigns.update",
    permission=Permission.CAMPAIGNS_WRITE,
    responses=problems(404, 409),
)
async def update(campaign_id: UUID, body: CampaignUpdate, actor: CurrentActor, session: SessionDep) -> CampaignRead:
    """Change a campaign.

    A merge patch. 409 `recorded-outside-period` where other days would leave out spend or redemptions that are
    recorded, 409 `campaign-cancelled` for a cancelled one.
    """
    campaign = await service.change(session, actor, campaign_id=campaign_id, changes=body.changes())
    return CampaignRead.model_validate(await reads.changed(session, campaign))


@ROUTER.post(
    "/campaigns/{campaign_id}/cancel",
    operation_id="campaigns.cancel",
    permission=Permission.CAMPAIGNS_WRITE,
    responses=problems(404, 409),
)
async def cancel(campaign_id: UUID, actor: CurrentActor, session: SessionDep) -> CampaignRead:
    """Cancel a campaign, and retire its promo codes.

    What is recorded stays and counts; spend can still be recorded. It cannot be undone.
    """
    campaign = await service.cancel(session, actor, campaign_id=campaign_id)
    return CampaignRead.model_validate(await reads.changed(session, campaign))


@ROUTER.get(
    "/campaigns/{campaign_id}/results",
    operation_id="campaigns.results",
    permission=Permission.CAMPAIGNS_READ,
    responses=problems(404),
)
async def read_results(
    campaign_id: UUID, actor: CurrentActor, connection: ReadDep, resources: ResourcesDep
) -> CampaignResults:
    """What is attributed to a campaign: proven by rows, and estimated beside it.

    Proven are clicks on its links, redemptions of its codes and joins through its invite links. Estimated is growth
    above the expected path, with an interval. The two are never added.
    """
    return await results.of_campaign(connection, actor.workspace_id, campaign_id, resources.clock.now())


ROUTER.include(spend_routes.ROUTER)
ROUTER.include(link_routes.ROUTER)
ROUTER.include(promo_code_routes.ROUTER)
