"""The periods in which customers waited for an answer."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Date, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.inquiries.models import ResponseWait
from app.kit.db import in_workspace
from app.kpis.contract import DAY, Community, EvidenceQuery, Loaded, LoadRequest, Missing, Project, Section, Window
from app.kpis.inputs.inquiries import conversation_dataset
from app.kpis.inputs.parameters import END, PROJECTS, START, WORKSPACE, local_day
from app.kpis.statement import Statement
from app.projects.models import Project as ProjectRow

ANSWER: Final = "answer"
NOT_ENDED: Final = date.max
"""The `day` of a wait that has not ended."""


class WaitRow(NamedTuple):
    """A wait; its `day` is the one on which it ended."""

    project_id: UUID
    community_id: UUID
    day: date
    started: date
    opening: bool
    """The first one of the inquiry, or the first after it was reopened."""
    ended_by: str | None
    seconds: int | None
    """Of working time."""


_STATEMENT: Final = Statement(
    select(
        ResponseWait.project_id,
        ResponseWait.community_id,
        func.coalesce(local_day(ResponseWait.__table__.c.ended_at, ProjectRow.timezone), literal(NOT_ENDED, Date())),
        local_day(ResponseWait.__table__.c.started_at, ProjectRow.timezone),
        ResponseWait.opening,
        ResponseWait.ended_by,
        ResponseWait.working_seconds,
    )
    .join(
        ProjectRow, (ProjectRow.workspace_id == ResponseWait.workspace_id) & (ProjectRow.id == ResponseWait.project_id)
    )
    .where(
        in_workspace(ResponseWait, WORKSPACE),
        ResponseWait.project_id == PROJECTS,
        or_(ResponseWait.ended_at >= START, ResponseWait.ended_at.is_(None)),
        ResponseWait.started_at < END,
    )
)


class Waits:
    """Waits of customers."""

    key = "waits"
    title = "Waits between a customer's message and the agency's next answer"

    async def load(self, connection: AsyncConnection, request: LoadRequest) -> dict[UUID, Loaded[WaitRow]]:
        """Every wait that overlaps the requested days, those that have not ended included."""
        return await conversation_dataset(connection, request, _STATEMENT, WaitRow._make)

    def gaps(self, loaded: Loaded[WaitRow], community: Community, window: Window) -> Iterator[Missing]:
        """Messages are polled later with their own time: only inbound gaps are days not known yet."""
        yield from loaded.inbound_gaps_in(community, window)


WAITS: Final = Waits()


def _select(workspace_id: UUID, project: Project, *filters: ColumnElement[bool]) -> EvidenceQuery:
    return select(
        ResponseWait.id,
        ResponseWait.inquiry_id,
        ResponseWait.community_id,
        ResponseWait.started_at,
        ResponseWait.ended_at,
        ResponseWait.ended_by,
        ResponseWait.opening,
        ResponseWait.working_seconds,
    ).where(in_workspace(ResponseWait, workspace_id), ResponseWait.project_id == project.id, *filters)


def _answered(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
    return _select(
        workspace_id,
        project,
        ResponseWait.ended_at >= project.start_of(first),
        ResponseWait.ended_at < project.start_of(last + DAY),
        ResponseWait.ended_by == ANSWER,
        ResponseWait.opening.is_(True),
        ResponseWait.working_seconds.is_not(None),
    )


def _open(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
    end = project.start_of(last + DAY)
    return _select(
        workspace_id,
        project,
        ResponseWait.started_at < end,
        or_(ResponseWait.ended_at >= end, ResponseWait.ended_at.is_(None)),
    )


_FIELDS: Final = (
    "`id`, `inquiry_id`, `community_id`, `started_at`, `ended_at`, `ended_by`, `opening`, `working_seconds`."
)
ANSWERED: Final = Section(
    "wait",
    f"An opening wait that an answer ended in the window: {_FIELDS}",
    _answered,
    {"ended_at": datetime, "id": UUID},
)
OPEN: Final = Section(
    "wait", f"A wait that was going on when the window ended: {_FIELDS}", _open, {"started_at": datetime, "id": UUID}
)
