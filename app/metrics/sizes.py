"""The statements that keep `community_day` consistent with the stored sizes.

A day's row is the same in whatever order its sizes arrive.
"""

from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Select, and_, bindparam, case, delete, func, literal_column, select
from sqlalchemy.dialects.postgresql import Insert, aggregate_order_by, insert
from sqlalchemy.sql.dml import ReturningInsert

from app.communities.models import Community
from app.metrics.contributions import PROJECT, local_day
from app.metrics.models import CommunityDay, CommunitySnapshot
from app.metrics.rollups import AT, COMMUNITY_ID, PROJECT_ID, WORKSPACE

KEY: Final = ("workspace_id", "community_id", "day")
AMOUNTS: Final = ("project_id", "first", "first_at", "last", "last_at", "lowest", "highest", "snapshots")

_community: Final = Community.__table__.c
_snapshot: Final = CommunitySnapshot.__table__.c


def days(*conditions: ColumnElement[bool]) -> Select[Any]:
    """The day rows of the snapshots that the conditions select: the definition."""
    day = local_day(_snapshot.at, PROJECT.c.timezone)

    def size(order: ColumnElement[Any]) -> ColumnElement[Any]:
        return func.array_agg(aggregate_order_by(_snapshot.size, order))[1]

    return (
        select(
            _snapshot.workspace_id,
            _snapshot.community_id,
            day.label("day"),
            _community.project_id,
            size(_snapshot.at.asc()).label("first"),
            func.min(_snapshot.at).label("first_at"),
            size(_snapshot.at.desc()).label("last"),
            func.max(_snapshot.at).label("last_at"),
            func.min(_snapshot.size).label("lowest"),
            func.max(_snapshot.size).label("highest"),
            func.count().label("snapshots"),
        )
        .select_from(
            Community.__table__.join(
                PROJECT,
                and_(PROJECT.c.workspace_id == _community.workspace_id, PROJECT.c.id == _community.project_id),
            ).join(
                CommunitySnapshot.__table__,
                and_(_snapshot.workspace_id == _community.workspace_id, _snapshot.community_id == _community.id),
            )
        )
        .where(_community.workspace_id == WORKSPACE, _community.project_id == PROJECT_ID, *conditions)
        .group_by(_snapshot.workspace_id, _snapshot.community_id, day, _community.project_id)
    )


def _merged(rows: Select[Any]) -> Insert:
    computed = rows.subquery("computed")
    added = insert(CommunityDay).from_select(
        [*KEY, *AMOUNTS], select(computed).order_by(*(computed.c[name] for name in KEY))
    )
    stored, new = CommunityDay.__table__.c, added.excluded
    earlier, later = new.first_at < stored.first_at, new.last_at > stored.last_at
    return added.on_conflict_do_update(
        index_elements=list(KEY),
        set_={
            "first": case((earlier, new.first), else_=stored.first),
            "first_at": func.least(stored.first_at, new.first_at),
            "last": case((later, new.last), else_=stored.last),
            "last_at": func.greatest(stored.last_at, new.last_at),
            "lowest": func.least(stored.lowest, new.lowest),
            "highest": func.greatest(stored.highest, new.highest),
            "snapshots": stored.snapshots + new.snapshots,
        },
    )


ADD: Final[ReturningInsert[Any]] = (
    insert(CommunitySnapshot)
    .from_select(
        ["workspace_id", "community_id", "at", "size"],
        select(_community.workspace_id, _community.id, AT, bindparam("new_size", type_=BigInteger)).where(
            _community.workspace_id == WORKSPACE,
            _community.id == COMMUNITY_ID,
            _community.project_id == PROJECT_ID,
        ),
    )
    .on_conflict_do_nothing()
    .returning(literal_column("true"))
)
"""Store a size; returns no row when one of this instant is stored already."""
COUNT: Final = _merged(days(_snapshot.community_id == COMMUNITY_ID, _snapshot.at == AT))
RECOUNTED: Final = days()
"""The day rows of a whole project, as they should be."""
DELETE_ALL: Final = delete(CommunityDay).where(
    CommunityDay.workspace_id == WORKSPACE, CommunityDay.project_id == PROJECT_ID
)
INSERT_ALL: Final = _merged(RECOUNTED)
