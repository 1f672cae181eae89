"""Servers that return given bytes: what KPI responses are compared with."""

import os
from pathlib import Path

import orjson
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.kpis.schemas import KpiAnswer

BODY = "INSTEP_BENCHMARK_BODY"
"""The environment variable that names the file with the answer's bytes."""
PATH = "/v1/projects/{project_id}/kpis/{key}"


def _body() -> bytes:
    return Path(os.environ[BODY]).read_bytes()


def starlette() -> Starlette:
    """A route that returns the bytes."""
    body = _body()

    async def answer(request: Request) -> Response:
        return Response(body, media_type="application/json")

    return Starlette(routes=[Route(PATH, answer)])


def fastapi() -> FastAPI:
    """An operation that returns the bytes."""
    body = _body()
    app = FastAPI()

    @app.get(PATH)
    async def answer(project_id: str, key: str) -> Response:
        return Response(body, media_type="application/json")

    return app


def model() -> FastAPI:
    """An operation that returns the same content through its response model, as FastAPI is mostly used."""
    content = orjson.loads(_body())
    app = FastAPI()

    @app.get(PATH, response_model=KpiAnswer)
    async def answer(project_id: str, key: str) -> object:
        return content

    return app
