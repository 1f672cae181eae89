"""Sends alerts: what is due to one person by one channel is one message.

planned → *sending* (the intent, committed before the call) → sent | failed | unknown. An attempt that was certainly not
accepted goes back to planned, until `GIVE_UP`.

Where a worker died between the intent and the outcome, or no answer came, the message may have arrived:

- By mail it is sent once more, the same message under the same `Message-ID`: receivers recognise it, and drop it or
  show it as one. If the outcome of that attempt is not known either, the delivery is `unknown`.
- A bot's message has nothing by which a repeat would be recognised. It is `unknown` at once, and never sent again.

What is failed or unknown by one channel is sent by the others that the person can be reached by; so nothing is lost
where there is another one, and nothing arrives twice by the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.models import UserAccount, Workspace
from app.alerts import channels, deliveries, recipients, watching
from app.alerts.kinds import TEST, kinds
from app.alerts.models import Alert, AlertChat, AlertDelivery, AlertStatus, DeliveryStatus
from app.alerts.wording import Item, Text, text
from app.kit.db import in_workspace, now, workspace_of
from app.projects.models import Project
from app.settings import Settings

MOST_DELIVERIES: Final = 500
"""The most deliveries in one message."""
GIVE_UP: Final = timedelta(days=1)
"""For how long what is not accepted is tried again."""
DELAYS: Final = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
"""How long after it was planned decides how long is waited before the next attempt: the first that is longer."""
SETTLE: Final = timedelta(minutes=5)
"""How long after an attempt without an answer the repeat follows."""

_AWAY: Final = "The person cannot be reached by it any more"
_IN_DOUBT: Final = "It is not known whether it arrived; it is not sent again by this channel."
_TOO_LATE: Final = "It was not accepted for a day: {why}."


@dataclass(frozen=True, slots=True)
class Intent:
    """A message to be sent now."""

    user_id: UUID
    channel: str
    message_id: UUID
    at: datetime
    """Its date: a repeat has the same one."""
    to: str
    """The e-mail address, or the chat."""
    name: str
    language: str
    message: Text = field(repr=False)


async def record_intent(session: AsyncSession, settings: Settings, *, user_id: UUID, channel: str) -> Intent | None:
    """Commit the intent to send what is due; None where there is nothing to send now."""
    interrupted = await _locked(session, user_id, channel, DeliveryStatus.SENDING)
    if interrupted:
        if channels.recognises_repeats(channel) and interrupted[0][0].unsettled < 2:
            for row, _ in interrupted:
                row.unsettled += 1
            intent = await _intent(session, interrupted)
            if intent is not None:
                return intent
        await unknown(session, settings, user_id=user_id, channel=channel, why="The worker that sent it ended.")
    planned = await _due_now(session, await _locked(session, user_id, channel, DeliveryStatus.PLANNED))
    if not planned:
        return None
    message_id = min(row.id for row, _ in planned)  # so that it is the same for the same delivery
    for row, _ in planned:
        row.status, row.message_id, row.unsettled = DeliveryStatus.SENDING.value, message_id, 1
        row.intended_at, row.detail = row.intended_at or now(session), None
    intent = await _intent(session, planned)
    if intent is None:
        await failed(session, settings, user_id=user_id, channel=channel, why=_AWAY)
    return intent


Pair = tuple[AlertDelivery, Alert]


async def _locked(session: AsyncSession, user_id: UUID, channel: str, status: DeliveryStatus) -> list[Pair]:
    """What is due to this person by this channel, with its alerts, which are locked first, as everywhere."""
    condition = (
        in_workspace(AlertDelivery, workspace_of(session)),
        AlertDelivery.user_id == user_id,
        AlertDelivery.channel == channel,
        AlertDelivery.status == status.value,
        *(() if status is DeliveryStatus.SENDING else (AlertDelivery.due_at <= now(session),)),
    )
    alert_ids = select(AlertDelivery.alert_id).where(*condition).order_by(AlertDelivery.due_at).limit(MOST_DELIVERIES)
    alerts = await session.scalars(
        select(Alert)
        .where(in_workspace(Alert, workspace_of(session)), Alert.id.in_(alert_ids))
        .order_by(Alert.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    by_id = {one.id: one for one in alerts}
    rows = await session.scalars(
        select(AlertDelivery)
        .where(*condition, AlertDelivery.alert_id.in_(by_id))
        .order_by(AlertDelivery.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return sorted(((row, by_id[row.alert_id]) for row in rows), key=lambda pair: (pair[1].since, pair[1].id))


async def _due_now(session: AsyncSession, planned: Sequence[Pair]) -> list[Pair]:
    """Those whose alerts still need this person; the others are cancelled."""
    over = await watching.end_if_over(
        session, kinds(), [alert for _, alert in planned if alert.status == AlertStatus.OPEN.value]
    )
    due = []
    responsible: dict[tuple[str, UUID | None], list[UUID]] = {}
    for row, alert in planned:
        if alert.kind != TEST and (alert.id in over or alert.status != AlertStatus.OPEN.value):
            row.status, row.detail = DeliveryStatus.CANCELLED.value, watching.ENDED
            continue
        kind = kinds().get(alert.kind)
        if kind is not None:
            key = kind.key, alert.project_id
            if key not in responsible:
                responsible[key] = await recipients.responsible(session, kind, alert.project_id)
            if row.user_id not in responsible[key]:
                row.status, row.detail = DeliveryStatus.CANCELLED.value, "It is somebody else's now."
                continue
        due.append((row, alert))
    return due


async def _intent(session: AsyncSession, pairs: Sequence[Pair]) -> Intent | None:
    """What is sent, of the deliveries' current state; None where the person has no such channel any more."""
    row, at = pairs[0][0], max(row.intended_at for row, _ in pairs if row.intended_at is not None)
    user = await session.get_one(UserAccount, row.user_id)
    workspace = await session.get_one(Workspace, workspace_of(session))
    to: str | None = user.email
    if row.channel != channels.MAIL:
        to = await session.scalar(
            select(AlertChat.chat_id).where(
                AlertChat.workspace_id == workspace_of(session),
                AlertChat.user_id == row.user_id,
                AlertChat.platform == row.channel,
            )
        )
    if to is None or row.message_id is None:
        return None
    projects = {
        project.id: project
        for project in await session.execute(
            select(Project.id, Project.title, Project.timezone).where(
                in_workspace(Project, workspace_of(session)),
                Project.id.in_({alert.project_id for _, alert in pairs if alert.project_id is not None}),
            )
        )
    }
    items = [
        Item(alert, project and project.title, project.timezone if project is not None else "UTC")
        for _, alert in pairs
        for project in (projects.get(alert.project_id) if alert.project_id is not None else None,)
    ]
    return Intent(
        user_id=row.user_id,
        channel=row.channel,
        message_id=row.message_id,
        at=at,
        to=to,
        name=user.name,
        language=user.language,
        message=text(
            items, workspace=workspace.title, language=user.language, longest=channels.text_limit(row.channel)
        ),
    )


