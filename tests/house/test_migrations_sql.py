"""Migrations lock no table in use, and what would is found."""

import pytest

from tests.house.migrations_sql import judge, rendered

HEAD = "SET lock_timeout = '5s';\nSET statement_timeout = '1min';\nBEGIN;\n"


def test_no_migration_is_found_fault_with() -> None:
    statements = rendered()
    assert len(statements) >= 8
    assert all("SET lock_timeout" in sql and "COMMIT" in sql for sql in statements.values())
    assert judge(statements) == (0, "")


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("CREATE INDEX ix ON event (topic);", "require-concurrent-index-creation"),
        ("ALTER TABLE event ADD COLUMN size bigint NOT NULL;", "adding-required-field"),
        ("ALTER TABLE event ADD CONSTRAINT c CHECK (topic <> '');", "constraint-missing-not-valid"),
        ("ALTER TABLE event DROP COLUMN topic;", "ban-drop-column"),
    ],
)
def test_a_later_migration_that_locks_a_table_is_found(sql: str, rule: str) -> None:
    code, says = judge(rendered() | {"9999": f"{HEAD}{sql}\nCOMMIT;\n"})
    assert code == 1
    assert says.startswith("9999.sql:")
    assert rule in says
