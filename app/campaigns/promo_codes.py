"""Promo codes of campaigns, and their redemptions.

A code is unique in its project while it is active, without a difference of upper and lower case. A retired one takes
no redemptions; those that it has stay, and count.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.access import audit
from app.campaigns.events import PromoCodeCreated, RedemptionsRecorded
from app.campaigns.models import Campaign, PromoCode, Redemption
from app.campaigns.schemas import RedemptionItem
from app.campaigns.service import local_day, lock_for_update, require_counted, require_not_cancelled
from app.kit.actors import Actor
from app.kit.bulk import bulk_insert, column_arrays, equals_any
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.errors import AppError, Conflict, NotFound, invalid_field
from app.kit.events import publish
from app.kit.ids import uuid7
from app.projects.models import Project

_COLUMN_NAMES: Final = (
    *("workspace_id", "id", "project_id", "campaign_id", "promo_code_id", "at", "amount", "currency", "external_id"),
    "recorded_at",
)
_INSERT: Final = bulk_insert(Redemption.__table__, _COLUMN_NAMES)


def code_key(code: str) -> str:
    """A code as codes are compared."""
    return code.casefold()


async def create(session: AsyncSession, actor: Actor, *, campaign_id: UUID, code: str) -> PromoCode:
    """Create a code. `Conflict` (`code-taken`) where an active one of the project is the same."""
    campaign = await lock_for_update(session, campaign_id)
    require_not_cancelled(campaign)
    promo_code_id = await session.scalar(
        insert(PromoCode)
        .values(
            workspace_id=campaign.workspace_id,
            id=uuid7(),
            project_id=campaign.project_id,
            campaign_id=campaign.id,
            code=code,
            code_key=code_key(code),
            created_at=now(session),
        )
        .on_conflict_do_nothing()
        .returning(PromoCode.id)
    )
    if promo_code_id is None:
        raise await _taken(session, campaign, code)
    promo_code = await fetch(session, PromoCode, promo_code_id)
    audit.record(
        session,
        actor,
        "promo-codes.create",
        project_id=campaign.project_id,
        promo_code_id=promo_code.id,
        campaign_id=campaign.id,
        after=audit.snapshot(promo_code),
    )
    await publish(session, PromoCodeCreated(campaign.id, campaign.project_id, promo_code.id))
    return promo_code


async def _taken(session: AsyncSession, campaign: Campaign, code: str) -> Conflict:
    title = await session.scalar(
        select(Campaign.title)
        .join(PromoCode, (PromoCode.workspace_id == Campaign.workspace_id) & (PromoCode.campaign_id == Campaign.id))
        .where(in_workspace(PromoCode, campaign.workspace_id), PromoCode.project_id == campaign.project_id)
        .where(PromoCode.code_key == code_key(code), PromoCode.retired_at.is_(None))
    )
    return Conflict(
        f"This code is in use in the campaign {title!r} of this project: retire it there, or take another.",
        code="code-taken",
    )


async def retire(session: AsyncSession, actor: Actor, *, campaign_id: UUID, code: str) -> PromoCode:
    """Retire a code: it takes no redemptions any more, and is free for another campaign. `Conflict` the second time."""
    campaign = await lock_for_update(session, campaign_id)
    promo_code = await _lock(session, campaign, code)
    if promo_code.retired_at is not None:
        raise Conflict("This code is retired already.", code="code-retired")
    before, promo_code.retired_at = audit.snapshot(promo_code), now(session)
    await session.flush()
    audit.record(
        session,
        actor,
        "promo-codes.retire",
        project_id=campaign.project_id,
        promo_code_id=promo_code.id,
        campaign_id=campaign.id,
        before=before,
        after=audit.snapshot(promo_code),
    )
    return promo_code


async def promo_code_id(connection: AsyncConnection, workspace_id: UUID, campaign_id: UUID, code: str) -> UUID:
    """The id of a campaign's code: the active one, else the latest. `NotFound` where there is none."""
    row = await connection.scalar(_of_code(workspace_id, campaign_id, code).with_only_columns(PromoCode.id))
    if row is None:
        raise NotFound("This campaign has no such code.")
    found_id: UUID = row
    return found_id


