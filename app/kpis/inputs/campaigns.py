"""What campaigns cost, and the clicks and joins that prove themselves to be theirs: of the project, by day.

Costs compare spend with what it is to bring: only campaigns that have both count, on either side.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Select, and_, cast, func, literal, null, select
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncConnection

from app.campaigns import attribution
from app.campaigns.models import Campaign, CampaignLink, Spend
from app.kit.db import in_workspace
from app.kpis.contract import (
    DAY,
    CommunityData,
    Dataset,
    EvidenceQuery,
    LoadRequest,
    Measure,
    Project,
    Section,
    Source,
    Span,
    Window,
)
from app.kpis.inputs.clicks import NO_COMMUNITY
from app.kpis.inputs.columns import Counted, DailyCounts, taken_off
from app.kpis.inputs.parameters import (
    AS_OF,
    END,
    FIRST,
    LAST,
    PROJECT,
    PROJECTS,
    START,
    WORKSPACE,
    columns_by_community,
    local_day,
    position,
)
from app.kpis.values import Community, Missing
from app.links.models import Click, ClickDay
from app.metrics.models import MemberChange

NO_CAMPAIGNS: Final = "no-campaigns"
"""No campaign exists, or none did yet."""
_NO_ID: Final = cast(null(), PG_UUID(as_uuid=True))


def of_campaign(model: Any) -> ColumnElement[bool]:
    """The condition for the campaign of a row."""
    return and_(Campaign.workspace_id == model.workspace_id, Campaign.id == model.campaign_id)


def _with_first_day(rows: ColumnElement[Any]) -> ColumnElement[Any]:
    """The rows together with the first day of any campaign of the project."""
    since = (
        select(func.min(Campaign.first_day))
        .where(in_workspace(Campaign, WORKSPACE), Campaign.project_id == PROJECT.c.id, Campaign.created_at <= AS_OF)
        .correlate(PROJECT)
        .scalar_subquery()
    )
    return func.json_build_object("rows", rows, "since", since)


def _span(project: Project, rows: Any) -> Span | None:
    """Since the first campaign everything is known up to now; None without any."""
    if rows is None or rows["since"] is None:
        return None
    return Span(date.fromisoformat(rows["since"]), project.today, project.now, before=NO_CAMPAIGNS)


class SpendDays(CommunityData):
    """What was spent on each day, by currency."""

    __slots__ = ("_by_position",)

    def __init__(
        self, community: Community, span: Span, rows: Iterable[tuple[int, str, int]], request: LoadRequest
    ) -> None:
        super().__init__(community, span, request)
        self._by_position: dict[int, list[tuple[str, int]]] = {}
        for at, currency, amount in rows:
            self._by_position.setdefault(at, []).append((currency, amount))

    def spent(self, window: Window) -> dict[str, int]:
        """What was spent in the window, in each currency's smallest unit."""
        amounts: defaultdict[str, int] = defaultdict(int)
        for at, of_day in self._by_position.items():
            if window.start <= at < window.stop:
                for currency, amount in of_day:
                    amounts[currency] += amount
        return dict(amounts)


class CampaignSpend(Source[SpendDays]):
    """Spend of the campaigns for which a condition holds."""

    of_project = True

    def __init__(self, key: str, title: str, condition: ColumnElement[bool]) -> None:
        self.key, self.title = key, title  # type: ignore[misc]  # one source for each condition
        day = (
            select(
                position(Spend.__table__.c.day), Spend.currency, cast(func.sum(Spend.amount), BigInteger).label("sum")
            )
            .join(Campaign, of_campaign(Spend))
            .where(
                in_workspace(Spend, WORKSPACE),
                Spend.project_id == PROJECT.c.id,
                Spend.day.between(FIRST, LAST),
                attribution.spend_counts(AS_OF),
                condition,
            )
            .group_by(Spend.day, Spend.currency)
            .correlate(PROJECT)
            .subquery("spend_of_day")
        )
        row = func.json_build_array(day.c.position, day.c.currency, day.c.sum)
        self.rows = _with_first_day(select(func.json_agg(row)).select_from(day).scalar_subquery())

    def dataset(self, project: Project, rows: Any, request: LoadRequest) -> Dataset[SpendDays]:
        """The requested days, of the project as a whole."""
        span = _span(project, rows)
        if span is None:
            return Dataset((), NO_CAMPAIGNS)
        return Dataset([SpendDays(NO_COMMUNITY, span, rows["rows"] or (), request)])

    def gaps(self, data: SpendDays, window: Window) -> Iterable[Missing]:
        """No gaps: a day without a row had no spend."""
        return ()


SPEND_ON_LINKS: Final = CampaignSpend(
    "spend_on_links", "Spend of campaigns that have tracked links", attribution.has_link(AS_OF)
)
SPEND_ON_INVITES: Final = CampaignSpend(
    "spend_on_invite_links", "Spend of campaigns that have invite links", attribution.has_invite_link(AS_OF)
)


