"""Customers' inquiries: how many came, and how many were handled."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Subquery, func, literal, literal_column, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import InstrumentedAttribute

from app.inquiries.models import Inquiry
from app.kit.db import in_workspace
from app.kpis.contract import DAY, D, Dataset, EvidenceQuery, LoadRequest, Project, Section, Source
from app.kpis.inputs.columns import Counted, DailyCounts, MakeData
from app.kpis.inputs.inbound_gaps import add_inbound_gaps
from app.kpis.inputs.parameters import (
    AS_OF,
    END,
    FIRST,
    LAST,
    PROJECT,
    START,
    WORKSPACE,
    columns_by_community,
    local_day,
    polled,
    position,
)


def _rows() -> Any:
    def days(name: str, at: InstrumentedAttribute[Any]) -> Subquery:
        # `OFFSET 0` has the local day of each row looked up once, and not wherever it is used.
        return (
            select(Inquiry.community_id, Inquiry.handled_at, local_day(at, PROJECT.c.timezone).label("day"))
            .where(
                in_workspace(Inquiry, WORKSPACE),
                Inquiry.project_id == PROJECT.c.id,
                at >= START,
                at < END,
                at <= AS_OF,
            )
            .correlate(PROJECT)
            .offset(literal_column("0"))
            .subquery(name)
        )

    def by_day(rows: Subquery, *counts: ColumnElement[Any]) -> EvidenceQuery:
        one = rows.c
        return (
            select(one.community_id, position(one.day), *counts)
            .where(one.day.between(FIRST, LAST))
            .group_by(one.community_id, one.day)
        )

    nothing = literal(0)
    opened, handled = days("opened", Inquiry.opened_at), days("handled", Inquiry.handled_at)
    handled_by_now = func.count(opened.c.handled_at).filter(opened.c.handled_at <= AS_OF)
    both = union_all(
        by_day(opened, func.count(), handled_by_now, nothing), by_day(handled, nothing, nothing, func.count())
    ).subquery("opened_or_handled")
    return select(*both.c)


class Conversations(Source[D]):
    """A source about conversations."""

    async def supplement(
        self, connection: AsyncConnection, request: LoadRequest, datasets: Mapping[Project, Dataset[D]]
    ) -> None:
        """Add inbound gaps. Messages polled late keep their own time, so no other days have to be corrected."""
        await add_inbound_gaps(connection, request, datasets, posts=False)


class Inquiries(Conversations[DailyCounts]):
    """Inquiries by day: received on it, of these handled by now, and handled on it."""

    key = "inquiries"
    title = "Inquiries found on the platforms"
    rows = columns_by_community(_rows())

    def dataset(self, project: Project, rows: Any, request: LoadRequest) -> Dataset[DailyCounts]:
        """The requested days, by community."""
        return by_conversations(project, rows, DailyCounts, request)


def by_conversations(project: Project, rows: Any, make: MakeData[D], request: LoadRequest) -> Dataset[D]:
    """The dataset of a source about conversations, which are known from the start of the backfill."""
    return Dataset(
        make(
            community,
            polled(project, community, since=community.backfill, seen_at=community.conversations_seen_at),
            (rows or {}).get(str(community.id), ()),
            request,
        )
        for community in project.communities
    )


INQUIRIES: Final = Inquiries()
INQUIRIES_RECEIVED: Final = Counted(INQUIRIES, 1)
INQUIRIES_HANDLED: Final = Counted(INQUIRIES, 3)
RECEIVED_AND_HANDLED: Final = Counted(INQUIRIES, 2, 1)
"""How many inquiries received in the window are handled by now, and how many were received."""


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
            at <= project.now,
        )

    # `kind` is the row's section, so the kind of inquiry is named `wants`.
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
