"""For an id of another agency every operation answers exactly as for an id that does not exist.

The paths come from the OpenAPI document. Two barriers isolate agencies, row-level security and
the filter of every query; each is removed in turn, and the other must hold. Without both the
probe must find leaks, or it could not fail.
"""

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
from fastapi import FastAPI

from app.kit.resources import Resources
from tests.conftest import Agency, sign_up
from tests.house.conftest import NAMES, Stock, sample, stock

PUBLIC = frozenset({"slug", "hook_id", "token"})
"""Path parameters of public operations: they belong to no workspace."""


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


async def call_with_ids(
    agency: Agency, document: dict[str, Any], path: str, method: str, operation: dict[str, Any], ids: dict[str, str]
) -> httpx.Response:
    """Call an operation with these ids wherever it takes one: path, query and body."""
    query = {
        parameter["name"]: ids[parameter["name"]]
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query" and parameter["name"] in ids
    }
    body = None
    if "requestBody" in operation:
        ((media_type, content),) = operation["requestBody"]["content"].items()
        body = sample(document, content["schema"], ids)
        if media_type != "application/json":
            headers = {"Content-Type": media_type}
            url = path.format(**ids)
            return await agency.http.request(method, url, params=query, content=body.encode(), headers=headers)
    return await agency.http.request(method, path.format(**ids), params=query, json=body)


def content_of(answer: httpx.Response, ids: dict[str, str]) -> str:
    """A response's status and text, without the requested ids and the request's own id."""
    text = answer.text
    for value in (*ids.values(), answer.headers.get("x-request-id", "-")):
        text = text.replace(value, "…")
    return f"{answer.status_code} {text}"


async def leaks(app: FastAPI, resources: Resources) -> tuple[list[str], set[str]]:
    """Operations that reveal something of another agency; and those that were probed with an id."""
    document = app.openapi()
    own, them = await sign_up(app, resources), await sign_up(app, resources)
    await stock(own)
    theirs = await stock(them)
    leaking, probed = [], set()
    for path, method, operation in operations(document):
        parameters = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        if parameters & PUBLIC or not operation.get("security"):
            continue
        missing = parameters - set(theirs.ids)
        assert not missing, f"say in tests/house/conftest.py how to make a {missing} for {path}"
        unknown = Stock({name: str(uuid.uuid4()) for name in theirs.ids} | {name: theirs.ids[name] for name in NAMES})
        as_theirs = await call_with_ids(own, document, path, method, operation, theirs.ids)
        as_unknown = await call_with_ids(own, document, path, method, operation, unknown.ids)
        name = f"{method.upper()} {path}"
        if parameters - NAMES:
            probed.add(name)
            if as_theirs.status_code != 404 or as_unknown.status_code != 404:
                leaking.append(f"{name}: {as_theirs.status_code} {as_theirs.text[:200]}")
        elif content_of(as_theirs, theirs.ids) != content_of(as_unknown, unknown.ids) and not as_unknown.is_success:
            leaking.append(f"{name}: answers differently: {as_theirs.text[:200]}")
    for path, method, _ in operations(document):
        if method == "get" and "{" not in path:
            answer = await own.http.get(path)
            if answer.text in theirs:
                leaking.append(f"{method.upper()} {path}: shows theirs")
    await own.http.aclose()
    await them.http.aclose()
    return leaking, probed


async def test_with_both_fences(app: FastAPI, resources: Resources) -> None:
    leaking, probed = await leaks(app, resources)
    assert leaking == []
    assert len(probed) >= 20, "the probe has lost its way"


async def test_with_row_level_security_alone(app: FastAPI, resources: Resources, without_filter: None) -> None:
    leaking, _ = await leaks(app, resources)
    assert leaking == []


async def test_with_the_filter_alone(app: FastAPI, without_row_security: Resources) -> None:
    app.state.resources = without_row_security
    leaking, _ = await leaks(app, without_row_security)
    assert leaking == []


async def test_with_neither_the_probe_finds_leaks(
    app: FastAPI, without_row_security: Resources, without_filter: None
) -> None:
    app.state.resources = without_row_security
    leaking, _ = await leaks(app, without_row_security)
    assert len(leaking) >= 10


async def test_ones_own_things_are_found_on_the_same_paths(app: FastAPI, resources: Resources) -> None:
    """The control: the same paths find the agency's own ids."""
    document = app.openapi()
    own = await sign_up(app, resources)
    ours = await stock(own)
    lost = []
    for path, method, operation in operations(document):
        parameters = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        if not parameters or parameters & PUBLIC or method == "delete":
            continue
        answer = await call_with_ids(own, document, path, method, operation, ours.ids)
        if answer.status_code == 404 or answer.status_code >= 500:
            lost.append(f"{method.upper()} {path}: {answer.status_code} {answer.text[:200]}")
    await own.http.aclose()
    assert lost == []
