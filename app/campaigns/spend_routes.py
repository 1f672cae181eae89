"""Spend of campaigns."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import Body, Response, status
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.current import CurrentActor, ListDep, SessionDep, connection_of
from app.access.permissions import Permission
from app.access.routing import Router
from app.campaigns import reads, spending
from app.campaigns.schemas import SpendBulk, SpendItem, SpendRead, SpendResult, SpendResults, SpendVoid
from app.kit.bulk_results import Atomic, BulkProblem, parsed_item, refusal
from app.kit.db import workspace_of
from app.kit.errors import AppError
from app.kit.lists import json_page
from app.kit.paging import Cursor, Limit, Page
from app.kit.routing import CSV, problems

ROUTER = Router("/v1/campaigns/{campaign_id}/spend", tag="campaigns")
"""Part of the room's own router."""

MAX_CSV = 900_000
"""Characters of a file."""


@ROUTER.post(
    "",
    operation_id="spend.record",
    permission=Permission.CAMPAIGNS_WRITE,
    status_code=status.HTTP_201_CREATED,
    responses=problems(404, 409),
)
async def record(campaign_id: UUID, body: SpendItem, actor: CurrentActor, session: SessionDep) -> SpendRead:
    """Record what was spent on one day.

    With an `external_id` it is recorded once: the same again returns the stored row, another content is refused with
    409 `external-id-taken`. 422 `outside-period` for a day that is neither one of the campaign's nor one of the 31
    after them.
    """
    (result,) = await spending.record(session, actor, campaign_id=campaign_id, items=[body])
    if isinstance(result, AppError):
        raise result
    row = await reads.SPEND.one(await session.connection(), workspace_of(session), result)
    return SpendRead.model_validate(reads.spend_read(row))


@ROUTER.post(
    "/bulk", operation_id="spend.record-many", permission=Permission.CAMPAIGNS_WRITE, responses=problems(404, 409)
)
async def record_many(
    campaign_id: UUID, body: SpendBulk, actor: CurrentActor, session: SessionDep, atomic: Atomic = False
) -> SpendResults:
    """Record up to 500 rows of spend; each has its own result.

    Without `atomic`, the valid ones are recorded, and the others say what is wrong.
    """
    items = [parsed_item(SpendItem, item) for item in body.items]
    results = await spending.record(session, actor, campaign_id=campaign_id, items=items)
    return await _results(session, results, atomic=atomic)


@ROUTER.post("/csv", operation_id="spend.upload", permission=Permission.CAMPAIGNS_WRITE, responses=problems(404, 409))
async def upload(
    campaign_id: UUID,
    body: Annotated[
        str,
        Body(
            media_type=CSV,
            min_length=1,
            max_length=MAX_CSV,
            pattern=r"^[^\x00]*$",
            description="UTF-8, with a line of column names: `day`, `amount`, `currency`, and where there are any "
            "`note` and `external_id`, in any order.",
            examples=["day,amount,currency,note,external_id\n2026-10-02,1250.50,RUB,VK Ads,ads-4711-3\n"],
            json_schema_extra={"format": "binary"},  # generators send a file's bytes on, not a text
        ),
    ],
    actor: CurrentActor,
    session: SessionDep,
    atomic: Atomic = False,
) -> SpendResults:
    """Record the rows of a CSV file, up to 5,000; each has its own result.

    What is wrong with a row names its line in the file. With `atomic`, one bad line refuses the whole file.
    """
    items = spending.from_csv(body)
    results = await spending.record(session, actor, campaign_id=campaign_id, items=items)
    lines = list(spending.lines_of(body))
    located = [
        spending.at_line(line, result) if isinstance(result, AppError) and result is not item else result
        for line, item, result in zip(lines, items, results, strict=True)
    ]
    return await _results(session, located, atomic=atomic)


async def _results(session: AsyncSession, results: Sequence[UUID | AppError], *, atomic: bool) -> SpendResults:
    failed = {index: result for index, result in enumerate(results) if isinstance(result, AppError)}
    if atomic and failed:
        raise refusal(failed, len(results))
    recorded_ids = {result for result in results if isinstance(result, UUID)}
    rows = await reads.SPEND.by_ids(await session.connection(), workspace_of(session), recorded_ids)
    return SpendResults(
        succeeded=len(results) - len(failed),
        failed=len(failed),
        data=[
            SpendResult(index=index, spend=None, problem=BulkProblem.of(result))
            if isinstance(result, AppError)
            else SpendResult(
                index=index,
                spend=SpendRead.model_validate(reads.spend_read(rows[result])),
                problem=None,
            )
            for index, result in enumerate(results)
        ],
    )


@ROUTER.get(
    "",
    operation_id="spend.list",
    permission=Permission.CAMPAIGNS_READ,
    responses=problems(404),
    response_model=Page[SpendRead],
)
async def list_spend(
    campaign_id: UUID,
    lists: ListDep,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """A campaign's rows of spend, the latest day first.

    Voided ones are among them, with the reason; they do not count.
    """
    async with connection_of(lists.request) as connection:
        await reads.require_campaign(connection, lists.actor.workspace_id, campaign_id)
    rows, next_cursor = await lists.page(
        reads.SPEND, sort="day", limit=limit, cursor=cursor, filters={"campaign_id": campaign_id}
    )
    return json_page([reads.spend_read(row) for row in rows], next_cursor)


@ROUTER.post(
    "/{spend_id}/void",
    operation_id="spend.void",
    permission=Permission.CAMPAIGNS_WRITE,
    responses=problems(404, 409),
)
async def void(
    campaign_id: UUID, spend_id: UUID, body: SpendVoid, actor: CurrentActor, session: SessionDep
) -> SpendRead:
    """Let a wrong row of spend not count any more.

    It stays in the list with the reason, and its `external_id` is free again. Record the correct row beside it.
    """
    spend = await spending.void(session, actor, campaign_id=campaign_id, spend_id=spend_id, reason=body.reason)
    row = await reads.SPEND.one(await session.connection(), workspace_of(session), spend.id)
    return SpendRead.model_validate(reads.spend_read(row))
