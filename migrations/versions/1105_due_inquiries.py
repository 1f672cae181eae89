"""Until when inquiries are to be answered and resolved"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.tables import require_finite

revision: str = "1105"
down_revision: str | None = "1100"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# The deadline of what is not resolved: the end of the target's working time by the present working hours, from the
# latest opening wait, within 400 days.
FILL_WAITS = """
UPDATE response_wait SET resolution_due_at = due.at
FROM (
    SELECT latest.workspace_id, latest.id, date_trunc('second', latest.started_at) AS started_at, project.timezone,
        project.working_hours, target.seconds
    FROM inquiry
    CROSS JOIN LATERAL (
        SELECT began.workspace_id, began.id, began.project_id, began.started_at FROM response_wait AS began
        WHERE began.workspace_id = inquiry.workspace_id AND began.inquiry_id = inquiry.id AND began.opening
        ORDER BY began.started_at DESC LIMIT 1
    ) AS latest
    JOIN project ON project.workspace_id = latest.workspace_id AND project.id = latest.project_id
    CROSS JOIN LATERAL (
        SELECT resolution_minutes * 60 AS seconds FROM response_target
        WHERE response_target.workspace_id = project.workspace_id AND response_target.project_id = project.id
            AND holds_from <= (latest.started_at AT TIME ZONE project.timezone)::date
        ORDER BY holds_from DESC LIMIT 1
    ) AS target
    WHERE inquiry.status <> 'resolved' AND target.seconds IS NOT NULL AND inquiry.id = ANY ({ids})
) AS episode
CROSS JOIN LATERAL (
    SELECT since + make_interval(secs => (episode.seconds - (total - length))::float8) AS at
    FROM (
        SELECT since, length, sum(length) OVER (ORDER BY since) AS total
        FROM (
            SELECT since, extract(epoch FROM until - since) AS length
            FROM generate_series(date_trunc('day', episode.started_at AT TIME ZONE episode.timezone),
                (episode.started_at + interval '9600 hours') AT TIME ZONE episode.timezone, interval '1 day') AS day
            LEFT JOIN LATERAL (
                SELECT special -> 'hours' AS hours
                FROM jsonb_array_elements(episode.working_hours -> 'special_days') AS special
                WHERE special ->> 'day' = to_char(day, 'YYYY-MM-DD')
            ) AS special ON true
            CROSS JOIN LATERAL (
                SELECT greatest(episode.started_at, (day + (slot ->> 'opens')::interval)
                        AT TIME ZONE episode.timezone) AS since,
                    least(episode.started_at + interval '9600 hours', (day + (slot ->> 'closes')::interval)
                        AT TIME ZONE episode.timezone) AS until
                FROM jsonb_array_elements(CASE
                    WHEN episode.working_hours -> 'holidays' ? to_char(day, 'YYYY-MM-DD') THEN '[]'::jsonb
                    ELSE coalesce(special.hours, episode.working_hours -> 'week' -> trim(to_char(day, 'day')),
                        '[]'::jsonb)
                END) AS slot
            ) AS open
            WHERE until > since
        ) AS worked
    ) AS added
    WHERE total >= episode.seconds ORDER BY since LIMIT 1
) AS due
WHERE response_wait.workspace_id = episode.workspace_id AND response_wait.id = episode.id
    AND response_wait.resolution_due_at IS NULL
"""
FILL_INQUIRIES = """
UPDATE inquiry SET due_at = owed.due_at, due_target = owed.due_target
FROM (
    SELECT owing.workspace_id, owing.id, least(wait.due_at, episode.resolution_due_at) AS due_at,
        CASE WHEN wait.due_at <= coalesce(episode.resolution_due_at, 'infinity') THEN 'first_response'
             ELSE 'resolution' END AS due_target
    FROM inquiry AS owing
    LEFT JOIN response_wait AS wait ON wait.workspace_id = owing.workspace_id AND wait.inquiry_id = owing.id
        AND wait.ended_at IS NULL
    LEFT JOIN LATERAL (
        SELECT began.resolution_due_at FROM response_wait AS began
        WHERE began.workspace_id = owing.workspace_id AND began.inquiry_id = owing.id AND began.opening
        ORDER BY began.started_at DESC LIMIT 1
    ) AS episode ON true
    WHERE owing.status <> 'resolved' AND owing.id = ANY ({ids})
) AS owed
WHERE inquiry.workspace_id = owed.workspace_id AND inquiry.id = owed.id
    AND owed.due_at IS NOT NULL AND inquiry.due_at IS NULL
"""
# A thousand inquiries a transaction: a row is locked for moments, and no table. Each agency has had an API key since
# its sign-up, and row-level security shows the rows of one agency at a time.
_FILL = f"""
DO $$
DECLARE
    agency uuid;
    last uuid;
    ids uuid[];
