"""What migrations need to know of the tables."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import op

from app.kit import events, gauges, idempotency, jobs, sealing  # noqa: F401 - they declare tables
from app.kit.registry import rooms


def load() -> None:
    """Import every room's tables, so that the metadata holds them all."""
    for _ in rooms("models"):
        pass


def isolate(*tables: str) -> None:
    """Let a transaction see, and write, only the rows of the workspace it is set to.

    FORCE binds the owner too. Where `app.workspace_id` is not set, or empty, no row matches.
    """
    for table in tables:
        op.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
        op.execute(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY')
        op.execute(
            f'CREATE POLICY workspace ON "{table}" '
            "USING (workspace_id = NULLIF(current_setting('app.workspace_id', true), '')::uuid)"
        )


_PROJECTS = "(SELECT NULLIF(current_setting('app.project_ids', true), ''))"


def isolate_projects(*tables: str) -> None:
    """Within a workspace let a transaction see, and write, only the rows of the projects that it is set to.

    Where `app.project_ids` is not set, or empty, these are all of the workspace. The setting is read once for a
    statement, not once for a row.
    """
    for table in tables:
        op.execute(f'CREATE POLICY projects ON "{table}" AS RESTRICTIVE USING ({of_projects(table)})')


def of_projects(table: str) -> str:
    """The condition of `isolate_projects`: a `CASE`, which PostgreSQL takes for true of half of the rows.

    An `OR` it takes for true of one row in twenty: it then expects few rows of every filter, and reads and sorts all.
    """
    project = "id" if table == "project" else "project_id"
    ids = f"({_PROJECTS})::uuid[]"
    return f"CASE WHEN {_PROJECTS} IS NULL THEN true ELSE {project} = ANY ({ids}) END"


def end_isolation_of_projects(*tables: str) -> None:
    """Undo `isolate_projects`."""
    for table in tables:
        op.execute(f'DROP POLICY projects ON "{table}"')


def deny_updates(*tables: str) -> None:
    """Let no role but the owner change the rows of these tables; they can be added, read and deleted."""
    names = ", ".join(f"'{table}'" for table in tables)
    op.execute(
        f"""
DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT DISTINCT table_name, grantee FROM information_schema.role_table_grants
        WHERE table_schema = current_schema AND table_name IN ({names}) AND grantee <> current_user
    LOOP
        EXECUTE format('REVOKE UPDATE ON %I FROM %I', granted.table_name, granted.grantee);
    END LOOP;
END
$$
"""  # noqa: S608 - names of our own tables
    )


def require_finite(table: str, column: str) -> None:
    """Add the check constraint of a new timestamp column; existing rows are checked without blocking writes."""
    name = op.f(f"ck_{table}_{column}_is_finite")
    op.create_check_constraint(name, table, f"isfinite({column})", postgresql_not_valid=True)
    with op.get_context().autocommit_block():
        op.execute(f'ALTER TABLE "{table}" VALIDATE CONSTRAINT "{name}"')


@contextmanager
def unfenced(*tables: str) -> Iterator[None]:
    """Let the tables' owner see the rows of all workspaces, within this transaction, to fill a new column or table."""
    for table in tables:
        op.execute(f'ALTER TABLE "{table}" NO FORCE ROW LEVEL SECURITY')
    yield
    for table in tables:
        op.execute(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY')
