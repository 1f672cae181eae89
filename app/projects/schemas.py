"""Request and response schemas of projects."""

from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from app.kit.schemas import Body, Day, Flag, Id, Input, Instant, Output, Patch, ShortText, Text
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

    opens: WallTime = Field(examples=["09:00"])
    closes: WallTime = Field(examples=["18:00"])


Openings = Annotated[list[Opening], Field(max_length=24)]


class Week(Input):
    """Working hours of each day of the week; a day without any is a day off."""

    monday: Openings = Field(default=[])
    tuesday: Openings = Field(default=[])
    wednesday: Openings = Field(default=[])
    thursday: Openings = Field(default=[])
    friday: Openings = Field(default=[])
    saturday: Openings = Field(default=[])
    sunday: Openings = Field(default=[])


class SpecialDay(Input):
    """A day with hours of its own."""

    day: Day = Field(examples=["2026-12-31"])
    hours: Openings


class WorkingHoursUpdate(Input):
    """When the agency answers for a project, by the project's wall clock."""

    week: Week = Field(examples=[hours.DEFAULT.as_json["week"]])
    holidays: list[Day] = Field(default=[], max_length=1000, description="Days on which nobody works.")
    special_days: list[SpecialDay] = Field(default=[], max_length=1000)

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

    timezone: str
    week: Week
    holidays: list[date]
    special_days: list[SpecialDay]


class ProjectCreate(Input):
    """A new project."""

    title: ShortText = Field(examples=["Coffee at Nina's"])
    timezone: Zone
    working_hours: WorkingHoursUpdate | None = Field(
        default=None, description="Monday to Friday, 09:00 to 18:00, by default."
    )


class ProjectUpdate(Patch):
    """A merge patch of a project: what is left out stays as it is."""

    title: ShortText = Field(examples=["Nina's"])
    timezone: Zone
    archived: Flag


class ProjectRead(Output):
    """What the agency does for one client."""

    id: Id
    title: str
    timezone: str = Field(description="IANA; the project's days are days there.")
    version: int = Field(description="Counts changes; `If-Match` takes the ETag made of it.")
    created_at: Instant
    archived_at: Instant | None


class FaqEntry(Input):
    """A question that customers ask, with its answer."""

    question: Body = Field(max_length=1000, examples=["Are you open on Sundays?"])
    answer: Body = Field(max_length=5000, examples=["Yes, from ten to six."])


class BriefUpdate(Input):
    """What the agency knows of the client's business: the whole of it, as it is from now on."""

    business: Text = Field(default="", examples=["A family café with its own roastery."])
    audience: Text = Field(default="", examples=["Students and families of the neighbourhood."])
    products: Text = Field(default="", examples=["Filter coffee, breakfasts, beans to take home."])
    tone: Text = Field(default="", examples=["Warm, short, no slang."])
    taboos: Text = Field(default="", examples=["No politics; never name competitors."])
    faq: list[FaqEntry] = Field(default=[], max_length=200)


class BriefRead(Output):
    """One version of a brief."""

    project_id: Id
    version: int = Field(description="0 where none is written yet.")
    created_at: Instant | None
    business: str
    audience: str
    products: str
    tone: str
    taboos: str
    faq: list[FaqEntry]

    @classmethod
    def of(cls, project_id: Id, version: int, created_at: datetime | None, content: dict[str, Any]) -> "BriefRead":
        """From a row's parts."""
        return cls(project_id=project_id, version=version, created_at=created_at, **content)
