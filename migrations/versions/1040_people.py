"""People's accounts, sessions, seats and invitations; API keys with permissions; members see their projects alone"""

import json
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tables import end_isolation_of_projects, isolate, isolate_projects

revision: str = "1040"
down_revision: str | None = "1037"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

PROJECT_TABLES = (
    "project",
    "brief",
    "community",
    "mix_policy",
    "project_seat",
    "community_day",
    "inquiry",
    "inquiry_count",
    "publication",
    "rollup_day",
    "post",
    "response_wait",
    "link",
    "click",
    "click_day",
)
"""The tables whose rows belong to a project."""

INSTANTS = (
    ("api_key", "previous_until"),
    ("api_key", "last_used_at"),
    ("user_account", "password_changed_at"),
    ("user_account", "totp_confirmed_at"),
)

SCOPES = {
    "read": [
        "briefs:read",
        "communities:read",
        "hooks:read",
        "inquiries:read",
        "kpis:read",
        "links:read",
        "metrics:read",
        "mix:read",
        "posts:read",
        "projects:read",
        "workspace:read",
    ],
    "write": [
        "briefs:write",
        "communities:connect",
        "communities:write",
        "hooks:write",
        "inquiries:reply",
        "inquiries:write",
        "links:write",
        "mix:write",
        "posts:publish",
        "posts:write",
        "projects:create",
        "projects:write",
    ],
}
"""The permissions that API keys had by their scopes."""


