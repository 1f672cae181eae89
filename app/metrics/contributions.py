"""What each snapshot contributes: the one definition behind the rollups, the recount and the evidence.

For each publication and metric, the known values in order of time form a chain. A snapshot contributes
the difference to its predecessor in the chain, on its own local day (the project's zone), `observed`.
A counter that fell contributes a negative difference. An unknown value is not in the chain.

The first value has no predecessor and contributes itself, on the local day on which the publication
appeared: `observed` when the snapshot was taken on that same day, otherwise `pre_tracking`.
"""

from typing import Any, Final

from sqlalchemy import BigInteger, ColumnClause, Date, DateTime, Text, column
from sqlalchemy.dialects.postgresql import UUID

from app.metrics.models import DifferenceSource
from app.metrics.sql import local_day, per_metric

OBSERVED: Final = f"'{DifferenceSource.OBSERVED}'"
PRE_TRACKING: Final = f"'{DifferenceSource.PRE_TRACKING}'"
CATEGORY: Final = "coalesce(p.category, '')"
"""The category of the publication `p`, as the rollups have it."""
OF_PROJECT: Final = "p.workspace_id = :workspace AND p.project_id = :project"
"""The condition that selects all publications of a project."""

COLUMNS: Final[tuple[ColumnClause[Any], ...]] = (
    column("workspace_id", UUID()),
    column("project_id", UUID()),
    column("community_id", UUID()),
    column("category", Text),
    column("publication_id", UUID()),
    column("metric", Text),
    column("at", DateTime(timezone=True)),
    column("previous", BigInteger),
    column("value", BigInteger),
    column("difference", BigInteger),
    column("day", Date),
    column("source", Text),
)
"""The columns of `contributions`, in order."""


def contributions(publications: str, snapshots: str = "true") -> str:
    """A query of the contributions of publications, a row each.

    `publications` is a condition on the publication `p`; `snapshots` is one on the snapshot `s`, which selects
    those that form the chains.
    """
    return f"""
SELECT p.workspace_id, p.project_id, p.community_id, {CATEGORY} AS category, p.id AS publication_id,
       chain.metric, chain.at, chain.previous, chain.value,
       chain.value - coalesce(chain.previous, 0) AS difference,
       CASE WHEN chain.previous IS NULL THEN local.published ELSE local.measured END AS day,
       CASE WHEN chain.previous IS NULL AND local.published <> local.measured
            THEN {PRE_TRACKING} ELSE {OBSERVED} END AS source
FROM publication AS p
JOIN project AS z ON z.workspace_id = p.workspace_id AND z.id = p.project_id
CROSS JOIN LATERAL (
    SELECT s.at, counter.metric, counter.value,
           lag(counter.value) OVER (PARTITION BY counter.metric ORDER BY s.at) AS previous
    FROM post_snapshot AS s
    CROSS JOIN LATERAL (VALUES {per_metric("('{m}', s.{m})")}) AS counter (metric, value)
    WHERE s.workspace_id = p.workspace_id AND s.publication_id = p.id AND counter.value IS NOT NULL AND {snapshots}
) AS chain
CROSS JOIN LATERAL (
    SELECT {local_day("chain.at")} AS measured, {local_day("p.published_at")} AS published
) AS local
WHERE {publications}
"""


def changed_later(workspace: str, projects: str) -> str:
    """A condition on the publication `p`: a snapshot after `:as_of` may contribute to days between `:start` and `:end`.

    A snapshot contributes to its own day, or to that on which the publication appeared. So it need not be looked for
    among all that came since, however long ago `:as_of` is: only among those up to `:end`, and among publications that
    appeared in these days and had no value of a counter by `:as_of`. `workspace` is the workspace's id, `projects` a
    condition on the publication.
    """
    first_value = per_metric(
        "(count(s.{m}) FILTER (WHERE s.at > :as_of) > 0 AND count(s.{m}) FILTER (WHERE s.at <= :as_of) = 0)", " OR "
    )
    # As an array, and with look-ups for each row: joined, all later snapshots of the workspace would be read.
    return f"""p.id = ANY (ARRAY(
    SELECT later.publication_id FROM post_snapshot AS later
    WHERE later.workspace_id = {workspace} AND later.at > :as_of AND later.at < :end
    UNION
    SELECT p.id FROM publication AS p
    WHERE p.workspace_id = {workspace} AND {projects} AND p.published_at >= :start AND p.published_at < :end
      AND (
        SELECT true FROM post_snapshot AS later
        WHERE later.workspace_id = {workspace} AND later.publication_id = p.id AND later.at > :as_of LIMIT 1
      ) AND (
        SELECT {first_value} FROM post_snapshot AS s WHERE s.workspace_id = {workspace} AND s.publication_id = p.id
      )
))"""
