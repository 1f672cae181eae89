"""Request and response schemas of tracked links."""

from datetime import date
from enum import StrEnum
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
    """What may change of a link; what is left out stays as it is. Clicks keep the target that they led to."""

    model_config = example({"title": "Autumn sale, all pages"})

    target: Target
    title: ShortText | None = Field(description="What it is for, for people.")
    archived: Flag = Field(description="An archived link answers 410; its clicks stay.")


class ClickCounts(BaseModel):
    """Clicks: people's, counted once; bots'; and people's repeats."""

    people: int = Field(description="People's clicks, each counted once.", examples=[412])
    bots: int = Field(description="Requests by programs.", examples=[37])
    repeats: int = Field(description="People's clicks again within 5 s, not counted.", examples=[9])


class LinkInclude(StrEnum):
    """What a link may be listed with."""

    CLICKS = "clicks"


class LinkRead(Output):
    """A tracked link."""

    id: Id = Field(description="The link's id.")
    project_id: Id = Field(description="The client's project.")
    community_id: Id | None = Field(description="The community it is posted in, where it is only one.")
    post_id: Id | None = Field(description="The post it stands in.")
    slug: str = Field(description="The last part of the short address.", examples=["autumn-sale"])
    url: str = Field(description="The short address to publish.", examples=["https://go.example/r/autumn-sale"])
    target: str = Field(description="Where it leads now.", examples=["https://shop.example/autumn?utm_source=vk"])
    target_version: int = Field(
        description="Goes up when the target changes; clicks have the version that they led to.", examples=[1]
    )
    title: str | None = Field(description="Its name for people.", examples=["Autumn sale, VK"])
    created_at: Instant = Field(description="When it was made.")
    archived_at: Instant | None = Field(description="Since when it answers 410; null: it redirects.")
    clicks: ClickCounts | None = Field(
        None, description="Its clicks since it was made, with `include=clicks`; null without."
    )


class LinkTargetRead(Output):
    """A target that a link has, or had until the next one."""

    version: int = Field(description="1 for the first one.", examples=[2])
    target: str = Field(description="Where it led.", examples=["https://shop.example/winter?utm_source=vk"])
    since: Instant = Field(description="Since when.")
    actor: str | None = Field(
        description="`key:` and the API key's id of who set it; null where it was not recorded.",
        examples=["key:01a206f6-aedc-75ca-a9a8-0814336de1dd"],
    )


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
    target_version: int = Field(description="The target it led to, of `GET /v1/links/{id}/targets`.", examples=[1])


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
