"""A server that does no more than a list needs: asyncpg fetches the rows of a statement, orjson serialises them."""

import os
import uuid
from pathlib import Path
from typing import Any

import asyncpg
import orjson

STATEMENTS = "INSTEP_BENCHMARK_STATEMENTS"
"""The environment variable that names a file: by path, a list's statement and the names of its parameters."""
WORKSPACE = "INSTEP_BENCHMARK_WORKSPACE"
DATABASE = "INSTEP_BENCHMARK_DATABASE"


def lists() -> Any:
    """The application; it connects as the runtime role, with the workspace set once for each connection."""
    statements = orjson.loads(Path(os.environ[STATEMENTS]).read_bytes())
    workspace_id = uuid.UUID(os.environ[WORKSPACE])
    values = {"workspace_id": workspace_id, "limit": 51}
    pool: asyncpg.Pool | None = None

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal pool
        if scope["type"] != "http":
            return
        if pool is None:
            pool = await asyncpg.create_pool(
                os.environ[DATABASE],
                min_size=10,
                max_size=10,
                # Otherwise each checkout costs a round trip that the service does not make either.
                reset=_nothing,
                server_settings={"app.workspace_id": str(workspace_id), "jit": "off"},
            )
        text, names = statements[f"{scope['path']}?{scope['query_string'].decode()}".rstrip("?")]
        async with pool.acquire() as connection:
            rows = await connection.fetch(text, *[values[name] for name in names])
        body = orjson.dumps({"data": [dict(row) for row in rows[:50]], "next_cursor": None}, default=str)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


async def _nothing(_: Any) -> None:
    return
