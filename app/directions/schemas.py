"""Response schemas of directions."""

from datetime import date

from pydantic import Field

from app.access.models import Seat
from app.directions.deeds import WorkDirection
from app.kit.schemas import Id, Output


class DirectionHolder(Output):
    """Somebody who holds a direction."""

    user_id: Id = Field(description="The member.")
    name: str = Field(description="The member's name.", examples=["Vera"])
    seat: Seat = Field(description="The seat by which they hold it.")


class DirectionWeek(Output):
    """What was done in a week."""

    first: date = Field(serialization_alias="from", description="Its Monday.", examples=["2026-10-05"])
    last: date = Field(serialization_alias="to", description="Its Sunday; of the present week still to come.")
    deeds: int = Field(description="How many deeds were counted so far.", examples=[14])


class DirectionDeeds(Output):
    """How often something was done."""

    deed: str = Field(
        description="The action of the entries in the record of changes; `answers.send` is counted from messages.",
        examples=["posts.create"],
    )
    title: str = Field(description="What was done, for people.", examples=["Posts planned"])
    deeds: int = Field(description="How often, in all these weeks.", examples=[5])


class DirectionWarning(Output):
    """Why a direction needs somebody."""

    code: str = Field(description="`direction-unheld` or `direction-quiet`.", examples=["direction-quiet"])
    detail: str = Field(description="What is the matter, and what to do.")


class DirectionRead(Output):
    """A direction of a project's team: who holds it, and what they do."""

    direction: WorkDirection = Field(description="Which part of the work it is.")
    title: str = Field(description="Its name for people.", examples=["Content"])
    seats: list[Seat] = Field(description="The seats that hold it; one is enough.")
    holders: list[DirectionHolder] = Field(description="Who has one of these seats; empty: nobody.")
    deeds: int = Field(description="The deeds of all these weeks.", examples=[31])
    by_deed: list[DirectionDeeds] = Field(description="The same by what was done; what was not done is left out.")
    weeks: list[DirectionWeek] = Field(description="The same by local week, the present one last.")
    quiet_weeks: int = Field(
        description="Whole weeks without a deed up to now, at most 4; 0 where something was done this week.",
        examples=[0],
    )
    quiet_after: int = Field(description="From so many of these weeks on it is quiet.", examples=[1])
    warnings: list[DirectionWarning] = Field(description="What is the matter; empty: nothing.")


class DirectionsRead(Output):
    """The directions of a project's team."""

    project_id: Id = Field(description="The project.")
    timezone: str = Field(description="Its time zone, in which these are weeks.", examples=["Europe/Minsk"])
    data: list[DirectionRead] = Field(description="Content, promotion, community, management.")
