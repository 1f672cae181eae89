"""The statements that keep `rollup_day` and `post_last` in step with the snapshots.

Every writer takes the community's advisory lock, until the transaction ends. A community is polled by
one worker at a time, so the lock is rarely contended; and one lock, taken first, cannot deadlock. Zone
and category are read by a statement after it, so that they are current.

The planner knows neither how many rows a batch has nor what a young table holds. `OFFSET 0` keeps
it from replacing a look-up by primary key with a scan of the whole project.

Names in the statements: `p` publication, `z` its project (with the zone), `s` snapshot, `i` a row of the batch.
"""

from typing import Final

from sqlalchemy import bindparam, literal_column, select
from sqlalchemy.dialects.postgresql import UUID

from app.communities.models import Community
from app.kit.db import locking
from app.metrics.contributions import CATEGORY, OBSERVED, OF_PROJECT, PRE_TRACKING, contributions
from app.metrics.sql import METRICS, local_day, per_metric, statement

_in_project: Final = (
    select(Community.id)
    .where(
        Community.workspace_id == bindparam("workspace", type_=UUID()),
        Community.project_id == bindparam("project", type_=UUID()),
    )
    .order_by(Community.id)
    .offset(literal_column("0"))
    .subquery()
)
LOCK_COMMUNITY: Final = select(locking("metrics", bindparam("community", type_=UUID())))
LOCK_PROJECT: Final = select(locking("metrics", _in_project.c.id))
"""Locks all communities of a project, in the order of their ids."""

KEY: Final = ("workspace_id", "project_id", "day", "community_id", "category", "source")
AMOUNTS: Final = (*METRICS, *(f"{name}_n" for name in METRICS), "snapshots")

_KEY: Final = ", ".join(KEY)
_COLUMNS: Final = ", ".join((*KEY, *AMOUNTS))
_COUNTERS: Final = per_metric("{m}")


def _add(rows: str) -> str:
    """Add `rows`, which have the columns of the rollup, to the stored ones.

    A sum of nothing known stays null. Rows are written in key order, so that two writers of the same rows
    cannot deadlock.
    """
    total = "coalesce(stored.{m}, 0) + coalesce(excluded.{m}, 0)"
    return f"""
INSERT INTO rollup_day AS stored ({_COLUMNS})
SELECT {_COLUMNS} FROM {rows} ORDER BY {_KEY}
ON CONFLICT ({_KEY}) DO UPDATE SET
    {per_metric("{m} = CASE WHEN stored.{m}_n + excluded.{m}_n > 0 THEN " + total + " END")},
    {per_metric("{m}_n = stored.{m}_n + excluded.{m}_n")},
    snapshots = stored.snapshots + excluded.snapshots
"""


# A batch: a row for each polled publication.

_BATCH: Final = f"unnest(:ids, :reasons, {per_metric(':new_{m}')}) AS i (publication_id, missing, {_COUNTERS})"

_PUBLICATION_OF_BATCH: Final = f"""LATERAL (
        SELECT p.project_id, p.community_id, {CATEGORY} AS category, p.published_at
        FROM publication AS p
        WHERE p.workspace_id = :workspace AND p.id = i.publication_id
        OFFSET 0
    ) AS p"""

# The same as `contributions`, for a snapshot whose predecessors in the chains are the values of `post_last`.
_OBSERVED: Final = "CASE WHEN last_{m} IS NOT NULL THEN {m} - last_{m} WHEN published = measured THEN {m} END"
_PRE_TRACKING: Final = "CASE WHEN last_{m} IS NULL AND published <> measured THEN {m} END"

