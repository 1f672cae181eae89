"""The statements that keep `rollup_day` and `post_last` in step with the snapshots.

Every writer takes the community's advisory lock, until the transaction ends. A community is polled by
one worker at a time, so the lock is rarely contended; and one lock, taken first, cannot deadlock. Zone
and category are read by a statement after it, so that they are current.

The planner knows neither how many rows a batch has nor what a young table holds. `OFFSET 0` keeps
it from replacing a look-up by primary key with a scan of the whole project.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    FromClause,
    Select,
    Subquery,
    Text,
    and_,
    bindparam,
    case,
    cast,
    column,
    delete,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID, Insert, insert
from sqlalchemy.sql.dml import ReturningInsert
from sqlalchemy.sql.selectable import LateralFromClause

from app.communities.models import Community
from app.kit.db import locking
from app.metrics.contributions import (
    CATEGORY,
    IN_PROJECT,
    METRICS,
    OBSERVED,
    PRE_TRACKING,
    PROJECT,
    PUBLICATION,
    SNAPSHOT,
    contributions,
    local_day,
)
from app.metrics.models import PostLast, PostSnapshot, RollupDay

KEY: Final = ("workspace_id", "project_id", "day", "community_id", "category", "source")
AMOUNTS: Final = (*METRICS, *(f"{name}_n" for name in METRICS), "snapshots")

# No parameter is named like a column: in an INSERT or UPDATE SQLAlchemy would use it as the column's value.
WORKSPACE: Final = bindparam("workspace", type_=UUID())
COMMUNITY_ID: Final = bindparam("community", type_=UUID())
PROJECT_ID: Final = bindparam("project", type_=UUID())
IDS: Final = bindparam("ids", type_=ARRAY(UUID()))
AT: Final = bindparam("instant", type_=DateTime(timezone=True))
ZERO: Final = literal_column("0", BigInteger)

_SELECTED: Final = (PUBLICATION.c.workspace_id == WORKSPACE, PUBLICATION.c.id == func.any(IDS))
_OF_PROJECT: Final = (PUBLICATION.c.workspace_id == WORKSPACE, PUBLICATION.c.project_id == PROJECT_ID)


_in_project: Final = (
    select(Community.id)
    .where(Community.workspace_id == WORKSPACE, Community.project_id == PROJECT_ID)
    .order_by(Community.id)
    .offset(ZERO)
    .subquery()
)
LOCK_COMMUNITY: Final = select(locking("metrics", COMMUNITY_ID))
LOCK_PROJECT: Final = select(locking("metrics", _in_project.c.id))
"""Locks all communities of a project, in the order of their ids."""


def _merged(amounts: Select[Any] | Subquery) -> Insert:
    """Add to the rollup: columns `KEY` and `AMOUNTS`. A sum of nothing known stays null."""
    rows = amounts if isinstance(amounts, Subquery) else amounts.subquery("amounts")
    added = insert(RollupDay).from_select(
        [*KEY, *AMOUNTS],
        select(*(rows.c[name] for name in (*KEY, *AMOUNTS))).order_by(*(rows.c[name] for name in KEY)),
    )
    stored, new = RollupDay.__table__.c, added.excluded
    changed: dict[str, Any] = {"snapshots": stored.snapshots + new.snapshots}
    for name in METRICS:
        count = stored[f"{name}_n"] + new[f"{name}_n"]
        changed[f"{name}_n"] = count
        changed[name] = case((count > ZERO, func.coalesce(stored[name], ZERO) + func.coalesce(new[name], ZERO)))
    return added.on_conflict_do_update(index_elements=list(KEY), set_=changed)


def _input() -> FromClause:
    """The batch: a row for each polled publication."""
    return (
        func.unnest(
            IDS,
            bindparam("reasons", type_=ARRAY(Text)),
            *(bindparam(f"new_{name}", type_=ARRAY(BigInteger)) for name in METRICS),
        )
        .table_valued(
            column("publication_id", UUID()), column("missing", Text), *(column(name, BigInteger) for name in METRICS)
        )
        .render_derived("i")
    )


def _add_newer() -> Select[Any]:
    """Store a batch of snapshots that are all later than the stored ones of their publications.

    Returns true when one of them is not, and has then changed nothing.
    """
    batch_rows = _input()
    last, publication = _last(batch_rows), _publication(batch_rows)
    batch = (
        select(
            batch_rows,
            *(last.c[name].label(f"last_{name}") for name in METRICS),
            func.coalesce(last.c.at >= AT, literal_column("false")).label("late"),
            publication.c.project_id,
            publication.c.community_id,
            publication.c.category,
            local_day(AT, PROJECT.c.timezone).label("day"),
            local_day(publication.c.published_at, PROJECT.c.timezone).label("appeared"),
        )
        .select_from(
            batch_rows.outerjoin(last, true()).join(publication, true()).join(PROJECT, PROJECT.c.id == PROJECT_ID)
        )
        .where(PROJECT.c.workspace_id == WORKSPACE, publication.c.project_id == PROJECT_ID)
        .cte("batch")
        .prefix_with("MATERIALIZED")
    )
    late = exists().where(batch.c.late).select()
    late_cte = select(late.scalar_subquery().label("any")).cte("late").prefix_with("MATERIALIZED")
    new = select(batch).join_from(batch, late_cte, ~late_cte.c.any).cte("new_snapshots").prefix_with("MATERIALIZED")
    stored = insert(PostSnapshot).from_select(
        ["workspace_id", "publication_id", "at", *METRICS],
        select(WORKSPACE, new.c.publication_id, AT, *(new.c[name] for name in METRICS)),
    )
    upserted = insert(PostLast).from_select(
        ["workspace_id", "publication_id", "at", "missing", *METRICS],
        select(
            WORKSPACE,
            new.c.publication_id,
            AT,
            cast(new.c.missing, JSONB),
            *(func.coalesce(new.c[name], new.c[f"last_{name}"]) for name in METRICS),
        ),
    )
    upserted = upserted.on_conflict_do_update(
        index_elements=["workspace_id", "publication_id"],
        set_={name: upserted.excluded[name] for name in ("at", "missing", *METRICS)},
    )
    added = _merged(union_all(_observed(new), _pre_tracking(new)).subquery("amounts"))
    return select(late_cte.c.any).add_cte(stored.cte("stored"), upserted.cte("upserted"), added.cte("added"))


def _last(batch_rows: FromClause) -> LateralFromClause:
    """The latest counters of each publication of the batch."""
    last = PostLast.__table__.alias("l")
    return (
        select(last.c.at, *(last.c[name] for name in METRICS))
        .where(last.c.workspace_id == WORKSPACE, last.c.publication_id == batch_rows.c.publication_id)
        .offset(ZERO)
        .correlate(batch_rows)
        .lateral("last")
    )


def _publication(batch_rows: FromClause) -> LateralFromClause:
    """Project, community, category and time of publication, of each publication of the batch."""
    return (
        select(
            PUBLICATION.c.project_id, PUBLICATION.c.community_id, CATEGORY.label("category"), PUBLICATION.c.published_at
        )
        .where(PUBLICATION.c.workspace_id == WORKSPACE, PUBLICATION.c.id == batch_rows.c.publication_id)
        .offset(ZERO)
        .correlate(batch_rows)
        .lateral("publication")
    )


def _observed(new: FromClause) -> Select[Any]:
    differences = [
        case(
            (new.c[f"last_{name}"].is_not(None), new.c[name] - new.c[f"last_{name}"]),
            (new.c.day == new.c.appeared, new.c[name]),
        )
        for name in METRICS
    ]
    return _grouped(new, new.c.day, OBSERVED, differences, func.count())


def _pre_tracking(new: FromClause) -> Select[Any]:
    firsts = [
        and_(new.c[name].is_not(None), new.c[f"last_{name}"].is_(None), new.c.day != new.c.appeared) for name in METRICS
    ]
    differences = [case((first, new.c[name])) for first, name in zip(firsts, METRICS, strict=True)]
    return _grouped(new, new.c.appeared, PRE_TRACKING, differences, ZERO).where(or_(*firsts))


def _grouped(
    new: FromClause,
    day: ColumnElement[Any],
    source: ColumnElement[Any],
    differences: Sequence[ColumnElement[Any]],
    snapshots: ColumnElement[Any],
) -> Select[Any]:
    return select(
        WORKSPACE.label("workspace_id"),
        new.c.project_id,
        day.label("day"),
        new.c.community_id,
        new.c.category,
        source.label("source"),
        *(
            cast(func.sum(difference), BigInteger).label(name)
            for name, difference in zip(METRICS, differences, strict=True)
        ),
        *(func.count(difference).label(f"{name}_n") for name, difference in zip(METRICS, differences, strict=True)),
        snapshots.label("snapshots"),
    ).group_by(new.c.project_id, new.c.community_id, new.c.category, day)


def _add_any() -> ReturningInsert[Any]:
    """Store the snapshots of a batch that are new, of whatever time; returns their publications' ids."""
    batch_rows = _input()
    publication = _publication(batch_rows)
    rows = (
        select(WORKSPACE, batch_rows.c.publication_id, AT, *(batch_rows.c[name] for name in METRICS))
        .join_from(batch_rows, publication, true())
        .where(publication.c.project_id == PROJECT_ID)
    )
    return (
        insert(PostSnapshot)
        .from_select(["workspace_id", "publication_id", "at", *METRICS], rows)
        .on_conflict_do_nothing()
        .returning(PostSnapshot.publication_id)
    )


