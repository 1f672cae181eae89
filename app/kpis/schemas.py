"""Response schemas of the KPI endpoints."""

from pydantic import ConfigDict, Field

from app.kit.days import DayRangeRead
from app.kit.schemas import Day, Id, Instant, Output
from app.kpis.values import AddsUp, Direction, GoalType, Unit, ValueStatus
from app.kpis.windows import Granularity

Amount = int | float
_REASON = "Why it is unknown or partial, in kebab-case; null where it is known."
_EXAMPLE_ID = "01999999-0000-7000-8000-000000000001"


class KpiRead(Output):
    """A KPI, without its documentation."""

    key: str = Field(examples=["first_response_time"])
    title: str = Field(examples=["First response time"])
    unit: Unit
    goal_type: GoalType
    version: int = Field(description="Goes up when the formula changes.")
    direction: Direction


class Formula(Output):
    """How a KPI is computed."""

    text: str
    symbols: str = Field(examples=["E / S"])


class EvidenceKind(Output):
    """One kind of evidence row."""

    kind: str = Field(examples=["wait"])
    description: str = Field(description="What a row is, and its fields.")


class KpiDocumented(KpiRead):
    """A KPI of the catalogue, with its documentation."""

    adds_up: AddsUp = Field(
        description="`flow`: the values of parts of the window, and of communities, add up to the whole; `stock`: the "
        "last part's value is that of the whole; `ratio`: neither."
    )
    additive: bool = Field(description="Whether `adds_up` is `flow`.")
    formula: Formula
    source: str
    recount: str = Field(description="How to recompute the value from the evidence by hand.")
    caveats: list[str]
    evidence: list[EvidenceKind]


class KpiCatalogue(Output):
    """All KPIs."""

    data: list[KpiDocumented]
    next_cursor: None = None


class WindowRead(Output):
    """The requested days, both ends included, in the project's time zone."""

    model_config = ConfigDict(populate_by_name=True)
    from_: Day = Field(alias="from")
    to: Day
    timezone: str = Field(examples=["Europe/Minsk"])
    granularity: Granularity


class PreviousValue(Output):
    """The value of the previous window: as many days, directly before."""

    model_config = ConfigDict(populate_by_name=True)
    from_: Day = Field(alias="from")
    to: Day
    value: Amount | None
    status: ValueStatus
    reason: str | None = Field(description=_REASON)
    change: float | None = Field(description="Relative change since: -0.25 is a fall by a quarter.")


class SeriesPoint(Output):
    """A day, week or month of the series, by its first day; the edges are cut to the window."""

    model_config = ConfigDict(populate_by_name=True)
    from_: Day = Field(alias="from")
    value: Amount | None
    status: ValueStatus
    reason: str | None = Field(description=_REASON)


class CommunityValue(Output):
    """One community's value."""

    community_id: Id | None = Field(description="Null: what belongs to no single community.")
    platform: str | None
    value: Amount | None
    status: ValueStatus
    reason: str | None = Field(description=_REASON)


class StalestInput(Output):
    """The community that was polled longest ago."""

    community_id: Id | None
    as_of: Instant | None = Field(description="Null: not polled yet.")


class Freshness(Output):
    """The instant up to which all inputs are known."""

    as_of: Instant | None = Field(description="The stalest input's; null where one was not polled yet.")
    stalest: StalestInput | None


class CoverageGap(Output):
    """Days of which a community's input is unknown or incomplete."""

    model_config = ConfigDict(populate_by_name=True)
    from_: Day = Field(alias="from")
    to: Day
    community_id: Id | None
    reason: str = Field(examples=["unsupported"])


class Coverage(Output):
    """How many days of input data are expected and known, added up over the communities."""

    expected: int
    seen: int
    gaps: list[CoverageGap]


class ExcludedRead(Output):
    """An amount deliberately left out of the value."""

    amount: Amount
    reason: str = Field(examples=["bot"])
    finding_id: Id | None


class KpiLinks(Output):
    """Links to the explanation and the evidence."""

    explain: str
    evidence: str