def upgrade() -> None:
    op.create_table(
        "sign_in_failure",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(until)", name=op.f("ck_sign_in_failure_until_is_finite")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sign_in_failure")),
    )
    op.create_index(op.f("ix_sign_in_failure_until"), "sign_in_failure", ["until"], unique=False)
    op.create_table(
        "account_link",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=True),
        sa.Column("invitation_id", sa.UUID(), nullable=True),
        sa.Column("user_id", sa.UUID(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("isfinite(created_at)", name=op.f("ck_account_link_created_at_is_finite")),
        sa.CheckConstraint("isfinite(expires_at)", name=op.f("ck_account_link_expires_at_is_finite")),
        sa.CheckConstraint("isfinite(used_at)", name=op.f("ck_account_link_used_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_account_link_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_account_link")),
    )
    op.create_index(op.f("ix_account_link_expires_at"), "account_link", ["expires_at"], unique=False)
    op.create_index(op.f("ix_account_link_invitation_id"), "account_link", ["invitation_id"], unique=False)
    op.create_index(op.f("ix_account_link_user_id"), "account_link", ["user_id"], unique=False)
    op.create_table(
        "invitation",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("seats", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("invited_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("isfinite(accepted_at)", name=op.f("ck_invitation_accepted_at_is_finite")),
        sa.CheckConstraint("isfinite(created_at)", name=op.f("ck_invitation_created_at_is_finite")),
        sa.CheckConstraint("isfinite(expires_at)", name=op.f("ck_invitation_expires_at_is_finite")),
        sa.CheckConstraint("isfinite(revoked_at)", name=op.f("ck_invitation_revoked_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.workspace_id"], name=op.f("fk_invitation_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_invitation")),
    )
    op.create_index(
        op.f("ix_invitation_workspace_id_created_at_id"),
        "invitation",
        ["workspace_id", "created_at", "id"],
        unique=False,
    )
    op.create_table(
        "user_session",
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=True),
        sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_cookie", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.CheckConstraint("isfinite(created_at)", name=op.f("ck_user_session_created_at_is_finite")),
        sa.CheckConstraint("isfinite(expires_at)", name=op.f("ck_user_session_expires_at_is_finite")),
        sa.CheckConstraint("isfinite(last_used_at)", name=op.f("ck_user_session_last_used_at_is_finite")),
        sa.CheckConstraint("isfinite(previous_until)", name=op.f("ck_user_session_previous_until_is_finite")),
        sa.CheckConstraint("isfinite(revoked_at)", name=op.f("ck_user_session_revoked_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_user_session_user_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.workspace_id"], name=op.f("fk_user_session_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("prefix", name=op.f("pk_user_session")),
        sa.UniqueConstraint("id", name=op.f("uq_user_session_id")),
    )
    op.create_index(op.f("ix_user_session_expires_at"), "user_session", ["expires_at"], unique=False)
    op.create_index(op.f("ix_user_session_user_id_created_at"), "user_session", ["user_id", "created_at"], unique=False)
    op.create_index(op.f("ix_user_session_workspace_id"), "user_session", ["workspace_id"], unique=False)
    op.create_table(
        "project_seat",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("seat", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=True),
        sa.Column("stands_in_id", sa.UUID(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(created_at)", name=op.f("ck_project_seat_created_at_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "project_id"],
            ["project.workspace_id", "project.id"],
            name=op.f("fk_project_seat_workspace_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "stands_in_id"],
            ["membership.workspace_id", "membership.user_id"],
            name=op.f("fk_project_seat_workspace_id_stands_in_id"),
            ondelete="SET NULL (stands_in_id)",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "user_id"],
            ["membership.workspace_id", "membership.user_id"],
            name=op.f("fk_project_seat_workspace_id_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_project_seat")),
        sa.UniqueConstraint(
            "workspace_id",
            "project_id",
            "user_id",
            "seat",
            name=op.f("uq_project_seat_workspace_id_project_id_user_id_seat"),
        ),
    )
    op.create_index(
        op.f("ix_project_seat_workspace_id_stands_in_id"),
        "project_seat",
        ["workspace_id", "stands_in_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_project_seat_workspace_id_user_id"), "project_seat", ["workspace_id", "user_id"], unique=False
    )
    op.create_table(
        "user_workspace",
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "user_id"],
            ["membership.workspace_id", "membership.user_id"],
            name=op.f("fk_user_workspace_workspace_id_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "workspace_id", name=op.f("pk_user_workspace")),
    )
    op.create_index(
        op.f("ix_user_workspace_workspace_id_user_id"), "user_workspace", ["workspace_id", "user_id"], unique=False
    )
    op.add_column("api_key", sa.Column("previous_hash", sa.LargeBinary(), nullable=True))
    op.add_column("api_key", sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_key", sa.Column("owner_id", sa.UUID(), nullable=True))
    op.add_column("api_key", sa.Column("permissions", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("api_key", sa.Column("project_ids", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("api_key", sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))
    _fill_api_keys()
    _check("api_key", "ck_api_key_owner_id_is_known", "CHECK (owner_id IS NOT NULL)")
    _check("api_key", "fk_api_key_owner_id", "FOREIGN KEY (owner_id) REFERENCES user_account (id)")
    # No release has read it.
    op.execute("-- squawk-ignore ban-drop-column\nALTER TABLE api_key DROP COLUMN scopes")
    op.add_column("user_account", sa.Column("picture_url", sa.Text(), nullable=True))
    op.add_column("user_account", sa.Column("password_hash", sa.Text(), nullable=True))
    op.add_column("user_account", sa.Column("password_changed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("user_account", sa.Column("totp_secret", sa.Text(), nullable=True))
    op.add_column("user_account", sa.Column("totp_confirmed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("user_account", sa.Column("totp_last_step", sa.BigInteger(), nullable=True))
    op.add_column(
        "user_account",
        sa.Column(
            "recovery_codes",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
    )
    for table, column in INSTANTS:
        _check(table, f"ck_{table}_{column}_is_finite", f"CHECK (isfinite({column}))")
    isolate("invitation", "project_seat")
    isolate_projects(*PROJECT_TABLES)
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE api_key VALIDATE CONSTRAINT ck_api_key_owner_id_is_known")
        op.alter_column("api_key", "owner_id", nullable=False)
        # The column is NOT NULL by now.
        op.execute(
            "-- squawk-ignore ban-drop-constraint\nALTER TABLE api_key DROP CONSTRAINT ck_api_key_owner_id_is_known"
        )
        op.execute("ALTER TABLE api_key VALIDATE CONSTRAINT fk_api_key_owner_id")
        for table, column in INSTANTS:
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT ck_{table}_{column}_is_finite")
        op.create_index(
            "ix_api_key_owner_id", "api_key", ["owner_id"], postgresql_concurrently=True, if_not_exists=True
        )


def _check(table: str, name: str, rule: str) -> None:
    """Add a constraint for new rows; the existing ones are looked at later, outside of this transaction."""
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {rule} NOT VALID")


def _fill_api_keys() -> None:
    """The keys belong to their workspaces' first owners; scopes become the permissions that they held.

    FORCE binds the tables' owner too: without it the owner sees all rows.
    """
    op.execute("ALTER TABLE membership NO FORCE ROW LEVEL SECURITY")
    op.execute(
        "UPDATE api_key k SET owner_id = (SELECT m.user_id FROM membership m WHERE m.workspace_id = k.workspace_id "
        "AND m.role = 'owner' ORDER BY m.created_at, m.id LIMIT 1)"
    )
    op.execute("INSERT INTO user_workspace (user_id, workspace_id) SELECT user_id, workspace_id FROM membership")
    op.execute("ALTER TABLE membership FORCE ROW LEVEL SECURITY")
    op.execute(
        sa.text(
            "UPDATE api_key SET permissions = (SELECT jsonb_agg(DISTINCT permission) "
            "FROM jsonb_array_elements_text(scopes) scope "
            "CROSS JOIN LATERAL jsonb_array_elements_text(CAST(:scopes AS jsonb) -> scope) permission) "
            "WHERE NOT jsonb_exists(scopes, 'admin')"
        ).bindparams(scopes=json.dumps(SCOPES))
    )


def downgrade() -> None:
    end_isolation_of_projects(*PROJECT_TABLES)
    op.drop_column("user_account", "recovery_codes")
    op.drop_column("user_account", "totp_last_step")
    op.drop_column("user_account", "totp_confirmed_at")
    op.drop_column("user_account", "totp_secret")
    op.drop_column("user_account", "password_changed_at")
    op.drop_column("user_account", "password_hash")
    op.drop_column("user_account", "picture_url")
    op.add_column(
        "api_key",
        sa.Column(
            "scopes",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            server_default=sa.text("'[\"read\"]'::jsonb"),
        ),
    )
    op.alter_column("api_key", "scopes", server_default=None)
    op.drop_constraint(op.f("fk_api_key_owner_id"), "api_key", type_="foreignkey")
    op.drop_index("ix_api_key_owner_id", table_name="api_key", if_exists=True)
    op.drop_column("api_key", "last_used_at")
    op.drop_column("api_key", "project_ids")
    op.drop_column("api_key", "permissions")
    op.drop_column("api_key", "owner_id")
    op.drop_column("api_key", "previous_until")
    op.drop_column("api_key", "previous_hash")
    op.drop_index(op.f("ix_user_workspace_workspace_id_user_id"), table_name="user_workspace")
    op.drop_table("user_workspace")
    op.drop_index(op.f("ix_project_seat_workspace_id_user_id"), table_name="project_seat")
    op.drop_index(op.f("ix_project_seat_workspace_id_stands_in_id"), table_name="project_seat")
    op.drop_table("project_seat")
    op.drop_index(op.f("ix_user_session_workspace_id"), table_name="user_session")
    op.drop_index(op.f("ix_user_session_user_id_created_at"), table_name="user_session")
    op.drop_index(op.f("ix_user_session_expires_at"), table_name="user_session")
    op.drop_table("user_session")
    op.drop_index(op.f("ix_invitation_workspace_id_created_at_id"), table_name="invitation")
    op.drop_table("invitation")
    op.drop_index(op.f("ix_account_link_user_id"), table_name="account_link")
    op.drop_index(op.f("ix_account_link_invitation_id"), table_name="account_link")
    op.drop_index(op.f("ix_account_link_expires_at"), table_name="account_link")
    op.drop_table("account_link")
    op.drop_index(op.f("ix_sign_in_failure_until"), table_name="sign_in_failure")
    op.drop_table("sign_in_failure")
