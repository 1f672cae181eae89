"""The statements that keep `community_day` consistent with the stored sizes.

A day's row is the same in whatever order its sizes arrive.
"""

from typing import Final

from app.metrics.sql import local_day, statement

SETTLED_AFTER: Final = 3
"""Days after which no join or leave is received late any more: Telegram keeps updates for one day, and VK repeats an
event for less."""
KEY: Final = ("workspace_id", "community_id", "day")
COMPARED: Final = ("compared_since", "unexplained")
"""What is compared with joins and leaves; the nightly comparison leaves it out, because days settle."""
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


def _compare(days: str) -> str:
    """Compare the growth on the days `d` that a condition selects with who joined and left.

    From poll to poll, not from midnight to midnight: what happened between a day's last poll and midnight is in the
    next day's growth. Not where the first join or leave was received later than the poll before.
    """
    return f"""
UPDATE community_day AS stored SET compared_since = computed.since, unexplained = computed.unexplained
FROM (
    SELECT d.workspace_id, d.community_id, d.day, e.day AS since, d.last - e.last - (
               SELECT coalesce(sum(CASE WHEN m.joined THEN 1 ELSE -1 END), 0) FROM member_change AS m
               WHERE m.workspace_id = d.workspace_id AND m.community_id = d.community_id
                 AND m.at > e.last_at AND m.at <= d.last_at
           ) AS unexplained
    FROM community_day AS d
    CROSS JOIN LATERAL (
        SELECT before.day, before.last, before.last_at FROM community_day AS before
        WHERE before.workspace_id = d.workspace_id AND before.community_id = d.community_id AND before.day < d.day
        ORDER BY before.day DESC LIMIT 1
    ) AS e
    WHERE d.workspace_id = :workspace AND d.project_id = :project AND {days}
      AND EXISTS (
          SELECT FROM member_change AS m
          WHERE m.workspace_id = d.workspace_id AND m.community_id = d.community_id AND m.at <= e.last_at
      )
) AS computed
WHERE stored.workspace_id = computed.workspace_id AND stored.community_id = computed.community_id
  AND stored.day = computed.day
  AND (stored.compared_since, stored.unexplained) IS DISTINCT FROM (computed.since, computed.unexplained)
"""


COMPARE: Final = statement(
    _compare(f"""d.community_id = :community AND d.day >= (
        SELECT {local_day("CAST(:instant AS timestamptz)")} - {SETTLED_AFTER} FROM project AS z
        WHERE z.workspace_id = :workspace AND z.id = :project
    )""")
)
"""The days that are not settled at the instant of a poll."""
COMPARE_ALL: Final = statement(_compare("true"))
