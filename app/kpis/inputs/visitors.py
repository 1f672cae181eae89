"""The people who followed tracked links, each once a day."""

from collections.abc import Iterator
from datetime import date
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import LargeBinary, cast, func, null, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from app.kit.db import in_workspace
from app.kpis.contract import Community, Loaded, LoadRequest, Missing, Window
from app.kpis.inputs.clicks import click_dataset
from app.kpis.inputs.parameters import FIRST, LAST, PROJECTS, WORKSPACE
from app.kpis.statement import Statement
from app.links.models import Click, Link


class VisitorDay(NamedTuple):
    """A visitor's clicks of one day; `visitor` is a keyed hash."""

    project_id: UUID
    community_id: UUID | None
    day: date
    visitor: bytes


def _statement() -> Any:
    visits = (
        select(
            Click.project_id,
            Click.community_id,
            Click.day,
            Click.visitor,
            cast(null(), Click.at.type).label("since"),
        )
        .where(
            in_workspace(Click, WORKSPACE),
            Click.project_id == PROJECTS,
            Click.day.between(FIRST, LAST),
            Click.bot.is_(None),
        )
        .distinct()
    )
    first_links = (
        select(
            Link.project_id,
            cast(null(), Click.community_id.type),
            cast(null(), Click.day.type),
            cast(null(), LargeBinary()),
            func.min(Link.created_at),
        )
        .where(in_workspace(Link, WORKSPACE), Link.project_id == PROJECTS)
        .group_by(Link.project_id)
    )
    return union_all(visits, first_links)


_STATEMENT: Final = Statement(_statement())


class Visitors:
    """Visitors of the client's site who came by tracked links."""

    key = "visitors"
    title = "Visitors who followed the project's tracked links"

    async def load(self, connection: AsyncConnection, request: LoadRequest) -> dict[UUID, Loaded[VisitorDay]]:
        """Who came on the requested days, by community."""
        rows: dict[UUID, list[VisitorDay]] = {project.id: [] for project in request.projects}
        since: dict[UUID, Any] = {}
        for row in await _STATEMENT.rows(connection, request.parameters):
            if row[2] is None:
                since[row[0]] = row[4]
            else:
                rows[row[0]].append(VisitorDay._make(row[:4]))
        return {
            project.id: click_dataset(project, rows[project.id], since.get(project.id)) for project in request.projects
        }

    def gaps(self, loaded: Loaded[VisitorDay], community: Community, window: Window) -> Iterator[Missing]:
        """None: a day without visitors had none."""
        yield from ()


VISITORS: Final = Visitors()
