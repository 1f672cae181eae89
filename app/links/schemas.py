"""Request and response schemas of tracked links."""

from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from app.kit.days import DayRangeRead
from app.kit.paging import Page
from app.kit.schemas import EXAMPLE_ID, Flag, Id, Input, Instant, Output, Patch, ShortText, example
from app.links import targets


def _target(value: str) -> str:
    targets.location(value)
    return value


Target = Annotated[
    str,
    Field(
        strict=True,
        min_length=8,
        max_length=targets.MAX_LENGTH,
        pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://",
        description="A web address, kept exactly as given, `utm_…` parameters and all. No user name or password.",
        examples=["https://shop.example/autumn?utm_source=vk&utm_campaign=autumn"],
    ),
    AfterValidator(_target),
]
Slug = Annotated[
    str,
    Field(
        strict=True,
        pattern=r"^[A-Za-z0-9_-]{3,64}$",
        description="The last part of the short address; case matters. Left out, one is made.",
        examples=["autumn-sale"],
    ),
]


class LinkCreate(Input):
    """A new tracked link."""

    model_config = example(
        {
            "project_id": EXAMPLE_ID,
            "target": "https://shop.example/autumn?utm_source=vk&utm_campaign=autumn",
            "slug": "autumn-sale",
            "title": "Autumn sale, VK",
        }
    )

    project_id: Id = Field(description="The project it is made for.")
    target: Target
    slug: Slug | None = None
    title: ShortText | None = Field(None, description="What it is for, for people.", examples=["Autumn sale, VK"])
    community_id: Id | None = Field(None, description="The community it is posted in, where it is only one.")
    post_id: Id | None = Field(None, description="The post it stands in.")


class LinkUpdate(Patch):
    """What may change of a link; what is left out stays as it is.

    Its target may not change: clicks belong to the page they led to.
    """

    model_config = example({"title": "Autumn sale, all pages"})

    title: ShortText | None = Field(description="What it is for, for people.")
    archived: Flag = Field(description="An archived link answers 410; its clicks stay.")


class LinkRead(Output):
    """A tracked link."""

    id: Id = Field(description="The link's id.")
    project_id: Id = Field(description="The project it was made for.")
    community_id: Id | None = Field(description="The community it is posted in, where it is only one.")
    post_id: Id | None = Field(description="The post it stands in; null: in none, or in several.")
    slug: str = Field(description="The last part of the short address.")
    url: str = Field(description="The short address to publish.", examples=["https://go.example/r/autumn-sale"])
    target: str = Field(description="Where it leads.")
    title: str | None = Field(description="What it is for, for people.")
    created_at: Instant = Field(description="When it was made.")
    archived_at: Instant | None = Field(description="When it was archived; null: it is not.")


class ClickRead(Output):
    """One click; the visitor is identified only by a keyed hash."""

    id: Id = Field(description="The click's id.")
    at: Instant = Field(description="When it was.")
    day: date = Field(description="In the project's zone.")
    visitor: str = Field(description="The same for the same address and browser, within this workspace.")
    bot: str | None = Field(
        description="Why it is classified as a bot (`head`, `prefetch`, `no-agent`, `link-preview`, `fetcher`, "
        "`crawler`, `not-a-browser`); null for a person."
    )
    repeat: bool = Field(description="The same person again, within 5 s of the click that was counted.")
    referrer: str | None = Field(description="The host of the Referer, where the browser sends one.")


class ClickCounts(BaseModel):
    """Clicks: people's, counted once; bots'; and people's repeats."""

    people: int = Field(description="Clicks of people, each counted once.")
    bots: int = Field(description="Clicks of bots.")
    repeats: int = Field(description="Clicks of people that were counted a moment before.")


class ClickDayRead(ClickCounts):
    """One day's clicks."""

    day: date = Field(description="The day, in the project's time zone.")


class ClickPage(Page[ClickRead]):
    """A page of clicks, newest first, with the link's totals."""

    timezone: str = Field(description="The project's zone, in which days are counted.")
    totals: ClickCounts = Field(description="Since the link was created.")


class ClickDays(BaseModel):
    """A link's clicks, day by day; a day without any is a row of zeros."""

    link_id: UUID = Field(description="The link's id.")
    window: DayRangeRead = Field(description="The days that were asked for.")
    data: list[ClickDayRead] = Field(description="One row for each day of the window.")
