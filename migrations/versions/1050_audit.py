"""The record of changes: entries, their chain, its heads and keys"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.tables import isolate

revision: str = "1050"
down_revision: str | None = "1044"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

APPEND_ONLY = ("audit_entry", "audit_link", "audit_head")
_PROJECTS = "(SELECT NULLIF(current_setting('app.project_ids', true), ''))"

_REVOKE = """
DO $$
DECLARE
    granted record;
BEGIN
    -- Every role that new tables are granted to by default.
    FOR granted IN
        SELECT DISTINCT table_name, grantee FROM information_schema.role_table_grants
        WHERE table_schema = current_schema AND table_name IN ('audit_entry', 'audit_link', 'audit_head')
        AND grantee <> current_user
    LOOP
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON %I FROM %I', granted.table_name, granted.grantee);
    END LOOP;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=True),
        sa.Column("entity_id", sa.UUID(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("subject", sa.JSON(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.CheckConstraint("isfinite(at)", name=op.f("ck_audit_entry_at_is_finite")),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_audit_entry")),
    )
    for column in ("project_id", "actor", "action", "entity_id"):
        op.create_index(op.f(f"ix_audit_entry_workspace_id_{column}_id"), "audit_entry", ["workspace_id", column, "id"])
    op.create_table(
        "audit_unchained",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("entry_id", sa.UUID(), nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "entry_id", name=op.f("pk_audit_unchained")),
    )
    op.create_table(
        "audit_link",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.UUID(), nullable=False),
        sa.Column("entry_hash", sa.LargeBinary(), nullable=False),
        sa.Column("is_sealed", sa.Boolean(), nullable=False),
        sa.Column("chained_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.UUID(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("isfinite(chained_at)", name=op.f("ck_audit_link_chained_at_is_finite")),
        sa.PrimaryKeyConstraint("workspace_id", "sequence", name=op.f("pk_audit_link")),
        sa.UniqueConstraint("workspace_id", "entry_id", name=op.f("uq_audit_link_workspace_id_entry_id")),
    )
    op.create_table(
        "audit_head",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_id", sa.UUID(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("isfinite(day)", name=op.f("ck_audit_head_day_is_finite")),
        sa.CheckConstraint("isfinite(made_at)", name=op.f("ck_audit_head_made_at_is_finite")),
        sa.PrimaryKeyConstraint("workspace_id", "day", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "audit_key",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(created_at)", name=op.f("ck_audit_key_created_at_is_finite")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_key")),
    )
    isolate(*APPEND_ONLY)
    # Of reads alone: a member's change of their own account is of no project, and is recorded as well.
    op.execute(
        "CREATE POLICY projects ON audit_entry AS RESTRICTIVE FOR SELECT "
        f"USING ({_PROJECTS} IS NULL OR project_id = ANY (({_PROJECTS})::uuid[]))"
    )
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege'; END$$"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute(_REVOKE)


def downgrade() -> None:
    op.drop_table("audit_key")
    op.drop_table("audit_head")
    op.drop_table("audit_link")
    op.drop_table("audit_unchained")
    op.drop_table("audit_entry")
    op.execute("DROP FUNCTION refuse_change()")
