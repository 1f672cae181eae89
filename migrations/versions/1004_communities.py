"""Communities, their tokens, hooks and publications"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tables import isolate

revision: str = "1004"
down_revision: str | None = "1003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "inbound_event",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("batch", sa.UUID(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("isfinite(applied_at)", name=op.f("ck_inbound_event_applied_at_is_finite")),
        sa.CheckConstraint("isfinite(received_at)", name=op.f("ck_inbound_event_received_at_is_finite")),
        sa.PrimaryKeyConstraint("workspace_id", "community_id", "event_id", name=op.f("pk_inbound_event")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "ix_inbound_event_pending",
        "inbound_event",
        ["workspace_id", "batch"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "ix_inbound_event_unparsed",
        "inbound_event",
        ["workspace_id", "community_id", "received_at"],
        unique=False,
        postgresql_where=sa.text("status = 'unparsed'"),
    )
    op.create_index(
        op.f("ix_inbound_event_workspace_id_community_id_received_at"),
        "inbound_event",
        ["workspace_id", "community_id", "received_at"],
        unique=False,
    )
    op.create_table(
        "inbound_item",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("post", sa.Boolean(), nullable=False),
        sa.Column("publication_id", sa.UUID(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(received_at)", name=op.f("ck_inbound_item_received_at_is_finite")),
        sa.PrimaryKeyConstraint("workspace_id", "community_id", "external_id", "post", name=op.f("pk_inbound_item")),
    )
    op.create_index(
        op.f("ix_inbound_item_workspace_id_community_id_received_at"),
        "inbound_item",
        ["workspace_id", "community_id", "received_at"],
        unique=False,
    )
    op.create_table(
        "rate_demand",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("consumer", sa.UUID(), nullable=False),
        sa.Column("content", sa.Double(), nullable=False),
        sa.Column("metrics", sa.Double(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(at)", name=op.f("ck_rate_demand_at_is_finite")),
        sa.PrimaryKeyConstraint("key", "seconds", "consumer", name=op.f("pk_rate_demand")),
    )
    op.create_index(op.f("ix_rate_demand_at"), "rate_demand", ["at"], unique=False)
    op.create_table(
        "rate_limit_use",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("slots", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("key", "seconds", name=op.f("pk_rate_limit_use")),
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
        sa.Column("refusals", sa.BigInteger(), nullable=False),
        sa.Column("metrics_poll_code", sa.Text(), nullable=True),
        sa.Column("metrics_poll_reason", sa.Text(), nullable=True),
        sa.Column("metrics_poll_failures", sa.BigInteger(), nullable=False),
        sa.Column("backfill_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("backfilled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("backfilled_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("posts_cursor", sa.Text(), nullable=True),
        sa.Column("conversations_cursor", sa.Text(), nullable=True),
        sa.Column("size_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("posts_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("conversations_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tokens_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("size_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("posts_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("conversations_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tokens_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("posts_idle_polls", sa.BigInteger(), nullable=False),
        sa.Column("conversations_idle_polls", sa.BigInteger(), nullable=False),
        sa.Column("costs", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("content_interval_multiplier", sa.Double(), nullable=False),
        sa.Column("metrics_interval_multiplier", sa.Double(), nullable=False),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("metrics_group", sa.Text(), nullable=False),
        sa.Column("polled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("throttled_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_event_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("aliases", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(backfill_since)", name=op.f("ck_community_backfill_since_is_finite")),
        sa.CheckConstraint("isfinite(backfilled_at)", name=op.f("ck_community_backfilled_at_is_finite")),
        sa.CheckConstraint("isfinite(backfilled_to)", name=op.f("ck_community_backfilled_to_is_finite")),
        sa.CheckConstraint(
            "isfinite(conversations_requested_at)", name=op.f("ck_community_conversations_requested_at_is_finite")
        ),
        sa.CheckConstraint(
            "isfinite(conversations_seen_at)", name=op.f("ck_community_conversations_seen_at_is_finite")
        ),
        sa.CheckConstraint("isfinite(created_at)", name=op.f("ck_community_created_at_is_finite")),
        sa.CheckConstraint("isfinite(last_event_at)", name=op.f("ck_community_last_event_at_is_finite")),
        sa.CheckConstraint("isfinite(planned_at)", name=op.f("ck_community_planned_at_is_finite")),
        sa.CheckConstraint("isfinite(polled_at)", name=op.f("ck_community_polled_at_is_finite")),
        sa.CheckConstraint("isfinite(posts_requested_at)", name=op.f("ck_community_posts_requested_at_is_finite")),
        sa.CheckConstraint("isfinite(posts_seen_at)", name=op.f("ck_community_posts_seen_at_is_finite")),
        sa.CheckConstraint("isfinite(size_requested_at)", name=op.f("ck_community_size_requested_at_is_finite")),
        sa.CheckConstraint("isfinite(size_seen_at)", name=op.f("ck_community_size_seen_at_is_finite")),
        sa.CheckConstraint("isfinite(throttled_until)", name=op.f("ck_community_throttled_until_is_finite")),
        sa.CheckConstraint("isfinite(tokens_requested_at)", name=op.f("ck_community_tokens_requested_at_is_finite")),
        sa.CheckConstraint("isfinite(tokens_seen_at)", name=op.f("ck_community_tokens_seen_at_is_finite")),
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
        "ix_community_workspace_id_metrics_group",
        "community",
        ["workspace_id", "metrics_group"],
        unique=False,
        postgresql_where=sa.text("metrics_group <> ''"),
    )
    op.create_index(
        op.f("ix_community_workspace_id_project_id_created_at_id"),
        "community",
        ["workspace_id", "project_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "uq_community_external_id",
        "community",
        ["workspace_id", "platform", "base_url", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_table(
        "community_token",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("missing_scopes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("inspected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("warned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("renewing_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("renewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(expires_at)", name=op.f("ck_community_token_expires_at_is_finite")),
        sa.CheckConstraint("isfinite(inspected_at)", name=op.f("ck_community_token_inspected_at_is_finite")),
        sa.CheckConstraint("isfinite(renewed_at)", name=op.f("ck_community_token_renewed_at_is_finite")),
        sa.CheckConstraint("isfinite(renewing_until)", name=op.f("ck_community_token_renewing_until_is_finite")),
        sa.CheckConstraint("isfinite(updated_at)", name=op.f("ck_community_token_updated_at_is_finite")),
        sa.CheckConstraint("isfinite(warned_at)", name=op.f("ck_community_token_warned_at_is_finite")),
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
        "hook",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("public_id", sa.UUID(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("first_event_at_by_kind", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("subscribed", sa.Boolean(), nullable=True),
        sa.Column("delivering", sa.Boolean(), nullable=True),
        sa.Column("waiting", sa.BigInteger(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(checked_at)", name=op.f("ck_hook_checked_at_is_finite")),
        sa.CheckConstraint("isfinite(created_at)", name=op.f("ck_hook_created_at_is_finite")),
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
        "inbound_gap",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("post", sa.Boolean(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(found_at)", name=op.f("ck_inbound_gap_found_at_is_finite")),
        sa.CheckConstraint("isfinite(sent_at)", name=op.f("ck_inbound_gap_sent_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_inbound_gap_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "community_id", "external_id", "post", name=op.f("pk_inbound_gap")),
    )
    op.create_index(
        op.f("ix_inbound_gap_workspace_id_community_id_found_at"),
        "inbound_gap",
        ["workspace_id", "community_id", "found_at"],
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
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("unchanged_polls", sa.BigInteger(), nullable=False),
        sa.Column("comments", sa.BigInteger(), nullable=True),
        sa.Column("comments_read", sa.BigInteger(), nullable=True),
        sa.Column("comments_cursor", sa.Text(), nullable=True),
        sa.CheckConstraint("isfinite(edited_at)", name=op.f("ck_publication_edited_at_is_finite")),
        sa.CheckConstraint("isfinite(gone_at)", name=op.f("ck_publication_gone_at_is_finite")),
        sa.CheckConstraint("isfinite(measure_at)", name=op.f("ck_publication_measure_at_is_finite")),
        sa.CheckConstraint("isfinite(published_at)", name=op.f("ck_publication_published_at_is_finite")),
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
        "ix_publication_moved",
        "publication",
        ["workspace_id", "community_id", "published_at"],
        unique=False,
        postgresql_where=sa.text(
            "gone_at IS NULL AND comments IS DISTINCT FROM comments_read "
            "AND (comments > 0 OR comments_read IS NOT NULL)"
        ),
    )
    op.create_index(
        op.f("ix_publication_workspace_id_project_id_published_at_id"),
        "publication",
        ["workspace_id", "project_id", "published_at", "id"],
        unique=False,
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
        sa.PrimaryKeyConstraint("hook_id", "community_id", name=op.f("pk_hook_route")),
        sa.UniqueConstraint("hook_id", "workspace_id", name=op.f("uq_hook_route_hook_id_workspace_id")),
    )
    isolate("inbound_event", "inbound_item", "community", "community_token", "hook", "inbound_gap", "publication")


def downgrade() -> None:
    op.drop_table("hook_route")
    op.drop_table("publication")
    op.drop_table("inbound_gap")
    op.drop_table("hook")
    op.drop_table("community_token")
    op.drop_table("community")
    op.drop_table("rate_limit_use")
    op.drop_table("rate_demand")
    op.drop_table("inbound_item")
    op.drop_table("inbound_event")
