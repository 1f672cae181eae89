# ruff: noqa: INP001 -- a script of the image, in no package
"""The image's health checks: `alive.py api`, `alive.py worker`. Exit code 0 when healthy.

The API is healthy when it answers. A worker stores a heartbeat every five seconds; it is healthy when
this container's own is recent. PostgreSQL computes the age, so only its clock and the worker's matter.
"""

import asyncio
import os
import socket
import sys
import urllib.request

import asyncpg

HEARTBEAT_TIMEOUT = 30
"""Seconds without a heartbeat after which a worker is taken to be dead; the same as in `/ready`."""

IS_RECENT = (
    "SELECT coalesce(max(at) > clock_timestamp() - make_interval(secs => $2), false)"
    " FROM worker_heartbeat WHERE starts_with(worker, $1)"
)


def api(url: str = "http://127.0.0.1:8000/live") -> bool:
    """Whether the API answers."""
    with urllib.request.urlopen(url, timeout=4) as response:  # noqa: S310 -- our own address
        return bool(response.status == 200)


async def worker() -> bool:
    """Whether this host's worker has a recent heartbeat."""
    url = os.environ["DATABASE_URL"].replace("postgresql+asyncpg://", "postgresql://", 1)
    connection = await asyncpg.connect(url, timeout=4, command_timeout=4)
    try:
        return bool(await connection.fetchval(IS_RECENT, f"{socket.gethostname()}:", HEARTBEAT_TIMEOUT))
    finally:
        await connection.close()


if __name__ == "__main__":
    healthy = asyncio.run(worker()) if sys.argv[1] == "worker" else api(*sys.argv[2:])
    sys.exit(0 if healthy else 1)
