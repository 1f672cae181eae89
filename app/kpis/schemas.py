"""Response schemas of the KPI endpoints."""

from typing import Final

from pydantic import ConfigDict, Field

from app.kit.days import DayRangeRead
from app.kit.paging import NEXT_CURSOR
from app.kit.schemas import Day, Id, Instant, Output
from app.kpis.values import AddsUp, Direction, GoalType, Unit, ValueStatus
from app.kpis.windows import Granularity

Amount = int | float
_REASON = "Why it is unknown or partial, in kebab-case; null where it is known."
Variants = dict[str, Amount | None]
_VARIANTS = (
    "The same figure by other definitions, in the KPI's unit: the amount of each of the KPI's `variants` in "
    "`GET /v1/kpis`, null where it is unknown; empty for a KPI without variants."
)
_CHANGE = (
    "Relative change since: -0.25 is a fall by a quarter. Null: a value is unknown, the one before is 0, they are in "
    "different currencies, or `change_reason` says why they do not compare."
)
_CHANGE_REASON = (
    "What is missing of one of both windows, and not as much of the other: what came in between is no change. "
    "`disconnected`: a community was, within these days; `not-yet`: the window has days to come, and grows with them. "
    "Null: they compare, or a value is none."
)
_CURRENCY = "ISO 4217, where the KPI's unit is `money`; null where the value is unknown. Left out for other units."
_EXAMPLE_ID = "01999999-0000-7000-8000-000000000001"


class StatedAmount(Output):
    """What may stand beside an amount."""

    currency: str | None = Field(None, description=_CURRENCY, examples=["RUB"])


class KpiRead(Output):
    """A KPI, without its documentation."""

    key: str = Field(description="The KPI's key.", examples=["first_response_time"])
    title: str = Field(description="Its name, for people.", examples=["First response time"])
    unit: Unit = Field(description="What its values are in.")
    goal_type: GoalType = Field(description="The kind of goal that it serves.")
    version: int = Field(description="Goes up when the formula changes.")
    direction: Direction = Field(description="Whether more is better.")


class Formula(Output):
    """How a KPI is computed."""

    text: str = Field(description="The formula in words.")
    symbols: str = Field(description="The formula in symbols.", examples=["E / S"])


class EvidenceKind(Output):
    """One kind of evidence row."""

    kind: str = Field(description="The `kind` of such rows.", examples=["wait"])
    description: str = Field(description="What a row is, and its fields.")


class KpiVariant(Output):
    """Another definition of a KPI's figure, shown beside its values."""

    key: str = Field(description="Its key in `variants` beside each value.", examples=["wall_clock"])
    title: str = Field(description="Its name, for people.", examples=["By the clock"])


class KpiDocumented(KpiRead):
    """A KPI of the catalogue, with its documentation."""

    adds_up: AddsUp = Field(
        description="`flow`: the values of parts of the window, and of communities, add up to the whole; `stock`: the "
        "last part's value is that of the whole; `ratio`: neither."
    )
    additive: bool = Field(description="Whether `adds_up` is `flow`.")
    formula: Formula = Field(description="How it is computed.")
    source: str = Field(description="Where its inputs come from.")
    recount: str = Field(description="How to recompute the value from the evidence by hand.")
    caveats: list[str] = Field(description="What to keep in mind when reading it.")
    variants: list[KpiVariant] = Field(
        description="Other definitions of the same figure, whose amounts stand beside each value; in its unit."
    )
    evidence: list[EvidenceKind] = Field(description="The kinds of row that its evidence consists of.")


class KpiCatalogue(Output):
    """All KPIs."""

    data: list[KpiDocumented] = Field(description="One entry for each KPI.")
    next_cursor: str | None = Field(None, description="Always null: the list is whole.")


class WindowRead(Output):
    """The requested days, both ends included, in the project's time zone."""

    model_config = ConfigDict(populate_by_name=True)
    from_: Day = Field(description="The first day.", alias="from")
    to: Day = Field(description="The last day, included.")
    timezone: str = Field(description="The project's time zone, in which these are days.", examples=["Europe/Minsk"])
    granularity: Granularity = Field(description="The length of the parts of the series.")


