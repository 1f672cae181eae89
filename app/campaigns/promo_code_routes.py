"""Promo codes of campaigns, and their redemptions."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import Path, Response, status
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.current import CurrentActor, ListDep, SessionDep, connection_of
from app.access.permissions import Permission
from app.access.routing import Router
from app.campaigns import promo_codes, reads
from app.campaigns.schemas import (
    PromoCodeCreate,
    PromoCodeRead,
    RedemptionBulk,
    RedemptionItem,
    RedemptionRead,
    RedemptionResult,
    RedemptionResults,
)
from app.kit.bulk_results import Atomic, BulkProblem, parsed_item, refusal
from app.kit.db import workspace_of
from app.kit.errors import AppError
from app.kit.lists import json_page
from app.kit.paging import Cursor, Limit, Page
from app.kit.routing import problems
from app.kit.schemas import Text

ROUTER = Router("/v1/campaigns/{campaign_id}/promo-codes", tag="campaigns")
"""Part of the room's own router."""

CodeParam = Annotated[
    Text, Path(max_length=40, description="A code of the campaign, in upper or lower case.", examples=["AUTUMN10"])
]


@ROUTER.post(
    "",
    operation_id="promo-codes.create",
    permission=Permission.CAMPAIGNS_WRITE,
    status_code=status.HTTP_201_CREATED,
    responses=problems(404, 409),
)
async def create(campaign_id: UUID, body: PromoCodeCreate, actor: CurrentActor, session: SessionDep) -> PromoCodeRead:
    """Make a promo code.

    Unique among the active codes of the project, in upper or lower case: 409 `code-taken` names the campaign that has
    it.
    """
    promo_code = await promo_codes.create(session, actor, campaign_id=campaign_id, code=body.code)
    return PromoCodeRead.model_validate(promo_code)


@ROUTER.get(
    "",
    operation_id="promo-codes.list",
    permission=Permission.CAMPAIGNS_READ,
    responses=problems(404),
    response_model=Page[PromoCodeRead],
)
async def list_codes(
    campaign_id: UUID,
    lists: ListDep,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """A campaign's promo codes, the latest first.

    Retired ones are among them.
    """
    async with connection_of(lists.request) as connection:
        await reads.require_campaign(connection, lists.actor.workspace_id, campaign_id)
    rows, next_cursor = await lists.page(
        reads.PROMO_CODES, sort="created_at", limit=limit, cursor=cursor, filters={"campaign_id": campaign_id}
    )
    return json_page([dict(row) for row in rows], next_cursor)


@ROUTER.post(
    "/{promo_code}/retire",
    operation_id="promo-codes.retire",
    permission=Permission.CAMPAIGNS_WRITE,
    responses=problems(404, 409),
)
async def retire(campaign_id: UUID, promo_code: CodeParam, actor: CurrentActor, session: SessionDep) -> PromoCodeRead:
    """Let a promo code take no redemptions any more.

    It is free for another campaign then; its redemptions stay, and count. It cannot be undone.
    """
    return PromoCodeRead.model_validate(
        await promo_codes.retire(session, actor, campaign_id=campaign_id, code=promo_code)
    )


@ROUTER.post(
    "/{promo_code}/redemptions",
    operation_id="redemptions.record",
    permission=Permission.CAMPAIGNS_WRITE,
    status_code=status.HTTP_201_CREATED,
    responses=problems(404, 409),
)
async def record(
    campaign_id: UUID, promo_code: CodeParam, body: RedemptionItem, actor: CurrentActor, session: SessionDep
) -> RedemptionRead:
    """Record that a customer used a promo code.

    With an `external_id` (the order's number, say) it is recorded once: the same again returns the stored row,
    another content is refused with 409 `external-id-taken`.
    """
    (result,) = await promo_codes.redeem(session, actor, campaign_id=campaign_id, code=promo_code, items=[body])
    if isinstance(result, AppError):
        raise result
    row = await reads.REDEMPTIONS.one(await session.connection(), workspace_of(session), result)
    return RedemptionRead.model_validate(reads.redemption_read(row))


@ROUTER.post(
    "/{promo_code}/redemptions/bulk",
    operation_id="redemptions.record-many",
    permission=Permission.CAMPAIGNS_WRITE,
    responses=problems(404, 409),
)
async def record_many(
    campaign_id: UUID,
    promo_code: CodeParam,
    body: RedemptionBulk,
    actor: CurrentActor,
    session: SessionDep,
    atomic: Atomic = False,
) -> RedemptionResults:
    """Record up to 500 redemptions; each has its own result.

    Without `atomic`, the valid ones are recorded, and the others say what is wrong.
    """
    items = [parsed_item(RedemptionItem, item) for item in body.items]
    results = await promo_codes.redeem(session, actor, campaign_id=campaign_id, code=promo_code, items=items)
    return await _results(session, results, atomic=atomic)


async def _results(session: AsyncSession, results: Sequence[UUID | AppError], *, atomic: bool) -> RedemptionResults:
    failed = {index: result for index, result in enumerate(results) if isinstance(result, AppError)}
    if atomic and failed:
        raise refusal(failed, len(results))
    recorded_ids = {result for result in results if isinstance(result, UUID)}
    rows = await reads.REDEMPTIONS.by_ids(await session.connection(), workspace_of(session), recorded_ids)
    return RedemptionResults(
        succeeded=len(results) - len(failed),
        failed=len(failed),
        data=[
            RedemptionResult(index=index, redemption=None, problem=BulkProblem.of(result))
            if isinstance(result, AppError)
            else RedemptionResult(
                index=index,
                redemption=RedemptionRead.model_validate(reads.redemption_read(rows[result])),
                problem=None,
            )
            for index, result in enumerate(results)
        ],
    )


@ROUTER.get(
    "/{promo_code}/redemptions",
    operation_id="redemptions.list",
    permission=Permission.CAMPAIGNS_READ,
    responses=problems(404),
    response_model=Page[RedemptionRead],
)
async def list_redemptions(
    campaign_id: UUID,
    promo_code: CodeParam,
    lists: ListDep,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The redemptions of a promo code, the latest first.

    Those of the active code; of a code that was retired and made again, the earlier one's are not among them.
    """
    async with connection_of(lists.request) as connection:
        promo_code_id = await promo_codes.promo_code_id(connection, lists.actor.workspace_id, campaign_id, promo_code)
    rows, next_cursor = await lists.page(
        reads.REDEMPTIONS, sort="at", limit=limit, cursor=cursor, filters={"promo_code_id": promo_code_id}
    )
    return json_page([reads.redemption_read(row) for row in rows], next_cursor)
