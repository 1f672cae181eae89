"""Query parameters that are unknown, repeated or not storable are refused, never ignored."""

from typing import Annotated, Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI, Query
from fastapi.routing import APIRoute

from app.kit.query_parameters import QueryParameters
from app.kit.routing import RawRoute
from app.main import operations
from tests.conftest import Agency


async def test_every_operation_refuses_an_unknown_parameter(agency: Agency) -> None:
    for route in operations():
        if isinstance(route, RawRoute):
            continue  # it takes any, as the links' test says
        path = route.path_format.format_map({name: uuid4() for name in route.param_convertors})
        for method in sorted(route.methods or ()):
            answer = await agency.http.request(method, path, params={"no_such": "1"})
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (422, "unknown-parameter"), route.operation_id
            assert [(one["in"], one["field"]) for one in problem["errors"]] == [("query", "no_such")]


async def test_the_nearest_known_one_is_named(agency: Agency) -> None:
    problem = await agency.get("/v1/inquiries", 422, statu="new", Kinds="question")
    assert [one["field"] for one in problem["errors"]] == ["statu", "Kinds"]
    details = [one["detail"] for one in problem["errors"]]
    assert "the nearest is 'status'" in details[0]
    assert "the nearest is 'kind'" in details[1]
    assert problem["detail"].startswith("statu: There is no such parameter")
    (error,) = (await agency.get("/v1/me", 422, fields="id"))["errors"]
    assert error["detail"] == "This operation takes no query parameters."


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("limit=1&limit=2", "limit", "repeated-parameter"),
        ("platform=%00", "platform", "nul-character"),
        ("project_id=1&project_id=1&x%00=1", "x\0", "unknown-parameter"),
    ],
)
async def test_what_would_be_ignored_or_cannot_be_stored_is_refused(
    agency: Agency, query: str, field: str, code: str
) -> None:
    answer = await agency.http.get(f"/v1/communities?{query}")
    assert answer.status_code == 422
    assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [(field, code)]


async def test_very_many_and_very_long_ones_cost_little(agency: Agency) -> None:
    query = "&".join(f"{'x' * 200}{number}=1" for number in range(100))
    problem = (await agency.http.get(f"/v1/projects?{query}")).json()
    assert len(problem["errors"]) == 20
    assert len(problem["errors"][0]["field"]) == 64


def test_lists_may_be_repeated() -> None:
    app = FastAPI()

    @app.get("/")
    async def endpoint(
        many: Annotated[list[int] | None, Query()] = None,
        optional: Annotated[int | None, Query()] = None,
        renamed: Annotated[Any, Query(alias="from")] = None,
    ) -> None: ...

    (route,) = (one for one in app.routes if isinstance(one, APIRoute))
    declared = QueryParameters.of(route.dependant)
    assert declared == QueryParameters(frozenset({"many", "optional", "from"}), frozenset({"many"}))


async def test_a_public_link_is_followed_with_the_parameters_of_others(
    agency: Agency, stranger: httpx.AsyncClient
) -> None:
    project = await agency.post("/v1/projects", {"name": "Bicycles", "timezone": "UTC"})
    link = await agency.post("/v1/links", {"project_id": project["id"], "target": "https://velo.example/"})
    answer = await stranger.get(f"/r/{link['slug']}?utm_source=a&utm_source=b&fbclid=%00")
    assert answer.status_code in {302, 303, 307}