class KpiAnswer(KpiRead):
    """A KPI of a project. An unknown value is null, with a reason; never 0."""

    # Without nulls: FastAPI drops them from examples, which then are none.
    model_config = ConfigDict(
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
                "previous": {
                    "from": "2026-08-31",
                    "to": "2026-09-30",
                    "value": 2400.0,
                    "status": "partial",
                    "reason": "before-connection",
                    "change": -0.2375,
                },
                "series": [{"from": "2026-10-01", "value": 1830.0, "status": "partial", "reason": "stale"}],
                "breakdown": [
                    {
                        "community_id": _EXAMPLE_ID,
                        "platform": "vk",
                        "value": 1830.0,
                        "status": "partial",
                        "reason": "stale",
                    }
                ],
                "freshness": {
                    "as_of": "2026-10-29T20:55:00Z",
                    "stalest": {"community_id": _EXAMPLE_ID, "as_of": "2026-10-29T20:55:00Z"},
                },
                "coverage": {
                    "expected": 31,
                    "seen": 29,
                    "gaps": [
                        {"from": "2026-10-30", "to": "2026-10-31", "community_id": _EXAMPLE_ID, "reason": "stale"}
                    ],
                },
                "excluded": [],
                "links": {
                    "explain": "/v1/projects/…/kpis/first_response_time/explain?from=2026-10-01&to=2026-10-31",
                    "evidence": "/v1/projects/…/kpis/first_response_time/evidence?from=2026-10-01&to=2026-10-31",
                },
            }
        }
    )
    window: WindowRead
    value: Amount | None
    status: ValueStatus
    reason: str | None = Field(description=_REASON)
    previous: PreviousValue | None
    series: list[SeriesPoint]
    breakdown: list[CommunityValue]
    freshness: Freshness
    coverage: Coverage
    excluded: list[ExcludedRead]
    links: KpiLinks


class KpiAnswers(Output):
    """All KPIs of a project."""

    project_id: Id
    window: WindowRead
    data: list[KpiAnswer]
    next_cursor: None = None


class WorkedFormula(Formula):
    """How the value was computed."""

    with_amounts: str | None = Field(
        description="The formula with its amounts; null where there is no value.", examples=["412 / 10340 = 0.0398453"]
    )


class InputRead(Output):
    """An amount that went into the value."""

    symbol: str
    title: str
    amount: Amount | None
    community_id: Id | None
    scope: str = Field(description="`total`, or `community` for one community's part.", examples=["total"])


class Adjustment(Output):
    """An amount left out of the value, or part of it by convention."""

    amount: Amount
    effect: str = Field(description="`left-out` or `included`.", examples=["left-out"])
    reason: str
    finding_id: Id | None


class SourceCommunity(Output):
    """The span of a source's data of one community."""

    model_config = ConfigDict(populate_by_name=True)
    community_id: Id | None
    platform: str | None
    from_: Day | None = Field(alias="from", description="Days before are not known; null: no day is.")
    as_of: Instant | None


class SourceRead(Output):
    """A source of inputs."""

    key: str
    title: str
    communities: list[SourceCommunity]


class EvidenceLink(Output):
    """Link to the evidence rows."""

    evidence: str


class KpiExplanation(KpiRead):
    """A value explained."""

    window: WindowRead
    value: Amount | None
    status: ValueStatus
    reason: str | None = Field(description=_REASON)
    formula: WorkedFormula
    inputs: list[InputRead]
    adjustments: list[Adjustment]
    sources: list[SourceRead]
    source: str
    caveats: list[str]
    recount: str
    freshness: Freshness
    coverage: Coverage
    excluded: list[ExcludedRead]
    links: EvidenceLink


class EvidenceRow(Output):
    """A row behind a value; its other fields are those of its kind (see the catalogue)."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": True})
    kind: str = Field(examples=["wait"])
    community_id: Id | None


class EvidenceTotal(Output):
    """The totals of one kind of row, over all pages."""

    kind: str = Field(examples=["gain"])
    rows: int
    field: str | None = Field(description="The field that is added up; null: none is.", examples=["difference"])
    sum: int | None = Field(description="The sum of that field over all rows.")


class EvidencePage(Output):
    """Rows behind a value."""

    key: str
    window: WindowRead
    as_of: Instant = Field(description="Rows that came later are on no page.")
    expected: list[EvidenceTotal] = Field(description="The same on every page; else there is none, but a 409.")
    recount: str = Field(description="How to recompute the value from all pages by hand.")
    data: list[EvidenceRow]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")


class PortfolioPrevious(Output):
    """The value of the previous window: as many days, directly before."""

    value: Amount | None
    change: float | None


class PortfolioValue(Output):
    """One KPI of one project."""

    key: str
    value: Amount | None
    status: ValueStatus
    reason: str | None = Field(description=_REASON)
    previous: PortfolioPrevious


class PortfolioRow(Output):
    """One project."""

    project_id: Id
    title: str
    window: DayRangeRead = Field(description="The days, of this project's time zone.")
    kpis: list[PortfolioValue]


class Portfolio(Output):
    """A page of the workspace's projects, oldest first."""

    kpis: list[KpiRead] = Field(description="What the keys of the rows mean: titles and units, in the rows' order.")
    data: list[PortfolioRow]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")
