"""Inquiries and their messages"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tables import isolate

revision: str = "1006"
down_revision: str | None = "1005"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "early_deletion",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(deleted_at)", name=op.f("ck_early_deletion_deleted_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_early_deletion_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "community_id", "external_id", name=op.f("pk_early_deletion")),
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
        sa.CheckConstraint("isfinite(first_answered_at)", name=op.f("ck_inquiry_first_answered_at_is_finite")),
        sa.CheckConstraint("isfinite(handled_at)", name=op.f("ck_inquiry_handled_at_is_finite")),
        sa.CheckConstraint("isfinite(last_message_at)", name=op.f("ck_inquiry_last_message_at_is_finite")),
        sa.CheckConstraint("isfinite(opened_at)", name=op.f("ck_inquiry_opened_at_is_finite")),
        sa.CheckConstraint("isfinite(resolved_at)", name=op.f("ck_inquiry_resolved_at_is_finite")),
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
        "inquiry_event",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("inquiry_id", sa.UUID(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("isfinite(at)", name=op.f("ck_inquiry_event_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "inquiry_id"],
            ["inquiry.workspace_id", "inquiry.id"],
            name=op.f("fk_inquiry_event_workspace_id_inquiry_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_inquiry_event")),
    )
    op.create_index(
        op.f("ix_inquiry_event_workspace_id_inquiry_id_at_sequence"),
        "inquiry_event",
        ["workspace_id", "inquiry_id", "at", "sequence"],
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
        sa.Column("content_known", sa.Boolean(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("in_reply_to", sa.Text(), nullable=True),
        sa.Column("delivery", sa.Text(), nullable=True),
        sa.Column("delivery_detail", sa.Text(), nullable=True),
        sa.Column("intended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("isfinite(deleted_at)", name=op.f("ck_message_deleted_at_is_finite")),
        sa.CheckConstraint("isfinite(edited_at)", name=op.f("ck_message_edited_at_is_finite")),
        sa.CheckConstraint("isfinite(intended_at)", name=op.f("ck_message_intended_at_is_finite")),
        sa.CheckConstraint("isfinite(sent_at)", name=op.f("ck_message_sent_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "inquiry_id"],
            ["inquiry.workspace_id", "inquiry.id"],
            name=op.f("fk_message_workspace_id_inquiry_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_message")),
    )
    op.create_index(
        op.f("ix_message_workspace_id_community_id_thread_id"),
        "message",
        ["workspace_id", "community_id", "thread_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_message_workspace_id_inquiry_id_sent_at_id"),
        "message",
        ["workspace_id", "inquiry_id", "sent_at", "id"],
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
        "response_wait",
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
        sa.CheckConstraint("isfinite(ended_at)", name=op.f("ck_response_wait_ended_at_is_finite")),
        sa.CheckConstraint("isfinite(started_at)", name=op.f("ck_response_wait_started_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "inquiry_id"],
            ["inquiry.workspace_id", "inquiry.id"],
            name=op.f("fk_response_wait_workspace_id_inquiry_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_response_wait")),
        sa.UniqueConstraint(
            "workspace_id", "inquiry_id", "started_at", name=op.f("uq_response_wait_workspace_id_inquiry_id_started_at")
        ),
    )
    op.create_index(
        op.f("ix_response_wait_workspace_id_project_id_ended_at_id"),
        "response_wait",
        ["workspace_id", "project_id", "ended_at", "id"],
        unique=False,
    )
    isolate("early_deletion", "inquiry", "inquiry_event", "message", "response_wait")


def downgrade() -> None:
    op.drop_table("response_wait")
    op.drop_table("message")
    op.drop_table("inquiry_event")
    op.drop_table("inquiry")
    op.drop_table("early_deletion")
