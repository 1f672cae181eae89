"""Comparing what is stored with a recount."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import FromClause, Select, Update, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.metrics import rollups, sizes
from app.metrics.contributions import METRICS, PUBLICATION, SNAPSHOT
from app.metrics.models import CommunityDay, PostLast, RollupDay
from app.metrics.rollups import PROJECT_ID, WORKSPACE


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that differs from a recount of the snapshots. None: there is, or there should be, no such row."""

    table: str
    key: Mapping[str, Any]
    stored: Mapping[str, Any] | None
    counted: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How one table is compared."""

    table: str
    key: tuple[str, ...]
    amounts: tuple[str, ...]
    query: Select[Any]

    async def run(self, connection: AsyncConnection, params: Mapping[str, Any]) -> list[Difference]:
        """The rows that differ."""
        size, width = len(self.key), len(self.amounts)
        differences = []
        for row in await connection.execute(self.query, params):
            stored, counted = row[size : size + width], row[size + width : size + 2 * width]
            differences.append(
                Difference(
                    self.table,
                    dict(zip(self.key, row[:size], strict=True)),
                    dict(zip(self.amounts, stored, strict=True)) if row[-2] else None,
                    dict(zip(self.amounts, counted, strict=True)) if row[-1] else None,
                )
            )
        return differences


def _comparison(
    table: str, stored: FromClause, counted: FromClause, key: tuple[str, ...], amounts: tuple[str, ...]
) -> Comparison:
    is_stored, is_counted = stored.c[key[0]].is_not(None), counted.c[key[0]].is_not(None)
    query = (
        select(
            *(func.coalesce(stored.c[name], counted.c[name]) for name in key),
            *(stored.c[name].label(f"stored_{name}") for name in amounts),
            *(counted.c[name].label(f"counted_{name}") for name in amounts),
            is_stored,
            is_counted,
        )
        .select_from(stored.join(counted, and_(*(stored.c[name] == counted.c[name] for name in key)), full=True))
        .where(or_(*(stored.c[name].is_distinct_from(counted.c[name]) for name in amounts)))
    )
    return Comparison(table, key, amounts, query)


_rollup: Final = RollupDay.__table__.c
_last: Final = PostLast.__table__
_of_publication: Final = and_(
    SNAPSHOT.c.workspace_id == _last.c.workspace_id, SNAPSHOT.c.publication_id == _last.c.publication_id
)
_latest: Final = {name: rollups.latest(name, _of_publication, _last) for name in METRICS}
_latest_at: Final = select(func.max(SNAPSHOT.c.at)).where(_of_publication).correlate(_last).scalar_subquery()
_of_project: Final = and_(
    _last.c.workspace_id == WORKSPACE,
    _last.c.publication_id.in_(
        select(PUBLICATION.c.id).where(PUBLICATION.c.workspace_id == WORKSPACE, PUBLICATION.c.project_id == PROJECT_ID)
    ),
)
_LAST_AMOUNTS: Final = ("at", *METRICS)

COMPARISONS: Final = (
    _comparison(
        "rollup_day",
        # Rows whose contributions were all moved away remain, with zeros: they are ignored.
        select(*(_rollup[name] for name in (*rollups.KEY, *rollups.AMOUNTS)))
        .where(
            _rollup.workspace_id == WORKSPACE,
            _rollup.project_id == PROJECT_ID,
            or_(_rollup.snapshots != 0, *(_rollup[f"{name}_n"] != 0 for name in METRICS)),
        )
        .subquery("stored"),
        rollups.RECOUNTED.subquery("counted"),
        rollups.KEY,
        rollups.AMOUNTS,
    ),
    _comparison(
        "community_day",
        select(CommunityDay.__table__)
        .where(CommunityDay.workspace_id == WORKSPACE, CommunityDay.project_id == PROJECT_ID)
        .subquery("stored"),
        sizes.RECOUNTED.subquery("counted"),
        sizes.KEY,
        sizes.AMOUNTS,
    ),
    _comparison(
        "post_last",
        select(_last).where(_of_project).subquery("stored"),
        select(
            _last.c.workspace_id,
            _last.c.publication_id,
            _latest_at.label("at"),
            *(latest.label(name) for name, latest in _latest.items()),
        )
        .where(_of_project)
        .subquery("counted"),
        ("workspace_id", "publication_id"),
        _LAST_AMOUNTS,
    ),
)

REBUILD_LAST: Final[Update] = update(PostLast).where(_of_project).values(at=_latest_at, **_latest)