class PreviousValue(StatedAmount):
    """The value of the previous window: as many days, directly before."""

    model_config = ConfigDict(populate_by_name=True)
    from_: Day = Field(description="The first day.", alias="from")
    to: Day = Field(description="The last day, included.")
    value: Amount | None = Field(description="The value; null: unknown.")
    status: ValueStatus = Field(description="Whether the value is known.")
    reason: str | None = Field(description=_REASON)
    variants: Variants = Field(description=_VARIANTS)
    change: float | None = Field(description=_CHANGE)
    change_reason: str | None = Field(description=_CHANGE_REASON, examples=["before-connection"])


class SeriesPoint(StatedAmount):
    """A day, week or month of the series, by its first day; the edges are cut to the window."""

    model_config = ConfigDict(populate_by_name=True)
    from_: Day = Field(description="The first day of this part.", alias="from")
    value: Amount | None = Field(description="The value of this part; null: unknown.")
    status: ValueStatus = Field(description="Whether the value is known.")
    reason: str | None = Field(description=_REASON)
    variants: Variants = Field(description=_VARIANTS)


class KpiAnnotation(Output):
    """Something noted of days of a KPI: a correction, say."""

    model_config = ConfigDict(populate_by_name=True)
    kind: str = Field(description="What it is: `correction`, of `GET /v1/corrections`.", examples=["correction"])
    id: Id = Field(description="Its id.")
    from_: Day = Field(description="The first day.", alias="from")
    to: Day = Field(description="The last day, included.")
    text: str = Field(description="What is noted, in somebody's words: of a correction what is done otherwise.")


class CommunityValue(StatedAmount):
    """One community's value."""

    community_id: Id | None = Field(description="Null: what belongs to no single community.")
    platform: str | None = Field(description="The `key` of its platform; null: of no single community.")
    value: Amount | None = Field(description="Its value, in the KPI's unit; null: unknown.")
    status: ValueStatus = Field(description="Whether the value is known.")
    reason: str | None = Field(description=_REASON)
    variants: Variants = Field(description=_VARIANTS)


class StalestInput(Output):
    """The community that was polled longest ago."""

    community_id: Id | None = Field(description="The community's id; null: what belongs to no single one.")
    as_of: Instant | None = Field(description="Null: not polled yet.")


class Freshness(Output):
    """The instant up to which all inputs are known."""

    as_of: Instant | None = Field(description="The stalest input's; null where one was not polled yet.")
    stalest: StalestInput | None = Field(description="The input that is known least far; null where there is no input.")


class CoverageGap(Output):
    """Days of which a community's input is unknown or incomplete."""

    model_config = ConfigDict(populate_by_name=True)
    from_: Day = Field(description="The first day.", alias="from")
    to: Day = Field(description="The last day, included.")
    community_id: Id | None = Field(description="The community; null: what belongs to no single one.")
    reason: str = Field(description="Why, in kebab-case.", examples=["unsupported"])


class Coverage(Output):
    """How many days of input data are expected and known, added up over the communities."""

    expected: int = Field(description="Days of which data is needed.")
    seen: int = Field(description="Those of them of which it is known.")
    gaps: list[CoverageGap] = Field(description="Which days are not known, and why.")


class ExcludedRead(Output):
    """An amount deliberately left out of the value."""

    amount: Amount = Field(description="How much was left out, in the KPI's unit.")
    reason: str = Field(description="Why, in kebab-case.", examples=["bot"])
    finding_id: Id | None = Field(description="The finding that it follows from; null: none.")


class KpiLinks(Output):
    """Links to the explanation and the evidence."""

    explain: str = Field(description="Path and query of the explanation of this very answer.")
    evidence: str = Field(description="Path and query of its evidence.")