def _of_code(workspace_id: UUID, campaign_id: UUID, code: str) -> Any:
    return (
        select(PromoCode)
        .where(in_workspace(PromoCode, workspace_id), PromoCode.campaign_id == campaign_id)
        .where(PromoCode.code_key == code_key(code))
        .order_by(PromoCode.retired_at.is_not(None), PromoCode.created_at.desc())
        .limit(1)
    )


async def _lock(session: AsyncSession, campaign: Campaign, code: str) -> PromoCode:
    promo_code: PromoCode | None = await session.scalar(
        _of_code(campaign.workspace_id, campaign.id, code).with_for_update()
    )
    if promo_code is None:
        raise NotFound("This campaign has no such code.")
    return promo_code


async def redeem(
    session: AsyncSession, actor: Actor, *, campaign_id: UUID, code: str, items: Sequence[RedemptionItem | AppError]
) -> list[UUID | AppError]:
    """Record redemptions of a code; for each, in order, the id of the stored row, or why there is none.

    A retired code takes none that is new; what was stored before and is sent again is a repeat as ever.
    """
    campaign = await lock_for_update(session, campaign_id)
    promo_code = await _lock(session, campaign, code)
    zone = (await fetch(session, Project, campaign.project_id)).timezone
    stored = await _by_external_id(session, promo_code, items)
    rows: list[dict[str, Any]] = []
    results = [
        item if isinstance(item, AppError) else _recorded(session, campaign, promo_code, zone, item, stored, rows)
        for item in items
    ]
    if rows:
        await session.execute(_INSERT, column_arrays(rows, _COLUMN_NAMES))
        for row in rows:
            audit.record(
                session,
                actor,
                "redemptions.record",
                project_id=campaign.project_id,
                redemption_id=row["id"],
                promo_code_id=promo_code.id,
                campaign_id=campaign.id,
                after=audit.snapshot_of(Redemption, row),
            )
        await publish(session, RedemptionsRecorded(campaign.id, campaign.project_id, promo_code.id, len(rows)))
    return results


async def _by_external_id(
    session: AsyncSession, promo_code: PromoCode, items: Sequence[RedemptionItem | AppError]
) -> dict[str, dict[str, Any]]:
    named = sorted({item.external_id for item in items if isinstance(item, RedemptionItem) and item.external_id})
    if not named:
        return {}
    rows = await session.execute(
        select(Redemption.id, Redemption.external_id, Redemption.at, Redemption.amount, Redemption.currency)
        .where(in_workspace(Redemption, workspace_of(session)), Redemption.promo_code_id == promo_code.id)
        .where(equals_any(Redemption.__table__.c.external_id, named))
    )
    return {row.external_id: dict(row._mapping) for row in rows}


def _recorded(
    session: AsyncSession,
    campaign: Campaign,
    promo_code: PromoCode,
    zone: str,
    item: RedemptionItem,
    stored: dict[str, dict[str, Any]],
    rows: list[dict[str, Any]],
) -> UUID | AppError:
    try:
        if item.at > now(session):
            raise invalid_field("at", "in-the-future", "This instant has not come.")
        require_counted(campaign, local_day(item.at, zone), "at")
        amount = None if item.amount is None else item.amount.minor("amount.amount")
    except AppError as error:
        return error
    content = {"at": item.at, "amount": amount, "currency": None if item.amount is None else item.amount.currency}
    earlier = stored.get(item.external_id) if item.external_id is not None else None
    if earlier is not None:
        if any(earlier[name] != value for name, value in content.items()):
            return Conflict(
                f"Another redemption of this code has the external_id {item.external_id!r}.", code="external-id-taken"
            )
        return UUID(str(earlier["id"]))
    if promo_code.retired_at is not None:
        return Conflict("This code is retired: it takes no redemptions any more.", code="code-retired")
    row: dict[str, Any] = {
        "workspace_id": campaign.workspace_id,
        "id": uuid7(),
        "project_id": campaign.project_id,
        "campaign_id": campaign.id,
        "promo_code_id": promo_code.id,
        **content,
        "external_id": item.external_id,
        "recorded_at": now(session),
    }
    rows.append(row)
    if item.external_id is not None:
        stored[item.external_id] = row
    return UUID(str(row["id"]))
