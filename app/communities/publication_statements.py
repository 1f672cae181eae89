"""SQL statements on publications, built once: building one costs more than executing it."""

from datetime import timedelta
from itertools import pairwise
from typing import Final

from sqlalchemy import ARRAY, DateTime, Text, Uuid, and_, bindparam, case, func, literal_column, or_, select, text

from app.communities.models import Publication, UnreadItem
from app.communities.polling import poll_schedule
from app.kit.bulk import bulk_insert
from app.kit.db import Base
from app.projects.models import Project

# Written as the index `ix_publication_moved` has it, or it would not be used.
COMMENTS_CHANGED: Final = text(
    "gone_at IS NULL AND comments IS DISTINCT FROM comments_read AND (comments > 0 OR comments_read IS NOT NULL)"
)
"""The comments counter has changed since the comments were read."""

_TABLE: Final = Base.metadata.tables[Publication.__tablename__]
_UNIQUE: Final = ("workspace_id", "community_id", "external_id")
_RETURNED: Final = tuple(_TABLE.c[name] for name in ("id", "external_id", "url", "text", "published_at"))
_INSERTED: Final = ("workspace_id", "id", "community_id", "project_id", "external_id", "url", "text", "published_at")
_UPDATED: Final = ("url", "text", "edited_at", "comments", "measure_at", "total", "unchanged_polls")
COLUMNS: Final = (*_INSERTED, "edited_at", "comments", "measure_at", "total", "unchanged_polls")
_NEW: Final = bulk_insert(_TABLE, COLUMNS)
STORE: Final = _NEW.on_conflict_do_update(
    index_elements=_UNIQUE,
    set_={**{name: _NEW.excluded[name] for name in _UPDATED}, "gone_at": None},
    # A row that this very statement has made has no deleting transaction yet.
).returning(*_RETURNED, literal_column("(xmax = 0)").label("new"))
PUSHED_COLUMNS: Final = (*_INSERTED, "edited_at", "measure_at", "album")
_PUSHED: Final = bulk_insert(_TABLE, PUSHED_COLUMNS)
_BEGINNING: Final = text("'-infinity'::timestamptz")
_NEWER: Final = func.coalesce(_PUSHED.excluded.edited_at, _BEGINNING) > func.coalesce(_TABLE.c.edited_at, _BEGINNING)
_FIRST_TEXT: Final = and_(  # of an album whose parts before had none
    _TABLE.c.text == "",
    _PUSHED.excluded.text != "",
    _PUSHED.excluded.edited_at.is_not_distinct_from(_TABLE.c.edited_at),
)
STORE_PUSHED: Final = _PUSHED.on_conflict_do_update(
    index_elements=_UNIQUE,
    set_={
        **{
            name: case((or_(_NEWER, _FIRST_TEXT), _PUSHED.excluded[name]), else_=_TABLE.c[name])
            for name in ("url", "text", "edited_at")
        },
        "album": func.coalesce(_TABLE.c.album, _PUSHED.excluded.album),
    },
    where=or_(_NEWER, _FIRST_TEXT, and_(_TABLE.c.album.is_(None), _PUSHED.excluded.album.is_not(None))),
).returning(*_RETURNED, literal_column("(xmax = 0)").label("new"))

# An index lookup for each community: those with nothing due cost next to nothing.
_IDS: Final = bindparam("ids", type_=ARRAY(Uuid()))
DUE_AMONG: Final = text("""
SELECT due.id, due.external_id, due.measure_at, due.requested, c.id AS community_id, c.external_id AS community
FROM unnest(:ids) AS requested (id)
JOIN community c ON c.workspace_id = :workspace AND c.id = requested.id
CROSS JOIN LATERAL (
    SELECT p.id, p.external_id, p.measure_at, p.total IS NULL AS requested FROM publication p
    WHERE p.workspace_id = :workspace AND p.community_id = c.id AND p.measure_at <= :until
    ORDER BY p.measure_at LIMIT :most
) AS due
WHERE EXISTS (
    SELECT FROM unnest(:ids) AS one (id)
    JOIN publication p ON p.workspace_id = :workspace AND p.community_id = one.id AND p.measure_at <= :at
)
ORDER BY due.measure_at, due.id LIMIT :most
""").bindparams(_IDS)
FIRST_DUE: Final = text("""
SELECT min(first.measure_at) FROM unnest(:ids) AS requested (id) CROSS JOIN LATERAL (
    SELECT p.measure_at FROM publication p
    WHERE p.workspace_id = :workspace AND p.community_id = requested.id AND p.measure_at IS NOT NULL
    ORDER BY p.measure_at LIMIT 1
) AS first
""").bindparams(_IDS)

