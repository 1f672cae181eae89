"""Policies of projects whose rows PostgreSQL estimates better"""

from collections.abc import Sequence

from alembic import op

revision: str = "1041"
down_revision: str | None = "1040"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_SETTING = "(SELECT NULLIF(current_setting(''app.project_ids'', true), ''''))"
_EACH = """
DO $$
DECLARE
    isolated record;
BEGIN
    FOR isolated IN SELECT tablename FROM pg_policies WHERE schemaname = 'public' AND policyname = 'projects' LOOP
        EXECUTE format(
            'ALTER POLICY projects ON %I USING ({condition})',
            isolated.tablename, CASE WHEN isolated.tablename = 'project' THEN 'id' ELSE 'project_id' END
        );
    END LOOP;
END
$$
"""


def upgrade() -> None:
    op.execute(
        _EACH.replace("{condition}", f"CASE WHEN {_SETTING} IS NULL THEN true ELSE %I = ANY (({_SETTING})::uuid[]) END")
    )


def downgrade() -> None:
    op.execute(_EACH.replace("{condition}", f"{_SETTING} IS NULL OR %I = ANY (({_SETTING})::uuid[])"))
