"""Customers' inquiries: how many came, and how many were handled."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import InstrumentedAttribute

from app.inquiries.models import Inquiry
from app.kit.db import in_workspace
from app.kpis.contract import (
    DAY,
    Community,
    EvidenceQuery,
    Loaded,
    LoadRequest,
    Missing,
    Project,
    R,
    Section,
    Span,
    Window,
)
from app.kpis.inputs.inbound_gaps import inbound_gaps
from app.kpis.inputs.parameters import END, FIRST, LAST, PROJECTS, START, WORKSPACE, local_day, polled
from app.kpis.statement import Statement
from app.projects.models import Project as ProjectRow


class InquiryDay(NamedTuple):
    """Inquiries of one day."""

    project_id: UUID
    community_id: UUID
    day: date
    received: int
    """The customer first wrote on this day."""
    received_handled: int
    """Those of them that are handled by now."""
    handled: int
    """Handled on this day, whenever they came."""


def _statement() -> Any:
    def days(at: InstrumentedAttribute[Any], *counts: ColumnElement[Any]) -> EvidenceQuery:
        day = local_day(at, ProjectRow.timezone)
        return (
            select(Inquiry.project_id, Inquiry.community_id, day, *counts)
            .join(
                ProjectRow,
                (ProjectRow.workspace_id == Inquiry.workspace_id) & (ProjectRow.id == Inquiry.project_id),
            )
            .where(
                in_workspace(Inquiry, WORKSPACE),
                Inquiry.project_id == PROJECTS,
                at >= START,
                at < END,
                day.between(FIRST, LAST),
            )
            .group_by(Inquiry.project_id, Inquiry.community_id, day)
        )

    nothing = literal(0)
    return union_all(
        days(Inquiry.opened_at, func.count(), func.count(Inquiry.handled_at), nothing),
        days(Inquiry.handled_at, nothing, nothing, func.count()),
    )


_STATEMENT: Final = Statement(_statement())


class Inquiries:
    """Conversations that customers began."""

    key = "inquiries"
    title = "Inquiries found on the platforms"

    async def load(self, connection: AsyncConnection, request: LoadRequest) -> dict[UUID, Loaded[InquiryDay]]:
        """The requested days, by community."""
        return await conversation_dataset(connection, request, _STATEMENT, InquiryDay._make)

    def gaps(self, loaded: Loaded[InquiryDay], community: Community, window: Window) -> Iterator[Missing]:
        """Messages are polled later with their own time: only inbound gaps are days not known yet."""
        yield from loaded.inbound_gaps_in(community, window)


async def conversation_dataset(
    connection: AsyncConnection, request: LoadRequest, statement: Statement, make: Callable[[Sequence[Any]], R]
) -> dict[UUID, Loaded[R]]:
    """The rows of a statement about conversations, whose first column is the project, with the known spans."""
    rows: dict[UUID, list[R]] = {project.id: [] for project in request.projects}
    for row in await statement.rows(connection, request.parameters):
        rows[row[0]].append(make(row))
    gaps = await inbound_gaps(connection, request, posts=False)
    return {
        project.id: Loaded(
            rows[project.id],
            {community: _span(project, community) for community in project.communities},
            inbound_gaps=gaps,
        )
        for project in request.projects
    }


def _span(project: Project, community: Community) -> Span:
    """Conversations are known from where the backfill began."""
    return polled(project, community, since=community.backfill, seen_at=community.conversations_seen_at)


INQUIRIES: Final = Inquiries()


def _section(kind: str, doc: str, at: InstrumentedAttribute[Any]) -> Section:
    def rows(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
        return select(
            Inquiry.id,
            Inquiry.community_id,
            Inquiry.channel,
            Inquiry.kind,
            Inquiry.status,
            Inquiry.opened_at,
            Inquiry.handled_at,
            Inquiry.resolved_at,
            Inquiry.resolved_automatically,
        ).where(
            in_workspace(Inquiry, workspace_id),
            Inquiry.project_id == project.id,
            at >= project.start_of(first),
            at < project.start_of(last + DAY),
        )

    # `kind` of the row says which section it is of; what the customer wants is `wants`.
    def renamed(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
        columns = rows(workspace_id, project, first, last).subquery().c
        return select(*(column.label("wants") if column.name == "kind" else column for column in columns))

    return Section(kind, doc, renamed, {at.key: datetime, "id": UUID})


_FIELDS: Final = (
    "`id`, `community_id`, `channel`, `wants` (question, problem, thanks, other), `status`, `opened_at`, "
    "`handled_at` (null: not yet), `resolved_at`, `resolved_automatically`."
)
RECEIVED: Final = _section("inquiry", f"An inquiry that came in the window: {_FIELDS}", Inquiry.opened_at)
HANDLED: Final = _section("inquiry", f"An inquiry that was handled in the window: {_FIELDS}", Inquiry.handled_at)
