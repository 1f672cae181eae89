"""Runs the migrations from Python."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

import migrations

SCRIPTS = Path(migrations.__file__).parent


def configuration(owner_url: str | None = None) -> Config:
    """Alembic's configuration; there is no ini file."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("path_separator", "os")
    if owner_url is not None:
        config.set_main_option("sqlalchemy.url", owner_url.replace("%", "%%"))
    return config


def migrate(owner_url: str, revision: str = "head") -> None:
    """Bring the database to `revision`, as the role that owns its tables. Not from a running event loop."""
    command.upgrade(configuration(owner_url), revision)


def heads() -> set[str]:
    """The revisions this code expects of the database."""
    return set(ScriptDirectory.from_config(configuration()).get_heads())
