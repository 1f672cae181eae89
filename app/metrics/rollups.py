"""The statements that keep `rollup_day` and `post_last` in step with the snapshots.

Whoever writes holds the community: an advisory lock, until the unit of work ends. A community is
polled by one worker at a time, so hardly anybody ever waits; and with one lock, taken first, nobody
waits in a circle. Zone and category are read in a statement after it, so that they are those that
hold now.

The planner knows neither how many rows a batch has nor what a young table holds. `OFFSET 0` keeps
it from exchanging a look-up by primary key for a walk through all of a project.
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
from app.metrics.contributions import (
    BASELINE,
    CATEGORY,
    IN_PROJECT,
    METRICS,
    OBSERVED,
    PROJECT,
    PUBLICATION,
    SNAPSHOT,
    contributions,
    local_day,
)
from app.metrics.models import PostLast, PostSnapshot, RollupDay

KEY: Final = ("workspace_id", "project_id", "day", "community_id", "category", "source")
AMOUNTS: Final = (*METRICS, *(f"{name}_n" for name in METRICS), "snapshots")

# No parameter is named like a column: in an INSERT or UPDATE it would be taken for its value.
WORKSPACE: Final = bindparam("workspace", type_=UUID())
COMMUNITY_ID: Final = bindparam("community", type_=UUID())
PROJECT_ID: Final = bindparam("project", type_=UUID())
IDS: Final = bindparam("ids", type_=ARRAY(UUID()))
AT: Final = bindparam("instant", type_=DateTime(timezone=True))
ZERO: Final = literal_column("0", BigInteger)

CHOSEN: Final = (PUBLICATION.c.workspace_id == WORKSPACE, PUBLICATION.c.id == func.any(IDS))
_WHOLE: Final = (PUBLICATION.c.workspace_id == WORKSPACE, PUBLICATION.c.project_id == PROJECT_ID)


def _lock(community_id: ColumnElement[Any]) -> ColumnElement[Any]:
    key = func.hashtextextended(func.concat(literal_column("'metrics '"), community_id), literal_column("0", Integer))
    return func.pg_advisory_xact_lock(key)


_in_project: Final = (
    select(Community.id)
    .where(Community.workspace_id == WORKSPACE, Community.project_id == PROJECT_ID)
    .order_by(Community.id)
    .offset(ZERO)
    .subquery()
)
HOLD: Final = select(_lock(COMMUNITY_ID))
HOLD_ALL: Final = select(_lock(_in_project.c.id))
"""All communities of a project, by id."""


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
    given = _input()
    last, shown = _last(given), _shown(given)
    batch = (
        select(
            given,
            *(last.c[name].label(f"last_{name}") for name in METRICS),
            func.coalesce(last.c.at >= AT, literal_column("false")).label("late"),
            shown.c.project_id,
            shown.c.community_id,
            shown.c.category,
            local_day(AT, PROJECT.c.timezone).label("day"),
            local_day(shown.c.published_at, PROJECT.c.timezone).label("appeared"),
        )
        .select_from(given.outerjoin(last, true()).join(shown, true()).join(PROJECT, PROJECT.c.id == PROJECT_ID))
        .where(PROJECT.c.workspace_id == WORKSPACE, shown.c.project_id == PROJECT_ID)
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
    renewed = insert(PostLast).from_select(
        ["workspace_id", "publication_id", "at", "missing", *METRICS],
        select(
            WORKSPACE,
            fresh.c.publication_id,
            AT,
            cast(fresh.c.missing, JSONB),
            *(func.coalesce(fresh.c[name], fresh.c[f"last_{name}"]) for name in METRICS),
        ),
    )
    renewed = renewed.on_conflict_do_update(
        index_elements=["workspace_id", "publication_id"],
        set_={name: renewed.excluded[name] for name in ("at", "missing", *METRICS)},
    )
    added = _merged(union_all(_observed(fresh), _baseline(fresh)).subquery("amounts"))
    return select(late_cte.c.any).add_cte(stored.cte("stored"), renewed.cte("renewed"), added.cte("added"))


def _last(given: FromClause) -> LateralFromClause:
    """What is known of each publication of the batch."""
    last = PostLast.__table__.alias("l")
    return (
        select(last.c.at, *(last.c[name] for name in METRICS))
        .where(last.c.workspace_id == WORKSPACE, last.c.publication_id == given.c.publication_id)
        .offset(ZERO)
        .correlate(given)
        .lateral("last")
    )


def _shown(given: FromClause) -> LateralFromClause:
    """Where and when each publication of the batch appeared."""
    return (
        select(
            PUBLICATION.c.project_id, PUBLICATION.c.community_id, CATEGORY.label("category"), PUBLICATION.c.published_at
        )
        .where(PUBLICATION.c.workspace_id == WORKSPACE, PUBLICATION.c.id == given.c.publication_id)
        .offset(ZERO)
        .correlate(given)
        .lateral("shown")
    )


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
    shown = _shown(given)
    rows = (
        select(WORKSPACE, given.c.publication_id, AT, *(given.c[name] for name in METRICS))
        .join_from(given, shown, true())
        .where(shown.c.project_id == PROJECT_ID)
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


def _looks(*publications: ColumnElement[bool], snapshots: Sequence[ColumnElement[bool]] = ()) -> Select[Any]:
    """The snapshots themselves, on their own day: without a metric, to be counted."""
    look = (
        select(SNAPSHOT.c.at)
        .where(
            SNAPSHOT.c.workspace_id == PUBLICATION.c.workspace_id,
            SNAPSHOT.c.publication_id == PUBLICATION.c.id,
            *snapshots,
        )
        .offset(ZERO)
        .correlate(PUBLICATION)
        .lateral("look")
    )
    return (
        select(
            PUBLICATION.c.workspace_id,
            PUBLICATION.c.project_id,
            local_day(look.c.at, PROJECT.c.timezone).label("day"),
            PUBLICATION.c.community_id,
            CATEGORY.label("category"),
            OBSERVED.label("source"),
            cast(null(), Text).label("metric"),
            ZERO.label("difference"),
        )
        .select_from(PUBLICATION.join(PROJECT, IN_PROJECT).join(look, true()))
        .where(*publications)
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


def _renew_last() -> Insert:
    """`post_last` of a batch after `ADD_ANY`, read off the snapshots."""
    given = _input()
    here = and_(SNAPSHOT.c.workspace_id == WORKSPACE, SNAPSHOT.c.publication_id == given.c.publication_id)
    renewed = insert(PostLast).from_select(
        ["workspace_id", "publication_id", "at", "missing", *METRICS],
        select(
            WORKSPACE,
            given.c.publication_id,
            AT,
            cast(given.c.missing, JSONB),
            *(newest(name, here, given) for name in METRICS),
        ),
    )
    stored, new = PostLast.__table__.c, renewed.excluded
    return renewed.on_conflict_do_update(
        index_elements=["workspace_id", "publication_id"],
        set_={
            "at": func.greatest(stored.at, new.at),
            "missing": case((stored.at < new.at, new.missing), else_=stored.missing),
            **{name: new[name] for name in METRICS},
        },
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


_new_category: Final = func.coalesce(bindparam("new_category", type_=Text), literal_column("''", Text))

ADD_NEWER: Final = _add_newer()
ADD_ANY: Final = _add_any()
RENEW_LAST: Final = _renew_last()
MEND_CHAINS: Final = _changes(
    _signed(contributions(*CHOSEN), 1),
    _signed(contributions(*CHOSEN, snapshots=[SNAPSHOT.c.at != AT]), -1),
    _signed(_looks(*CHOSEN, snapshots=[SNAPSHOT.c.at == AT]), 1),
)
"""After `ADD_ANY`: what the chains give with the new looks, less what they gave without."""
MOVE_CATEGORY: Final = _changes(
    _signed(contributions(*CHOSEN), -1),
    _signed(contributions(*CHOSEN), 1, category=_new_category),
    _signed(_looks(*CHOSEN), -1),
    _signed(_looks(*CHOSEN), 1, category=_new_category),
)
"""Take what the chosen publications added out of their category's rows, into those of `category`."""
RECOUNTED: Final = _pivoted(_signed(contributions(*_WHOLE), 1), _signed(_looks(*_WHOLE), 1))
"""The rollup of a whole project, as it should be."""
EMPTY: Final = delete(RollupDay).where(RollupDay.workspace_id == WORKSPACE, RollupDay.project_id == PROJECT_ID)
FILL: Final = _merged(RECOUNTED)
