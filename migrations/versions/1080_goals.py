"""Goals, their revisions, and what both sides state about them"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tables import deny_updates, isolate, isolate_projects

revision: str = "1080"
down_revision: str | None = "1075"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_TABLES = ("goal", "goal_revision", "goal_agreement")
_OPEN = "status IN ('proposed', 'agreed', 'declined')"


def _column(name: str, kind: type[sa.types.TypeEngine[Any]], *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind(), nullable=nullable)


def _ids(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, sa.UUID(), nullable=False) for name in ("workspace_id", "id", *names)]


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


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
        "goal",
        *_ids("project_id"),
        *_texts("type", "kpi"),
        _column("is_main", sa.Boolean),
        *_texts("status"),
        _column("revision", sa.BigInteger),
        _column("agreed_revision", sa.BigInteger, nullable=True),
        *_texts("pace"),
        _column("version", sa.BigInteger),
        *(_instant("created_at"), _instant("updated_at"), _instant("closed_at", nullable=True)),
        *_finite("goal", "created_at", "updated_at", "closed_at"),
        _belongs_to("goal", "project", "project_id"),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_goal")),
    )
    op.create_index(
        "uq_goal_main",
        "goal",
        ["workspace_id", "project_id"],
        unique=True,
        postgresql_where=sa.text(f"is_main AND {_OPEN}"),
    )
    op.create_index("ix_goal_open", "goal", ["workspace_id", "project_id", "id"], postgresql_where=sa.text(_OPEN))
    op.create_index("ix_goal_main", "goal", ["workspace_id", "created_at", "id"], postgresql_where=sa.text("is_main"))
    for columns in ((), ("project_id",), ("type",), ("kpi",), ("status",), ("pace",)):
        names = ["workspace_id", *columns, "created_at", "id"]
        op.create_index(op.f(f"ix_goal_{'_'.join(names)}"), "goal", names)
    op.create_table(
        "goal_revision",
        *_ids("project_id", "goal_id"),
        _column("number", sa.BigInteger),
        *_texts("title", "kpi"),
        _column("kpi_version", sa.BigInteger),
        _column("communities", postgresql.JSONB),
        _column("baseline", postgresql.JSONB),
        _column("target", sa.Double),
        *(_column("first_day", sa.Date), _column("last_day", sa.Date)),
        *_texts("timezone"),
        _column("is_main", sa.Boolean),
        _column("compared_with", sa.BigInteger, nullable=True),
        *_texts("content_hash", "proposed_by", "proposer_name"),
        _instant("proposed_at"),
        *_finite("goal_revision", "first_day", "last_day", "proposed_at"),
        _belongs_to("goal_revision", "project", "project_id"),
        _belongs_to("goal_revision", "goal", "goal_id"),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_goal_revision")),
        sa.UniqueConstraint(
            "workspace_id", "goal_id", "number", name=op.f("uq_goal_revision_workspace_id_goal_id_number")
        ),
    )
    op.create_table(
        "goal_agreement",
        *_ids("project_id", "goal_id"),
        _column("revision", sa.BigInteger),
        *_texts("content_hash", "side", "answer", "actor", "name"),
        _column("user_id", sa.UUID, nullable=True),
        _column("contact_id", sa.UUID, nullable=True),
        _column("client_statement_id", sa.UUID, nullable=True),
        _column("text", sa.Text, nullable=True),
        _instant("stated_at"),
        *_finite("goal_agreement", "stated_at"),
        _belongs_to("goal_agreement", "project", "project_id"),
        _belongs_to("goal_agreement", "goal", "goal_id"),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_goal_agreement")),
        sa.UniqueConstraint("workspace_id", "goal_id", "revision", "side", name="uq_goal_agreement_side"),
    )
    op.create_index(
        op.f("ix_goal_agreement_workspace_id_goal_id_id"), "goal_agreement", ["workspace_id", "goal_id", "id"]
    )
    isolate(*_TABLES)
    isolate_projects(*_TABLES)
    # What was promised and what was agreed is never changed.
    deny_updates("goal_revision", "goal_agreement")


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
