"""Logs: one line of JSON each, with the ids of the request, and never a secret."""

import io
import json
import logging
import uuid
from collections.abc import Iterator

import httpx
import pytest
import structlog
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from app.kit import telemetry
from app.kit.routing import RawRoute
from tests.conftest import Agency

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SECRETS = st.text(ALPHABET, min_size=16, max_size=43)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What a process writes to its log; the test run's own logging is put back afterwards."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    telemetry.configure_logs(level="info", style="json")
    written = io.StringIO()
    assert isinstance(root.handlers[0], logging.StreamHandler)
    root.handlers[0].setStream(written)
    structlog.configure(cache_logger_on_first_use=False)
    yield written
    root.handlers[:], root.level = handlers, level
    structlog.configure(**before)


def told(lines: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


@given(SECRETS)
def test_secrets_are_taken_out_of_texts(secret: str) -> None:
    for text in (
        f"Authorization: Bearer {secret}",
        f"https://api.test/method/x?access_token={secret}&v=5",
        f"postgresql://app:{secret}@db/instep",
        f"isk_{'p' * 12}_{secret}",
        f"https://api.telegram.org/bot12345:{secret}/getMe",
        f"POST /hooks/vk/{secret} failed",
        f"https://instep.example/hooks/telegram/{secret}?x=1",
        f"{{'url': 'https://instep.example/hooks/facebook/{secret}'}}",
    ):
        assert secret not in telemetry.redact(text)


def test_fields_named_like_secrets_are_never_told(lines: io.StringIO) -> None:
    structlog.get_logger("app.test").info("connected", access_token="hush", password="hush", community="coffee")
    (line,) = told(lines)
    assert "hush" not in lines.getvalue()
    assert (line["event"], line["community"], line["level"]) == ("connected", "coffee", "info")


def test_secrets_inside_a_field_are_not_told_either(lines: io.StringIO) -> None:
    inside = {"token": "hush", "urls": ["/hooks/vk/hush", {"deep": ("Bearer hush", 7)}], "kept": "coffee"}
    structlog.get_logger("app.test").info("asked", sent=inside)
    assert "hush" not in lines.getvalue()
    (line,) = told(lines)
    assert line["sent"] == {"token": "…", "urls": ["/hooks/vk/…", {"deep": ["Bearer …", 7]}], "kept": "coffee"}


def test_a_traceback_tells_no_secret_and_stays_on_its_line(lines: io.StringIO) -> None:
    error = ValueError("cannot open https://x.test/?access_token=hush-hush-hush")
    structlog.get_logger("app.test").error("failed", exc_info=error)
    assert "hush" not in lines.getvalue()
    assert len(lines.getvalue().splitlines()) == 1
    assert "ValueError" in lines.getvalue()


def test_libraries_speak_through_the_same_pipe(lines: io.StringIO) -> None:
    logging.getLogger("some.library").warning("odd: %s", "Bearer abcdefghijklmnop")
    (line,) = told(lines)
    assert line["logger"] == "some.library"
    assert "abcdefghijklmnop" not in lines.getvalue()


async def test_a_request_is_one_line_with_its_id_and_without_the_key(
    agency: Agency, app: FastAPI, lines: io.StringIO
) -> None:
    answer = await agency.http.get("/v1/projects", params={"limit": 3})
    (line,) = [line for line in told(lines) if line["event"] == "request"]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/v1/projects", 200)
    assert agency.key not in lines.getvalue()


@pytest.mark.parametrize("begun", [False, True], ids=["before the answer", "in the middle of it"])
async def test_a_crash_tells_the_route_and_never_the_path(
    stranger: httpx.AsyncClient, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch, *, begun: bool
) -> None:
    """A hook's address is its secret, and what crashes may name it too."""
    address = f"/hooks/vk/{uuid.uuid4()}"

    async def crash(_: RawRoute, __: Scope, ___: Receive, send: Send) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError(f"cannot answer {address}")

    monkeypatch.setattr(RawRoute, "handle", crash)
    await stranger.post(address, content=b"{}")
    (crashed,) = [line for line in told(lines) if line["event"] == "request.crashed"]
    assert (crashed["method"], crashed["route"]) == ("POST", "/hooks/{platform}/{hook_id}")
    assert address.rpartition("/")[2] not in lines.getvalue()


async def test_a_given_request_id_is_kept_if_it_can_be_one(stranger: httpx.AsyncClient) -> None:
    good = await stranger.get("/live", headers={"X-Request-ID": "trace-12345678"})
    assert good.headers["x-request-id"] == "trace-12345678"
    for bad in ("short", "x" * 65, "with space 123", 'quote"12345'):
        answer = await stranger.get("/live", headers={"X-Request-ID": bad})
        assert answer.headers["x-request-id"] != bad


@pytest.mark.parametrize(
    ("environment", "asked"),
    [
        ({"PATH": "/bin"}, False),
        ({"OTEL_SERVICE_NAME": "instep"}, True),
        ({"FASTAPI_OTEL_AUTO_CONFIGURE": "true"}, True),
    ],
)
def test_opentelemetry_is_told_what_is_no_secret_where_it_is_asked_for(
    environment: dict[str, str], *, asked: bool
) -> None:
    told = telemetry.traces(environment)
    assert (told["tracing"], told["metrics"], told["logs"]) == (asked, asked, False)
    excluded = told["exclude"]
    assert excluded is not None
    assert excluded({"path": "/hooks/vk/01890a5d"})
    assert not excluded({"path": "/v1/projects"})
