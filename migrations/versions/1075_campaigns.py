"""Campaigns: spend, links, promo codes; who joins and who leaves"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.tables import isolate, isolate_projects

revision: str = "1075"
down_revision: str | None = "1072"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

PROJECT_TABLES = (
    "campaign",
    "campaign_spend",
    "campaign_link",
    "campaign_invite_link",
    "promo_code",
    "promo_redemption",
    "utm_template",
    "member_change",
)
"""The tables whose rows belong to a project."""


def upgrade() -> None:
    op.create_table(
        "campaign",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("all_communities", sa.Boolean(), nullable=False),
        sa.Column("budget", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("isfinite(cancelled_at)", name=op.f("ck_campaign_cancelled_at_is_finite")),
        sa.CheckConstraint("isfinite(created_at)", name=op.f("ck_campaign_created_at_is_finite")),
        sa.CheckConstraint("isfinite(ends_at)", name=op.f("ck_campaign_ends_at_is_finite")),
        sa.CheckConstraint("isfinite(first_day)", name=op.f("ck_campaign_first_day_is_finite")),
        sa.CheckConstraint("isfinite(last_day)", name=op.f("ck_campaign_last_day_is_finite")),
        sa.CheckConstraint("isfinite(starts_at)", name=op.f("ck_campaign_starts_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "project_id"],
            ["project.workspace_id", "project.id"],
            name=op.f("fk_campaign_workspace_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_campaign")),
    )
    op.create_index(
        op.f("ix_campaign_workspace_id_created_at_id"), "campaign", ["workspace_id", "created_at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_campaign_workspace_id_project_id_created_at_id"),
        "campaign",
        ["workspace_id", "project_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_campaign_workspace_id_project_id_starts_at_id"),
        "campaign",
        ["workspace_id", "project_id", "starts_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_campaign_workspace_id_starts_at_id"), "campaign", ["workspace_id", "starts_at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_campaign_workspace_id_status_created_at_id"),
        "campaign",
        ["workspace_id", "status", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_campaign_workspace_id_status_starts_at_id"),
        "campaign",
        ["workspace_id", "status", "starts_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_campaign_workspace_id_type_created_at_id"),
        "campaign",
        ["workspace_id", "type", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_campaign_workspace_id_type_starts_at_id"),
        "campaign",
        ["workspace_id", "type", "starts_at", "id"],
        unique=False,
    )
    op.create_table(
        "utm_template",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(updated_at)", name=op.f("ck_utm_template_updated_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "project_id"],
            ["project.workspace_id", "project.id"],
            name=op.f("fk_utm_template_workspace_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "project_id", name=op.f("pk_utm_template")),
    )
    op.create_table(
        "campaign_community",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("campaign_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "campaign_id"],
            ["campaign.workspace_id", "campaign.id"],
            name=op.f("fk_campaign_community_workspace_id_campaign_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_campaign_community_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "campaign_id", "community_id", name=op.f("pk_campaign_community")),
    )
    op.create_index(
        op.f("ix_campaign_community_workspace_id_community_id_campaign_id"),
        "campaign_community",
        ["workspace_id", "community_id", "campaign_id"],
        unique=False,
    )
    op.create_table(
        "campaign_invite_link",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("campaign_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("isfinite(ended_at)", name=op.f("ck_campaign_invite_link_ended_at_is_finite")),
        sa.CheckConstraint("isfinite(set_at)", name=op.f("ck_campaign_invite_link_set_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "campaign_id"],
            ["campaign.workspace_id", "campaign.id"],
            name=op.f("fk_campaign_invite_link_workspace_id_campaign_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_campaign_invite_link_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_campaign_invite_link")),
    )
    op.create_index(
        op.f("ix_campaign_invite_link_workspace_id_campaign_id_id"),
        "campaign_invite_link",
        ["workspace_id", "campaign_id", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_campaign_invite_link_workspace_id_community_id"),
        "campaign_invite_link",
        ["workspace_id", "community_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_campaign_invite_link_workspace_id_project_id"),
        "campaign_invite_link",
        ["workspace_id", "project_id"],
        unique=False,
    )
    op.create_index(
        "uq_campaign_invite_link_address",
        "campaign_invite_link",
        ["workspace_id", "community_id", "address"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "campaign_spend",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("campaign_id", sa.UUID(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("void_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("isfinite(day)", name=op.f("ck_campaign_spend_day_is_finite")),
        sa.CheckConstraint("isfinite(recorded_at)", name=op.f("ck_campaign_spend_recorded_at_is_finite")),
        sa.CheckConstraint("isfinite(voided_at)", name=op.f("ck_campaign_spend_voided_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "campaign_id"],
            ["campaign.workspace_id", "campaign.id"],
            name=op.f("fk_campaign_spend_workspace_id_campaign_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_campaign_spend")),
    )
    op.create_index(
        op.f("ix_campaign_spend_workspace_id_campaign_id_day_id"),
        "campaign_spend",
        ["workspace_id", "campaign_id", "day", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_campaign_spend_workspace_id_project_id_day_id"),
        "campaign_spend",
        ["workspace_id", "project_id", "day", "id"],
        unique=False,
    )
    op.create_index(
        "uq_campaign_spend_external_id",
        "campaign_spend",
        ["workspace_id", "campaign_id", "external_id"],
        unique=True,
        postgresql_where=sa.text("voided_at IS NULL"),
    )
    op.create_table(
        "member_change",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("member", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("joined", sa.Boolean(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("invite_link", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(at)", name=op.f("ck_member_change_at_is_finite")),
        sa.CheckConstraint("isfinite(recorded_at)", name=op.f("ck_member_change_recorded_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_member_change_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "workspace_id", "community_id", "member", "at", "joined", name=op.f("pk_member_change")
        ),
    )
    op.create_index(
        op.f("ix_member_change_workspace_id_community_id_at"),
        "member_change",
        ["workspace_id", "community_id", "at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_member_change_workspace_id_project_id_at"),
        "member_change",
        ["workspace_id", "project_id", "at"],
        unique=False,
    )
    op.create_table(
        "promo_code",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("campaign_id", sa.UUID(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("code_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("isfinite(created_at)", name=op.f("ck_promo_code_created_at_is_finite")),
        sa.CheckConstraint("isfinite(retired_at)", name=op.f("ck_promo_code_retired_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "campaign_id"],
            ["campaign.workspace_id", "campaign.id"],
            name=op.f("fk_promo_code_workspace_id_campaign_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_promo_code")),
    )
    op.create_index(
        op.f("ix_promo_code_workspace_id_campaign_id_created_at_id"),
        "promo_code",
        ["workspace_id", "campaign_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "uq_promo_code_code_key",
        "promo_code",
        ["workspace_id", "project_id", "code_key"],
        unique=True,
        postgresql_where=sa.text("retired_at IS NULL"),
    )
    op.create_table(
        "promo_redemption",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("campaign_id", sa.UUID(), nullable=False),
        sa.Column("promo_code_id", sa.UUID(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(at)", name=op.f("ck_promo_redemption_at_is_finite")),
        sa.CheckConstraint("isfinite(recorded_at)", name=op.f("ck_promo_redemption_recorded_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "campaign_id"],
            ["campaign.workspace_id", "campaign.id"],
            name=op.f("fk_promo_redemption_workspace_id_campaign_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "promo_code_id"],
            ["promo_code.workspace_id", "promo_code.id"],
            name=op.f("fk_promo_redemption_workspace_id_promo_code_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_promo_redemption")),
    )
    op.create_index(
        op.f("ix_promo_redemption_workspace_id_campaign_id_at"),
        "promo_redemption",
        ["workspace_id", "campaign_id", "at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_promo_redemption_workspace_id_project_id"),
        "promo_redemption",
        ["workspace_id", "project_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_promo_redemption_workspace_id_promo_code_id_at_id"),
        "promo_redemption",
        ["workspace_id", "promo_code_id", "at", "id"],
        unique=False,
    )
    op.create_index(
        "uq_promo_redemption_external_id",
        "promo_redemption",
        ["workspace_id", "promo_code_id", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_table(
        "campaign_link",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("campaign_id", sa.UUID(), nullable=False),
        sa.Column("link_id", sa.UUID(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("isfinite(ended_at)", name=op.f("ck_campaign_link_ended_at_is_finite")),
        sa.CheckConstraint("isfinite(set_at)", name=op.f("ck_campaign_link_set_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "campaign_id"],
            ["campaign.workspace_id", "campaign.id"],
            name=op.f("fk_campaign_link_workspace_id_campaign_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "link_id"],
            ["link.workspace_id", "link.id"],
            name=op.f("fk_campaign_link_workspace_id_link_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_campaign_link")),
    )
    op.create_index(
        op.f("ix_campaign_link_workspace_id_campaign_id_id"),
        "campaign_link",
        ["workspace_id", "campaign_id", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_campaign_link_workspace_id_project_id"), "campaign_link", ["workspace_id", "project_id"], unique=False
    )
    op.create_index(
        "uq_campaign_link_link_id",
        "campaign_link",
        ["workspace_id", "link_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    isolate(*PROJECT_TABLES, "campaign_community")
    isolate_projects(*PROJECT_TABLES)


def downgrade() -> None:
    op.drop_index("uq_campaign_link_link_id", table_name="campaign_link", postgresql_where=sa.text("ended_at IS NULL"))
    op.drop_index(op.f("ix_campaign_link_workspace_id_project_id"), table_name="campaign_link")
    op.drop_index(op.f("ix_campaign_link_workspace_id_campaign_id_id"), table_name="campaign_link")
    op.drop_table("campaign_link")
    op.drop_index(
        "uq_promo_redemption_external_id",
        table_name="promo_redemption",
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.drop_index(op.f("ix_promo_redemption_workspace_id_promo_code_id_at_id"), table_name="promo_redemption")
    op.drop_index(op.f("ix_promo_redemption_workspace_id_project_id"), table_name="promo_redemption")
    op.drop_index(op.f("ix_promo_redemption_workspace_id_campaign_id_at"), table_name="promo_redemption")
    op.drop_table("promo_redemption")
    op.drop_index("uq_promo_code_code_key", table_name="promo_code", postgresql_where=sa.text("retired_at IS NULL"))
    op.drop_index(op.f("ix_promo_code_workspace_id_campaign_id_created_at_id"), table_name="promo_code")
    op.drop_table("promo_code")
    op.drop_index(op.f("ix_member_change_workspace_id_project_id_at"), table_name="member_change")
    op.drop_index(op.f("ix_member_change_workspace_id_community_id_at"), table_name="member_change")
    op.drop_table("member_change")
    op.drop_index(
        "uq_campaign_spend_external_id", table_name="campaign_spend", postgresql_where=sa.text("voided_at IS NULL")
    )
    op.drop_index(op.f("ix_campaign_spend_workspace_id_project_id_day_id"), table_name="campaign_spend")
    op.drop_index(op.f("ix_campaign_spend_workspace_id_campaign_id_day_id"), table_name="campaign_spend")
    op.drop_table("campaign_spend")
    op.drop_index(
        "uq_campaign_invite_link_address",
        table_name="campaign_invite_link",
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.drop_index(op.f("ix_campaign_invite_link_workspace_id_project_id"), table_name="campaign_invite_link")
    op.drop_index(op.f("ix_campaign_invite_link_workspace_id_community_id"), table_name="campaign_invite_link")
    op.drop_index(op.f("ix_campaign_invite_link_workspace_id_campaign_id_id"), table_name="campaign_invite_link")
    op.drop_table("campaign_invite_link")
    op.drop_index(op.f("ix_campaign_community_workspace_id_community_id_campaign_id"), table_name="campaign_community")
    op.drop_table("campaign_community")
    op.drop_table("utm_template")
    op.drop_index(op.f("ix_campaign_workspace_id_type_starts_at_id"), table_name="campaign")
    op.drop_index(op.f("ix_campaign_workspace_id_type_created_at_id"), table_name="campaign")
    op.drop_index(op.f("ix_campaign_workspace_id_status_starts_at_id"), table_name="campaign")
    op.drop_index(op.f("ix_campaign_workspace_id_status_created_at_id"), table_name="campaign")
    op.drop_index(op.f("ix_campaign_workspace_id_starts_at_id"), table_name="campaign")
    op.drop_index(op.f("ix_campaign_workspace_id_project_id_starts_at_id"), table_name="campaign")
    op.drop_index(op.f("ix_campaign_workspace_id_project_id_created_at_id"), table_name="campaign")
    op.drop_index(op.f("ix_campaign_workspace_id_created_at_id"), table_name="campaign")
    op.drop_table("campaign")
