"""Columns named as in the API: `title` for what people read, `status` for where a thing stands

Processes of the version before cannot read the renamed columns: they are stopped before this one is applied
(`docs/operations.md`, Upgrades).
"""

from collections.abc import Sequence

from alembic import op

revision: str = "1026"
down_revision: str | None = "1025"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

RENAMED = (
    ("workspace", "name", "title"),
    ("project", "name", "title"),
    ("api_key", "name", "title"),
    ("community", "state", "status"),
    ("community", "state_code", "status_code"),
    ("community", "state_reason", "status_reason"),
    ("hook", "state", "status"),
)
"""Table, old name, new name."""


def upgrade() -> None:
    for table, old, new in RENAMED:
        _rename(table, old, new)


def downgrade() -> None:
    for table, old, new in RENAMED:
        _rename(table, new, old)


def _rename(table: str, old: str, new: str) -> None:
    # Deliberate: one name in API, code and table. Nothing is rewritten, and the lock is held for a moment.
    op.execute(f"-- squawk-ignore renaming-column\nALTER TABLE {table} RENAME {old} TO {new}")
