"""What metrics gives."""

from pydantic import Field

from app.kit.paging import Page
from app.kit.schemas import Day, Id, Instant, Output


class SizeDayRead(Output):
    """A community's size over one day on which it was read."""

    day: Day
    first: int = Field(description="The first size that was read.", examples=[1204])
    first_at: Instant
    last: int = Field(examples=[1210])
    last_at: Instant
    lowest: int = Field(examples=[1203])
    highest: int = Field(examples=[1211])
    snapshots: int = Field(description="How often it was read.", examples=[24])


class SizeHistory(Page[SizeDayRead]):
    """A community's sizes, by day, the earliest first. A day on which it was not read is absent."""

    community_id: Id
    timezone: str = Field(description="The project's, in which these are days.", examples=["Europe/Minsk"])