ADD_NEWER: Final = statement(f"""
WITH batch AS MATERIALIZED (
    SELECT i.*, {per_metric("last.{m} AS last_{m}")},
           coalesce(last.at >= :instant, false) AS is_late,
           p.project_id, p.community_id, p.category,
           {local_day(":instant")} AS measured, {local_day("p.published_at")} AS published
    FROM {_BATCH}
    LEFT JOIN LATERAL (
        SELECT * FROM post_last AS l
        WHERE l.workspace_id = :workspace AND l.publication_id = i.publication_id
        OFFSET 0
    ) AS last ON true
    CROSS JOIN {_PUBLICATION_OF_BATCH}
    JOIN project AS z ON z.workspace_id = :workspace AND z.id = :project
    WHERE p.project_id = :project
), late AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM batch WHERE is_late) AS any_is_late
), snapshot AS MATERIALIZED (
    SELECT batch.*, {per_metric(_OBSERVED + " AS observed_{m}")}, {per_metric(_PRE_TRACKING + " AS pre_tracking_{m}")}
    FROM batch JOIN late ON NOT any_is_late
), inserted AS (
    INSERT INTO post_snapshot (workspace_id, publication_id, at, {_COUNTERS})
    SELECT :workspace, publication_id, :instant, {_COUNTERS} FROM snapshot
), upserted AS (
    INSERT INTO post_last (workspace_id, publication_id, at, missing, {_COUNTERS})
    SELECT :workspace, publication_id, :instant, CAST(missing AS jsonb), {per_metric("coalesce({m}, last_{m})")}
    FROM snapshot
    ON CONFLICT (workspace_id, publication_id) DO UPDATE SET
        at = excluded.at, missing = excluded.missing, {per_metric("{m} = excluded.{m}")}
), amount AS (
    SELECT :workspace AS workspace_id, project_id, measured AS day, community_id, category, {OBSERVED} AS source,
           {per_metric("sum(observed_{m}) AS {m}")}, {per_metric("count(observed_{m}) AS {m}_n")},
           count(*) AS snapshots
    FROM snapshot
    GROUP BY project_id, measured, community_id, category
    UNION ALL
    SELECT :workspace, project_id, published, community_id, category, {PRE_TRACKING},
           {per_metric("sum(pre_tracking_{m})")}, {per_metric("count(pre_tracking_{m})")},
           0
    FROM snapshot
    WHERE coalesce({per_metric("pre_tracking_{m}")}) IS NOT NULL
    GROUP BY project_id, published, community_id, category
), added AS ({_add("amount")})
SELECT any_is_late FROM late
""")
"""Store a batch of snapshots that are all later than the stored ones of their publications.

Returns true when one of them is not, and has then changed nothing.
"""

ADD_ANY: Final = statement(f"""
INSERT INTO post_snapshot (workspace_id, publication_id, at, {_COUNTERS})
SELECT :workspace, i.publication_id, :instant, {per_metric("i.{m}")}
FROM {_BATCH}
CROSS JOIN {_PUBLICATION_OF_BATCH}
WHERE p.project_id = :project
ON CONFLICT DO NOTHING
RETURNING publication_id
""")
"""Store the snapshots of a batch that are new, of whatever time; returns their publications' ids."""


def latest(publication_id: str) -> dict[str, str]:
    """Expressions for the last known value of each counter, among the snapshots of a publication."""
    return {
        name: f"""(
        SELECT s.{name} FROM post_snapshot AS s
        WHERE s.workspace_id = :workspace AND s.publication_id = {publication_id} AND s.{name} IS NOT NULL
        ORDER BY s.at DESC LIMIT 1
    )"""
        for name in METRICS
    }


UPDATE_LAST: Final = statement(f"""
INSERT INTO post_last AS stored (workspace_id, publication_id, at, missing, {_COUNTERS})
SELECT :workspace, i.publication_id, :instant, CAST(i.missing AS jsonb),
       {", ".join(latest("i.publication_id").values())}
FROM {_BATCH}
ON CONFLICT (workspace_id, publication_id) DO UPDATE SET
    at = greatest(stored.at, excluded.at),
    missing = CASE WHEN stored.at < excluded.at THEN excluded.missing ELSE stored.missing END,
    {per_metric("{m} = excluded.{m}")}
""")
"""`post_last` of a batch after `ADD_ANY`, computed from the snapshots."""