BEGIN
    FOR agency IN SELECT DISTINCT workspace_id FROM api_key LOOP
        PERFORM set_config('app.workspace_id', agency::text, false);
        last := '00000000-0000-0000-0000-000000000000';
        LOOP
            ids := ARRAY(
                SELECT id FROM inquiry WHERE workspace_id = agency AND id > last ORDER BY id LIMIT 1000
            );
            EXIT WHEN cardinality(ids) = 0;
            {FILL_WAITS.format(ids="ids")};
            {FILL_INQUIRIES.format(ids="ids")};
            last := ids[cardinality(ids)];
            COMMIT;
        END LOOP;
    END LOOP;
    PERFORM set_config('app.workspace_id', '', false);
END
$$
"""  # noqa: S608 - constants
_DUE = sa.text("due_at IS NOT NULL")
_WAITING = sa.text("waiting_since IS NOT NULL")
_INDEXES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("ix_inquiry_due", ("due_at",), ("project_id", "community_id", "kind", "status", "last_message_at")),
    (
        "ix_inquiry_due_in_project",
        ("project_id", "due_at"),
        ("community_id", "kind", "status", "last_message_at"),
    ),
    (
        "ix_inquiry_due_in_community",
        ("community_id", "due_at"),
        ("project_id", "kind", "status", "last_message_at"),
    ),
    ("ix_inquiry_due_by_status", ("status", "due_at"), ("project_id", "community_id", "kind", "last_message_at")),
    ("ix_inquiry_due_latest", ("last_message_at",), ("project_id", "community_id", "kind", "status", "due_at")),
)
# In place of those that stand, with what the new filter compares: the new name, the old one, columns, included columns
# without `due_at`, condition.
_WIDER: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...], sa.TextClause | None], ...] = (
    (
        "ix_inquiry_waiting_since",
        "ix_inquiry_waiting",
        ("waiting_since",),
        ("project_id", "kind", "status"),
        _WAITING,
    ),
    (
        "ix_inquiry_waiting_since_in_project",
        "ix_inquiry_waiting_in_project",
        ("project_id", "waiting_since"),
        ("kind", "status"),
        _WAITING,
    ),
    (
        "ix_inquiry_waiting_since_in_community",
        "ix_inquiry_waiting_in_community",
        ("community_id", "waiting_since"),
        ("project_id", "kind", "status"),
        _WAITING,
    ),
    (
        "ix_inquiry_waiting_since_by_status",
        "ix_inquiry_waiting_by_status",
        ("status", "waiting_since"),
        ("project_id", "kind"),
        _WAITING,
    ),
    (
        "ix_inquiry_status_latest",
        "ix_inquiry_workspace_id_status_last_message_at_id",
        ("status", "last_message_at"),
        ("project_id", "kind"),
        None,
    ),
)
_RESOLVED = "ck_inquiry_resolved_owes_nothing"


def _replace_index(
    made: str, dropped: str, columns: tuple[str, ...], included: tuple[str, ...], condition: sa.TextClause | None
) -> None:
    op.create_index(
        made,
        "inquiry",
        ["workspace_id", *columns, "id"],
        postgresql_include=included,
        postgresql_where=condition,
        postgresql_concurrently=True,
        if_not_exists=True,
    )
    op.drop_index(dropped, "inquiry", postgresql_concurrently=True, if_exists=True)


def upgrade() -> None:
    op.add_column("response_wait", sa.Column("resolution_due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("inquiry", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("inquiry", sa.Column("due_target", sa.Text(), nullable=True))
    require_finite("response_wait", "resolution_due_at")
    require_finite("inquiry", "due_at")
    op.create_check_constraint(
        op.f(_RESOLVED), "inquiry", "status <> 'resolved' OR due_at IS NULL", postgresql_not_valid=True
    )
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = '2h'")
        op.execute(f'ALTER TABLE inquiry VALIDATE CONSTRAINT "{_RESOLVED}"')
        op.execute(_FILL)
        for name, columns, included in _INDEXES:
            op.create_index(
                name,
                "inquiry",
                ["workspace_id", *columns, "id"],
                postgresql_include=included,
                postgresql_where=_DUE,
                postgresql_concurrently=True,
                if_not_exists=True,
            )
        op.create_index(
            "ix_response_wait_resolution_due",
            "response_wait",
            ["workspace_id", "project_id", "resolution_due_at", "started_at"],
            postgresql_where=sa.text("opening IS TRUE"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        for new, old, columns, included, condition in _WIDER:
            _replace_index(new, old, columns, (*included, "due_at"), condition)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for new, old, columns, included, condition in _WIDER:
            _replace_index(old, new, columns, included, condition)
        op.drop_index("ix_response_wait_resolution_due", "response_wait", postgresql_concurrently=True, if_exists=True)
        for name, _, _ in _INDEXES:
            op.drop_index(name, "inquiry", postgresql_concurrently=True, if_exists=True)
    op.drop_column("inquiry", "due_target")
    op.drop_column("inquiry", "due_at")
    op.drop_column("response_wait", "resolution_due_at")
