"""Odd values in every operation: no answer of 500, and every error a problem that the document names."""

from collections import Counter
from typing import Any

import orjson
import pytest
from fastapi import FastAPI

from app.kit import scheduler
from app.kit.resources import Resources
from tests.conftest import Agency, sign_up
from tests.house.conftest import Stock, stock
from tests.system.fuzz import Answer, Fuzzer, Request, call

ALWAYS = {404, 405}
"""Not documented where a path has no parameter: a spoilt path is another path."""


def faults(request: Request, answer: Answer) -> list[str]:
    """What is wrong with an answer."""
    if answer.status < 400:
        return []
    wrong = []
    if answer.status >= 500:
        wrong.append(f"status {answer.status}")
    if answer.status not in ALWAYS and str(answer.status) not in request.operation["responses"]:
        wrong.append(f"status {answer.status} is not documented")
    if request.method == "HEAD" or answer.headers.get("content-type", "").startswith("text/html"):
        return wrong
    if answer.headers.get("content-type") != "application/problem+json":
        return [*wrong, f"an error of type {answer.headers.get('content-type')}"]
    problem: dict[str, Any] = orjson.loads(answer.body)
    if problem["status"] != answer.status or not problem["code"] or not problem["detail"]:
        wrong.append("the problem does not say what it is")
    text = answer.body.decode()
    wrong += [f"it leaks {leak!r}" for leak in ("Value error", "Input should", "dictionary", "<Post") if leak in text]
    return wrong


async def hook(agency: Agency, project_id: str) -> dict[str, str]:
    """The path parameters of a community's hook."""
    body = {"project_id": project_id, "platform": "vk", "address": "https://vk.com/club1"}
    community = await agency.post("/v1/communities", {**body, "credentials": {"community": "token"}})
    opened = await agency.put(f"/v1/communities/{community['id']}/hook", {"secrets": {"confirmation": "a1b2c3d4"}})
    return {"platform": "vk", "hook_id": opened["url"].rpartition("/")[2]}


async def client_link(agency: Agency, stocked: Stock) -> str:
    """The token of a client link."""
    body = {"contact_id": stocked.ids["contact_id"], "purpose": "read", "subject_kind": "project"}
    made = await agency.post("/v1/client-links", body | {"subject_id": stocked.ids["project_id"]})
    return str(made["link"].rpartition("/")[2])


@pytest.mark.parametrize(
    ("count", "seed"), [pytest.param(600, 1, id="few"), pytest.param(24_000, 2, id="many", marks=pytest.mark.long)]
)
async def test_no_odd_value_is_an_internal_error(app: FastAPI, resources: Resources, count: int, seed: int) -> None:
    agency: Agency = await sign_up(app, resources)
    stocked = await stock(agency)
    ids = {**stocked.ids, **await hook(agency, stocked.ids["project_id"]), "token": await client_link(agency, stocked)}
    await scheduler.heartbeat(resources, "a worker")  # or /ready is 503
    wrong: Counter[str] = Counter()
    examples: dict[str, str] = {}
    statuses: Counter[int] = Counter()
    for request in Fuzzer(app.openapi(), ids, seed).requests(count):
        answer = await call(app, request, agency.key)
        statuses[answer.status] += 1
        for fault in faults(request, answer):
            name = f"{request.method} {request.template}: {fault}"
            wrong[name] += 1
            examples.setdefault(name, f"{request} -> {answer.body[:300]!r}")
    await agency.http.aclose()
    assert not wrong, "\n".join(f"{name} ({times} times)\n    {examples[name]}" for name, times in wrong.most_common())
    assert {200, 201, 404, 422} <= set(statuses), "the requests get past the first checks"
