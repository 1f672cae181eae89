"""The benchmark of what grows knows every operation: one without a value for a parameter would end it."""

from typing import Any

import pytest
from fastapi import FastAPI

from benchmarks._growth_calls import PARAMETERS, UNMEASURED, calls

VALUES = {name: ["one", "other"] for name in PARAMETERS}


def test_every_parameter_has_a_value(app: FastAPI) -> None:
    document = app.openapi()
    measured = {call.operation for call in calls(document, VALUES)}
    reads = {one["get"]["operationId"] for one in document["paths"].values() if "get" in one}
    assert measured == reads - UNMEASURED


def test_a_new_parameter_is_noticed(app: FastAPI) -> None:
    document: Any = app.openapi()
    new = {"name": "colour", "in": "query", "schema": {"type": "string"}}
    paths = {"/v1/posts": {"get": {"operationId": "posts.list", "parameters": [new]}}}
    with pytest.raises(LookupError, match=r"colour of posts\.list"):
        list(calls({**document, "paths": paths}, VALUES))
