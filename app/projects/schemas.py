"""Request and response schemas of projects."""

from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from app.access.models import Seat
from app.kit.schemas import Body, Day, Flag, Id, Input, Instant, Output, Patch, ShortText, Text, example
from app.projects import hours, zones


def _zone(value: str) -> str:
    if value not in zones.named():
        raise ValueError("must be the name of an IANA time zone, for example Europe/Minsk")
    return value


Zone = Annotated[Text, Field(min_length=1, max_length=64, examples=["Europe/Minsk"]), AfterValidator(_zone)]
"""The IANA name of a time zone."""

WallTime = Annotated[
    str,
    Field(strict=True, pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", max_length=5, examples=["09:00"]),
]
"""Local `HH:MM`; 24:00 is the end of the day."""


class Opening(Input):
    """A period of working time within a day."""

    opens: WallTime = Field(description="When work begins.", examples=["09:00"])
    closes: WallTime = Field(description="When work ends; later than `opens`.", examples=["18:00"])


Openings = Annotated[list[Opening], Field(max_length=24)]


class Week(Input):
    """Working hours of each day of the week; a day without any is a day off."""

    monday: Openings = Field(description="On Mondays.", default=[])
    tuesday: Openings = Field(description="On Tuesdays.", default=[])
    wednesday: Openings = Field(description="On Wednesdays.", default=[])
    thursday: Openings = Field(description="On Thursdays.", default=[])
    friday: Openings = Field(description="On Fridays.", default=[])
    saturday: Openings = Field(description="On Saturdays.", default=[])
    sunday: Openings = Field(description="On Sundays.", default=[])


class SpecialDay(Input):
    """A day with hours of its own."""

    day: Day = Field(description="The local day.", examples=["2026-12-31"])
    hours: Openings = Field(description="When people work on it; empty: not at all.")


class WorkingHoursUpdate(Input):
    """When the agency answers for a project, by the project's wall clock."""

    model_config = example(
        {
            "week": {
                "monday": [{"opens": "09:00", "closes": "13:00"}, {"opens": "14:00", "closes": "18:00"}],
                "saturday": [{"opens": "10:00", "closes": "16:00"}],
            },
            "holidays": ["2030-01-01"],
            "special_days": [{"day": "2030-12-31", "hours": [{"opens": "09:00", "closes": "12:00"}]}],
        }
    )

    week: Week = Field(description="Working time of an ordinary week.", examples=[hours.DEFAULT.as_json["week"]])
    holidays: list[Day] = Field(default=[], max_length=1000, description="Days on which nobody works.")
    special_days: list[SpecialDay] = Field(
        description="Days with hours of their own; each day once.", default=[], max_length=1000
    )

    @model_validator(mode="after")
    def _valid_hours(self) -> Self:
        days = [special.day for special in self.special_days]
        if len(set(days)) < len(days):
            raise ValueError("a special day is named twice")
        self.parsed()
        return self

    def parsed(self) -> hours.WorkingHours:
        """The parsed hours; `ValueError` where they are invalid."""
        return hours.WorkingHours.parse(self.model_dump())


class WorkingHoursRead(Output):
    """When the agency answers for a project, by the wall clock of `timezone`."""

    timezone: str = Field(description="The project's time zone.")
    week: Week = Field(description="Working time of an ordinary week.")
    holidays: list[date] = Field(description="Days on which nobody works.")
    special_days: list[SpecialDay] = Field(description="Days with hours of their own.")


Minutes = Annotated[int, Field(strict=True, ge=1, le=100_000)]


class ResponseTargetsUpdate(Input):
    """Targets agreed with the client, in working minutes."""

    model_config = example({"first_response_minutes": 60, "resolution_minutes": 960})

    first_response_minutes: Minutes = Field(
        description="Within how much working time a customer gets an answer: to the first message, and to each later "
        "one that waits for one.",
        examples=[60],
    )
    resolution_minutes: Minutes | None = Field(
        default=None,
        description="Within how much working time an inquiry is resolved, from its first message or its reopening.",
        examples=[960],
    )
    holds_from: Day | None = Field(
        default=None,
        description="The project's local day from which they hold, for what begins on it or later; today by default, "
        "and at the earliest.",
        examples=["2030-01-01"],
    )


class ResponseTargetRead(Output):
    """Targets that hold from a day on, until the day of the next ones."""

    holds_from: Day = Field(description="The project's local day on which what is measured against them begins.")
    first_response_minutes: int = Field(description="Working minutes until an answer.", examples=[60])
    resolution_minutes: int | None = Field(
        description="Working minutes until the resolution; null: none are agreed.", examples=[960]
    )
    updated_at: Instant = Field(description="When they were agreed on, or last corrected on that very day.")


class ResponseTargetsRead(Output):
    """How fast the agency has promised the client to respond."""

    timezone: str = Field(description="The project's time zone, of which the days are.")
    current: ResponseTargetRead | None = Field(description="What holds today; null: nothing is agreed for today.")
    versions: list[ResponseTargetRead] = Field(description="All of them, the ones to come included, oldest first.")


class ProjectCreate(Input):
    """A new project."""

    model_config = example({"title": "Coffee at Nina's", "timezone": "Europe/Minsk"})

    title: ShortText = Field(description="The project's name, for people.", examples=["Coffee at Nina's"])
    timezone: Zone = Field(description="The project's days are days there.")
    working_hours: WorkingHoursUpdate | None = Field(
        default=None, description="Monday to Friday, 09:00 to 18:00, by default."
    )


class ProjectUpdate(Patch):
    """A merge patch of a project: what is left out stays as it is."""

    model_config = example({"title": "Nina's"})

    title: ShortText = Field(description="The project's name, for people.", examples=["Nina's"])
    timezone: Zone = Field(description="Its days become days there; its figures are recounted.")
    archived: Flag = Field(description="An archived project is left out of the portfolio; nothing of it is lost.")


class ProjectRead(Output):
    """What the agency does for one client."""

    id: Id = Field(description="The project's id.")
    title: str = Field(description="The project's name, for people.")
    timezone: str = Field(description="IANA; the project's days are days there.")
    version: int = Field(description="Counts changes; `If-Match` takes the ETag made of it.")
    created_at: Instant = Field(description="When it was started.")
    archived_at: Instant | None = Field(description="When it was archived; null: it is not.")


class FaqEntry(Input):
    """A question that customers ask, with its answer."""

    question: Body = Field(description="What customers ask.", max_length=1000, examples=["Are you open on Sundays?"])
    answer: Body = Field(description="What the agency answers.", max_length=5000, examples=["Yes, from ten to six."])


class BriefUpdate(Input):
    """What the agency knows of the client's business: the whole of it, as it is from now on."""

    model_config = example(
        {
            "business": "A family café with its own roastery.",
            "audience": "Students and families of the neighbourhood.",
            "products": "Filter coffee, breakfasts, beans to take home.",
            "tone": "Warm, short, no slang.",
            "taboos": "No politics; never name competitors.",
            "faq": [{"question": "Are you open on Sundays?", "answer": "Yes, from ten to six."}],
        }
    )

    business: Text = Field(
        description="What the client does.", default="", examples=["A family café with its own roastery."]
    )
    audience: Text = Field(
        description="Whom the client wants to reach.",
        default="",
        examples=["Students and families of the neighbourhood."],
    )
    products: Text = Field(
        description="What the client sells.", default="", examples=["Filter coffee, breakfasts, beans to take home."]
    )
    tone: Text = Field(description="How to write for the client.", default="", examples=["Warm, short, no slang."])
    taboos: Text = Field(
        description="What must not be written.", default="", examples=["No politics; never name competitors."]
    )
    faq: list[FaqEntry] = Field(
        description="Questions that customers ask, with the client's answers.", default=[], max_length=200
    )


class BriefRead(Output):
    """One version of a brief."""

    project_id: Id = Field(description="The project whose brief it is.")
    version: int = Field(description="0 where none is written yet.")
    created_at: Instant | None = Field(description="When this version was written; null where none is written yet.")
    business: str = Field(description="What the client does.")
    audience: str = Field(description="Whom the client wants to reach.")
    products: str = Field(description="What the client sells.")
    tone: str = Field(description="How to write for the client.")
    taboos: str = Field(description="What must not be written.")
    faq: list[FaqEntry] = Field(description="Questions that customers ask, with the client's answers.")

    @classmethod
    def of(cls, project_id: Id, version: int, created_at: datetime | None, content: dict[str, Any]) -> "BriefRead":
        """From a row's parts."""
        return cls(project_id=project_id, version=version, created_at=created_at, **content)


class SeatCreate(Input):
    """A seat for a member."""

    model_config = example(
        {"user_id": "0190f5a2-7c1e-7d3a-9b44-1f2e3d4c5b6a", "seat": "designer", "about": "draws your pictures"}
    )

    user_id: Id = Field(description="The member.")
    seat: Seat = Field(description="What they do here; it says what they may.", examples=["designer"])
    about: ShortText | None = Field(
        None,
        description="What they do here, in a line for the client.",
        examples=["answers your customers on weekdays"],
    )
    stands_in_id: Id | None = Field(None, description="The user who does it while they are away.", examples=[None])


class SeatUpdate(Patch):
    """What can be changed of a seat."""

    model_config = example({"about": "answers your customers"})

    about: ShortText | None = Field(
        description="What they do here, in a line; null: nothing is said.", examples=["answers your customers"]
    )
    stands_in_id: Id | None = Field(description="Who stands in; null: nobody.", examples=[None])


class SeatRead(Output):
    """A member's seat in a project."""

    id: Id = Field(description="The seat's id.")
    project_id: Id = Field(description="The project.")
    user_id: Id = Field(description="The member.")
    name: str = Field(description="The member's name.")
    picture_url: str | None = Field(description="A picture of the member; null: none.")
    seat: Seat = Field(description="What they do here.")
    about: str | None = Field(description="What they do here, in a line.")
    stands_in_id: Id | None = Field(description="The user who does it while they are away.")
    stands_in_name: str | None = Field(description="That user's name.")
    created_at: Instant = Field(description="Since when they have the seat.")
