"""Errors on the way to a page: a browser gets a page, a program a problem."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.kit.i18n import LANGUAGES, translate
from app.kit.page_errors import FAILED, REFUSED, TEXTS
from app.kit.resources import Resources
from app.main import create_app
from app.settings import Settings

BROWSER = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "ru,en;q=0.5",
}
PROGRAM = {"Accept": "application/json"}


@pytest.fixture
async def http(configuration: Settings, resources: Resources) -> AsyncIterator[httpx.AsyncClient]:
    """A service that takes ten requests a minute."""
    settings = configuration.model_copy(update={"requests_per_minute": 10})
    app = create_app(settings, clock=resources.clock)
    app.state.resources = replace(resources, settings=settings)
    crash_at(app, "/account/crash")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://instep.test") as made:
        yield made


def crash_at(app: FastAPI, path: str) -> None:
    """Let a request for this path crash."""

    async def crash() -> None:
        raise ZeroDivisionError

    app.router.add_api_route(path, crash)


def assert_page(answer: httpx.Response, status: int, texts: tuple[str, str]) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-language"] == "ru"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-request-id"]
    for text in texts:
        assert translate(text, "ru") != text
        assert translate(text, "ru") in answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)


async def test_a_browser_over_the_limit_gets_a_page(http: httpx.AsyncClient) -> None:
    for _ in range(10):
        assert (await http.get("/account/sign-in", headers=BROWSER)).status_code == 200
    refused = await http.get("/account/sign-in", headers=BROWSER)
    assert_page(refused, 429, TEXTS[429])
    assert int(refused.headers["retry-after"]) <= 60
    for path, headers in (("/account/sign-in", PROGRAM), ("/v1/platforms", BROWSER)):
        problem = await http.get(path, headers=headers)
        assert (problem.status_code, problem.json()["code"]) == (429, "too-many-requests")


@pytest.mark.parametrize(
    ("request_", "status", "texts"),
    [
        ({"method": "GET", "url": "/account/nothing"}, 404, TEXTS[404]),
        ({"method": "GET", "url": "/s/a/b/c"}, 404, TEXTS[404]),
        ({"method": "DELETE", "url": "/account/sign-in"}, 405, REFUSED),
        ({"method": "POST", "url": "/account/sign-in", "content": b"a" * 2_000_000}, 413, TEXTS[413]),
        ({"method": "GET", "url": "/account/crash"}, 500, FAILED),
    ],
)
async def test_a_browser_gets_a_page_where_a_program_gets_a_problem(
    http: httpx.AsyncClient, request_: dict[str, Any], status: int, texts: tuple[str, str]
) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert_page(await http.request(**request_, headers=BROWSER | form), status, texts)
    problem = await http.request(**request_, headers=PROGRAM | form)
    assert (problem.status_code, problem.headers["content-type"]) == (status, "application/problem+json")


async def test_an_answer_of_a_page_itself_is_left_alone(http: httpx.AsyncClient) -> None:
    """A link that leads nowhere has its own words."""
    answer = await http.get(f"/s/{'a' * 43}", headers=BROWSER)
    assert answer.status_code == 404
    assert translate("This link leads nowhere", "ru") in answer.text


def test_every_text_is_translated() -> None:
    assert LANGUAGES == ("en", "ru")
    assert all(translate(text, "ru") != text for texts in (*TEXTS.values(), REFUSED, FAILED) for text in texts)
