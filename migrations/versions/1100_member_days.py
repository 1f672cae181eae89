"""Joins and leaves by day; the growth of sizes that they do not explain"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.tables import isolate, isolate_projects, require_finite, unfenced

revision: str = "1100"
down_revision: str | None = "1091"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_INVITED = "ix_member_change_invited"
_DAY = """coalesce((
    SELECT CAST(timezone('UTC', m.at) + r.utc_offset AS date) FROM zone_rule AS r
    WHERE r.zone = z.timezone AND r.since <= m.at ORDER BY r.since DESC LIMIT 1
), CAST(timezone(z.timezone, m.at) AS date))"""


def upgrade() -> None:
    op.add_column("community_day", sa.Column("compared_since", sa.Date(), nullable=True))
    op.add_column("community_day", sa.Column("unexplained", sa.BigInteger(), nullable=True))
    op.create_table(
        "member_day",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("community_id", sa.UUID(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("project_id", sa.UUID(), nullable=False),
        sa.Column("joins", sa.BigInteger(), nullable=False),
        sa.Column("leaves", sa.BigInteger(), nullable=False),
        sa.Column("first_joins", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("isfinite(day)", name=op.f("ck_member_day_day_is_finite")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "community_id"],
            ["community.workspace_id", "community.id"],
            name=op.f("fk_member_day_workspace_id_community_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "community_id", "day", name=op.f("pk_member_day")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        op.f("ix_member_day_workspace_id_project_id_day"), "member_day", ["workspace_id", "project_id", "day"]
    )
    with unfenced("member_change", "project"):
        op.execute(
            f"""
INSERT INTO member_day (workspace_id, community_id, day, project_id, joins, leaves, first_joins)
SELECT m.workspace_id, m.community_id, {_DAY} AS day, m.project_id,
       count(*) FILTER (WHERE m.joined), count(*) FILTER (WHERE NOT m.joined),
       count(*) FILTER (WHERE m.joined AND NOT EXISTS (
           SELECT FROM member_change AS earlier
           WHERE earlier.workspace_id = m.workspace_id AND earlier.community_id = m.community_id
             AND earlier.member = m.member AND earlier.joined AND earlier.at < m.at
       ))
FROM member_change AS m
JOIN project AS z ON z.workspace_id = m.workspace_id AND z.id = m.project_id
GROUP BY m.workspace_id, m.community_id, day, m.project_id
"""  # noqa: S608 - a constant
        )
    isolate("member_day")
    isolate_projects("member_day")
    require_finite("community_day", "compared_since")
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = '2h'")
        op.create_index(
            _INVITED,
            "member_change",
            ["workspace_id", "project_id", "at"],
            postgresql_where=sa.text("invite_link IS NOT NULL"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(_INVITED, "member_change", postgresql_concurrently=True, if_exists=True)
    op.drop_table("member_day")
    op.drop_column("community_day", "unexplained")
    op.drop_column("community_day", "compared_since")