def _signed(query: Select[Any], sign: int, **replacements: ColumnElement[Any]) -> Select[Any]:
    """Contributions to put in (1) or to take out (-1); `instead`: other values for some of the key."""
    rows = query.subquery()
    return select(
        *(replacements.get(name, rows.c[name]).label(name) for name in KEY),
        rows.c.metric,
        (rows.c.difference * literal_column(str(sign), BigInteger)).label("difference"),
        literal_column(str(sign), BigInteger).label("n"),
    )


def _snapshot_counts(*publications: ColumnElement[bool], snapshots: Sequence[ColumnElement[bool]] = ()) -> Select[Any]:
    """The snapshots themselves, on their own day: without a metric, to be counted."""
    snapshot = (
        select(SNAPSHOT.c.at)
        .where(
            SNAPSHOT.c.workspace_id == PUBLICATION.c.workspace_id,
            SNAPSHOT.c.publication_id == PUBLICATION.c.id,
            *snapshots,
        )
        .offset(ZERO)
        .correlate(PUBLICATION)
        .lateral("snapshot")
    )
    return (
        select(
            PUBLICATION.c.workspace_id,
            PUBLICATION.c.project_id,
            local_day(snapshot.c.at, PROJECT.c.timezone).label("day"),
            PUBLICATION.c.community_id,
            CATEGORY.label("category"),
            OBSERVED.label("source"),
            cast(null(), Text).label("metric"),
            ZERO.label("difference"),
        )
        .select_from(PUBLICATION.join(PROJECT, IN_PROJECT).join(snapshot, true()))
        .where(*publications)
    )