async def sent(session: AsyncSession, *, user_id: UUID, channel: str) -> None:
    """It was accepted."""
    for row, _ in await _locked(session, user_id, channel, DeliveryStatus.SENDING):
        row.status, row.sent_at, row.unsettled, row.detail = DeliveryStatus.SENT.value, now(session), 0, None


async def failed(session: AsyncSession, settings: Settings, *, user_id: UUID, channel: str, why: str) -> None:
    """This attempt was not accepted, and no other follows: failed, or unknown where an earlier one may have been."""
    rows = [row for row, _ in await _locked(session, user_id, channel, DeliveryStatus.SENDING)]
    for row in rows:
        row.unsettled -= 1
        if row.unsettled > 0:
            row.status, row.detail = DeliveryStatus.UNKNOWN.value, f"{_IN_DOUBT} The repeat failed: {why}."
        else:
            row.status, row.detail = DeliveryStatus.FAILED.value, f"{why}."
    await session.flush()
    await deliveries.fall_back(session, settings, rows)


async def deferred(
    session: AsyncSession, settings: Settings, *, user_id: UUID, channel: str, why: str, at: datetime | None = None
) -> datetime | None:
    """This attempt was not accepted, and another follows: when; None where it is given up. `at`: not before."""
    rows = [row for row, _ in await _locked(session, user_id, channel, DeliveryStatus.SENDING)]
    expired: list[AlertDelivery] = []
    waiting: list[AlertDelivery] = []
    for row in rows:
        row.unsettled -= 1
        row.detail = f"It is tried again: {why}."
        (expired if now(session) - (row.intended_at or row.due_at) >= GIVE_UP else waiting).append(row)
    for row in expired:
        row.status = (DeliveryStatus.UNKNOWN if row.unsettled else DeliveryStatus.FAILED).value
        row.detail = (
            f"{_IN_DOUBT} The repeat was not accepted for a day." if row.unsettled else _TOO_LATE.format(why=why)
        )
    await session.flush()
    await deliveries.fall_back(session, settings, expired)
    if not waiting:
        return None
    waited = now(session) - min(row.intended_at or row.due_at for row in waiting)
    next_at = max(now(session) + _delay(waited), at or now(session))
    for row in waiting:
        if not row.unsettled:  # else it may have arrived, and is repeated as the same message
            row.status, row.due_at = DeliveryStatus.PLANNED.value, next_at
    return next_at