TIERS: Final = (timedelta(0), *(limit for limit, _ in poll_schedule.BY_AGE))
"""The ages at which publications are measured less often."""
_YOUNGER: Final = ", ".join(
    f"count(*) FILTER (WHERE p.measure_at IS NOT NULL AND p.published_at <= :at - make_interval(secs => {youngest}) "
    f"AND p.published_at > :at - make_interval(secs => {oldest})) AS tier_{number}"
    for number, (youngest, oldest) in enumerate(pairwise(tier.total_seconds() for tier in TIERS))
)
AGES: Final = text(
    """
SELECT {sums}, CAST(round(coalesce(
    sum(greatest(stored.number - younger.number, 0) * oldest.measured), 0
)) AS bigint)
FROM unnest(:ids) AS requested (id)
CROSS JOIN LATERAL (
    SELECT count(*) AS number, {younger} FROM publication p
    WHERE p.workspace_id = :workspace AND p.community_id = requested.id
      AND p.published_at > :at - make_interval(secs => {oldest})
) AS younger
CROSS JOIN LATERAL (
    SELECT avg(CASE WHEN latest.measure_at IS NOT NULL THEN 1.0 ELSE 0.0 END) AS measured FROM (
        SELECT p.measure_at FROM publication p
        WHERE p.workspace_id = :workspace AND p.community_id = requested.id
          AND p.published_at <= :at - make_interval(secs => {oldest})
        ORDER BY p.published_at DESC LIMIT 100
    ) AS latest
) AS oldest
CROSS JOIN LATERAL (
    SELECT coalesce(sum(c.change), 0) AS number FROM publication_count c
    WHERE c.workspace_id = :workspace AND c.community_id = requested.id
) AS stored
""".replace("{younger}", _YOUNGER)
    .replace("{oldest}", str(TIERS[-1].total_seconds()))
    .replace(
        "{sums}",
        ", ".join(
            f"CAST(coalesce(sum(younger.tier_{number}), 0) AS bigint)" for number in range(len(poll_schedule.BY_AGE))
        ),
    )
).bindparams(_IDS, bindparam("at", type_=DateTime(timezone=True)))

