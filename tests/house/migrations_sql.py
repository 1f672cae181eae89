"""Checks the SQL of each migration with squawk: what locks a table in use, or breaks the release still running.

`python -m tests.house.migrations_sql` prints what is wrong and ends with 1 if anything is.
"""

import contextlib
import io
import subprocess
import sys
import sysconfig
import tempfile
from functools import cache
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from app.cli.migrate import configuration

ROOT = Path(__file__).resolve().parents[2]
SQUAWK = Path(sysconfig.get_path("scripts")) / "squawk"


@cache
def rendered() -> dict[str, str]:
    """The SQL of each revision, each on its own: a table of an older revision must not count as new and empty."""
    sql_by_revision = {}
    for script in ScriptDirectory.from_config(configuration()).walk_revisions():
        config = configuration()
        config.output_buffer = io.StringIO()
        with contextlib.redirect_stdout(config.output_buffer):
            command.upgrade(config, f"{script.down_revision or 'base'}:{script.revision}", sql=True)
        sql_by_revision[script.revision] = config.output_buffer.getvalue()
    return sql_by_revision


def judge(statements: dict[str, str]) -> tuple[int, str]:
    """Squawk's exit code, 0 without findings, and its output."""
    with tempfile.TemporaryDirectory() as folder:
        for name, sql in statements.items():
            (Path(folder) / f"{name}.sql").write_text(sql)
        answer = subprocess.run(
            [SQUAWK, "--config", ROOT / ".squawk.toml", "--reporter", "gcc", *sorted(Path(folder).iterdir())],
            capture_output=True,
            text=True,
            check=False,
        )
    return answer.returncode, (answer.stdout + answer.stderr).replace(f"{folder}/", "").strip()


def main() -> int:
    """Print and count."""
    code, says = judge(rendered())
    if says:
        sys.stderr.write(f"{says}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
