"""Plans deliveries of alerts, and cancels them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts import channels, recipients
from app.alerts.contract import AlertKind
from app.alerts.models import Alert, AlertDelivery, AlertStatus, DeliveryStatus
from app.alerts.recipients import ProjectTime
from app.kit.db import in_workspace, now, workspace_of
from app.kit.ids import uuid7
from app.kit.jobs import enqueue
from app.settings import Settings

DELIVER: Final = "alerts.deliver"
"""The job that sends what is due to one person by one channel. One of these runs at a time."""


@dataclass(frozen=True, slots=True)
class Reach:
    """A channel by which a person is told, and when."""

    user_id: UUID
    channel: str
    due_at: datetime


async def audience(
    session: AsyncSession, settings: Settings, kind: AlertKind, project_id: UUID | None, time: ProjectTime | None
) -> list[Reach]:
    """Who is told now of a new alert of this kind in this project."""
    user_ids = await recipients.responsible(session, kind, project_id)
    preferences = await recipients.preferences(session, user_ids)
    return [
        Reach(
            user_id,
            channel,
            recipients.due_at(preferences.get(user_id), time, now(session), is_urgent=kind.is_urgent),
        )
        for user_id, available in (await channels.of_people(session, settings, user_ids)).items()
        for channel in recipients.channels_for(preferences.get(user_id), available, kind.key)
    ]


async def add(session: AsyncSession, *, alert_id: UUID, user_id: UUID, channel: str, due_at: datetime) -> None:
    """Plan a delivery, unless this alert has, or had, one to this person by this channel."""
    planned = await session.scalar(
        insert(AlertDelivery)
        .values(
            workspace_id=workspace_of(session),
            id=uuid7(),
            alert_id=alert_id,
            user_id=user_id,
            channel=channel,
            status=DeliveryStatus.PLANNED.value,
            planned_at=now(session),
            due_at=due_at,
            unsettled=0,
        )
        .on_conflict_do_nothing()
        .returning(AlertDelivery.id)
    )
    if planned is not None:
        await enqueue_delivery(session, user_id=user_id, channel=channel, at=due_at)


async def enqueue_delivery(session: AsyncSession, *, user_id: UUID, channel: str, at: datetime) -> None:
    """Add the job that sends what is due to this person by this channel."""
    await enqueue(
        session,
        DELIVER,
        workspace_id=workspace_of(session),
        key=f"{user_id}:{channel}",
        at=at,
        user_id=user_id,
        channel=channel,
    )


async def fall_back(session: AsyncSession, settings: Settings, rows: Sequence[AlertDelivery]) -> None:
    """Plan other channels for what did not arrive, or may not have, also those that the person did not choose.

    For alerts that still stand; whoever has had it by another channel does not get it twice.
    """
    if not rows:
        return
    open_ids = set(
        await session.scalars(
            select(Alert.id).where(
                in_workspace(Alert, workspace_of(session)),
                Alert.id.in_({row.alert_id for row in rows}),
                Alert.status == AlertStatus.OPEN.value,
            )
        )
    )
    reachable = await channels.of_people(session, settings, sorted({row.user_id for row in rows}))
    for row in rows:
        for channel in reachable[row.user_id]:
            if channel != row.channel and row.alert_id in open_ids:
                await add(session, alert_id=row.alert_id, user_id=row.user_id, channel=channel, due_at=now(session))


async def cancel(session: AsyncSession, alert_ids: Sequence[UUID], detail: str) -> None:
    """Cancel what is planned of these alerts; what is under way is not stopped."""
    await session.execute(
        update(AlertDelivery)
        .where(
            in_workspace(AlertDelivery, workspace_of(session)),
            AlertDelivery.alert_id.in_(alert_ids),
            AlertDelivery.status == DeliveryStatus.PLANNED.value,
        )
        .values(status=DeliveryStatus.CANCELLED.value, detail=detail)
    )
