"""Episodes of inquiries, from the opening message to the resolution"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.tables import isolate, isolate_projects, unfenced

revision: str = "1070"
down_revision: str | None = "1060"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# An episode ends with the first resolution that takes effect before the next opening wait; its working time is what
# the present working hours cover of it, as for waits that end now. A resolution that did not cover the messages by
# which the inquiry was open again is one that a wait ended by, or that came while none was going on.
FILL = """
INSERT INTO resolved_episode (workspace_id, id, inquiry_id, project_id, community_id, started_at, resolved_at,
        automatic, working_seconds)
SELECT workspace_id, gen_random_uuid(), inquiry_id, project_id, community_id, started_at, resolved_at, automatic, (
    SELECT coalesce(sum(greatest(0, extract(epoch FROM
        least(date_trunc('second', resolved_at), (day + closes) AT TIME ZONE timezone)
        - greatest(date_trunc('second', started_at), (day + opens) AT TIME ZONE timezone)))), 0)::bigint
    FROM generate_series(date_trunc('day', started_at AT TIME ZONE timezone), resolved_at AT TIME ZONE timezone,
        interval '1 day') AS day
    LEFT JOIN LATERAL (
        SELECT special -> 'hours' AS hours FROM jsonb_array_elements(working_hours -> 'special_days') AS special
        WHERE special ->> 'day' = to_char(day, 'YYYY-MM-DD')
    ) AS special ON true
    CROSS JOIN LATERAL (
        SELECT (opening ->> 'opens')::interval AS opens, (opening ->> 'closes')::interval AS closes
        FROM jsonb_array_elements(CASE
            WHEN working_hours -> 'holidays' ? to_char(day, 'YYYY-MM-DD') THEN '[]'::jsonb
            ELSE coalesce(special.hours, working_hours -> 'week' -> trim(to_char(day, 'day')), '[]'::jsonb)
        END) AS opening
    ) AS opening
)
FROM (
    SELECT opening.*, resolution.resolved_at, resolution.automatic, project.timezone, project.working_hours
    FROM (
        SELECT workspace_id, inquiry_id, project_id, community_id, started_at,
            lead(started_at) OVER (PARTITION BY workspace_id, inquiry_id ORDER BY started_at) AS following
        FROM response_wait WHERE opening
    ) AS opening
    JOIN project ON project.workspace_id = opening.workspace_id AND project.id = opening.project_id
    CROSS JOIN LATERAL (
        SELECT effective_at AS resolved_at, coalesce((data ->> 'automatic')::boolean, false) AS automatic
        FROM (
            SELECT sequence, data, greatest(at, (data ->> 'through')::timestamptz) AS effective_at FROM inquiry_event
            WHERE inquiry_event.workspace_id = opening.workspace_id
                AND inquiry_event.inquiry_id = opening.inquiry_id AND type = 'resolved'
        ) AS resolved
        WHERE effective_at >= started_at AND effective_at <= coalesce(following, 'infinity')
            AND NOT EXISTS (
                SELECT FROM response_wait AS going_on
                WHERE going_on.workspace_id = opening.workspace_id AND going_on.inquiry_id = opening.inquiry_id
                    AND going_on.started_at < effective_at
                    AND coalesce(going_on.ended_at, 'infinity') > effective_at
            )
        ORDER BY effective_at, sequence LIMIT 1
    ) AS resolution
) AS episode
"""


def upgrade() -> None:
    op.execute("SET LOCAL statement_timeout = '30min'")  # all inquiries that were resolved
    op.create_table(
        "resolved_episode",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("inquiry_id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("working_seconds", sa.BigInteger(), nullable=False),
        sa.Column("target_seconds", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("isfinite(started_at)", name=op.f("ck_resolved_episode_started_at_is_finite")),
        sa.CheckConstraint("isfinite(resolved_at)", name=op.f("ck_resolved_episode_resolved_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "inquiry_id"],
            ["inquiry.workspace_id", "inquiry.id"],
            name=op.f("fk_resolved_episode_workspace_id_inquiry_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_resolved_episode")),
        sa.UniqueConstraint(
            "workspace_id",
            "inquiry_id",
            "started_at",
            name=op.f("uq_resolved_episode_workspace_id_inquiry_id_started_at"),
        ),
    )
    op.create_index(
        op.f("ix_resolved_episode_workspace_id_project_id_resolved_at_id"),
        "resolved_episode",
        ["workspace_id", "project_id", "resolved_at", "id"],
    )
    with unfenced("response_wait", "project", "inquiry_event"):
        op.execute(FILL)
    isolate("resolved_episode")
    isolate_projects("resolved_episode")


def downgrade() -> None:
    op.drop_table("resolved_episode")
