"""The statements that keep `rollup_day` and `post_last` in step with the snapshots.

Whoever writes holds three things, always taken in this order, so that nobody waits in a circle:

1. the project, shared (`metrics.service` recounts a project under the same lock, exclusive);
2. the publications' rows in `post_last`, by id. One that is missing is made, with `-infinity`,
   which no reader ever sees: its maker fills it, or takes it away again, before the commit;
3. the rows of `rollup_day`, by key, in one statement for each unit of work.

Zone and category are read in a statement after the locks, so that they are those that hold now.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Select,
    Subquery,
    Text,
    Update,
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
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID, Insert, insert
from sqlalchemy.sql.dml import ReturningInsert

from app.metrics.contributions import (
    BASELINE,
    CATEGORY,
    IN_PROJECT,
    METRICS,
    OBSERVED,
    PROJECT,
    PUBLICATION,
    SNAPSHOT,
    appeared,
    contributions,
    local_day,
)
from app.metrics.models import PostLast, PostSnapshot, RollupDay

KEY: Final = ("workspace_id", "project_id", "day", "community_id", "category", "source")
AMOUNTS: Final = (*METRICS, *(f"{name}_n" for name in METRICS), "snapshots")

# No parameter is named like a column: in an INSERT or UPDATE it would be taken for its value.
WORKSPACE: Final = bindparam("workspace", type_=UUID())
PROJECT_ID: Final = bindparam("project", type_=UUID())
IDS: Final = bindparam("ids", type_=ARRAY(UUID()))
AT: Final = bindparam("instant", type_=DateTime(timezone=True))
ZERO: Final = literal_column("0", BigInteger)
NEVER: Final = literal_column("'-infinity'::timestamptz", DateTime(timezone=True))

CHOSEN: Final = (PUBLICATION.c.workspace_id == WORKSPACE, PUBLICATION.c.id == func.any(IDS))
_WHOLE: Final = (PUBLICATION.c.workspace_id == WORKSPACE, PUBLICATION.c.project_id == PROJECT_ID)

_lock_key: Final = func.hashtextextended(func.concat("metrics ", PROJECT_ID), literal_column("0", Integer))
SHARE_PROJECT: Final = select(func.pg_advisory_xact_lock_shared(_lock_key))
HOLD_PROJECT: Final = select(func.pg_advisory_xact_lock(_lock_key))


def _hold() -> Insert:
    """Share the project and lock the publications' rows in `post_last`, made where they are missing."""
    shared = SHARE_PROJECT.cte("shared")
    rows = (
        select(PUBLICATION.c.workspace_id, PUBLICATION.c.id, NEVER, literal_column("'{}'::jsonb", JSONB))
        .join_from(PUBLICATION, shared, true())
        .where(*CHOSEN, PUBLICATION.c.project_id == PROJECT_ID)
        .order_by(PUBLICATION.c.id)
    )
    made = insert(PostLast).from_select(["workspace_id", "publication_id", "at", "missing"], rows)
    # A row that conflicts is locked even though the condition then leaves it as it is.
    return made.on_conflict_do_update(
        index_elements=["workspace_id", "publication_id"],
        set_={"at": made.excluded.at},
        where=literal_column("false"),
    )


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
    """The batch: a row for each publication that was looked at."""
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
    """Keep a batch of looks, all newer than what is known of their publications.

    Answers true when one of them is not, and has then changed nothing.
    """
    given, last = _input(), PostLast.__table__.alias("l")
    batch = (
        select(
            given,
            *(last.c[name].label(f"last_{name}") for name in METRICS),
            (last.c.at >= AT).label("late"),
            PUBLICATION.c.project_id,
            PUBLICATION.c.community_id,
            CATEGORY.label("category"),
            local_day(AT, PROJECT.c.timezone).label("day"),
            appeared().label("appeared"),
        )
        .select_from(
            given.join(last, and_(last.c.workspace_id == WORKSPACE, last.c.publication_id == given.c.publication_id))
            .join(
                PUBLICATION,
                and_(PUBLICATION.c.workspace_id == WORKSPACE, PUBLICATION.c.id == given.c.publication_id),
            )
            .join(PROJECT, IN_PROJECT)
        )
        .where(PUBLICATION.c.project_id == PROJECT_ID)
        .cte("batch")
        .prefix_with("MATERIALIZED")
    )
    late = exists().where(batch.c.late).select()
    late_cte = select(late.scalar_subquery().label("any")).cte("late").prefix_with("MATERIALIZED")
    fresh = select(batch).join_from(batch, late_cte, ~late_cte.c.any).cte("fresh").prefix_with("MATERIALIZED")
    stored = insert(PostSnapshot).from_select(
        ["workspace_id", "publication_id", "at", *METRICS],
        select(WORKSPACE, fresh.c.publication_id, AT, *(fresh.c[name] for name in METRICS)),
    )
    table = PostLast.__table__
    renewed = (
        update(PostLast)
        .where(table.c.workspace_id == WORKSPACE, table.c.publication_id == fresh.c.publication_id)
        .values(
            at=AT,
            missing=cast(fresh.c.missing, JSONB),
            **{name: func.coalesce(fresh.c[name], fresh.c[f"last_{name}"]) for name in METRICS},
        )
    )
    added = _merged(union_all(_observed(fresh), _baseline(fresh)).subquery("amounts"))
    return select(late_cte.c.any).add_cte(stored.cte("stored"), renewed.cte("renewed"), added.cte("added"))