def _pivoted(*signed: Select[Any]) -> Select[Any]:
    """A row for each key of the rollup, from signed contributions and snapshot counts."""
    rows = union_all(*signed).subquery("signed")
    amounts: list[ColumnElement[Any]] = [
        *(
            cast(func.sum(rows.c.difference).filter(rows.c.metric == literal_column(f"'{name}'")), BigInteger)
            for name in METRICS
        ),
        *(
            cast(
                func.coalesce(func.sum(rows.c.n).filter(rows.c.metric == literal_column(f"'{name}'")), ZERO), BigInteger
            )
            for name in METRICS
        ),
        cast(func.coalesce(func.sum(rows.c.n).filter(rows.c.metric.is_(None)), ZERO), BigInteger),
    ]
    return select(
        *(rows.c[name] for name in KEY),
        *(amount.label(name) for amount, name in zip(amounts, AMOUNTS, strict=True)),
    ).group_by(*(rows.c[name] for name in KEY))


def _changes(*signed: Select[Any]) -> Insert:
    """Add signed contributions to the rollup; rows that sum to zero are not written."""
    rows = _pivoted(*signed).subquery("pivoted")
    nonzero = or_(*(func.coalesce(rows.c[name], ZERO) != ZERO for name in AMOUNTS))
    return _merged(select(rows).where(nonzero))


