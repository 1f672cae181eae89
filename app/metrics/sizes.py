"""The statements that keep `community_day` consistent with the stored sizes.

A day's row is the same in whatever order its sizes arrive.
"""

from typing import Final

from app.metrics.sql import local_day, statement

KEY: Final = ("workspace_id", "community_id", "day")
AMOUNTS: Final = ("project_id", "first", "first_at", "last", "last_at", "lowest", "highest", "snapshots")

_KEY: Final = ", ".join(KEY)
_COLUMNS: Final = ", ".join((*KEY, *AMOUNTS))


def _days(snapshots: str = "true") -> str:
    """The day rows of the snapshots `s` of a project that a condition selects: the definition."""
    return f"""
SELECT s.workspace_id, s.community_id, {local_day("s.at")} AS day, c.project_id,
       (array_agg(s.size ORDER BY s.at))[1] AS first, min(s.at) AS first_at,
       (array_agg(s.size ORDER BY s.at DESC))[1] AS last, max(s.at) AS last_at,
       min(s.size) AS lowest, max(s.size) AS highest, count(*) AS snapshots
FROM community AS c
JOIN project AS z ON z.workspace_id = c.workspace_id AND z.id = c.project_id
JOIN community_snapshot AS s ON s.workspace_id = c.workspace_id AND s.community_id = c.id
WHERE c.workspace_id = :workspace AND c.project_id = :project AND {snapshots}
GROUP BY s.workspace_id, s.community_id, day, c.project_id
"""


def _add(days: str) -> str:
    return f"""
INSERT INTO community_day AS stored ({_COLUMNS})
SELECT {_COLUMNS} FROM ({days}) AS computed ORDER BY {_KEY}
ON CONFLICT ({_KEY}) DO UPDATE SET
    first = CASE WHEN excluded.first_at < stored.first_at THEN excluded.first ELSE stored.first END,
    first_at = least(stored.first_at, excluded.first_at),
    last = CASE WHEN excluded.last_at > stored.last_at THEN excluded.last ELSE stored.last END,
    last_at = greatest(stored.last_at, excluded.last_at),
    lowest = least(stored.lowest, excluded.lowest),
    highest = greatest(stored.highest, excluded.highest),
    snapshots = stored.snapshots + excluded.snapshots
"""


ADD: Final = statement("""
INSERT INTO community_snapshot (workspace_id, community_id, at, size)
SELECT c.workspace_id, c.id, :instant, :new_size
FROM community AS c
WHERE c.workspace_id = :workspace AND c.id = :community AND c.project_id = :project
ON CONFLICT DO NOTHING
RETURNING true
""")
"""Store a size; returns no row when one of this instant is stored already."""
COUNT: Final = statement(_add(_days("s.community_id = :community AND s.at = :instant")))
RECOUNTED: Final = _days()
"""A query of the day rows of a whole project, as they should be."""
DELETE_ALL: Final = statement("DELETE FROM community_day WHERE workspace_id = :workspace AND project_id = :project")
INSERT_ALL: Final = statement(_add(RECOUNTED))