def _observed(fresh: FromClause) -> Select[Any]:
    differences = [
        case(
            (fresh.c[f"last_{name}"].is_not(None), fresh.c[name] - fresh.c[f"last_{name}"]),
            (fresh.c.day == fresh.c.appeared, fresh.c[name]),
        )
        for name in METRICS
    ]
    return _grouped(fresh, fresh.c.day, OBSERVED, differences, func.count())


def _baseline(fresh: FromClause) -> Select[Any]:
    firsts = [
        and_(fresh.c[name].is_not(None), fresh.c[f"last_{name}"].is_(None), fresh.c.day != fresh.c.appeared)
        for name in METRICS
    ]
    differences = [case((first, fresh.c[name])) for first, name in zip(firsts, METRICS, strict=True)]
    return _grouped(fresh, fresh.c.appeared, BASELINE, differences, ZERO).where(or_(*firsts))


def _grouped(
    fresh: FromClause,
    day: ColumnElement[Any],
    source: ColumnElement[Any],
    differences: Sequence[ColumnElement[Any]],
    snapshots: ColumnElement[Any],
) -> Select[Any]:
    return select(
        WORKSPACE.label("workspace_id"),
        fresh.c.project_id,
        day.label("day"),
        fresh.c.community_id,
        fresh.c.category,
        source.label("source"),
        *(
            cast(func.sum(difference), BigInteger).label(name)
            for name, difference in zip(METRICS, differences, strict=True)
        ),
        *(func.count(difference).label(f"{name}_n") for name, difference in zip(METRICS, differences, strict=True)),
        snapshots.label("snapshots"),
    ).group_by(fresh.c.project_id, fresh.c.community_id, fresh.c.category, day)


def _add_any() -> ReturningInsert[Any]:
    """Keep the looks of a batch that are not known yet, wherever they belong; answers whose they are."""
    given = _input()
    rows = (
        select(WORKSPACE, given.c.publication_id, AT, *(given.c[name] for name in METRICS))
        .join_from(given, PUBLICATION, PUBLICATION.c.id == given.c.publication_id)
        .where(PUBLICATION.c.workspace_id == WORKSPACE, PUBLICATION.c.project_id == PROJECT_ID)
    )
    return (
        insert(PostSnapshot)
        .from_select(["workspace_id", "publication_id", "at", *METRICS], rows)
        .on_conflict_do_nothing()
        .returning(PostSnapshot.publication_id)
    )


def _signed(contributed: Select[Any], sign: int, **instead: ColumnElement[Any]) -> Select[Any]:
    """Contributions to put in (1) or to take out (-1); `instead`: other values for some of the key."""
    rows = contributed.subquery()
    return select(
        *(instead.get(name, rows.c[name]).label(name) for name in KEY),
        rows.c.metric,
        (rows.c.difference * literal_column(str(sign), BigInteger)).label("difference"),
        literal_column(str(sign), BigInteger).label("n"),
    )


