"""Alerts, their deliveries, how people want to be told, and the agencies' bots"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tables import isolate, isolate_projects

revision: str = "1056"
down_revision: str | None = "1055"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_INSTANT = sa.DateTime(timezone=True)
_JSON = postgresql.JSONB(astext_type=sa.Text())


def _finite(table: str, *columns: str) -> list[sa.CheckConstraint]:
    return [sa.CheckConstraint(f"isfinite({one})", name=op.f(f"ck_{table}_{one}_is_finite")) for one in columns]


def _of_member(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace_id", "user_id"],
        ["membership.workspace_id", "membership.user_id"],
        name=op.f(f"fk_{table}_workspace_id_user_id"),
        ondelete="CASCADE",
    )


def _of_workspace(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace_id"], ["workspace.workspace_id"], name=op.f(f"fk_{table}_workspace_id"), ondelete="CASCADE"
    )


def _of_project(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace_id", "project_id"],
        ["project.workspace_id", "project.id"],
        name=op.f(f"fk_{table}_workspace_id_project_id"),
        ondelete="CASCADE",
    )


def upgrade() -> None:
    op.create_table(
        "alert",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=True),
        sa.Column("subject_id", sa.UUID(), nullable=False),
        sa.Column("since", _INSTANT, nullable=False),
        sa.Column("facts", _JSON, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("opened_at", _INSTANT, nullable=False),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.Column("acknowledged_at", _INSTANT, nullable=True),
        sa.Column("acknowledged_by", sa.UUID(), nullable=True),
        *_finite("alert", "since", "opened_at", "ended_at", "acknowledged_at"),
        _of_workspace("alert"),
        _of_project("alert"),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_alert")),
        sa.UniqueConstraint(
            "workspace_id", "kind", "subject_id", "since", name=op.f("uq_alert_workspace_id_kind_subject_id_since")
        ),
    )
    for columns in (("opened_at",), ("project_id", "opened_at"), ("kind", "opened_at")):
        name = op.f(f"ix_alert_workspace_id_{'_'.join(columns)}_id")
        op.create_index(name, "alert", ["workspace_id", *columns, "id"], unique=False)
    for status in ("open", "acknowledged", "ended"):
        op.create_index(
            f"ix_alert_{status}",
            "alert",
            ["workspace_id", "opened_at", "id"],
            unique=False,
            postgresql_where=sa.text(f"status = '{status}'"),
        )
    op.create_index(
        "ix_alert_lasting",
        "alert",
        ["workspace_id", "kind", "id"],
        unique=False,
        postgresql_where=sa.text("status <> 'ended'"),
    )
    op.create_table(
        "alert_delivery",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("alert_id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("planned_at", _INSTANT, nullable=False),
        sa.Column("due_at", _INSTANT, nullable=False),
        sa.Column("message_id", sa.UUID(), nullable=True),
        sa.Column("unsettled", sa.BigInteger(), nullable=False),
        sa.Column("intended_at", _INSTANT, nullable=True),
        sa.Column("sent_at", _INSTANT, nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        *_finite("alert_delivery", "planned_at", "due_at", "intended_at", "sent_at"),
        sa.ForeignKeyConstraint(
            ["workspace_id", "alert_id"],
            ["alert.workspace_id", "alert.id"],
            name=op.f("fk_alert_delivery_workspace_id_alert_id"),
            ondelete="CASCADE",
        ),
        _of_member("alert_delivery"),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_alert_delivery")),
        sa.UniqueConstraint(
            "workspace_id",
            "alert_id",
            "user_id",
            "channel",
            name=op.f("uq_alert_delivery_workspace_id_alert_id_user_id_channel"),
        ),
    )
    op.create_index(
        "ix_alert_delivery_due",
        "alert_delivery",
        ["workspace_id", "user_id", "channel", "due_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('planned', 'sending')"),
    )
    op.create_index(
        op.f("ix_alert_delivery_workspace_id_user_id_channel_id"),
        "alert_delivery",
        ["workspace_id", "user_id", "channel", "id"],
        unique=False,
    )
    op.create_table(
        "alert_preference",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("channels", _JSON, nullable=True),
        sa.Column("muted_kinds", _JSON, nullable=False),
        sa.Column("timing", sa.Text(), nullable=False),
        sa.Column("digest_hour", sa.BigInteger(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("away_until", _INSTANT, nullable=True),
        *_finite("alert_preference", "away_until"),
        _of_member("alert_preference"),
        sa.PrimaryKeyConstraint("workspace_id", "user_id", name=op.f("pk_alert_preference")),
    )
    op.create_table(
        "alert_policy",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("minutes", _JSON, nullable=False),
        sa.Column("updated_at", _INSTANT, nullable=False),
        *_finite("alert_policy", "updated_at"),
        _of_project("alert_policy"),
        sa.PrimaryKeyConstraint("workspace_id", "project_id", name=op.f("pk_alert_policy")),
    )
    op.create_table(
        "alert_bot",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=True),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("updated_at", _INSTANT, nullable=False),
        *_finite("alert_bot", "updated_at"),
        _of_workspace("alert_bot"),
        sa.PrimaryKeyConstraint("workspace_id", "platform", name=op.f("pk_alert_bot")),
    )
    op.create_table(
        "alert_chat",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("chat_id", sa.Text(), nullable=True),
        sa.Column("linked_at", _INSTANT, nullable=True),
        sa.Column("code_hash", sa.LargeBinary(), nullable=True),
        sa.Column("code_expires_at", _INSTANT, nullable=True),
        *_finite("alert_chat", "linked_at", "code_expires_at"),
        _of_member("alert_chat"),
        sa.PrimaryKeyConstraint("workspace_id", "user_id", "platform", name=op.f("pk_alert_chat")),
    )
    op.create_index(
        "ix_alert_chat_code",
        "alert_chat",
        ["workspace_id", "platform", "code_expires_at"],
        unique=False,
        postgresql_where=sa.text("code_hash IS NOT NULL"),
    )
    isolate("alert", "alert_delivery", "alert_preference", "alert_policy", "alert_bot", "alert_chat")
    isolate_projects("alert", "alert_policy")


def downgrade() -> None:
    for table in ("alert_chat", "alert_bot", "alert_policy", "alert_preference", "alert_delivery", "alert"):
        op.drop_table(table)
