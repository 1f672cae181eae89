"""Clicks on tracked links, of people and of bots."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, cast, func, literal, null, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from app.kit.db import in_workspace
from app.kpis.contract import Community, EvidenceQuery, Loaded, LoadRequest, Missing, Project, R, Section, Span, Window
from app.kpis.inputs.parameters import FIRST, LAST, PROJECTS, WORKSPACE
from app.kpis.statement import Statement
from app.links.models import Click, ClickDay, Link

NO_LINKS: Final = "no-links"
"""The project has no tracked link, or had none yet."""
NO_COMMUNITY: Final = Community(None, None)
"""Stands for links that belong to no single community."""


class ClickCount(NamedTuple):
    """Clicks of one day."""

    project_id: UUID
    community_id: UUID | None
    day: date
    people: int
    bots: int
    repeats: int
    """People's clicks on a link they had just followed: not counted again."""


def _statement() -> Any:
    days = (
        select(
            ClickDay.project_id,
            ClickDay.community_id,
            ClickDay.day,
            cast(func.sum(ClickDay.people), BigInteger),
            cast(func.sum(ClickDay.bots), BigInteger),
            cast(func.sum(ClickDay.repeats), BigInteger),
            cast(null(), Click.at.type).label("since"),
        )
        .where(ClickDay.workspace_id == WORKSPACE, ClickDay.project_id == PROJECTS, ClickDay.day.between(FIRST, LAST))
        .group_by(ClickDay.project_id, ClickDay.community_id, ClickDay.day)
    )
    first_links = (
        select(
            Link.project_id,
            cast(null(), ClickDay.community_id.type),
            cast(null(), ClickDay.day.type),
            cast(null(), BigInteger),
            cast(null(), BigInteger),
            cast(null(), BigInteger),
            func.min(Link.created_at),
        )
        .where(in_workspace(Link, WORKSPACE), Link.project_id == PROJECTS)
        .group_by(Link.project_id)
    )
    return union_all(days, first_links)


_STATEMENT: Final = Statement(_statement())


def click_dataset(project: Project, rows: Sequence[R], since: datetime | None) -> Loaded[R]:
    """Rows with the spans of all communities, and communities links communities no single one.

    Clicks are counted at once: from the first link on, everything is known up to this minute.
    """
    if since is None:
        return Loaded(rows, {}, reason=NO_LINKS)
    communities = list(project.communities)
    if not communities or any(row.community_id is None for row in rows):
        communities.append(NO_COMMUNITY)
    as_of = project.now.replace(second=0, microsecond=0)
    return Loaded(rows, dict.fromkeys(communities, Span(project.day_of(since), project.today, as_of, before=NO_LINKS)))


class Clicks:
    """Clicks on tracked links."""

    key = "clicks"
    title = "Clicks on the project's tracked links, as they came"

    async def load(self, connection: AsyncConnection, request: LoadRequest) -> dict[UUID, Loaded[ClickCount]]:
        """The requested days, by community."""
        rows: dict[UUID, list[ClickCount]] = {project.id: [] for project in request.projects}
        since: dict[UUID, Any] = {}
        for row in await _STATEMENT.rows(connection, request.parameters):
            if row[2] is None:
                since[row[0]] = row[6]
            else:
                rows[row[0]].append(ClickCount._make(row[:6]))
        return {
            project.id: click_dataset(project, rows[project.id], since.get(project.id)) for project in request.projects
        }

    def gaps(self, loaded: Loaded[ClickCount], community: Community, window: Window) -> Iterator[Missing]:
        """None: a day without clicks had none."""
        yield from ()


CLICKS: Final = Clicks()


def _section(kind: str, doc: str, *filters: ColumnElement[bool]) -> Section:
    def rows(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
        return select(
            Click.id,
            Click.day,
            Click.at,
            Click.link_id,
            Click.community_id,
            func.encode(Click.visitor, literal("hex")).label("visitor"),
            Click.bot,
            Click.referrer,
        ).where(
            in_workspace(Click, workspace_id), Click.project_id == project.id, Click.day.between(first, last), *filters
        )

    return Section(kind, doc, rows, {"day": date, "id": UUID})


PEOPLE: Final = _section(
    "click",
    "A person followed a link: `id`, `at`, `day`, `link_id`, `community_id`, `visitor` (a keyed hash that "
    "distinguishes visitors without identifying them), `referrer`.",
    Click.bot.is_(None),
    Click.repeat.is_(False),
)
VISITS: Final = _section(
    "visit", "A person followed a link, for the first time or again: as a click.", Click.bot.is_(None)
)
BOTS: Final = _section(
    "bot_click", "A bot followed a link: as a person's click, and `bot` says why it is one.", Click.bot.is_not(None)
)
