"""What a kind of alert is. A room above declares its kinds in its `alerts.py`, as `KINDS`: there is no list to extend.

A kind finds its *concerns*: what needs a person at this moment. The same query answers whether one still does, so that
an alert that was opened by it is ended by it, and is not sent any more.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.models import Seat
from app.alerts.models import Alert, AlertStatus
from app.kit.events import Event


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that needs a person."""

    subject_id: UUID
    """The inquiry, post, community … that it is about."""
    project_id: UUID | None
    """None: it is about the workspace, and goes to its owners."""
    since: datetime
    """Since when. The same subject needs a person again where this is another instant: that is another alert."""
    facts: Mapping[str, str]
    """What the kind's text names: titles and instants (ISO 8601), nothing that a customer wrote."""


@dataclass(frozen=True, slots=True)
class ConcernQuery:
    """Which concerns of a kind are looked for in this transaction's workspace."""

    kind: str
    workspace_id: UUID
    at: datetime
    before: datetime
    """Those that began later are too new."""
    ongoing: bool
    """As the kind's."""
    subject_ids: Collection[UUID] | None = None
    """Those of these subjects, alerted or not; None: those without an alert."""
    after: tuple[datetime, UUID] | None = None
    """Those that follow this one in the order of `since` and subject."""
    limit: int = 500

    def page(self, statement: Any, *, since: Any, subject: Any) -> Any:
        """A page of a kind's statement, which is restricted to the workspace; the oldest concerns first."""
        statement = statement.where(since <= self.before)
        if self.subject_ids is not None:
            statement = statement.where(subject.in_(self.subject_ids))
        else:
            alerted = select(Alert.id).where(
                Alert.workspace_id == self.workspace_id, Alert.kind == self.kind, Alert.subject_id == subject
            )
            is_same = Alert.status != AlertStatus.ENDED.value if self.ongoing else Alert.since == since
            # A subquery for each row, by its index: joined, it may become a comparison of each row with each alert.
            statement = statement.where(alerted.where(is_same).limit(1).scalar_subquery().is_(None))
        if self.after is not None:
            statement = statement.where(tuple_(since, subject) > self.after)
        return statement.order_by(since, subject).limit(self.limit)


Find: TypeAlias = Callable[[AsyncSession, ConcernQuery], Awaitable[Sequence[Concern]]]


@dataclass(frozen=True, slots=True)
class AlertKind:
    """A kind of alert."""

    key: str
    title: str
    """A short line, in English; translated as `text` is."""
    text: str
    """A sentence with `{names}` of the facts, and `{since}`."""
    seats: tuple[Seat, ...]
    """Whose it is; none: the owners'. Where nobody has one of these seats, the managers', else the owners'."""
    threshold: timedelta
    """How long it may last before anybody is alerted; a project may set another one."""
    find: Find
    in_working_time: bool = False
    """Whether the threshold counts the project's working time alone."""
    ongoing: bool = False
    """Its concerns have no beginning that is stored: one alert lasts until it has ended, whatever their `since`."""
    is_urgent: bool = False
    """It is sent at once, also outside of working hours and to whoever wants a digest."""
    events: tuple[type[Event], ...] = ()
    """After these it is looked for at once, and not only every few minutes."""
    translated: tuple[str, ...] = ()
    """The facts whose values are Instep's own words, in English; translated as `text` is."""
