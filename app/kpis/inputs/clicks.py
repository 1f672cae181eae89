"""Clicks on tracked links, of people and of bots."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Text, cast, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.kit.db import in_workspace
from app.kpis.contract import D, Dataset, EvidenceQuery, LoadRequest, Project, Section, Source, Span, Window
from app.kpis.inputs.columns import Counted, DailyCounts, MakeData, taken_off
from app.kpis.inputs.parameters import AS_OF, FIRST, LAST, PROJECT, PROJECTS, WORKSPACE, columns_by_community, position
from app.kpis.values import Community, Missing
from app.links.models import Click, ClickDay, Link

NO_LINKS: Final = "no-links"
"""No tracked link exists, or none existed yet."""
NO_COMMUNITY: Final = Community(None, None)
"""Stands for links that belong to no single community."""


def with_first_links(rows: ColumnElement[str]) -> ColumnElement[str]:
    """The rows together with the instant of each community's first link."""
    first_link = (
        select(func.coalesce(cast(Link.community_id, Text), "").label("id"), func.min(Link.created_at).label("since"))
        .where(in_workspace(Link, WORKSPACE), Link.project_id == PROJECT.c.id)
        .group_by(Link.community_id)
        .correlate(PROJECT)
        .subquery("first_link")
    )
    since = select(func.json_object_agg(first_link.c.id, first_link.c.since)).scalar_subquery()
    return func.json_build_object("rows", rows, "since", since)


def by_links(project: Project, data: Mapping[str, Any], make: MakeData[D], request: LoadRequest) -> Dataset[D]:
    """The dataset of all communities, with their spans; `NO_COMMUNITY` holds links that belong to no single community.

    Clicks are counted immediately, so from a community's first link on everything is known up to now. Of a
    community without a link nothing is known.
    """
    since: Mapping[str, str] = data["since"] or {}
    if not since:
        return Dataset((), NO_LINKS)
    as_of = project.now.replace(second=0, microsecond=0)
    communities = [*project.communities, NO_COMMUNITY] if "" in since else project.communities
    parts = []
    for community in communities:
        at = since.get(_key(community))
        first = project.day_of(datetime.fromisoformat(at)) if at is not None else date.max
        span = Span(first, project.today, as_of, before=NO_LINKS)
        parts.append(make(community, span, (data["rows"] or {}).get(_key(community), ()), request))
    return Dataset(parts)


def _key(community: Community) -> str:
    return "" if community.id is None else str(community.id)


_LATER: Final = (
    select(
        Click.community_id,
        Click.day,
        func.count().filter(Click.bot.is_(None), Click.repeat.is_(False)),
        func.count().filter(Click.bot.is_not(None)),
        func.count().filter(Click.bot.is_(None), Click.repeat.is_(True)),
    )
    .where(
        in_workspace(Click, WORKSPACE), Click.project_id == PROJECTS, Click.day.between(FIRST, LAST), Click.at > AS_OF
    )
    .group_by(Click.community_id, Click.day)
)


class Clicks(Source[DailyCounts]):
    """Clicks on tracked links, by day: of people, of bots, and people's repeated ones, which are not counted again."""

    key = "clicks"
    title = "Clicks on the project's tracked links, as they came"
    rows = with_first_links(
        columns_by_community(
            select(
                ClickDay.community_id,
                position(ClickDay.__table__.c.day),
                cast(func.sum(ClickDay.people), BigInteger),
                cast(func.sum(ClickDay.bots), BigInteger),
                cast(func.sum(ClickDay.repeats), BigInteger),
            )
            .where(
                ClickDay.workspace_id == WORKSPACE,
                ClickDay.project_id == PROJECT.c.id,
                ClickDay.day.between(FIRST, LAST),
            )
            .group_by(ClickDay.community_id, ClickDay.day)
        )
    )

    def dataset(self, project: Project, rows: Any, request: LoadRequest) -> Dataset[DailyCounts]:
        """The requested days, by community."""
        return by_links(project, rows, DailyCounts, request)

    async def supplement(
        self, connection: AsyncConnection, request: LoadRequest, datasets: Mapping[Project, Dataset[DailyCounts]]
    ) -> None:
        """For a past instant, subtract the clicks that came after it."""
        if not request.is_past:
            return
        later: defaultdict[UUID | None, list[tuple[date, Sequence[int]]]] = defaultdict(list)
        for community_id, day, *counts in (await connection.execute(_LATER, request.parameters)).all():
            later[community_id].append((day, counts))
        for dataset in datasets.values():
            for one, data in dataset.parts.items():
                if one.id in later:
                    columns = taken_off(data.columns or ([], [], [], []), request, later[one.id])
                    dataset.parts[one] = DailyCounts(one, data.span, columns, request)

    def gaps(self, data: DailyCounts, window: Window) -> Iterable[Missing]:
        """No gaps: a day without a row had no clicks."""
        return ()


CLICKS: Final = Clicks()
CLICKS_OF_ALL: Final = Counted(CLICKS, 1, 2, 3)
"""People's clicks, bots' clicks and people's repeated clicks."""
PEOPLES_CLICKS: Final = Counted(CLICKS, 1)
BOTS_CLICKS: Final = Counted(CLICKS, 2)


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
            in_workspace(Click, workspace_id),
            Click.project_id == project.id,
            Click.day.between(first, last),
            Click.at <= project.now,
            *filters,
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
