"""No instant and no day is infinite: Python cannot read them, and one would break every list that it stands in"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

EARLIEST = sa.text("'1970-01-01'")
LATEST = sa.text("'2199-12-31'")
"""What lies further away is brought here: near the ends of the calendar an instant breaks as infinity does."""

COLUMNS = sa.text(
    "SELECT c.relname AS table, a.attname AS column, a.attnotnull AS required, c.relforcerowsecurity AS fenced "
    "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
    "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped "
    "AND a.atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype) "
    "ORDER BY c.relname, a.attnum"
)
"""All there are: those of the tables of earlier migrations. Later ones bring their checks with their columns."""


def upgrade() -> None:
    tables: dict[str, list[sa.Row[tuple[str, str, bool, bool]]]] = {}
    for row in op.get_bind().execute(COLUMNS):
        tables.setdefault(row.table, []).append(row)
    for table, columns in tables.items():
        mend(table, columns)
        for one in columns:
            op.create_check_constraint(op.f(f"ck_{table}_{one.column}_is_finite"), table, f'isfinite("{one.column}")')


def mend(table: str, columns: Sequence[sa.Row[tuple[str, str, bool, bool]]]) -> None:
    """Bring what lies outside the bounds within them; where there may be nothing, an end that never comes is none."""
    rows = sa.table(table, *(sa.column(one.column, sa.DateTime()) for one in columns))
    if columns[0].fenced:  # else the owner would see no row: no workspace is set
        op.execute(f'ALTER TABLE "{table}" NO FORCE ROW LEVEL SECURITY')
    op.execute(
        rows.update()
        .where(sa.or_(*(sa.not_(rows.c[one.column].between(EARLIEST, LATEST)) for one in columns)))
        .values({one.column: mended(rows.c[one.column], one.required) for one in columns})
    )
    if columns[0].fenced:
        op.execute(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY')


def mended(column: sa.ColumnElement[object], required: bool) -> sa.ColumnElement[object]:
    within = sa.func.least(sa.func.greatest(column, EARLIEST), LATEST)
    return within if required else sa.case((column < sa.text("'infinity'"), within))


def downgrade() -> None:
    for row in op.get_bind().execute(COLUMNS):
        op.drop_constraint(op.f(f"ck_{row.table}_{row.column}_is_finite"), row.table, type_="check")
