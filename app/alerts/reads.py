"""Reads of alerts, in the one form in which all operations return them."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, Text, cast, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.models import UserAccount
from app.alerts import channels
from app.alerts.kinds import TEST, kinds
from app.alerts.models import Alert, AlertDelivery, AlertStatus
from app.alerts.wording import TEST_TITLE
from app.kit.db import in_workspace, workspace_of
from app.kit.lists import WORKSPACE, Listing, Row, Sort, equal, stored_json
from app.kit.paging import Keyset

_COLUMNS: Final = (
    *("id", "kind", "project_id", "subject_id", "since", "status", "opened_at", "ended_at"),
    *("acknowledged_at", "acknowledged_by"),
)
_UTC: Final = 'YYYY-MM-DD"T"HH24:MI:SS"Z"'


def _instant(column: Any) -> Any:
    return func.to_char(func.timezone("UTC", column), _UTC)


def _query() -> Select[Any]:
    delivery = func.jsonb_build_object(
        "user_id", AlertDelivery.user_id,
        "name", UserAccount.name,
        "channel", AlertDelivery.channel,
        "status", AlertDelivery.status,
        "due_at", _instant(AlertDelivery.due_at),
        "sent_at", _instant(AlertDelivery.sent_at),
        "detail", AlertDelivery.detail,
    )  # fmt: skip
    of_alert = (
        select(func.coalesce(cast(func.jsonb_agg(aggregate_order_by(delivery, AlertDelivery.id)), Text), "[]"))
        .join(UserAccount, UserAccount.id == AlertDelivery.user_id)
        .where(AlertDelivery.workspace_id == WORKSPACE, AlertDelivery.alert_id == Alert.id)
        .correlate(Alert)
        .scalar_subquery()
    )
    return select(
        *(getattr(Alert, name) for name in _COLUMNS),
        cast(Alert.facts, Text).label("facts"),
        of_alert.label("deliveries"),
    ).where(in_workspace(Alert, WORKSPACE))


ALERTS: Final = Listing(
    _query(),
    Alert.id,
    sorts={None: Sort(Keyset((Alert.opened_at, Alert.id)))},
    filters={
        **equal(project_id=Alert.project_id, kind=Alert.kind),
        "status": {one.value: Alert.status == one.value for one in AlertStatus},
    },
    ids_first=True,
)


def title_of(key: str) -> str:
    """What a kind is called, for people; its key where this version does not have it."""
    kind = kinds().get(key)
    return TEST_TITLE if key == TEST else key if kind is None else kind.title


def alert_read(row: Row) -> dict[str, Any]:
    """An alert as `AlertRead` describes it."""
    return {
        **{name: row[name] for name in _COLUMNS},
        "title": title_of(row["kind"]),
        "facts": stored_json(row["facts"]),
        "deliveries": stored_json(row["deliveries"]),
    }


async def changed(session: AsyncSession, alert_id: UUID) -> dict[str, Any]:
    """An alert with the changes of this transaction."""
    await session.flush()
    return alert_read(await ALERTS.one(await session.connection(), workspace_of(session), alert_id))


async def last_deliveries(session: AsyncSession, user_id: UUID) -> dict[str, AlertDelivery]:
    """A person's last delivery by each channel."""
    last = {}
    for channel in channels.every():
        last[channel] = await session.scalar(
            select(AlertDelivery)
            .where(
                in_workspace(AlertDelivery, workspace_of(session)),
                AlertDelivery.user_id == user_id,
                AlertDelivery.channel == channel,
            )
            .order_by(AlertDelivery.id.desc())
            .limit(1)
        )
    return {channel: row for channel, row in last.items() if row is not None}
