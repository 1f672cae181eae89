"""A job that is enqueued again while it runs is a second row, so that enqueuing waits for no lock

Processes of the version before cannot enqueue without the index that is dropped: they are stopped before this one
is applied (`docs/operations.md`, Upgrades).
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "1025"
down_revision: str | None = "1015"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

KEY = ("workspace_id", "kind", "key")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_job_waiting",
            "job",
            KEY,
            postgresql_where=sa.text("state = 'waiting'"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.create_index(
            "uq_job_running",
            "job",
            KEY,
            unique=True,
            postgresql_where=sa.text("state = 'running'"),
            postgresql_nulls_not_distinct=True,
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.drop_index("uq_job_key", "job", postgresql_concurrently=True, if_exists=True)
    op.execute(
        "INSERT INTO job (id, workspace_id, kind, key, args, state, run_at, attempts, fence, request_id, created_at) "
        "SELECT gen_random_uuid(), workspace_id, kind, key, args, 'waiting', rerun_at, 0, 0, request_id, created_at "
        "FROM job WHERE state = 'running' AND rerun_at IS NOT NULL"
    )
    # Deliberate: what it held is in the rows that were just added.
    op.execute("-- squawk-ignore ban-drop-column\nALTER TABLE job DROP COLUMN rerun_at")


def downgrade() -> None:
    op.add_column("job", sa.Column("rerun_at", sa.DateTime(timezone=True), nullable=True))
    # One row of each key is left: one that runs says when it is to run again, of those that wait the first is due at
    # the earliest instant.
    op.execute(
        "UPDATE job AS kept SET rerun_at = CASE WHEN kept.state = 'running' THEN twins.run_at END, "
        "run_at = CASE WHEN kept.state = 'running' THEN kept.run_at ELSE twins.run_at END "
        "FROM (SELECT workspace_id, kind, key, min(run_at) AS run_at FROM job WHERE state = 'waiting' "
        "GROUP BY workspace_id, kind, key) AS twins "
        "WHERE kept.state <> 'dead' AND twins.workspace_id IS NOT DISTINCT FROM kept.workspace_id "
        "AND (twins.kind, twins.key) = (kept.kind, kept.key)"
    )
    op.execute(
        "DELETE FROM job AS twin USING job AS kept WHERE twin.state = 'waiting' AND kept.state <> 'dead' "
        "AND twin.workspace_id IS NOT DISTINCT FROM kept.workspace_id "
        "AND (twin.kind, twin.key) = (kept.kind, kept.key) "
        "AND (kept.state = 'running' OR kept.id < twin.id)"
    )
    op.create_check_constraint("rerun_at_is_finite", "job", "isfinite(rerun_at)")
    op.create_index(
        "uq_job_key",
        "job",
        KEY,
        unique=True,
        postgresql_where=sa.text("state <> 'dead'"),
        postgresql_nulls_not_distinct=True,
    )
    op.drop_index("uq_job_running", "job")
    op.drop_index("ix_job_waiting", "job")