class Spent(Measure[SpendDays]):
    """What was spent in the window, by currency, each in its smallest unit."""

    empty = attribution.NO_SPEND

    def __init__(self, source: CampaignSpend) -> None:
        self.source = source
        self.nothing = ({},)

    def amounts(self, data: SpendDays, windows: Sequence[Window]) -> list[list[dict[str, int]]]:
        """The amounts by currency, by window."""
        return [[data.spent(window) for window in windows]]

    def totals(self, columns: Iterable[Sequence[dict[str, int]]]) -> list[dict[str, int]]:
        """Added up within each currency, never across them."""
        made = []
        for parts in zip(*columns, strict=True):
            amounts: defaultdict[str, int] = defaultdict(int)
            for part in parts:
                for currency, amount in part.items():
                    amounts[currency] += amount
            made.append(dict(amounts))
        return made


class _OfProject(Source[DailyCounts]):
    """Counts by day of the project as a whole, known since its first campaign."""

    of_project = True

    def dataset(self, project: Project, rows: Any, request: LoadRequest) -> Dataset[DailyCounts]:
        """The requested days."""
        span = _span(project, rows)
        if span is None:
            return Dataset((), NO_CAMPAIGNS)
        return Dataset([DailyCounts(NO_COMMUNITY, span, (rows["rows"] or {}).get("", ()), request)])

    def gaps(self, data: DailyCounts, window: Window) -> Iterable[Missing]:
        """No gaps: a day without a row had none."""
        return ()


def _of_campaigns_with_spend(day: Any) -> tuple[ColumnElement[bool], ...]:
    return attribution.link_counts(AS_OF), attribution.day_counts(day), attribution.has_spend(AS_OF)


_LATER: Final = (
    select(CampaignLink.project_id, Click.day, func.count())
    .join(
        CampaignLink,
        and_(CampaignLink.workspace_id == Click.workspace_id, CampaignLink.link_id == Click.link_id),
    )
    .join(Campaign, of_campaign(CampaignLink))
    .where(
        in_workspace(Click, WORKSPACE),
        Click.project_id == PROJECTS,
        Click.day.between(FIRST, LAST),
        Click.at > AS_OF,
        Click.bot.is_(None),
        Click.repeat.is_(False),
        *_of_campaigns_with_spend(Click.day),
    )
    .group_by(CampaignLink.project_id, Click.day)
)


class CampaignClicks(_OfProject):
    """People's clicks on the links of campaigns on which something was spent."""

    key = "campaign_clicks"
    title = "People's clicks on tracked links of campaigns with spend"
    rows = _with_first_day(
        columns_by_community(
            select(
                _NO_ID.label("community_id"),
                position(ClickDay.__table__.c.day),
                cast(func.sum(ClickDay.people), BigInteger),
            )
            .select_from(CampaignLink)
            .join(Campaign, of_campaign(CampaignLink))
            .join(
                ClickDay,
                and_(ClickDay.workspace_id == CampaignLink.workspace_id, ClickDay.link_id == CampaignLink.link_id),
            )
            .where(
                in_workspace(CampaignLink, WORKSPACE),
                CampaignLink.project_id == PROJECT.c.id,
                ClickDay.workspace_id == WORKSPACE,
                ClickDay.day.between(FIRST, LAST),
                *_of_campaigns_with_spend(ClickDay.day),
            )
            .group_by(ClickDay.day)
        )
    )

    async def supplement(
        self, connection: AsyncConnection, request: LoadRequest, datasets: Mapping[Project, Dataset[DailyCounts]]
    ) -> None:
        """For a past instant, subtract the clicks that came after it."""
        if not request.is_past:
            return
        later: defaultdict[UUID, list[tuple[date, Sequence[int]]]] = defaultdict(list)
        for project_id, day, count in (await connection.execute(_LATER, request.parameters)).all():
            later[project_id].append((day, (count,)))
        for project, dataset in datasets.items():
            for one, data in dataset.parts.items():
                if project.id in later:
                    columns = taken_off(data.columns or ([], []), request, later[project.id])
                    dataset.parts[one] = DailyCounts(one, data.span, columns, request)


def joins_of_project(*conditions: ColumnElement[bool]) -> Any:
    """First joins through invite links of campaigns, in the requested days of the enclosing statement's project."""
    return attribution.first_joins(
        workspace_id=WORKSPACE,
        project_id=PROJECT.c.id,
        at=AS_OF,
        day=local_day(MemberChange.__table__.c.at, PROJECT.c.timezone),
        start=START,
        end=END,
        first=FIRST,
        last=LAST,
        conditions=conditions,
    ).subquery("attributed")


