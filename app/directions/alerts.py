"""What of directions needs a person: those that nobody holds, and those that are quiet while the others work.

Once a week for each direction: a concern begins with the project's week, and the next week's is another one.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.models import Seat
from app.alerts.contract import AlertKind, Concern, ConcernQuery
from app.alerts.models import Alert
from app.directions import activity
from app.directions.activity import DirectionActivity
from app.directions.deeds import TITLES, WorkDirection


def subject_of(project_id: UUID, direction: WorkDirection) -> UUID:
    """The id that stands for a direction of a project: directions are no rows."""
    return uuid5(project_id, direction.value)


async def find(
    session: AsyncSession, query: ConcernQuery, *, matches: Callable[[DirectionActivity], bool]
) -> Sequence[Concern]:
    """The directions for which something is the matter, in this week."""
    connection = await session.connection()
    concerns = [
        Concern(
            subject_of(project.project_id, one.direction),
            project.project_id,
            project.this_week,
            {"direction": TITLES[one.direction]},
        )
        for project in await activity.read(connection, query.workspace_id, query.at, weeks=1)
        for one in project.directions
        if matches(one) and project.this_week <= query.before
    ]
    if query.subject_ids is not None:
        concerns = [one for one in concerns if one.subject_id in query.subject_ids]
    else:
        alerted = await _alerted(session, query, concerns)
        concerns = [one for one in concerns if (one.subject_id, one.since) not in alerted]
    concerns.sort(key=lambda one: (one.since, one.subject_id))
    return [one for one in concerns if query.after is None or (one.since, one.subject_id) > query.after][: query.limit]


async def _alerted(session: AsyncSession, query: ConcernQuery, concerns: Sequence[Concern]) -> set[tuple[UUID, object]]:
    rows = await session.execute(
        select(Alert.subject_id, Alert.since).where(
            Alert.workspace_id == query.workspace_id,
            Alert.kind == query.kind,
            Alert.subject_id.in_([one.subject_id for one in concerns]),
        )
    )
    return {(row.subject_id, row.since) for row in rows}


KINDS: Final = (
    AlertKind(
        key="direction-unheld",
        title="Nobody holds a direction",
        text="{direction}: nobody has a seat for it, while other directions are held.",
        seats=(Seat.MANAGER,),
        threshold=timedelta(0),
        find=partial(find, matches=lambda one: one.is_unheld),
        translated=("direction",),
    ),
    AlertKind(
        key="direction-quiet",
        title="A direction went quiet",
        text="{direction}: nothing was done up to {since}, while other directions worked.",
        seats=(Seat.MANAGER,),
        threshold=timedelta(0),
        find=partial(find, matches=lambda one: one.is_quiet),
        translated=("direction",),
    ),
)