# Changes of the rollup: contributions that are added, and others that are taken out again.


def _snapshot_counts(publications: str, snapshots: str = "true") -> str:
    """The snapshots themselves, on their own day: like contributions, without a metric, to be counted."""
    return f"""
SELECT p.workspace_id, p.project_id, p.community_id, {CATEGORY} AS category,
       CAST(NULL AS text) AS metric, 0 AS difference, {local_day("s.at")} AS day, {OBSERVED} AS source
FROM publication AS p
JOIN project AS z ON z.workspace_id = p.workspace_id AND z.id = p.project_id
CROSS JOIN LATERAL (
    SELECT s.at FROM post_snapshot AS s
    WHERE s.workspace_id = p.workspace_id AND s.publication_id = p.id AND {snapshots}
    OFFSET 0
) AS s
WHERE {publications}
"""


def _signed(sign: int, query: str, category: str = "category") -> str:
    """What `query` returns, to be added (1) or to be taken out (-1), under its own category or another one."""
    return f"""
SELECT workspace_id, project_id, day, community_id, {category} AS category, source,
       metric, {sign} * difference AS difference, {sign} AS n
FROM ({query}) AS contribution
"""


def _pivoted(*signed: str) -> str:
    """The rows of the rollup that signed contributions and snapshot counts add up to."""
    difference = "CAST(sum(difference) FILTER (WHERE metric = '{m}') AS bigint)"
    n = "coalesce(sum(n) FILTER (WHERE metric = '{m}'), 0)"
    return f"""
SELECT {_KEY},
       {per_metric(difference + " AS {m}")},
       {per_metric(n + " AS {m}_n")},
       coalesce(sum(n) FILTER (WHERE metric IS NULL), 0) AS snapshots
FROM ({" UNION ALL ".join(signed)}) AS signed
GROUP BY {_KEY}
"""


def _add_signed(*signed: str) -> str:
    """Add signed contributions to the rollup; rows that sum to zero are not written."""
    return f"""
WITH pivoted AS ({_pivoted(*signed)}), amount AS (
    SELECT * FROM pivoted
    WHERE {per_metric("coalesce({m}, 0) <> 0", " OR ")} OR {per_metric("{m}_n <> 0", " OR ")} OR snapshots <> 0
)
{_add("amount")}
"""


_SELECTED: Final = "p.workspace_id = :workspace AND p.id = ANY (:ids)"
_NEW_CATEGORY: Final = "coalesce(:new_category, '')"

UPDATE_CHAINS: Final = statement(
    _add_signed(
        _signed(+1, contributions(_SELECTED)),
        _signed(-1, contributions(_SELECTED, snapshots="s.at <> :instant")),
        _signed(+1, _snapshot_counts(_SELECTED, snapshots="s.at = :instant")),
    )
)
"""After `ADD_ANY`: the contributions with the new snapshots, minus those without them."""
MOVE_CATEGORY: Final = statement(
    _add_signed(
        _signed(-1, contributions(_SELECTED)),
        _signed(+1, contributions(_SELECTED), _NEW_CATEGORY),
        _signed(-1, _snapshot_counts(_SELECTED)),
        _signed(+1, _snapshot_counts(_SELECTED), _NEW_CATEGORY),
    )
)
"""Move the contributions of the selected publications from their category's rows to those of `new_category`."""
RECOUNTED: Final = _pivoted(_signed(+1, contributions(OF_PROJECT)), _signed(+1, _snapshot_counts(OF_PROJECT)))
"""A query of the rollup of a whole project, as it should be."""
DELETE_ALL: Final = statement("DELETE FROM rollup_day WHERE workspace_id = :workspace AND project_id = :project")
INSERT_ALL: Final = statement(_add(f"({RECOUNTED}) AS recounted"))
