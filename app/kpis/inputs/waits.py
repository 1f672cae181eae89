"""The stretches of time in which customers waited for an answer."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Date, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.inquiries.models import Waiting
from app.kit.db import in_workspace
from app.kpis.contract import DAY, Community, Loaded, LoadRequest, Missing, Project, Query, Section, Window
from app.kpis.inputs.inquiries import heard
from app.kpis.inputs.parameters import END, PROJECTS, START, WORKSPACE, local_day
from app.kpis.statement import Statement
from app.projects.models import Project as ProjectRow

ANSWER: Final = "answer"
NEVER: Final = date.max
"""The day on which a wait ends that goes on."""


class Wait(NamedTuple):
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
        Waiting.project_id,
        Waiting.community_id,
        func.coalesce(local_day(Waiting.__table__.c.ended_at, ProjectRow.timezone), literal(NEVER, Date())),
        local_day(Waiting.__table__.c.started_at, ProjectRow.timezone),
        Waiting.opening,
        Waiting.ended_by,
        Waiting.working_seconds,
    )
    .join(ProjectRow, (ProjectRow.workspace_id == Waiting.workspace_id) & (ProjectRow.id == Waiting.project_id))
    .where(
        in_workspace(Waiting, WORKSPACE),
        Waiting.project_id == PROJECTS,
        or_(Waiting.ended_at >= START, Waiting.ended_at.is_(None)),
        Waiting.started_at < END,
    )
)


class Waits:
    """Waits of customers."""

    key = "waits"
    title = "Waits between a customer's message and the agency's next answer"

    async def load(self, connection: AsyncConnection, asked: LoadRequest) -> dict[UUID, Loaded[Wait]]:
        """Every wait that touches the days asked for, those that go on included."""
        return await heard(connection, asked, _STATEMENT, Wait._make)

    def gaps(self, loaded: Loaded[Wait], community: Community, window: Window) -> Iterator[Missing]:
        """Messages carry their own time: only what a hook missed is late."""
        yield from loaded.missed(community, window)


WAITS: Final = Waits()


def _select(workspace_id: UUID, project: Project, *filters: ColumnElement[bool]) -> Query:
    return select(
        Waiting.id,
        Waiting.inquiry_id,
        Waiting.community_id,
        Waiting.started_at,
        Waiting.ended_at,
        Waiting.ended_by,
        Waiting.opening,
        Waiting.working_seconds,
    ).where(in_workspace(Waiting, workspace_id), Waiting.project_id == project.id, *filters)


def _answered(workspace_id: UUID, project: Project, first: date, last: date) -> Query:
    return _select(
        workspace_id,
        project,
        Waiting.ended_at >= project.start_of(first),
        Waiting.ended_at < project.start_of(last + DAY),
        Waiting.ended_by == ANSWER,
        Waiting.opening.is_(True),
        Waiting.working_seconds.is_not(None),
    )


def _open(workspace_id: UUID, project: Project, first: date, last: date) -> Query:
    end = project.start_of(last + DAY)
    return _select(
        workspace_id, project, Waiting.started_at < end, or_(Waiting.ended_at >= end, Waiting.ended_at.is_(None))
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
