"""Jobs, events, idempotent answers"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tables import isolate

revision: str = "1001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "event",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(at)", name=op.f("ck_event_at_is_finite")),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_event")),
    )
    op.create_index(op.f("ix_event_workspace_id_topic_id"), "event", ["workspace_id", "topic", "id"], unique=False)
    op.create_table(
        "idempotent_answer",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(created_at)", name=op.f("ck_idempotent_answer_created_at_is_finite")),
        sa.PrimaryKeyConstraint("workspace_id", "key", name=op.f("pk_idempotent_answer")),
    )
    op.create_index(
        op.f("ix_idempotent_answer_workspace_id_created_at"),
        "idempotent_answer",
        ["workspace_id", "created_at"],
        unique=False,
    )
    op.create_table(
        "job",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("args", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rerun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(created_at)", name=op.f("ck_job_created_at_is_finite")),
        sa.CheckConstraint("isfinite(leased_until)", name=op.f("ck_job_leased_until_is_finite")),
        sa.CheckConstraint("isfinite(rerun_at)", name=op.f("ck_job_rerun_at_is_finite")),
        sa.CheckConstraint("isfinite(run_at)", name=op.f("ck_job_run_at_is_finite")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index("ix_job_due", "job", ["run_at", "id"], unique=False, postgresql_where=sa.text("state = 'waiting'"))
    op.create_index(
        "ix_job_leased", "job", ["leased_until"], unique=False, postgresql_where=sa.text("state = 'running'")
    )
    op.create_index(
        "uq_job_key",
        "job",
        ["workspace_id", "kind", "key"],
        unique=True,
        postgresql_where=sa.text("state <> 'dead'"),
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "worker_heartbeat",
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(at)", name=op.f("ck_worker_heartbeat_at_is_finite")),
        sa.PrimaryKeyConstraint("worker", name=op.f("pk_worker_heartbeat")),
    )
    isolate("event", "idempotent_answer")


def downgrade() -> None:
    op.drop_table("worker_heartbeat")
    op.drop_table("job")
    op.drop_table("idempotent_answer")
    op.drop_table("event")
