"""The response schemas of an inquiry's deadlines, and how they come about."""

from typing import Literal

from pydantic import Field

from app.inquiries.models import DueTarget
from app.kit.schemas import Day, Id, Instant, Output
from app.projects.hours import DayRule
from app.projects.schemas import Openings


class WorkingPeriod(Output):
    """A period of working time that counts towards a deadline."""

    since: Instant = Field(description="When it begins.")
    until: Instant = Field(description="When it ends.")
    seconds: int = Field(description="Its length.", examples=[900])


class DeadlineDay(Output):
    """A local day on the way to a deadline."""

    day: Day = Field(description="The day, in the project's time zone.", examples=["2026-10-16"])
    rule: DayRule = Field(
        description="What says at which hours it is worked: the `week`, its hours as a `special_day`, or that it is a "
        "`holiday`.",
        examples=["week"],
    )
    hours: Openings = Field(description="Its working hours; empty: it is closed.")
    periods: list[WorkingPeriod] = Field(description="What of them counts, in order.")
    seconds: int = Field(description="The sum of them.", examples=[900])
    note: str | None = Field(
        description="Why nothing or not all of it counts, for people; null where all of its hours do.",
        examples=["Closed: a day off by the weekly hours."],
    )


class NoDeadline(Output):
    """Why something that is owed has no deadline."""

    code: Literal["no-target", "no-working-time"] = Field(description="Stable, for programs.", examples=["no-target"])
    detail: str = Field(description="For people.", examples=["No target held on the day on which it began."])


class DeadlineRead(Output):
    """Something that the agency owes in an inquiry, and until when."""

    target: DueTarget = Field(description="The target it follows from.", examples=["first_response"])
    started_at: Instant = Field(
        description="When the time began to run: with a message of the customer or a reopening."
    )
    target_minutes: int | None = Field(
        description="The target in working minutes, of the day on which it began; null: none held.", examples=[30]
    )
    target_holds_from: Day | None = Field(description="The day from which that target holds.", examples=["2026-10-01"])
    due_at: Instant | None = Field(description="When that working time is over.")
    overdue: bool = Field(description="It is over at `as_of`.", examples=[False])
    no_deadline: NoDeadline | None = Field(description="Why `due_at` is null.")
    working_seconds_left: int | None = Field(
        description="Working time from `as_of` until `due_at`; 0 where it is overdue, null without `due_at`.",
        examples=[1200],
    )
    working_seconds_overdue: int | None = Field(
        description="Working time since `due_at`; 0 where it is not over, null without `due_at`.", examples=[0]
    )
    hours_changed: bool = Field(
        description="The working hours or the time zone were changed since, and would give another instant now: what "
        "is due already stays so, and nothing becomes due in the past. The days then show the present hours, which do "
        "not add up to the target.",
        examples=[False],
    )
    days: list[DeadlineDay] = Field(
        description="Each day from `started_at` to `due_at`, the last 400 of them; their `seconds` add up to the "
        "target."
    )


class InquiryDeadlines(Output):
    """What the agency owes in an inquiry."""

    inquiry_id: Id = Field(description="The inquiry.")
    as_of: Instant = Field(description="The instant of this answer.")
    timezone: str = Field(description="The project's, whose days these are.", examples=["Europe/Minsk"])
    due_at: Instant | None = Field(description="The earliest deadline, as the inquiry has it.")
    due_target: DueTarget | None = Field(description="Its target.", examples=["first_response"])
    overdue: bool = Field(description="It is over at `as_of`.", examples=[False])
    deadlines: list[DeadlineRead] = Field(
        description="What is owed, the answer before the resolution; also what has no deadline, with the reason."
    )
