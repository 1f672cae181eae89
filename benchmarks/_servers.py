"""A PostgreSQL of a benchmark's own: migrated, durable, gone afterwards."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app.cli.database import APP, OWNER, prepare_database
from app.cli.migrate import migrate
from app.cli.servers import start_postgres

NAME = "benchmark"


@dataclass(frozen=True)
class Urls:
    """Where its roles find the database."""

    superuser: str
    owner: str
    app: str


@asynccontextmanager
async def database() -> AsyncIterator[Urls]:
    """A migrated database on a server that syncs to disk, as a real one does."""
    with tempfile.TemporaryDirectory(prefix="instep-benchmark-") as folder, start_postgres(Path(folder)) as postgres:
        await prepare_database(postgres.url(), NAME)
        urls = Urls(postgres.url(database=NAME), postgres.url(OWNER, NAME), postgres.url(APP, NAME))
        await asyncio.to_thread(migrate, urls.owner)
        yield urls
