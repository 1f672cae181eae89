"""Response schemas of metrics."""

from pydantic import Field

from app.kit.days import DayRangeRead
from app.kit.paging import Page
from app.kit.schemas import Day, Id, Instant, Output
from app.platforms.contract import Metric, MetricStatus


class SizeDayRead(Output):
    """A community's size over one day on which it was read."""

    day: Day = Field(description="The day, in the project's time zone.")
    first: int = Field(description="The first size that was read.", examples=[1204])
    first_at: Instant = Field(description="When `first` was read.")
    last: int = Field(description="The last size that was read.", examples=[1210])
    last_at: Instant = Field(description="When `last` was read.")
    lowest: int = Field(description="The lowest size that was read.", examples=[1203])
    highest: int = Field(description="The highest size that was read.", examples=[1211])
    snapshots: int = Field(description="How often it was read.", examples=[24])


class SizeHistory(Page[SizeDayRead]):
    """A community's sizes, by day, the earliest first. A day on which it was not read is absent."""

    community_id: Id = Field(description="The community's id.")
    window: DayRangeRead = Field(description="The days that were asked for.")


class CommunityMetric(Output):
    """The status of one counter of a community's posts."""

    metric: Metric = Field(description="The counter.")
    status: MetricStatus = Field(
        description="Of the community: what a person can fix comes first, then `ok` where any post has it."
    )
    posts: dict[MetricStatus, int] = Field(
        description="How many posts have which status at their last poll.", examples=[{"ok": 40, "pending": 2}]
    )
    captured_at: Instant | None = Field(description="When it was last read of any post; null: never.")


class CommunityMetrics(Output):
    """The status of the counters of a community's posts."""

    community_id: Id = Field(description="The community's id.")
    data: list[CommunityMetric] = Field(description="One row for each counter.")
