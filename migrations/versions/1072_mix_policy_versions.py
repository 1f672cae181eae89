"""Every version of a project's mix policy"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tables import isolate, isolate_projects, unfenced

revision: str = "1072"
down_revision: str | None = "1071"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "mix_policy_version",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("shares", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("isfinite(since)", name=op.f("ck_mix_policy_version_since_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "project_id"],
            ["project.workspace_id", "project.id"],
            name=op.f("fk_mix_policy_version_workspace_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "project_id", "version", name=op.f("pk_mix_policy_version")),
    )
    # Of versions before the present one nothing is known: it counts as what was aimed at all the time.
    with unfenced("mix_policy", "project"):
        op.execute(
            "INSERT INTO mix_policy_version (workspace_id, project_id, version, shares, since) "
            "SELECT policy.workspace_id, policy.project_id, policy.version, policy.shares, "
            "CASE WHEN policy.version = 1 THEN policy.updated_at ELSE project.created_at END "
            "FROM mix_policy AS policy JOIN project ON project.workspace_id = policy.workspace_id "
            "AND project.id = policy.project_id WHERE policy.version > 0"
        )
    isolate("mix_policy_version")
    isolate_projects("mix_policy_version")


def downgrade() -> None:
    op.drop_table("mix_policy_version")
