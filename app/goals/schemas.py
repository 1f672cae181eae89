"""Request and response bodies of goals."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from app.goals.baselines import BaselineSource
from app.goals.models import GoalAnswer, GoalKind, GoalStatus, Pace, Side
from app.goals.progress import PathForm
from app.goals.terms import MAX_COMMUNITIES
from app.kit.money import Currency
from app.kit.schemas import EXAMPLE_ID, Day, Flag, Id, Input, Instant, Output, Patch, ShortText, example
from app.kpis.values import AddsUp, Direction, Unit, ValueStatus

LARGEST = 1e15
MAX_TEXT = 2000

Amount = Annotated[
    float,
    Field(strict=True, ge=-LARGEST, le=LARGEST, allow_inf_nan=False),
    AfterValidator(lambda amount: amount + 0.0),  # -0 is 0
]
KpiKey = Annotated[str, Field(strict=True, min_length=1, max_length=60, pattern=r"^[a-z_]+$", examples=["clicks"])]
CommunityIds = Annotated[list[Id], Field(max_length=MAX_COMMUNITIES)]
OwnText = Annotated[str, Field(strict=True, min_length=1, max_length=MAX_TEXT, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]


class GoalClientAnswer(StrEnum):
    """What the client can answer."""

    AGREE = GoalAnswer.AGREE.value
    DECLINE = GoalAnswer.DECLINE.value


class GoalPeriod(Input):
    """The days of a goal, both ends included, in the project's time zone."""

    model_config = example({"from": "2026-11-01", "to": "2026-11-30"})

    from_: Day = Field(alias="from", description="The first day.", examples=["2026-11-01"])
    to: Day = Field(description="The last day; today or later.", examples=["2026-11-30"])


class GoalStatedBaseline(Input):
    """Where a goal starts from, as people know it."""

    model_config = example({"value": 120, "reason": "Counted by the shop's own software in October."})

    value: Amount = Field(
        description="In the KPI's unit; of one that adds up, the amount in as many days as the period has.",
        examples=[120],
    )
    reason: OwnText = Field(description="Why it is to be believed; the client reads it.", examples=["Shop's records."])


class GoalCreate(Input):
    """A goal that is proposed to the client."""

    model_config = example(
        {
            "project_id": EXAMPLE_ID,
            "title": "More people from the community come to the shop",
            "type": "traffic",
            "kpi": "clicks",
            "target": 400,
            "period": {"from": "2026-11-01", "to": "2026-11-30"},
            "stated_baseline": {"value": 120, "reason": "Counted by the shop's own software in October."},
        }
    )

    project_id: Id = Field(description="The project of the client.")
    title: ShortText = Field(description="Promised in a line; the client reads it.", examples=["More visitors"])
    type: GoalKind = Field(description="The client's task that it serves.", examples=["traffic"])
    kpi: KpiKey = Field(description="The key of a KPI of this goal type, of which more or less is better.")
    target: Amount = Field(
        description="What is to be reached over the period (a level: at its end), in the KPI's unit.", examples=[400]
    )
    period: GoalPeriod = Field(description="In which days.")
    community_ids: CommunityIds = Field(
        default_factory=list,
        description="Only what these communities have counts; empty: all, those that are connected later too. Of a "
        "level (`adds_up` is `stock`) only those that were connected by then: another community is no growth.",
    )
    currency: Currency | None = Field(
        None,
        description="Of the target and the baseline, where the KPI is an amount of money; null elsewhere. It cannot be "
        "changed: propose another goal.",
    )
    stated_baseline: GoalStatedBaseline | None = Field(
        None, description="Where it starts from, where history does not say; null: it is measured."
    )
    is_main: Flag = Field(False, description="Whether it is the project's main goal; there is one at a time.")


class GoalUpdate(Patch):
    """What the next revision of a goal says otherwise."""

    model_config = example({"target": 450})

    title: ShortText = Field(description="What is promised, in a line.", examples=["More visitors"])
    target: Amount = Field(description="What is to be reached, in the KPI's unit.", examples=[450])
    period: GoalPeriod = Field(description="In which days.")
    community_ids: CommunityIds = Field(description="Only what these communities have counts; empty: all.")
    stated_baseline: GoalStatedBaseline | None = Field(
        description="Where it starts from; null: it is measured, again where it was."
    )
    is_main: Flag = Field(description="Whether it is the project's main goal.")


class GoalPeriodRead(Output):
    """The days of a goal, both ends included."""

    model_config = ConfigDict(populate_by_name=True)
    from_: Day = Field(alias="from", description="The first day.")
    to: Day = Field(description="The last day.")


class GoalCommunity(Output):
    """A community that counts, as it was called when the goal was proposed."""

    id: Id = Field(description="The community's id.")
    platform: str = Field(description="The `key` of its platform.")
    title: str = Field(description="Its title, or its address where it has none.")


