# ruff: noqa: INP001 -- a script of the image, in no package
"""The image's health checks: `alive.py api`, `alive.py worker`. Ends with 0 when healthy.

The API is healthy when it answers. A worker writes a heartbeat every five seconds; it is healthy
when this container's own is fresh. PostgreSQL measures the age, against nothing but its own clock
and the worker's.
"""

import asyncio
import os
import socket
import sys
import urllib.request

import asyncpg

SILENCE = 30
"""Seconds without a heartbeat after which `/ready` too takes a worker for dead."""

FRESH = (
    "SELECT coalesce(max(at) > clock_timestamp() - make_interval(secs => $2), false)"
    " FROM worker_heartbeat WHERE starts_with(worker, $1)"
)


def api(url: str = "http://127.0.0.1:8000/live") -> bool:
    """Whether the API answers."""
    with urllib.request.urlopen(url, timeout=4) as answer:  # noqa: S310 -- our own address
        return bool(answer.status == 200)


async def worker() -> bool:
    """Whether this host's worker was seen a moment ago."""
    url = os.environ["DATABASE_URL"].replace("postgresql+asyncpg://", "postgresql://", 1)
    connection = await asyncpg.connect(url, timeout=4, command_timeout=4)
    try:
        return bool(await connection.fetchval(FRESH, f"{socket.gethostname()}:", SILENCE))
    finally:
        await connection.close()


if __name__ == "__main__":
    healthy = asyncio.run(worker()) if sys.argv[1] == "worker" else api(*sys.argv[2:])
    sys.exit(0 if healthy else 1)
