"""What each snapshot contributes: the one definition behind the rollups, the recount and the evidence.

For each publication and metric, the known values in order of time form a chain. A snapshot contributes
the difference to its predecessor in the chain, on its own local day (the project's zone), `observed`.
A counter that fell contributes a negative difference. An unknown value is not in the chain.

The first value has no predecessor and contributes itself: on its own day, `observed`, when the
publication appeared on that same local day; otherwise on the day it appeared, `pre_tracking`.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    Select,
    Text,
    and_,
    case,
    cast,
    column,
    func,
    literal_column,
    select,
    values,
)

from app.communities.models import Publication
from app.metrics.models import DifferenceSource, PostSnapshot
from app.platforms.contract import Metric
from app.projects.models import Project

METRICS: Final = tuple(metric.value for metric in Metric)
"""The counters' columns, in order."""

PUBLICATION: Final = Publication.__table__.alias("p")
PROJECT: Final = Project.__table__.alias("z")
SNAPSHOT: Final = PostSnapshot.__table__.alias("s")

OBSERVED: Final = literal_column(f"'{DifferenceSource.OBSERVED.value}'", Text)
PRE_TRACKING: Final = literal_column(f"'{DifferenceSource.PRE_TRACKING.value}'", Text)

CATEGORY: Final[ColumnElement[str]] = func.coalesce(PUBLICATION.c.category, literal_column("''", Text))


IN_PROJECT: Final = and_(PROJECT.c.workspace_id == PUBLICATION.c.workspace_id, PROJECT.c.id == PUBLICATION.c.project_id)


def local_day(at: ColumnElement[Any], zone: ColumnElement[Any]) -> ColumnElement[Any]:
    """The local day in `zone` of an instant."""
    return cast(func.timezone(zone, at, type_=DateTime()), Date)


def published_day() -> ColumnElement[Any]:
    """The local day on which the publication `p` was published."""
    return local_day(PUBLICATION.c.published_at, PROJECT.c.timezone)


def contributions(*publications: ColumnElement[bool], snapshots: Sequence[ColumnElement[bool]] = ()) -> Select[Any]:
    """The contributions of the `publications` selected by conditions on `PUBLICATION`, a row each.

    Conditions on `SNAPSHOT` select the `snapshots` that form the chains (default: all). Columns:
    workspace_id, project_id, community_id, category, publication_id, metric, at, previous, value,
    difference, day, source.
    """
    counter = (
        values(column("metric", Text), column("value", BigInteger), name="m")
        .data([(literal_column(f"'{name}'", Text), SNAPSHOT.c[name]) for name in METRICS])
        .lateral()
    )
    chain = (
        select(
            SNAPSHOT.c.at,
            counter.c.metric,
            counter.c.value,
            func.lag(counter.c.value).over(partition_by=counter.c.metric, order_by=SNAPSHOT.c.at).label("previous"),
        )
        .select_from(SNAPSHOT.join(counter, literal_column("true")))
        .where(
            SNAPSHOT.c.workspace_id == PUBLICATION.c.workspace_id,
            SNAPSHOT.c.publication_id == PUBLICATION.c.id,
            counter.c.value.is_not(None),
            *snapshots,
        )
        .correlate(PUBLICATION)
        .lateral("chain")
    )
    snapshot_day = local_day(chain.c.at, PROJECT.c.timezone)
    is_pre_tracking = and_(chain.c.previous.is_(None), snapshot_day != published_day())
    return (
        select(
            PUBLICATION.c.workspace_id,
            PUBLICATION.c.project_id,
            PUBLICATION.c.community_id,
            CATEGORY.label("category"),
            PUBLICATION.c.id.label("publication_id"),
            chain.c.metric,
            chain.c.at,
            chain.c.previous,
            chain.c.value,
            (chain.c.value - func.coalesce(chain.c.previous, literal_column("0", BigInteger))).label("difference"),
            case((is_pre_tracking, published_day()), else_=snapshot_day).label("day"),
            case((is_pre_tracking, PRE_TRACKING), else_=OBSERVED).label("source"),
        )
        .select_from(PUBLICATION.join(PROJECT, IN_PROJECT).join(chain, literal_column("true")))
        .where(*publications)
    )