def _joins_by_day() -> Any:
    join = joins_of_project(attribution.has_spend(AS_OF)).c
    return select(_NO_ID.label("community_id"), position(join.day), func.count()).group_by(join.day)


class CampaignJoins(_OfProject):
    """People who joined through the invite links of campaigns on which something was spent."""

    key = "campaign_joins"
    title = "First joins through invite links of campaigns with spend"
    rows = _with_first_day(columns_by_community(_joins_by_day()))


CLICKS_OF_CAMPAIGNS: Final = Counted(CampaignClicks(), 1, empty=attribution.NO_CLICKS)
JOINS_OF_CAMPAIGNS: Final = Counted(CampaignJoins(), 1, empty=attribution.NO_JOINS)


def _spend_section(kind: str, doc: str, condition: Any) -> Section:
    def rows(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
        return (
            select(
                Spend.id,
                _NO_ID.label("community_id"),
                Spend.campaign_id,
                Spend.day,
                Spend.amount.label("minor"),
                Spend.currency,
                Spend.recorded_at,
            )
            .join(Campaign, of_campaign(Spend))
            .where(
                in_workspace(Spend, workspace_id),
                Spend.project_id == project.id,
                Spend.day.between(first, last),
                attribution.spend_counts(project.now),
                condition(project.now),
            )
        )

    return Section(kind, doc, rows, {"day": date, "id": UUID}, "minor")


_SPEND_FIELDS: Final = (
    "`id`, `campaign_id`, `day`, `minor` (in the currency's smallest unit), `currency`, `recorded_at`."
)
SPEND_ROWS_OF_LINKS: Final = _spend_section(
    "spend", f"Spend of a campaign that has tracked links: {_SPEND_FIELDS}", attribution.has_link
)
SPEND_ROWS_OF_INVITES: Final = _spend_section(
    "spend", f"Spend of a campaign that has invite links: {_SPEND_FIELDS}", attribution.has_invite_link
)


def _click_rows(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
    return (
        select(
            Click.id,
            _NO_ID.label("community_id"),
            CampaignLink.campaign_id,
            Click.link_id,
            Click.day,
            Click.at,
            func.encode(Click.visitor, literal("hex")).label("visitor"),
        )
        .join(
            CampaignLink, and_(CampaignLink.workspace_id == Click.workspace_id, CampaignLink.link_id == Click.link_id)
        )
        .join(Campaign, of_campaign(CampaignLink))
        .where(
            in_workspace(Click, workspace_id),
            Click.project_id == project.id,
            Click.day.between(first, last),
            Click.at <= project.now,
            Click.bot.is_(None),
            Click.repeat.is_(False),
            attribution.link_counts(project.now),
            attribution.day_counts(Click.day),
            attribution.has_spend(project.now),
        )
    )


CLICK_ROWS: Final = Section(
    "campaign_click",
    "A person followed a tracked link of a campaign with spend: `id`, `campaign_id`, `link_id`, `day`, `at`, "
    "`visitor`.",
    _click_rows,
    {"day": date, "id": UUID},
)


def join_rows(
    workspace_id: UUID,
    project: Project,
    first: date,
    last: date,
    *conditions: ColumnElement[bool],
    attributed: bool = True,
) -> Select[*tuple[Any, ...]]:
    """The first joins through invite links of the campaigns for which the conditions hold; or all first joins."""
    join = (
        attribution.first_joins(
            workspace_id=workspace_id,
            project_id=project.id,
            at=project.now,
            day=local_day(MemberChange.__table__.c.at, project.zone.key),
            start=project.start_of(first),
            end=project.start_of(last + DAY),
            first=first,
            last=last,
            conditions=conditions,
            attributed=attributed,
        )
        .subquery("attributed")
        .c
    )
    return select(
        join.community_id,
        func.encode(join.member, literal("hex")).label("member"),
        join.at,
        join.day,
        join.invite_link,
        join.campaign_id,
    )


def _joins_with_spend(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
    rows = join_rows(workspace_id, project, first, last, attribution.has_spend(project.now)).subquery("joins")
    others = [column for column in rows.c if column.key != "community_id"]
    return select(_NO_ID.label("community_id"), rows.c.community_id.label("joined_community_id"), *others)


JOIN_KEY: Final[Mapping[str, type]] = {"at": datetime, "member": str}
JOIN_FIELDS: Final = (
    "`member` (a keyed hash that distinguishes members without identifying them), `at`, `day`, `invite_link` (as far "
    "as the platform shows it), `campaign_id`."
)
JOIN_ROWS_OF_SPEND: Final = Section(
    "campaign_join",
    "Somebody joined for the first time through an invite link of a campaign with spend: `joined_community_id`, "
    f"{JOIN_FIELDS}",
    _joins_with_spend,
    JOIN_KEY,
)
