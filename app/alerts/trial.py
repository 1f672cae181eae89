"""A test alert, with which a person tries the channels by which they are told."""

from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts import channels, deliveries, recipients
from app.alerts.kinds import TEST
from app.alerts.models import Alert, AlertStatus
from app.kit.db import now, workspace_of
from app.kit.ids import uuid7
from app.settings import Settings

TRY: Final = "alerts.try-channels"
"""The job that plans it: a member who sees some projects alone writes no alert that belongs to none."""


async def plan_trial(session: AsyncSession, settings: Settings, *, user_id: UUID) -> None:
    """Plan a test alert at once by each channel that the person has chosen, and can be reached by."""
    alert_id = uuid7()
    alert = Alert(
        id=alert_id,
        workspace_id=workspace_of(session),
        kind=TEST,
        project_id=None,
        subject_id=alert_id,
        since=now(session),
        facts={},
        status=AlertStatus.ENDED.value,  # it needs nobody
        opened_at=now(session),
        ended_at=now(session),
    )
    session.add(alert)
    await session.flush()
    preference = (await recipients.preferences(session, [user_id])).get(user_id)
    available = (await channels.of_people(session, settings, [user_id]))[user_id]
    for channel in recipients.channels_for(preference, available, TEST):
        await deliveries.add(session, alert_id=alert.id, user_id=user_id, channel=channel, due_at=now(session))
