"""The SQL of each migration, as squawk judges it: what locks a table in use, or breaks the release that still runs.

`python -m tests.house.migrations_sql` prints what is wrong and ends with 1 if anything is.
"""

import contextlib
import io
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from app.cli.migrate import configuration

ROOT = Path(__file__).resolve().parents[2]
SQUAWK = Path(sysconfig.get_path("scripts")) / "squawk"


def rendered() -> dict[str, str]:
    """The SQL of each revision; apart, so that a table of an older one is not taken for a new and empty one."""
    found = {}
    for script in ScriptDirectory.from_config(configuration()).walk_revisions():
        config = configuration()
        config.output_buffer = io.StringIO()
        with contextlib.redirect_stdout(config.output_buffer):
            command.upgrade(config, f"{script.down_revision or 'base'}:{script.revision}", sql=True)
        found[script.revision] = config.output_buffer.getvalue()
    return found


def judge(statements: dict[str, str]) -> tuple[int, str]:
    """Squawk's exit code, 0 where nothing is wrong, and what it says."""
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
