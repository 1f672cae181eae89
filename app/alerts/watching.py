"""Opens alerts for what needs a person, and ends those that need nobody any more."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts import deliveries, recipients
from app.alerts.contract import AlertKind, Concern, ConcernQuery
from app.alerts.events import AlertEnded, AlertOpened
from app.alerts.models import Alert, AlertPolicy, AlertStatus
from app.kit.db import in_workspace, now, workspace_of
from app.kit.events import publish
from app.kit.ids import uuid7
from app.settings import Settings

PAGE: Final = 500
ENDED: Final = "It ended before it was sent."


async def open_new(session: AsyncSession, settings: Settings, kind: AlertKind) -> int:
    """Open an alert for each concern of this kind that has lasted too long and has none; their number."""
    policies = await _policies(session)
    shortest = min(
        (timedelta(minutes=minutes[kind.key]) for minutes in policies.values() if kind.key in minutes),
        default=kind.threshold,
    )
    query = ConcernQuery(
        kind=kind.key,
        workspace_id=workspace_of(session),
        at=now(session),
        before=now(session) - min(shortest, kind.threshold),
        ongoing=kind.ongoing,
        limit=PAGE,
    )
    opened = 0
    audiences: dict[UUID | None, list[deliveries.Reach]] = {}
    while True:
        concerns = await kind.find(session, query)
        times = await recipients.project_times(session, [one.project_id for one in concerns])
        for one in concerns:
            time = None if one.project_id is None else times.get(one.project_id)
            if one.project_id is not None and time is None:
                continue  # of an archived project
            minutes = {} if one.project_id is None else policies.get(one.project_id, {})
            if recipients.is_due(kind, minutes, time, since=one.since, at=query.at):
                if one.project_id not in audiences:
                    audiences[one.project_id] = await deliveries.audience(session, settings, kind, one.project_id, time)
                opened += await _open(session, kind, one, audiences[one.project_id])
        if len(concerns) < PAGE:
            return opened
        query = _following(query, concerns[-1])


def _following(query: ConcernQuery, last: Concern) -> ConcernQuery:
    return ConcernQuery(
        kind=query.kind,
        workspace_id=query.workspace_id,
        at=query.at,
        before=query.before,
        ongoing=query.ongoing,
        after=(last.since, last.subject_id),
        limit=query.limit,
    )


async def _policies(session: AsyncSession) -> dict[UUID, Mapping[str, int]]:
    rows = await session.execute(
        select(AlertPolicy.project_id, AlertPolicy.minutes).where(AlertPolicy.workspace_id == workspace_of(session))
    )
    return {row.project_id: row.minutes for row in rows}


async def _open(session: AsyncSession, kind: AlertKind, concern: Concern, audience: Sequence[deliveries.Reach]) -> bool:
    """Whether the alert is a new one: another worker may have opened it at the same time."""
    values: dict[str, Any] = {
        "workspace_id": workspace_of(session),
        "id": uuid7(),
        "kind": kind.key,
        "project_id": concern.project_id,
        "subject_id": concern.subject_id,
        "since": concern.since,
        "facts": dict(concern.facts),
        "status": AlertStatus.OPEN.value,
        "opened_at": now(session),
    }
    inserted = await session.execute(insert(Alert).values(values).on_conflict_do_nothing().returning(Alert))
    alert = inserted.scalar_one_or_none()
    if alert is None:
        return False
    await publish(session, AlertOpened(alert.id, alert.kind, alert.project_id, alert.subject_id, alert.since))
    for one in audience:
        await deliveries.add(session, alert_id=alert.id, user_id=one.user_id, channel=one.channel, due_at=one.due_at)
    return True


async def end_over(session: AsyncSession, kind: AlertKind) -> int:
    """End the alerts of this kind whose concerns are over; their number."""
    ended, after = 0, UUID(int=0)
    while True:
        rows = (
            await session.scalars(
                select(Alert)
                .where(
                    in_workspace(Alert, workspace_of(session)),
                    Alert.kind == kind.key,
                    Alert.status != AlertStatus.ENDED.value,
                    Alert.id > after,
                )
                .order_by(Alert.id)
                .limit(PAGE)
                .with_for_update()
            )
        ).all()
        over = await _over(session, kind, rows)
        await end(session, over)
        ended += len(over)
        if len(rows) < PAGE:
            return ended
        after = rows[-1].id


async def _over(session: AsyncSession, kind: AlertKind, alerts: Sequence[Alert]) -> list[Alert]:
    """Those of these alerts of one kind whose concerns are over."""
    if not alerts:
        return []
    concerns = await kind.find(
        session,
        ConcernQuery(
            kind=kind.key,
            workspace_id=workspace_of(session),
            at=now(session),
            before=now(session),
            ongoing=kind.ongoing,
            subject_ids={one.subject_id for one in alerts},
            limit=2 * PAGE,
        ),
    )
    times = await recipients.project_times(session, [one.project_id for one in concerns])
    standing = {_identity(kind, one) for one in concerns if one.project_id is None or one.project_id in times}
    return [one for one in alerts if _identity(kind, one) not in standing]


def _identity(kind: AlertKind, one: Alert | Concern) -> tuple[object, ...]:
    return (one.subject_id,) if kind.ongoing else (one.subject_id, one.since)


async def end(session: AsyncSession, alerts: Sequence[Alert]) -> None:
    """End alerts, which are locked, and cancel what is planned of them."""
    for alert in alerts:
        alert.status, alert.ended_at = AlertStatus.ENDED.value, now(session)
        await publish(session, AlertEnded(alert.id, alert.kind, alert.project_id, alert.subject_id))
    if alerts:
        await deliveries.cancel(session, [one.id for one in alerts], ENDED)


async def end_if_over(
    session: AsyncSession, kinds: Mapping[str, AlertKind], alerts: Iterable[Alert]
) -> Collection[UUID]:
    """End those of these alerts, which are locked, whose concerns are over; the ids of those that have ended."""
    by_kind: dict[str, list[Alert]] = {}
    for alert in alerts:
        by_kind.setdefault(alert.kind, []).append(alert)
    over = [
        alert for key, of_kind in by_kind.items() if key in kinds for alert in await _over(session, kinds[key], of_kind)
    ]
    await end(session, over)
    return {alert.id for alert in over}
