"""The statements that store who joined and who left, and keep `member_day` consistent with that.

A day's row is the same in whatever order joins and leaves arrive: one that arrives late and is a member's first join
takes that off the day of the join that was the first until then.

Names in the statements: `m` a join or leave, `z` its project (with the zone), `c` its community.
"""

from typing import Final

from app.metrics.sql import local_day, statement

KEY: Final = ("workspace_id", "community_id", "day")
AMOUNTS: Final = ("project_id", "joins", "leaves", "first_joins")

_KEY: Final = ", ".join(KEY)
_COLUMNS: Final = ", ".join((*KEY, *AMOUNTS))
_ADD: Final = f"""
INSERT INTO member_day AS stored ({_COLUMNS})
SELECT {_COLUMNS} FROM {{rows}} AS computed ORDER BY {_KEY}
ON CONFLICT ({_KEY}) DO UPDATE SET
    joins = stored.joins + excluded.joins,
    leaves = stored.leaves + excluded.leaves,
    first_joins = stored.first_joins + excluded.first_joins
"""

RECOUNTED: Final = f"""
SELECT m.workspace_id, m.community_id, {local_day("m.at")} AS day, m.project_id,
       count(*) FILTER (WHERE m.joined) AS joins, count(*) FILTER (WHERE NOT m.joined) AS leaves,
       count(*) FILTER (WHERE m.joined AND NOT EXISTS (
           SELECT FROM member_change AS earlier
           WHERE earlier.workspace_id = m.workspace_id AND earlier.community_id = m.community_id
             AND earlier.member = m.member AND earlier.at < m.at
             -- Not `earlier.joined`: see `first_join` of campaigns.
             AND earlier.joined IS NOT FALSE
       )) AS first_joins
FROM member_change AS m
JOIN project AS z ON z.workspace_id = m.workspace_id AND z.id = m.project_id
WHERE m.workspace_id = :workspace AND m.project_id = :project
GROUP BY m.workspace_id, m.community_id, day, m.project_id
"""
"""A query of the day rows of a whole project, as they should be."""
DELETE_ALL: Final = statement("DELETE FROM member_day WHERE workspace_id = :workspace AND project_id = :project")
INSERT_ALL: Final = statement(_ADD.format(rows=f"({RECOUNTED})"))

ADD: Final = statement(f"""
WITH added AS (
    INSERT INTO member_change (workspace_id, community_id, member, at, joined, project_id, invite_link, recorded_at)
    SELECT c.workspace_id, c.id, i.member, i.at, i.joined, c.project_id, i.invite_link, :instant
    FROM unnest(:members, :instants, :joined, :invite_links) AS i (member, at, joined, invite_link)
    JOIN community AS c ON c.workspace_id = :workspace AND c.id = :community AND c.project_id = :project
    ORDER BY i.member, i.at, i.joined
    ON CONFLICT DO NOTHING
    RETURNING member, at, joined
), first_of_batch AS (
    SELECT member, min(at) AS at FROM added WHERE joined GROUP BY member
), first AS (
    SELECT first_of_batch.at, (
        -- The rows as they were before this statement.
        SELECT m.at FROM member_change AS m
        WHERE m.workspace_id = :workspace AND m.community_id = :community AND m.member = first_of_batch.member
          AND m.joined
        ORDER BY m.at LIMIT 1
    ) AS before
    FROM first_of_batch
), change (at, joins, leaves, first_joins) AS (
    SELECT at, CAST(joined AS int), CAST(NOT joined AS int), 0 FROM added
    UNION ALL SELECT at, 0, 0, 1 FROM first WHERE before IS NULL OR at < before
    UNION ALL SELECT before, 0, 0, -1 FROM first WHERE at < before
), computed AS (
    SELECT z.workspace_id, :community AS community_id, {local_day("change.at")} AS day, z.id AS project_id,
           sum(change.joins) AS joins, sum(change.leaves) AS leaves, sum(change.first_joins) AS first_joins
    FROM change JOIN project AS z ON z.workspace_id = :workspace AND z.id = :project
    GROUP BY z.workspace_id, z.id, day
)
{_ADD.format(rows="computed")}
""")
"""Store joins and leaves; what is stored already changes nothing."""
