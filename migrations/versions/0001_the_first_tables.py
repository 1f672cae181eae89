"""The first tables"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tables import isolate

revision: str = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "call_budget",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("slots", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("key", "seconds", name=op.f("pk_call_budget")),
    )
    op.create_table(
        "event",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
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
        "user_account",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_account")),
    )
    op.create_index("uq_user_account_email", "user_account", [sa.literal_column("lower(email)")], unique=True)
    op.create_table(
        "worker_heartbeat",
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("worker", name=op.f("pk_worker_heartbeat")),
    )
    op.create_table(
        "workspace",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_workspace")),
    )
    op.create_table(
        "api_key",
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.workspace_id"], name=op.f("fk_api_key_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("prefix", name=op.f("pk_api_key")),
        sa.UniqueConstraint("workspace_id", "id", name=op.f("uq_api_key_workspace_id_id")),
    )
    op.create_table(
        "membership",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_membership_user_id")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.workspace_id"], name=op.f("fk_membership_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_membership")),
        sa.UniqueConstraint("workspace_id", "user_id", name=op.f("uq_membership_workspace_id_user_id")),
    )
    op.create_table(
        "project",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("working_hours", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.workspace_id"], name=op.f("fk_project_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_project")),
    )
    op.create_index(
        op.f("ix_project_workspace_id_created_at_id"), "project", ["workspace_id", "created_at", "id"], unique=False
    )
    op.create_table(
        "brief",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "project_id"],
            ["project.workspace_id", "project.id"],
            name=op.f("fk_brief_workspace_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_brief")),
        sa.UniqueConstraint(
            "workspace_id", "project_id", "version", name=op.f("uq_brief_workspace_id_project_id_version")
        ),
    )
    op.create_table(
        "community",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_code", sa.Text(), nullable=True),
        sa.Column("state_reason", sa.Text(), nullable=True),
        sa.Column("missing_scopes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("backfill_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("backfilled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("posts_cursor", sa.Text(), nullable=True),
        sa.Column("conversations_cursor", sa.Text(), nullable=True),
        sa.Column("size_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("posts_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("conversations_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("polled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("throttled_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("event_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "project_id"],
            ["project.workspace_id", "project.id"],
            name=op.f("fk_community_workspace_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_community")),
        sa.UniqueConstraint(
            "workspace_id", "platform", "address", name=op.f("uq_community_workspace_id_platform_address")
        ),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "uq_community_external_id",
        "community",
        ["workspace_id", "platform", "base_url", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_community_workspace_id_project_id_created_at_id"),
        "community",
        ["workspace_id", "project_id", "created_at", "id"],
        unique=False,
    )
    op.create_table(
        "mix_policy",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("shares", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "project_id"],
            ["project.workspace_id", "project.id"],
            name=op.f("fk_mix_policy_workspace_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "project_id", name=op.f("pk_mix_policy")),
    )
    op.create_table(
        "community_day",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lowest", sa.BigInteger(), nullable=False),
        sa.Column("highest", sa.BigInteger(), nullable=False),
        sa.Column("snapshots", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_community_day_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "community_id", "day", name=op.f("pk_community_day")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        op.f("ix_community_day_workspace_id_project_id_day"),
        "community_day",
        ["workspace_id", "project_id", "day"],
        unique=False,
    )
    op.create_table(
        "community_snapshot",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_community_snapshot_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "community_id", "at", name=op.f("pk_community_snapshot")),
    )
    op.create_table(
        "hook",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("public_id", sa.UUID(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_hook_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_hook")),
        sa.UniqueConstraint("workspace_id", "community_id", name=op.f("uq_hook_workspace_id_community_id")),
    )
    op.create_table(
        "hook_route",
        sa.Column("hook_id", sa.UUID(), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["hook.workspace_id", "hook.community_id"],
            name=op.f("fk_hook_route_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("hook_id", name=op.f("pk_hook_route")),
    )
    op.create_table(
        "hook_event",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["hook.workspace_id", "hook.community_id"],
            name=op.f("fk_hook_event_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "community_id", "event_id", name=op.f("pk_hook_event")),
    )
    op.create_index(
        op.f("ix_hook_event_workspace_id_community_id_received_at"),
        "hook_event",
        ["workspace_id", "community_id", "received_at"],
        unique=False,
    )
    op.create_table(
        "early_deletion",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_early_deletion_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "community_id", "external_id", name=op.f("pk_early_deletion")),
    )
    op.create_table(
        "community_token",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_community_token_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_community_token")),
        sa.UniqueConstraint(
            "workspace_id", "community_id", "kind", name=op.f("uq_community_token_workspace_id_community_id_kind")
        ),
    )
    op.create_table(
        "inquiry",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("publication_id", sa.UUID(), nullable=True),
        sa.Column("post_id", sa.Text(), nullable=True),
        sa.Column("thread_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("kind_by", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("customer_name", sa.Text(), nullable=False),
        sa.Column("preview", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_message_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("resolved_automatically", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_inquiry_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "project_id"],
            ["project.workspace_id", "project.id"],
            name=op.f("fk_inquiry_workspace_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_inquiry")),
        sa.UniqueConstraint(
            "workspace_id", "community_id", "thread_id", name=op.f("uq_inquiry_workspace_id_community_id_thread_id")
        ),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        op.f("ix_inquiry_workspace_id_last_message_at_id"),
        "inquiry",
        ["workspace_id", "last_message_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_inquiry_workspace_id_project_id_opened_at_id"),
        "inquiry",
        ["workspace_id", "project_id", "opened_at", "id"],
        unique=False,
    )
    op.create_table(
        "publication",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("measure_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("comments", sa.BigInteger(), nullable=True),
        sa.Column("comments_read", sa.BigInteger(), nullable=True),
        sa.Column("comments_cursor", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_publication_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "project_id"],
            ["project.workspace_id", "project.id"],
            name=op.f("fk_publication_workspace_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_publication")),
        sa.UniqueConstraint(
            "workspace_id",
            "community_id",
            "external_id",
            name=op.f("uq_publication_workspace_id_community_id_external_id"),
        ),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "ix_publication_measure_at",
        "publication",
        ["workspace_id", "community_id", "measure_at"],
        unique=False,
        postgresql_where=sa.text("measure_at IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_publication_workspace_id_project_id_published_at_id"),
        "publication",
        ["workspace_id", "project_id", "published_at", "id"],
        unique=False,
    )
    op.create_table(
        "rollup_day",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("views", sa.BigInteger(), nullable=True),
        sa.Column("views_n", sa.BigInteger(), nullable=False),
        sa.Column("reach", sa.BigInteger(), nullable=True),
        sa.Column("reach_n", sa.BigInteger(), nullable=False),
        sa.Column("reactions", sa.BigInteger(), nullable=True),
        sa.Column("reactions_n", sa.BigInteger(), nullable=False),
        sa.Column("comments", sa.BigInteger(), nullable=True),
        sa.Column("comments_n", sa.BigInteger(), nullable=False),
        sa.Column("shares", sa.BigInteger(), nullable=True),
        sa.Column("shares_n", sa.BigInteger(), nullable=False),
        sa.Column("quotes", sa.BigInteger(), nullable=True),
        sa.Column("quotes_n", sa.BigInteger(), nullable=False),
        sa.Column("saves", sa.BigInteger(), nullable=True),
        sa.Column("saves_n", sa.BigInteger(), nullable=False),
        sa.Column("snapshots", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_rollup_day_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "workspace_id", "project_id", "day", "community_id", "category", "source", name=op.f("pk_rollup_day")
        ),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "inquiry_event",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("inquiry_id", sa.UUID(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "inquiry_id"],
            ["inquiry.workspace_id", "inquiry.id"],
            name=op.f("fk_inquiry_event_workspace_id_inquiry_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_inquiry_event")),
    )
    op.create_index(
        op.f("ix_inquiry_event_workspace_id_inquiry_id_at_id"),
        "inquiry_event",
        ["workspace_id", "inquiry_id", "at", "id"],
        unique=False,
    )
    op.create_table(
        "message",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("inquiry_id", sa.UUID(), nullable=True),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("thread_id", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("author_id", sa.Text(), nullable=True),
        sa.Column("author_name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("read", sa.Boolean(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("in_reply_to", sa.Text(), nullable=True),
        sa.Column("delivery", sa.Text(), nullable=True),
        sa.Column("delivery_detail", sa.Text(), nullable=True),
        sa.Column("intended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id", "inquiry_id"],
            ["inquiry.workspace_id", "inquiry.id"],
            name=op.f("fk_message_workspace_id_inquiry_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_message")),
    )
    op.create_index(
        op.f("ix_message_workspace_id_inquiry_id_sent_at_id"),
        "message",
        ["workspace_id", "inquiry_id", "sent_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_message_workspace_id_community_id_thread_id"),
        "message",
        ["workspace_id", "community_id", "thread_id"],
        unique=False,
    )
    op.create_index(
        "uq_message_external_id",
        "message",
        ["workspace_id", "community_id", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_table(
        "post_last",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("publication_id", sa.UUID(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("missing", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("views", sa.BigInteger(), nullable=True),
        sa.Column("reach", sa.BigInteger(), nullable=True),
        sa.Column("reactions", sa.BigInteger(), nullable=True),
        sa.Column("comments", sa.BigInteger(), nullable=True),
        sa.Column("shares", sa.BigInteger(), nullable=True),
        sa.Column("quotes", sa.BigInteger(), nullable=True),
        sa.Column("saves", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id", "publication_id"],
            ["publication.workspace_id", "publication.id"],
            name=op.f("fk_post_last_workspace_id_publication_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "publication_id", name=op.f("pk_post_last")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "post_snapshot",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("publication_id", sa.UUID(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("views", sa.BigInteger(), nullable=True),
        sa.Column("reach", sa.BigInteger(), nullable=True),
        sa.Column("reactions", sa.BigInteger(), nullable=True),
        sa.Column("comments", sa.BigInteger(), nullable=True),
        sa.Column("shares", sa.BigInteger(), nullable=True),
        sa.Column("quotes", sa.BigInteger(), nullable=True),
        sa.Column("saves", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id", "publication_id"],
            ["publication.workspace_id", "publication.id"],
            name=op.f("fk_post_snapshot_workspace_id_publication_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "publication_id", "at", name=op.f("pk_post_snapshot")),
    )
    op.create_table(
        "waiting",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("inquiry_id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("opening", sa.Boolean(), nullable=False),
        sa.Column("working_seconds", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id", "inquiry_id"],
            ["inquiry.workspace_id", "inquiry.id"],
            name=op.f("fk_waiting_workspace_id_inquiry_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_waiting")),
        sa.UniqueConstraint(
            "workspace_id", "inquiry_id", "started_at", name=op.f("uq_waiting_workspace_id_inquiry_id_started_at")
        ),
    )
    op.create_index(
        op.f("ix_waiting_workspace_id_project_id_ended_at_id"),
        "waiting",
        ["workspace_id", "project_id", "ended_at", "id"],
        unique=False,
    )
    op.create_table(
        "post",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("publication_id", sa.UUID(), nullable=True),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("planned_for", sa.DateTime(), nullable=True),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("permalink", sa.Text(), nullable=True),
        sa.Column("permalink_key", sa.Text(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_post_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "project_id"],
            ["project.workspace_id", "project.id"],
            name=op.f("fk_post_workspace_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "publication_id"],
            ["publication.workspace_id", "publication.id"],
            name=op.f("fk_post_workspace_id_publication_id"),
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_post")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        op.f("ix_post_workspace_id_created_at_id"), "post", ["workspace_id", "created_at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_post_workspace_id_project_id_created_at_id"),
        "post",
        ["workspace_id", "project_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_post_workspace_id_project_id_planned_at_id"),
        "post",
        ["workspace_id", "project_id", "planned_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_post_workspace_id_project_id_published_at_id"),
        "post",
        ["workspace_id", "project_id", "published_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_post_unmatched",
        "post",
        ["workspace_id", "community_id"],
        unique=False,
        postgresql_where=sa.text("publication_id IS NULL AND status = 'published'"),
    )
    op.create_index(
        "uq_post_permalink_key",
        "post",
        ["workspace_id", "community_id", "permalink_key"],
        unique=True,
        postgresql_where=sa.text("permalink_key IS NOT NULL"),
    )
    op.create_index(
        "uq_post_publication_id",
        "post",
        ["workspace_id", "publication_id"],
        unique=True,
        postgresql_where=sa.text("publication_id IS NOT NULL"),
    )
    op.create_table(
        "link",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=True),
        sa.Column("post_id", sa.UUID(), nullable=True),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_link_workspace_id_community_id"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "post_id"],
            ["post.workspace_id", "post.id"],
            name=op.f("fk_link_workspace_id_post_id"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "project_id"],
            ["project.workspace_id", "project.id"],
            name=op.f("fk_link_workspace_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_link")),
    )
    op.create_index(
        op.f("ix_link_workspace_id_created_at_id"), "link", ["workspace_id", "created_at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_link_workspace_id_project_id_created_at_id"),
        "link",
        ["workspace_id", "project_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_link_workspace_id_post_id"),
        "link",
        ["workspace_id", "post_id"],
        unique=False,
        postgresql_where=sa.text("post_id IS NOT NULL"),
    )
    op.create_table(
        "link_route",
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("link_id", sa.UUID(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "link_id"],
            ["link.workspace_id", "link.id"],
            name=op.f("fk_link_route_workspace_id_link_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_link_route")),
    )
    op.create_table(
        "visitor",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("link_id", sa.UUID(), nullable=False),
        sa.Column("visitor", sa.LargeBinary(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("click_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "link_id"],
            ["link.workspace_id", "link.id"],
            name=op.f("fk_visitor_workspace_id_link_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "link_id", "visitor", name=op.f("pk_visitor")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "click",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("link_id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("visitor", sa.LargeBinary(), nullable=False),
        sa.Column("bot", sa.Text(), nullable=True),
        sa.Column("repeat", sa.Boolean(), nullable=False),
        sa.Column("referrer", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id", "link_id"],
            ["link.workspace_id", "link.id"],
            name=op.f("fk_click_workspace_id_link_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_click")),
    )
    op.create_index(
        op.f("ix_click_workspace_id_link_id_at_id"), "click", ["workspace_id", "link_id", "at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_click_workspace_id_project_id_day_id"),
        "click",
        ["workspace_id", "project_id", "day", "id"],
        unique=False,
    )
    op.create_table(
        "click_day",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("link_id", sa.UUID(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=True),
        sa.Column("people", sa.BigInteger(), nullable=False),
        sa.Column("bots", sa.BigInteger(), nullable=False),
        sa.Column("repeats", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "link_id"],
            ["link.workspace_id", "link.id"],
            name=op.f("fk_click_day_workspace_id_link_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "link_id", "day", name=op.f("pk_click_day")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        op.f("ix_click_day_workspace_id_project_id_day"),
        "click_day",
        ["workspace_id", "project_id", "day"],
        unique=False,
    )
    isolate(
        "workspace",
        "membership",
        "event",
        "idempotent_answer",
        "project",
        "brief",
        "community",
        "community_token",
        "hook",
        "hook_event",
        "early_deletion",
        "publication",
        "post_snapshot",
        "post_last",
        "rollup_day",
        "community_snapshot",
        "community_day",
        "inquiry",
        "message",
        "waiting",
        "inquiry_event",
        "post",
        "mix_policy",
        "link",
        "visitor",
        "click",
        "click_day",
    )


def downgrade() -> None:
    op.drop_table("click_day")
    op.drop_table("click")
    op.drop_table("visitor")
    op.drop_table("link_route")
    op.drop_table("link")
    op.drop_table("post")
    op.drop_index(op.f("ix_waiting_workspace_id_project_id_ended_at_id"), table_name="waiting")
    op.drop_table("waiting")
    op.drop_table("post_snapshot")
    op.drop_table("post_last")
    op.drop_index("uq_message_external_id", table_name="message", postgresql_where=sa.text("external_id IS NOT NULL"))
    op.drop_index(op.f("ix_message_workspace_id_inquiry_id_sent_at_id"), table_name="message")
    op.drop_index(op.f("ix_message_workspace_id_community_id_thread_id"), table_name="message")
    op.drop_table("message")
    op.drop_index(op.f("ix_inquiry_event_workspace_id_inquiry_id_at_id"), table_name="inquiry_event")
    op.drop_table("inquiry_event")
    op.drop_table("rollup_day")
    op.drop_index(op.f("ix_publication_workspace_id_project_id_published_at_id"), table_name="publication")
    op.drop_index(
        "ix_publication_measure_at", table_name="publication", postgresql_where=sa.text("measure_at IS NOT NULL")
    )
    op.drop_table("publication")
    op.drop_index(op.f("ix_inquiry_workspace_id_project_id_opened_at_id"), table_name="inquiry")
    op.drop_index(op.f("ix_inquiry_workspace_id_last_message_at_id"), table_name="inquiry")
    op.drop_table("inquiry")
    op.drop_table("early_deletion")
    op.drop_index(op.f("ix_hook_event_workspace_id_community_id_received_at"), table_name="hook_event")
    op.drop_table("hook_event")
    op.drop_table("hook_route")
    op.drop_table("hook")
    op.drop_table("community_token")
    op.drop_table("community_snapshot")
    op.drop_index(op.f("ix_community_day_workspace_id_project_id_day"), table_name="community_day")
    op.drop_table("community_day")
    op.drop_table("mix_policy")
    op.drop_index(op.f("ix_community_workspace_id_project_id_created_at_id"), table_name="community")
    op.drop_index(
        "uq_community_external_id", table_name="community", postgresql_where=sa.text("external_id IS NOT NULL")
    )
    op.drop_table("community")
    op.drop_table("brief")
    op.drop_index(op.f("ix_project_workspace_id_created_at_id"), table_name="project")
    op.drop_table("project")
    op.drop_table("membership")
    op.drop_table("api_key")
    op.drop_table("workspace")
    op.drop_table("worker_heartbeat")
    op.drop_index("uq_user_account_email", table_name="user_account")
    op.drop_table("user_account")
    op.drop_index(
        "uq_job_key", table_name="job", postgresql_where=sa.text("state <> 'dead'"), postgresql_nulls_not_distinct=True
    )
    op.drop_index("ix_job_leased", table_name="job", postgresql_where=sa.text("state = 'running'"))
    op.drop_index("ix_job_due", table_name="job", postgresql_where=sa.text("state = 'waiting'"))
    op.drop_table("job")
    op.drop_index(op.f("ix_idempotent_answer_workspace_id_created_at"), table_name="idempotent_answer")
    op.drop_table("idempotent_answer")
    op.drop_index(op.f("ix_event_workspace_id_topic_id"), table_name="event")
    op.drop_table("event")
    op.drop_table("call_budget")
