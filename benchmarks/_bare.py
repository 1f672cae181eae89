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

FOLDER = "INSTEP_BENCHMARK_ANSWERS"
"""The environment variable that names the folder with an answer's bytes for each key."""
PATH = "/v1/projects/{project_id}/kpis/{key}"


def _bodies() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(os.environ[FOLDER]).iterdir()}


def starlette() -> Starlette:
    """A route that returns the bytes."""
    bodies = _bodies()

    async def answer(request: Request) -> Response:
        return Response(bodies[request.path_params["key"]], media_type="application/json")

    return Starlette(routes=[Route(PATH, answer)])


def fastapi() -> FastAPI:
    """An operation that returns the bytes."""
    bodies = _bodies()
    app = FastAPI()

    @app.get(PATH)
    async def answer(project_id: str, key: str) -> Response:
        return Response(bodies[key], media_type="application/json")

    return app


def model() -> FastAPI:
    """An operation that returns the same content through its response model, as FastAPI is mostly used."""
    contents = {key: orjson.loads(body) for key, body in _bodies().items()}
    app = FastAPI()

    @app.get(PATH, response_model=KpiAnswer)
    async def answer(project_id: str, key: str) -> object:
        return contents[key]

    return app