class GoalBaseline(Output):
    """Where a goal starts from."""

    model_config = ConfigDict(populate_by_name=True)
    source: BaselineSource = Field(description="Measured from history, or stated by people.")
    level: float = Field(
        description="What the target is compared with, in the KPI's unit: of one that grows with the days, the amount "
        "in as many days as the period has."
    )
    value: float | None = Field(description="The KPI's value over the measured days; null: it was stated.")
    from_: Day | None = Field(alias="from", description="The first measured day; null: it was stated.")
    to: Day | None = Field(description="The last measured day.")
    known_days: int | None = Field(
        description="How many of these days the value is of, of the community that is known for the fewest; null: it "
        "was stated."
    )
    status: ValueStatus | None = Field(description="Whether all inputs of the value were there.")
    as_of: Instant | None = Field(description="When it was measured.")
    reason: str | None = Field(description="Why a stated one is to be believed; null: it was measured.")
    community_ids: list[Id] | None = Field(
        None, description="Of a measured level (`adds_up` is `stock`): the communities whose part is in it, and counts."
    )


class GoalChange(Output):
    """A field in which a revision differs from the one that was agreed before it."""

    field: str = Field(
        description="`title`, `communities`, `baseline`, `target`, `period` or `is_main`.", examples=["target"]
    )
    before: Any = Field(description="What was agreed.")
    after: Any = Field(description="What is proposed.")


class GoalTerms(Output):
    """What a revision promises."""

    title: str = Field(description="What is promised, in a line.")
    target: float = Field(description="What is to be reached, in the KPI's unit.")
    currency: str | None = Field(description="Of target and baseline, ISO 4217; null: they are no money.")
    period: GoalPeriodRead = Field(description="In which days.")
    timezone: str = Field(description="The project's time zone when it was proposed, in which these are days.")
    communities: list[GoalCommunity] = Field(description="Only what these have counts; empty: all of the project.")
    baseline: GoalBaseline = Field(description="Where it starts from.")
    is_main: bool = Field(description="Whether it is the project's main goal.")
    kpi_version: int = Field(description="The version of the KPI's formula when it was proposed.")
    content_hash: str = Field(
        description="SHA-256, hexadecimal, of what the client is shown of it: the `content_hash` behind a client link."
    )
    proposed_by: str = Field(description="Who proposed it, by name.")
    proposed_at: Instant = Field(description="When.")
    compared_with: int | None = Field(
        description="The revision that was agreed when this one was proposed; null: none was."
    )
    changes: list[GoalChange] = Field(description="What is different from that one.")


class GoalRead(GoalTerms):
    """A goal, with its latest revision."""

    id: Id = Field(description="The goal's id.")
    project_id: Id = Field(description="The project of the client.")
    type: GoalKind = Field(description="The client's task that it serves.")
    kpi: str = Field(description="The key of its KPI.")
    status: GoalStatus = Field(
        description="Where its latest revision stands. While that is `proposed` or `declined`, `agreed_revision` holds."
    )
    pace: Pace = Field(description="As kept by its last measurement; `/progress` says why.")
    revision: int = Field(description="The number of the latest revision, which the terms here are of.")
    agreed_revision: int | None = Field(description="The number of the revision that holds; null: none was agreed.")
    version: int = Field(description="Its ETag: goes up with every change.")
    created_at: Instant = Field(description="When it was first proposed.")
    updated_at: Instant = Field(description="When it last changed.")
    closed_at: Instant | None = Field(description="When it was withdrawn, or ended; null: it is open.")


class GoalRevisionRead(GoalTerms):
    """One revision of a goal. It is never changed."""

    number: int = Field(description="Its number, from 1.")


class GoalAgreementCreate(Input):
    """What the client answers to a revision."""

    model_config = example({"answer": "agree", "revision": 1, "text": "Let us try."})

    answer: GoalClientAnswer = Field(description="`agree` or `decline`.", examples=["agree"])
    revision: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = Field(
        description="The revision that was read; 409 `revision-outdated` where there is a later one.", examples=[1]
    )
    text: OwnText | None = Field(None, description="In the client's own words.", examples=["Let us try."])


class GoalAgreementRead(Output):
    """What one side stated about one revision. It is never changed."""

    id: Id = Field(description="The agreement's id.")
    goal_id: Id = Field(description="The goal.")
    revision: int = Field(description="The exact revision.")
    content_hash: str = Field(description="SHA-256 of what that revision says.")
    side: Side = Field(description="Of the agency, or of the client.")
    answer: GoalAnswer = Field(description="What was stated.")
    name: str = Field(description="The person's name, as it was then.")
    user_id: Id | None = Field(description="The member who stated it; null: a contact did.")
    contact_id: Id | None = Field(description="The contact who stated it by a client link; null: a member did.")
    client_statement_id: Id | None = Field(description="The contact's statement; null: a member stated it.")
    text: str | None = Field(description="In their own words; null: they wrote nothing.")
    stated_at: Instant = Field(description="When.")