def _update_last() -> Insert:
    """`post_last` of a batch after `ADD_ANY`, computed from the snapshots."""
    batch_rows = _input()
    of_publication = and_(
        SNAPSHOT.c.workspace_id == WORKSPACE, SNAPSHOT.c.publication_id == batch_rows.c.publication_id
    )
    upserted = insert(PostLast).from_select(
        ["workspace_id", "publication_id", "at", "missing", *METRICS],
        select(
            WORKSPACE,
            batch_rows.c.publication_id,
            AT,
            cast(batch_rows.c.missing, JSONB),
            *(latest(name, of_publication, batch_rows) for name in METRICS),
        ),
    )
    stored, new = PostLast.__table__.c, upserted.excluded
    return upserted.on_conflict_do_update(
        index_elements=["workspace_id", "publication_id"],
        set_={
            "at": func.greatest(stored.at, new.at),
            "missing": case((stored.at < new.at, new.missing), else_=stored.missing),
            **{name: new[name] for name in METRICS},
        },
    )


def latest(name: str, of_publication: ColumnElement[bool], outer: FromClause) -> ColumnElement[Any]:
    """The last value of a metric that is known, among the snapshots `here`."""
    return (
        select(SNAPSHOT.c[name])
        .where(of_publication, SNAPSHOT.c[name].is_not(None))
        .order_by(SNAPSHOT.c.at.desc())
        .limit(literal_column("1"))
        .correlate(outer)
        .scalar_subquery()
    )


_new_category: Final = func.coalesce(bindparam("new_category", type_=Text), literal_column("''", Text))

ADD_NEWER: Final = _add_newer()
ADD_ANY: Final = _add_any()
UPDATE_LAST: Final = _update_last()
UPDATE_CHAINS: Final = _changes(
    _signed(contributions(*_SELECTED), 1),
    _signed(contributions(*_SELECTED, snapshots=[SNAPSHOT.c.at != AT]), -1),
    _signed(_snapshot_counts(*_SELECTED, snapshots=[SNAPSHOT.c.at == AT]), 1),
)
"""After `ADD_ANY`: the contributions with the new snapshots, minus those without them."""
MOVE_CATEGORY: Final = _changes(
    _signed(contributions(*_SELECTED), -1),
    _signed(contributions(*_SELECTED), 1, category=_new_category),
    _signed(_snapshot_counts(*_SELECTED), -1),
    _signed(_snapshot_counts(*_SELECTED), 1, category=_new_category),
)
"""Move the contributions of the selected publications from their category's rows to those of `new_category`."""
RECOUNTED: Final = _pivoted(_signed(contributions(*_OF_PROJECT), 1), _signed(_snapshot_counts(*_OF_PROJECT), 1))
"""The rollup of a whole project, as it should be."""
DELETE_ALL: Final = delete(RollupDay).where(RollupDay.workspace_id == WORKSPACE, RollupDay.project_id == PROJECT_ID)
INSERT_ALL: Final = _merged(RECOUNTED)