def _delay(waited: timedelta) -> timedelta:
    return next((one for one in DELAYS if one > waited), DELAYS[-1])


async def in_doubt(
    session: AsyncSession, settings: Settings, *, user_id: UUID, channel: str, why: str
) -> datetime | None:
    """No answer came. When the repeat follows; None where there is none."""
    rows = [row for row, _ in await _locked(session, user_id, channel, DeliveryStatus.SENDING)]
    if channels.recognises_repeats(channel) and rows and rows[0].unsettled < 2:
        for row in rows:
            row.detail = f"It is repeated, as the same message: {why}."
        return now(session) + SETTLE
    await unknown(session, settings, user_id=user_id, channel=channel, why=why)
    return None


async def unknown(session: AsyncSession, settings: Settings, *, user_id: UUID, channel: str, why: str) -> None:
    """It may have arrived, and is not sent again by this channel."""
    rows = [row for row, _ in await _locked(session, user_id, channel, DeliveryStatus.SENDING)]
    for row in rows:
        row.status, row.detail = DeliveryStatus.UNKNOWN.value, f"{_IN_DOUBT} {why}"
    await session.flush()
    await deliveries.fall_back(session, settings, rows)


async def next_due(session: AsyncSession, *, user_id: UUID, channel: str) -> datetime | None:
    """When the next delivery to this person by this channel is due."""
    at: datetime | None = await session.scalar(
        select(func.min(AlertDelivery.due_at)).where(
            in_workspace(AlertDelivery, workspace_of(session)),
            AlertDelivery.user_id == user_id,
            AlertDelivery.channel == channel,
            AlertDelivery.status == DeliveryStatus.PLANNED.value,
        )
    )
    return at


async def give_up(session: AsyncSession, *, user_id: UUID, channel: str) -> None:
    """The job is dead, for whatever reason: what was under way may have arrived, the rest was not sent."""
    for status, outcome, detail in (
        (DeliveryStatus.SENDING, DeliveryStatus.UNKNOWN, _IN_DOUBT),
        (DeliveryStatus.PLANNED, DeliveryStatus.FAILED, "Something went wrong here, and it was not sent."),
    ):
        for row, _ in await _locked(session, user_id, channel, status):
            row.status, row.detail = outcome.value, detail
