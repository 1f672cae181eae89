"""Contacts, client links and statements"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.tables import isolate, isolate_projects

revision: str = "1060"
down_revision: str | None = "1057"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_TABLES = ("contact", "client_link", "client_statement")


def _id(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.UUID(), nullable=False)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _finite(table: str, *columns: str) -> list[sa.CheckConstraint]:
    return [sa.CheckConstraint(f"isfinite({name})", name=op.f(f"ck_{table}_{name}_is_finite")) for name in columns]


def _belongs_to(table: str, target: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace_id", column],
        [f"{target}.workspace_id", f"{target}.id"],
        name=op.f(f"fk_{table}_workspace_id_{column}"),
        ondelete="CASCADE",
    )


def upgrade() -> None:
    op.create_table(
        "contact",
        *(_id("workspace_id"), _id("id"), _id("project_id")),
        *(_text("name"), _text("email", nullable=True), _text("phone", nullable=True), _text("about", nullable=True)),
        *(_text("language"), _instant("created_at"), _instant("removed_at", nullable=True)),
        *_finite("contact", "created_at", "removed_at"),
        _belongs_to("contact", "project", "project_id"),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_contact")),
    )
    op.create_index("uq_contact_email", "contact", ["workspace_id", "project_id", sa.text("lower(email)")], unique=True)
    op.create_index(
        op.f("ix_contact_workspace_id_project_id_id"),
        "contact",
        ["workspace_id", "project_id", "id"],
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "client_link",
        *(_id("workspace_id"), _id("id"), _id("project_id"), _id("contact_id")),
        *(_text("purpose"), _text("subject_kind"), _id("subject_id"), _text("created_by")),
        *(_instant("created_at"), _instant("expires_at")),
        *(_instant("revoked_at", nullable=True), _instant("used_at", nullable=True)),
        sa.Column("opens", sa.BigInteger(), nullable=False),
        *(_instant("first_opened_at", nullable=True), _instant("last_opened_at", nullable=True)),
        *_finite(
            "client_link", "created_at", "expires_at", "revoked_at", "used_at", "first_opened_at", "last_opened_at"
        ),
        _belongs_to("client_link", "project", "project_id"),
        _belongs_to("client_link", "contact", "contact_id"),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_client_link")),
    )
    for columns in ((), ("project_id",), ("contact_id",), ("purpose",)):
        names = ["workspace_id", *columns, "created_at", "id"]
        op.create_index(op.f(f"ix_client_link_{'_'.join(names)}"), "client_link", names)
    for name, rows in (
        ("open", "revoked_at IS NULL AND used_at IS NULL"),
        ("revoked", "revoked_at IS NOT NULL"),
        ("used", "revoked_at IS NULL AND used_at IS NOT NULL"),
    ):
        op.create_index(
            f"ix_client_link_{name}",
            "client_link",
            ["workspace_id", "created_at", "id"],
            postgresql_where=sa.text(rows),
        )
    op.create_table(
        "client_link_token",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        *(_id("workspace_id"), _id("client_link_id")),
        _belongs_to("client_link_token", "client_link", "client_link_id"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_client_link_token")),
    )
    op.create_index(
        op.f("ix_client_link_token_workspace_id_client_link_id"),
        "client_link_token",
        ["workspace_id", "client_link_id"],
    )
    op.create_table(
        "client_statement",
        *(_id("workspace_id"), _id("id"), _id("project_id"), _id("client_link_id"), _id("contact_id")),
        *(_text("contact_name"), _text("purpose"), _text("subject_kind"), _id("subject_id"), _text("revision")),
        *(_text("content_hash"), _text("answer"), _text("text", nullable=True), _instant("stated_at")),
        *_finite("client_statement", "stated_at"),
        _belongs_to("client_statement", "project", "project_id"),
        _belongs_to("client_statement", "client_link", "client_link_id"),
        _belongs_to("client_statement", "contact", "contact_id"),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_client_statement")),
        sa.UniqueConstraint(
            *("workspace_id", "contact_id", "purpose", "subject_kind", "subject_id", "revision"),
            name="uq_client_statement_revision",
        ),
    )
    for columns in (("client_link_id",), ("subject_id",), ("project_id",), ()):
        names = ["workspace_id", *columns, "stated_at", "id"]
        op.create_index(op.f(f"ix_client_statement_{'_'.join(names)}"), "client_statement", names)
    isolate(*_TABLES)
    isolate_projects(*_TABLES)


def downgrade() -> None:
    for table in ("client_statement", "client_link_token", "client_link", "contact"):
        op.drop_table(table)