def _looks(*which: ColumnElement[bool]) -> Select[Any]:
    """The snapshots themselves, on their own day: without a metric, to be counted."""
    return (
        select(
            PUBLICATION.c.workspace_id,
            PUBLICATION.c.project_id,
            local_day(SNAPSHOT.c.at, PROJECT.c.timezone).label("day"),
            PUBLICATION.c.community_id,
            CATEGORY.label("category"),
            OBSERVED.label("source"),
            cast(null(), Text).label("metric"),
            ZERO.label("difference"),
        )
        .select_from(
            PUBLICATION.join(PROJECT, IN_PROJECT).join(
                SNAPSHOT,
                and_(
                    SNAPSHOT.c.workspace_id == PUBLICATION.c.workspace_id,
                    SNAPSHOT.c.publication_id == PUBLICATION.c.id,
                ),
            )
        )
        .where(*which)
    )


def _pivoted(*signed: Select[Any]) -> Select[Any]:
    """A row for each key of the rollup, from signed contributions and looks."""
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
    """Merge signed contributions; what cancels out is not written."""
    rows = _pivoted(*signed).subquery("pivoted")
    moved = or_(*(func.coalesce(rows.c[name], ZERO) != ZERO for name in AMOUNTS))
    return _merged(select(rows).where(moved))


def _renew_last() -> Update:
    """`post_last` of the chosen publications, read off their snapshots."""
    given, table = _input_missing(), PostLast.__table__
    here = and_(SNAPSHOT.c.workspace_id == table.c.workspace_id, SNAPSHOT.c.publication_id == table.c.publication_id)
    return (
        update(PostLast)
        .where(table.c.workspace_id == WORKSPACE, table.c.publication_id == given.c.publication_id)
        .values(
            at=func.greatest(table.c.at, AT),
            missing=case((table.c.at < AT, cast(given.c.missing, JSONB)), else_=table.c.missing),
            **{name: newest(name, here, table) for name in METRICS},
        )
    )


def newest(name: str, here: ColumnElement[bool], outer: FromClause) -> ColumnElement[Any]:
    """The last value of a metric that is known, among the snapshots `here`."""
    return (
        select(SNAPSHOT.c[name])
        .where(here, SNAPSHOT.c[name].is_not(None))
        .order_by(SNAPSHOT.c.at.desc())
        .limit(literal_column("1"))
        .correlate(outer)
        .scalar_subquery()
    )


def _input_missing() -> FromClause:
    return (
        func.unnest(IDS, bindparam("reasons", type_=ARRAY(Text)))
        .table_valued(column("publication_id", UUID()), column("missing", Text))
        .render_derived("i")
    )


_stored_category: Final = bindparam("new_category", type_=Text)
_new_category: Final = func.coalesce(cast(_stored_category, Text), literal_column("''", Text))

HOLD: Final = _hold()
ADD_NEWER: Final = _add_newer()
ADD_ANY: Final = _add_any()
RENEW_LAST: Final = _renew_last()
MEND_CHAINS: Final = _changes(
    _signed(contributions(*CHOSEN), 1),
    _signed(contributions(*CHOSEN, snapshots=[SNAPSHOT.c.at != AT]), -1),
    _signed(_looks(*CHOSEN, SNAPSHOT.c.at == AT), 1),
)
"""After `ADD_ANY`: what the chains give with the new looks, less what they gave without."""
MOVE_CATEGORY: Final = _changes(
    _signed(contributions(*CHOSEN), -1),
    _signed(contributions(*CHOSEN), 1, category=_new_category),
    _signed(_looks(*CHOSEN), -1),
    _signed(_looks(*CHOSEN), 1, category=_new_category),
)
"""Take what the chosen publications added out of their category's rows, into those of `category`."""
LET_GO: Final = delete(PostLast).where(
    PostLast.workspace_id == WORKSPACE, PostLast.publication_id == func.any(IDS), PostLast.at == NEVER
)
"""Take away the rows that `HOLD` made and nobody filled."""
RECOUNTED: Final = _pivoted(_signed(contributions(*_WHOLE), 1), _signed(_looks(*_WHOLE), 1))
"""The rollup of a whole project, as it should be."""
EMPTY: Final = delete(RollupDay).where(RollupDay.workspace_id == WORKSPACE, RollupDay.project_id == PROJECT_ID)
FILL: Final = _merged(RECOUNTED)
