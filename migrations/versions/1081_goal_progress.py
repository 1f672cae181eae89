"""Progress of goals, and their forecasts"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import SchemaItem

from migrations.tables import isolate, isolate_projects

revision: str = "1081"
down_revision: str | None = "1080"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_TABLES = ("goal_progress", "goal_forecast")


def _common(table: str, *columns: str) -> list[SchemaItem]:
    return [
        *(sa.Column(name, sa.UUID(), nullable=False) for name in ("workspace_id", "id", "project_id", "goal_id")),
        *(
            sa.ForeignKeyConstraint(
                ["workspace_id", f"{target}_id"],
                [f"{target}.workspace_id", f"{target}.id"],
                name=op.f(f"fk_{table}_workspace_id_{target}_id"),
                ondelete="CASCADE",
            )
            for target in ("project", "goal")
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f(f"pk_{table}")),
        *(sa.CheckConstraint(f"isfinite({name})", name=op.f(f"ck_{table}_{name}_is_finite")) for name in columns),
    ]


def upgrade() -> None:
    op.create_table(
        "goal_progress",
        *_common("goal_progress", "day", "as_of"),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("expected", sa.Double(), nullable=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("pace", sa.Text(), nullable=False),
        sa.Column("forecast", postgresql.JSONB(), nullable=False),
        sa.Column("scorecard", postgresql.JSONB(), nullable=False),
        sa.UniqueConstraint("workspace_id", "goal_id", "day", name=op.f("uq_goal_progress_workspace_id_goal_id_day")),
    )
    op.create_table(
        "goal_forecast",
        *_common("goal_forecast", "made_on", "for_day", "judged_at"),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("made_on", sa.Date(), nullable=False),
        sa.Column("for_day", sa.Date(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("truth", sa.Double(), nullable=True),
        sa.Column("is_within", sa.Boolean(), nullable=True),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=True),
        sa.UniqueConstraint(
            "workspace_id",
            "goal_id",
            "made_on",
            "for_day",
            name=op.f("uq_goal_forecast_workspace_id_goal_id_made_on_for_day"),
        ),
    )
    op.create_index(
        "ix_goal_forecast_judged",
        "goal_forecast",
        ["workspace_id", "project_id", "judged_at"],
        postgresql_where=sa.text("judged_at IS NOT NULL"),
    )
    isolate(*_TABLES)
    isolate_projects(*_TABLES)


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