_WITH_EXAMPLE: Final = ConfigDict(
    json_schema_extra={
        "example": {
            "key": "first_response_time",
            "title": "First response time",
            "unit": "seconds",
            "goal_type": "support",
            "version": 1,
            "direction": "lower_is_better",
            "window": {
                "from": "2026-10-01",
                "to": "2026-10-31",
                "timezone": "Europe/Minsk",
                "granularity": "month",
            },
            "value": 1830.0,
            "status": "partial",
            "reason": "stale",
            "variants": {"wall_clock": 7260.0},
            "previous": {
                "from": "2026-08-31",
                "to": "2026-09-30",
                "value": 2400.0,
                "status": "partial",
                "reason": "stale",
                "variants": {"wall_clock": 9000.0},
                "change": -0.2375,
                "change_reason": None,
            },
            "series": [
                {
                    "from": "2026-10-01",
                    "value": 1830.0,
                    "status": "partial",
                    "reason": "stale",
                    "variants": {"wall_clock": 7260.0},
                }
            ],
            "annotations": [],
            "breakdown": [
                {
                    "community_id": _EXAMPLE_ID,
                    "platform": "vk",
                    "value": 1830.0,
                    "status": "partial",
                    "reason": "stale",
                    "variants": {"wall_clock": 7260.0},
                }
            ],
            "freshness": {
                "as_of": "2026-10-29T20:55:00Z",
                "stalest": {"community_id": _EXAMPLE_ID, "as_of": "2026-10-29T20:55:00Z"},
            },
            "coverage": {
                "expected": 31,
                "seen": 29,
                "gaps": [{"from": "2026-10-30", "to": "2026-10-31", "community_id": _EXAMPLE_ID, "reason": "stale"}],
            },
            "excluded": [],
            "links": {
                "explain": "/v1/projects/…/kpis/first_response_time/explain?from=2026-10-01&to=2026-10-31",
                "evidence": "/v1/projects/…/kpis/first_response_time/evidence?from=2026-10-01&to=2026-10-31",
            },
        }
    }
)


class KpiAnswer(KpiRead, StatedAmount):
    """A KPI of a project. An unknown value is null, with a reason; never 0."""

    model_config = _WITH_EXAMPLE
    window: WindowRead = Field(description="The days of the value.")
    value: Amount | None = Field(description="The value; null: unknown.")
    status: ValueStatus = Field(description="Whether the value is known.")
    reason: str | None = Field(description=_REASON)
    variants: Variants = Field(description=_VARIANTS)
    previous: PreviousValue | None = Field(description="The window before; null where none was asked for.")
    series: list[SeriesPoint] = Field(description="The parts of the window, in order.")
    annotations: list[KpiAnnotation] = Field(description="What is noted of these days; it changes no figure.")
    breakdown: list[CommunityValue] = Field(description="The communities' own values.")
    freshness: Freshness = Field(description="How recent the inputs are.")
    coverage: Coverage = Field(description="How much of the inputs is known.")
    excluded: list[ExcludedRead] = Field(description="What was left out on purpose.")
    links: KpiLinks = Field(description="Where the value is explained.")


class KpiAnswers(Output):
    """All KPIs of a project."""

    project_id: Id = Field(description="The project's id.")
    window: WindowRead = Field(description="The days of all values.")
    data: list[KpiAnswer] = Field(description="One answer for each KPI.")
    next_cursor: str | None = Field(None, description="Always null: the list is whole.")


class WorkedFormula(Formula):
    """How the value was computed."""

    with_amounts: str | None = Field(
        description="The formula with its amounts; null where there is no value.", examples=["412 / 10340 = 0.0398453"]
    )


class InputRead(Output):
    """An amount that went into the value."""

    symbol: str = Field(description="Its symbol in the formula.")
    title: str = Field(description="What it is.")
    amount: Amount | None = Field(description="How much; null: unknown.")
    reason: str | None = Field(description="Why it is unknown, where that is known of it.", examples=[None])
    community_id: Id | None = Field(description="The community it is of; null for a total.")
    scope: str = Field(description="`total`, or `community` for one community's part.", examples=["total"])


class Adjustment(Output):
    """An amount left out of the value, or part of it by convention."""

    amount: Amount = Field(description="How much, in the KPI's unit.")
    effect: str = Field(description="`left-out` or `included`.", examples=["left-out"])
    reason: str = Field(description="Why, in kebab-case.")
    finding_id: Id | None = Field(description="The finding that it follows from; null: none.")


class SourceCommunity(Output):
    """The span of a source's data of one community."""

    model_config = ConfigDict(populate_by_name=True)
    community_id: Id | None = Field(description="The community's id; null: what belongs to no single one.")
    platform: str | None = Field(description="The `key` of its platform.")
    from_: Day | None = Field(alias="from", description="Days before are not known; null: no day is.")
    as_of: Instant | None = Field(description="Up to when its data is known; null: it was never read.")