class GoalForecastRead(Output):
    """Where a goal will be at the end of its period."""

    model_config = ConfigDict(populate_by_name=True)
    for_: Day = Field(alias="for", description="The day for whose end it is forecast: the period's last.")
    value: float | None = Field(description="The value that is expected then; null: there is no forecast.")
    low: float | None = Field(description="With `high` the interval that should hold the truth in 80 of 100 cases.")
    high: float | None = Field(description="The interval's upper end.")
    method: str | None = Field(description="How it was made: `median_week`, `theil_sen` or `seasonal_naive`.")
    history_days: int | None = Field(description="The days that it follows from; never less than 14.")
    reason: str | None = Field(
        description="Why there is none: `not-begun`, `period-over`, `value-unknown`, `too-little-history`, "
        "`unknown-days`; null: there is one."
    )


class GoalScorecard(Output):
    """How well this project's past forecasts held."""

    judged: int = Field(description="How many of them are for a day that is over.")
    within: int = Field(description="How many of their intervals held the truth.")
    share: float | None = Field(description="The quotient, which should be about 0.8; null: none is judged yet.")


class GoalProgressRow(Output):
    """How far a goal is, as it was last measured."""

    goal_id: Id = Field(description="The goal.")
    project_id: Id = Field(description="Its project.")
    title: str = Field(description="What is promised, in a line.")
    type: GoalKind = Field(description="The client's task that it serves.")
    kpi: str = Field(description="The key of its KPI.")
    unit: Unit = Field(description="What the amounts are in.")
    direction: Direction = Field(description="Whether more is better.")
    adds_up: AddsUp = Field(description="How the value so far is made: summed, read at the end, or computed anew.")
    is_main: bool = Field(description="Whether it is the project's main goal.")
    status: GoalStatus = Field(description="Where the goal stands.")
    revision: int = Field(description="The revision it is measured by: the agreed one, or the latest where none is.")
    is_agreed: bool = Field(description="Whether the client has agreed to that revision.")
    target: float = Field(description="What is to be reached.")
    currency: str | None = Field(description="Of all amounts here, ISO 4217; null: they are no money.")
    kpi_version: int = Field(description="The version of the KPI's formula when these terms were proposed.")
    measured_version: int = Field(
        description="The version by which the value was computed. Where it is another one, the KPI is not computed as "
        "it was when the terms were proposed: `GET /v1/kpis` has its formula."
    )
    baseline: float = Field(description="Where it starts from: the baseline's `level`.")
    period: GoalPeriodRead = Field(description="In which days.")
    timezone: str = Field(
        description="The project's time zone by which the days were counted when it was measured; the terms name the "
        "one in which they were proposed."
    )
    day: Day | None = Field(description="The last day that counts, in the project's time zone; null: not measured yet.")
    as_of: Instant | None = Field(description="When it was measured; null: not yet.")
    value: float | None = Field(description="Over the days of the period that are over; null: unknown.")
    value_status: ValueStatus = Field(description="Whether the value is known.")
    reason: str | None = Field(
        description="Why it is not wholly known: a KPI's reason, `not-begun`, `not-measured-yet`, `disconnected` (a "
        "community of the promise is, since it was proposed) or `another-currency`; null: it is."
    )
    expected: float | None = Field(description="Where the expected path is at the end of that day; null: not begun.")
    path: PathForm = Field(
        description="The path's form: even, or by the days of the week as they were before the period."
    )
    pace: Pace = Field(
        description="`on_track`: the forecast reaches the target; `at_risk`: its interval does; `off_track`: neither. "
        "Without a forecast by the expected path, at risk when less than a tenth of the way behind it. `met` and "
        "`missed` are decided, and never by a value of which something is missing that could turn them round: the pace "
        "is `unknown` then."
    )
    forecast: GoalForecastRead | None = Field(description="For the end of the period; null: not measured yet.")
    scorecard: GoalScorecard | None = Field(description="Of all goals of the project; null: not measured yet.")


class GoalProgressPoint(Output):
    """How far a goal was at the end of a day."""

    day: Day = Field(description="The day.")
    value: float | None = Field(description="The value so far; null: unknown.")
    expected: float | None = Field(description="Where the expected path was.")
    pace: Pace = Field(description="Its pace then.")


class GoalProgressRead(GoalProgressRow):
    """How far a goal is, and was on every day before."""

    series: list[GoalProgressPoint] = Field(
        description="The measured days of the present period, by the revision that it is measured by, oldest first."
    )
