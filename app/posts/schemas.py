"""Request and response schemas of the content plan."""

import re
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PlainSerializer, model_validator

from app.kit.bulk_results import BulkResult, BulkResults
from app.kit.days import DayRangeRead
from app.kit.openapi_schemas import ITEMS_OF
from app.kit.schemas import EXAMPLE_ID, Id, Input, Instant, Output, Patch, Text, example
from app.links import targets
from app.platforms.contract import Metric, MetricStatus
from app.posts.models import Category, PostOrigin, PostStatus
from app.projects.schemas import Zone

_WALL_CLOCK: Final = (
    r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"
)


def _wall_clock(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is None:
        return value  # from a row
    if not isinstance(value, str) or not re.fullmatch(_WALL_CLOCK, value) or value.endswith("\n"):
        raise ValueError("must be a local time without an offset, for example 2026-10-15T09:30:00")
    return datetime.fromisoformat(value)


def _web_page(value: str) -> str:
    targets.location(value)
    return value


LocalTime = Annotated[
    datetime,
    BeforeValidator(_wall_clock, json_schema_input_type=Annotated[str, Field(pattern=_WALL_CLOCK)]),
    PlainSerializer(datetime.isoformat, return_type=str, when_used="json"),
    Field(
        description="Wall-clock time in `timezone`, without an offset. A time that a change of the clocks skips is "
        "refused (`nonexistent-local-time`); of one that occurs twice the first is meant.",
        examples=["2026-10-15T09:30:00"],
    ),
]
Permalink = Annotated[
    str,
    Field(
        strict=True,
        min_length=8,
        max_length=targets.MAX_LENGTH,
        pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://",
        description="The post's address on the platform, in any of its forms.",
        examples=["https://vk.com/wall-1_2"],
    ),
    AfterValidator(_web_page),
]
PlanStatus = Literal[PostStatus.DRAFT, PostStatus.PLANNED]


class PostCreate(Input):
    """A new item of the content plan."""

    model_config = example(
        {
            "community_id": EXAMPLE_ID,
            "text": "What do you drink in the morning?",
            "category": "engaging",
            "status": "planned",
            "planned_for": "2030-05-06T09:30:00",
        }
    )

    community_id: Id = Field(description="Where it is to be published; its project follows from it.")
    text: Text = Field(
        "",
        description="What is to be published; it may be written later.",
        examples=["What do you drink in the morning?"],
    )
    category: Category | None = Field(None, description="Of the content formula; null: not decided yet.")
    status: PlanStatus = Field(PostStatus.DRAFT, description="A planned post needs `planned_for`.")
    planned_for: LocalTime | None = None
    timezone: Zone | None = Field(None, description="The project's, when left out.")

    @model_validator(mode="after")
    def _planned_when(self) -> Self:
        if self.status == PostStatus.PLANNED and self.planned_for is None:
            raise ValueError("a planned post needs planned_for")
        return self


class PostUpdate(Patch):
    """What may change of a post; what is left out stays as it is. Of a published one only the category may change."""

    model_config = example({"text": "Which roast is it?", "category": "educational"})

    text: Text = Field(description="What is to be published.")
    category: Category | None = Field(description="Of the content formula; null: not decided yet.")
    status: PlanStatus = Field(description="A planned post needs `planned_for`.")
    planned_for: LocalTime | None
    timezone: Zone = Field(description="The zone that `planned_for` is meant in.")


class PostMarkPublished(Input):
    """A post that a person has published by hand."""

    model_config = example({"permalink": "https://mastodon.social/@coffee/115012345678901234"})

    permalink: Permalink
    published_at: Instant | None = Field(None, description="Now, when left out; the platform's own time wins.")


class PostBulk(Input):
    """Many posts at once."""

    model_config = example(
        {
            "items": [
                {"community_id": EXAMPLE_ID, "text": "Good morning!"},
                {"community_id": EXAMPLE_ID, "text": "Guess the roast!", "category": "engaging"},
            ]
        }
    )

    items: list[dict[str, Any]] = Field(
        min_length=1,
        max_length=500,
        description="Each as the body of `POST /v1/posts`. Errors of one are in its result.",
        json_schema_extra={ITEMS_OF: "PostCreate"},
    )


class PostInclude(StrEnum):
    """What a post may be listed with."""

    METRICS = "metrics"


class PostRead(Output):
    """A post: its plan and its status."""

    id: Id = Field(description="The post's id.")
    project_id: Id = Field(description="The client's project.")
    community_id: Id = Field(description="Where it is, or is to be, published.")
    community_title: str | None = Field(
        description="The community's name on its platform; null until its first poll.", examples=["Coffee house"]
    )
    platform: str = Field(description="The community's, a `key` of `GET /v1/platforms`.", examples=["vk"])
    publication_id: Id | None = Field(description="The post on the platform, once it is matched.")
    origin: PostOrigin = Field(
        description="`found`: polling found it on the platform; it was not planned here.", examples=["planned"]
    )
    text: str = Field(
        description="As planned; of a found post, as on the platform.", examples=["What do you drink in the morning?"]
    )
    category: Category | None = Field(description="Of the content formula; null: not decided.", examples=["engaging"])
    status: PostStatus = Field(description="Where it stands.", examples=["planned"])
    planned_for: LocalTime | None = Field(description="When it is to appear, by the clock of `timezone`.")
    timezone: str = Field(description="The zone of `planned_for`, IANA.", examples=["Europe/Minsk"])
    planned_at: Instant | None = Field(description="`planned_for` in UTC.")
    permalink: str | None = Field(
        description="Its address on the platform, as it was given.", examples=["https://vk.com/wall-1_2"]
    )
    published_at: Instant | None = Field(description="When it appeared; null: not yet.")
    gone_at: Instant | None = Field(description="When its deletion on the platform was first seen.")
    version: int = Field(description="Goes up with each change.", examples=[3])
    created_at: Instant = Field(description="When it was planned here, or found.")
    updated_at: Instant = Field(description="When it was last changed here.")
    metrics: "list[PostMetric] | None" = Field(
        None, description="Its counters at the last poll, each with its status, with `include=metrics`; null without."
    )


class PostBulkResult(BulkResult):
    """The result of one post."""

    post: PostRead | None = Field(description="The new post; null where it was not created.")


class PostBulkResults(BulkResults):
    """The result of each post, in the order of the request."""

    data: list[PostBulkResult] = Field(description="One for each item, in the order of the request.")


class PostMetric(BaseModel):
    """One counter of a post."""

    metric: Metric = Field(description="Which counter.", examples=["reactions"])
    status: MetricStatus = Field(description="Whether its value is known now.", examples=["ok"])
    value: int | None = Field(description="Null, with a reason, where it is not known now; never 0 for unknown.")
    reason: str | None = Field(description="For people: why it is not known now; null where it is.", examples=[None])
    last_known: int | None = Field(description="The latest value that was ever read.")
    captured_at: Instant | None = Field(description="When that value was read; null: never.")


class PostMetricsRead(BaseModel):
    """A post's counters at the last poll."""

    post_id: Id = Field(description="The post's id.")
    publication_id: Id | None = Field(description="The post on the platform; null: it is not matched yet.")
    captured_at: Instant | None = Field(description="When the counters were last read; null: never.")
    gone_at: Instant | None = Field(description="When its deletion on the platform was first seen; null: it was not.")
    data: list[PostMetric] = Field(description="One row for each counter.")


Percent = Annotated[int, Field(strict=True, ge=0, le=100)]


class MixShares(Input):
    """Per cent of the posts for each category; together 100."""

    engaging: Percent = Field(description="Questions, games, contests: what people take part in.", examples=[40])
    user_generated: Percent = Field(description="What customers made.", examples=[30])
    educational: Percent = Field(description="What people learn something from.", examples=[25])
    promotional: Percent = Field(description="What sells.", examples=[5])

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.engaging + self.user_generated + self.educational + self.promotional
        if total != 100:
            raise ValueError(f"the shares must add up to 100, not {total}")
        return self


class MixPolicyUpdate(Input):
    """The shares a project aims at."""

    model_config = example({"shares": {"engaging": 50, "user_generated": 20, "educational": 20, "promotional": 10}})

    shares: MixShares = Field(description="Per cent of the posts for each category.")


class MixPolicyRead(Output):
    """The shares a project aims at."""

    project_id: Id = Field(description="The project's id.")
    shares: MixShares = Field(description="Per cent of the posts for each category.")
    is_default: bool = Field(description="Nobody has set shares for this project; 40/30/25/5 hold.")
    version: int = Field(description="Counts changes; 0: the default.")
    updated_at: Instant | None = Field(description="When it was last set; null: never.")


class MixShare(BaseModel):
    """One category's share of the posts."""

    category: Category = Field(description="The category.")
    count: int = Field(description="Posts that have it.")
    share: float | None = Field(description="Per cent of the posts that have a category; null without any.")
    target: int = Field(description="Per cent, as the policy says.")
    deviation: float | None = Field(description="Share minus target, in percentage points.")


class MixRead(BaseModel):
    """How posts spread over the content formula."""

    project_id: Id = Field(description="The project's id.")
    basis: str = Field(description="Which posts are counted.")
    window: DayRangeRead = Field(description="The days that were asked for.")
    status: Literal["ok", "unknown"] = Field(description="`unknown`: no post of the window has a category.")
    reason: str | None = Field(description="Why it is unknown, for people; null where it is known.")
    total: int = Field(description="Posts in the window, with a category or without.")
    uncategorised: int = Field(description="Posts without a category; they are in no share.")
    gone: int = Field(description="Posts deleted on the platform; they are in no other number here.")
    categories: list[MixShare] = Field(description="Each category's share, in the order of the policy.")
    deviation: float | None = Field(
        description="Per cent of the posts that would need another category to meet the policy: half the sum of the "
        "absolute deviations."
    )


class CategoryLag(BaseModel):
    """How many posts a category lacks."""

    category: Category = Field(description="The category.")
    count: int = Field(description="Posts that have it.")
    target: int = Field(description="Per cent, as the policy says.")
    behind: float = Field(description="Posts missing, if one more is made: target x (posts + 1) / 100 - count.")


class NextCategory(BaseModel):
    """Which category to plan next."""

    project_id: Id = Field(description="The project's id.")
    window: DayRangeRead = Field(description="The days that were asked for.")
    category: Category = Field(description="The category to plan next.")
    counted: int = Field(description="The posts that were counted: those of them that have a category.")
    candidates: list[CategoryLag] = Field(description="All categories, the one furthest behind first.")


class CalendarDay(BaseModel):
    """What is planned for, and was published on, one local day."""

    day: date = Field(description="The local day.")
    posts: list[PostRead] = Field(description="The posts of this day, the earliest first.")


class PostCalendar(BaseModel):
    """A project's posts, day by day; days without any are left out."""

    window: DayRangeRead = Field(description="The days that were asked for.")
    data: list[CalendarDay] = Field(description="One row for each day that has posts, the earliest first.")