class SourceRead(Output):
    """A source of inputs."""

    key: str = Field(description="The source's key.")
    title: str = Field(description="What it is, for people.")
    communities: list[SourceCommunity] = Field(description="How far it is known of each community.")


class EvidenceLink(Output):
    """Link to the evidence rows."""

    evidence: str = Field(description="Path and query of the evidence of this very answer.")


class KpiExplanation(KpiRead, StatedAmount):
    """A value explained."""

    window: WindowRead = Field(description="The days of the value.")
    value: Amount | None = Field(description="The value; null: unknown.")
    status: ValueStatus = Field(description="Whether the value is known.")
    reason: str | None = Field(description=_REASON)
    variants: Variants = Field(description=_VARIANTS)
    formula: WorkedFormula = Field(description="How it was computed.")
    inputs: list[InputRead] = Field(description="The amounts that went into it.")
    adjustments: list[Adjustment] = Field(description="What was left out of it, or included by convention.")
    annotations: list[KpiAnnotation] = Field(description="What is noted of these days; it changes no figure.")
    sources: list[SourceRead] = Field(description="Where the inputs come from, and how far they are known.")
    source: str = Field(description="Where the inputs come from, in words.")
    caveats: list[str] = Field(description="What to keep in mind when reading it.")
    recount: str = Field(description="How to recompute the value from the evidence by hand.")
    freshness: Freshness = Field(description="How recent the inputs are.")
    coverage: Coverage = Field(description="How much of the inputs is known.")
    excluded: list[ExcludedRead] = Field(description="What was left out on purpose.")
    links: EvidenceLink = Field(description="Where the rows are.")


class EvidenceRow(Output):
    """A row behind a value; its other fields are those of its kind (see the catalogue)."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": True})
    kind: str = Field(description="What the row is; `GET /v1/kpis` describes each kind.", examples=["wait"])
    community_id: Id | None = Field(description="The community it belongs to; null: to no single one.")


class EvidenceTotal(Output):
    """The totals of one kind of row, over all pages."""

    kind: str = Field(description="The `kind` of the rows.", examples=["gain"])
    rows: int = Field(description="How many rows there are.")
    field: str | None = Field(description="The field that is added up; null: none is.", examples=["difference"])
    sum: int | None = Field(description="The sum of that field over all rows.")


class EvidencePage(Output):
    """Rows behind a value."""

    key: str = Field(description="The KPI's key.")
    window: WindowRead = Field(description="The days of the value.")
    as_of: Instant = Field(description="Rows that came later are on no page.")
    expected: list[EvidenceTotal] = Field(description="The same on every page; else there is none, but a 409.")
    recount: str = Field(description="How to recompute the value from all pages by hand.")
    data: list[EvidenceRow] = Field(description="The rows of this page.")
    next_cursor: str | None = Field(description=NEXT_CURSOR)


class PortfolioPrevious(StatedAmount):
    """The value of the previous window: as many days, directly before."""

    value: Amount | None = Field(description="The value; null: unknown.")
    status: ValueStatus = Field(description="Whether the value is known.", examples=["ok"])
    reason: str | None = Field(description=_REASON)
    variants: Variants = Field(description=_VARIANTS)
    change: float | None = Field(description=_CHANGE)
    change_reason: str | None = Field(description=_CHANGE_REASON, examples=["before-connection"])


class PortfolioValue(StatedAmount):
    """One KPI of one project."""

    key: str = Field(description="The KPI's key.")
    value: Amount | None = Field(description="The value, in the KPI's unit; null: unknown.")
    status: ValueStatus = Field(description="Whether the value is known.")
    reason: str | None = Field(description=_REASON)
    variants: Variants = Field(description=_VARIANTS)
    previous: PortfolioPrevious = Field(description="The window before.")


class PortfolioRow(Output):
    """One project."""

    project_id: Id = Field(description="The project's id.")
    title: str = Field(description="The project's name, for people.")
    window: DayRangeRead = Field(description="The days, of this project's time zone.")
    kpis: list[PortfolioValue] = Field(description="One value for each KPI that was asked for.")


class Portfolio(Output):
    """A page of the workspace's projects, oldest first."""

    kpis: list[KpiRead] = Field(description="What the keys of the rows mean: titles and units, in the rows' order.")
    data: list[PortfolioRow] = Field(description="One row for each project.")
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")