_OURS: Final = (Publication.workspace_id == bindparam("workspace")) & (
    Publication.community_id == bindparam("community")
)
_AT: Final = bindparam("at", type_=DateTime(timezone=True))
_SINCE: Final = bindparam("since", type_=DateTime(timezone=True))
_AMONG: Final = Publication.external_id == func.any(bindparam("external_ids", type_=ARRAY(Text)))
STORED_POSTS: Final = select(
    Publication.external_id,
    Publication.measure_at,
    Publication.total,
    Publication.unchanged_polls,
    Publication.url,
    Publication.text,
    Publication.edited_at,
    Publication.comments,
    Publication.gone_at,
).where(_OURS, _AMONG)
IDS_OF: Final = select(Publication.external_id, Publication.id).where(_OURS, _AMONG)
DUE: Final = (
    select(
        Publication.id, Publication.external_id, Publication.measure_at, Publication.total.is_(None).label("requested")
    )
    .where(_OURS, Publication.measure_at <= _AT)
    .order_by(Publication.measure_at)
    .limit(bindparam("most"))
)
_UNREAD_COLUMNS: Final = ("part", "external_id", "retry_at", "retry_cursor", "list_name")
# Locked in the order of `STORE`, to avoid deadlocks.
PUT_OFF: Final = text("""
WITH unread AS MATERIALIZED (
    SELECT p.id, u.retry_at FROM publication p
    JOIN unread_item u ON u.workspace_id = p.workspace_id AND u.community_id = p.community_id
        AND u.part = 'counters' AND u.external_id = p.external_id
    WHERE p.workspace_id = :workspace AND p.id = ANY(:ids) AND p.measure_at IS NOT NULL
    ORDER BY p.community_id, p.external_id FOR UPDATE OF p
)
UPDATE publication SET measure_at = unread.retry_at FROM unread
WHERE publication.workspace_id = :workspace AND publication.id = unread.id
""").bindparams(_IDS)
_READ_AGAIN: Final = """
WITH again AS MATERIALIZED (
    SELECT id FROM publication
    WHERE workspace_id = :workspace AND community_id = :community AND {condition}
      AND comments IS NOT NULL AND gone_at IS NULL AND comments_read >= 0
    ORDER BY external_id FOR UPDATE
)
UPDATE publication SET comments_read = -1 FROM again
WHERE publication.workspace_id = :workspace AND publication.id = again.id
"""
# Locked in the order of `STORE`, to avoid deadlocks. Less than any counter: they differ, whatever it is.
READ_AGAIN: Final = text(_READ_AGAIN.format(condition="id = ANY(:ids)")).bindparams(_IDS)
READ_RECENT_AGAIN: Final = text(_READ_AGAIN.format(condition="published_at >= :since AND comments > 0")).bindparams(
    bindparam("since", type_=DateTime(timezone=True))
)
LOCK_BY_ID: Final = (
    select(
        Publication.id,
        Publication.published_at,
        Publication.measure_at,
        Publication.total,
        Publication.unchanged_polls,
        Publication.comments,
    )
    .where(Publication.workspace_id == bindparam("workspace"), Publication.id == func.any(_IDS))
    .order_by(Publication.community_id, Publication.external_id)  # the order of `store`
    .with_for_update()
)
_COMMENTS_MAY_BE_READ: Final = ~(
    select(UnreadItem.external_id)
    .where(
        UnreadItem.workspace_id == bindparam("workspace"),
        UnreadItem.community_id == bindparam("community"),
        UnreadItem.part == "comments",
        UnreadItem.external_id == Publication.external_id,
        UnreadItem.retry_at > _AT,
    )
    .exists()
)
WITH_NEW_COMMENTS: Final = (
    select(
        Publication.id,
        Publication.external_id,
        Publication.comments_cursor,
        case(
            (Publication.comments_cursor.is_(None), Publication.comments),
            # Not known of a scan: less than any counter, so that another one follows.
            else_=func.coalesce(Publication.comments_scan_counter, -1),
        ).label("counter"),
    )
    .where(_OURS, COMMENTS_CHANGED, Publication.published_at >= _SINCE, _COMMENTS_MAY_BE_READ)
    .order_by(Publication.published_at.desc())
    .limit(bindparam("most"))
)
TIMEZONE_AND_PENDING: Final = select(
    Project.timezone,
    select(Publication.id).where(_OURS, Publication.measure_at <= _AT).exists(),
    select(Publication.id)
    .where(_OURS, COMMENTS_CHANGED, Publication.published_at >= _SINCE, _COMMENTS_MAY_BE_READ)
    .exists(),
    select(
        func.coalesce(
            func.jsonb_agg(
                func.jsonb_build_object(
                    *(part for name in _UNREAD_COLUMNS for part in (name, UnreadItem.__table__.c[name]))
                )
            ),
            text("'[]'::jsonb"),
        )
    )
    .where(UnreadItem.workspace_id == bindparam("workspace"), UnreadItem.community_id == bindparam("community"))
    .scalar_subquery(),
).where(Project.workspace_id == bindparam("workspace"), Project.id == bindparam("project"))
