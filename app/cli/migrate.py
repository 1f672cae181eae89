"""Runs the migrations from Python."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

import migrations
from migrations.session import LOCK_NOT_AVAILABLE, QUERY_CANCELED, MigrationRefused, sqlstate

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
    """Bring the database to `revision`, as the role that owns its tables. Not from a running event loop.

    Of several processes that migrate at once one does it, the others wait and find it done.

    Raises:
        MigrationRefused: the database is not one that this code can migrate, or not now.
    """
    try:
        command.upgrade(configuration(owner_url), revision)
    except DBAPIError as problem:
        reason = {
            LOCK_NOT_AVAILABLE: "a table stayed locked for too long",
            QUERY_CANCELED: "a statement of the migration took too long",
        }.get(sqlstate(problem) or "")
        if reason is not None:
            raise MigrationRefused(f"{reason}, and the migration was undone; try again when less is going on") from None
        raise


def heads() -> set[str]:
    """The revisions this code expects of the database."""
    return set(ScriptDirectory.from_config(configuration()).get_heads())


def known_revisions() -> set[str]:
    """The revisions that this code can migrate from, or to."""
    return {script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()}
