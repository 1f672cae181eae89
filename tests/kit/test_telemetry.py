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

from app.kit import jobs, telemetry
from app.kit.resources import Resources
from app.kit.routing import RawRoute
from tests.conftest import Agency

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SECRETS = st.text(ALPHABET, min_size=16, max_size=43)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """A process's log; the test run's own logging is restored afterwards."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    telemetry.configure_logs(level="info", style="json", stream=written)
    structlog.configure(cache_logger_on_first_use=False)
    yield written
    root.handlers[:], root.level = handlers, level
    structlog.configure(**before)


def entries(log: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


@given(SECRETS)
def test_secrets_in_texts_are_redacted(secret: str) -> None:
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


@given(st.text(), SECRETS, st.text())
def test_the_quick_look_misses_no_secret(before: str, secret: str, after: str) -> None:
    for kind in ("isk_{}_x", "Bearer {}", "access_token={}", "a://b:{}@c", "/bot1:{}", "/hooks/vk/{}"):
        assert telemetry.REDACTED in telemetry.redact(before + kind.format(secret) + " " + after)


def test_fields_named_like_secrets_are_redacted(log: io.StringIO) -> None:
    structlog.get_logger("app.test").info("connected", access_token="hush", password="hush", community="coffee")
    (line,) = entries(log)
    assert "hush" not in log.getvalue()
    assert (line["event"], line["community"], line["level"]) == ("connected", "coffee", "info")


def test_secrets_inside_a_field_are_redacted(log: io.StringIO) -> None:
    inside = {"token": "hush", "urls": ["/hooks/vk/hush", {"deep": ("Bearer hush", 7)}], "kept": "coffee"}
    structlog.get_logger("app.test").info("asked", sent=inside)
    assert "hush" not in log.getvalue()
    (line,) = entries(log)
    assert line["sent"] == {"token": "…", "urls": ["/hooks/vk/…", {"deep": ["Bearer …", 7]}], "kept": "coffee"}


def test_no_value_keeps_a_line_from_being_logged(log: io.StringIO) -> None:
    values = {
        "big": 2**70,
        "keys": {1: 2},
        "surrogate": "\ud800",
        "a_set": {1},
        "id": uuid.UUID(int=7),
        "nan": float("nan"),
    }
    for name, value in values.items():
        structlog.get_logger().info(name, value=value)
    assert [line["event"] for line in entries(log)] == list(values)


def test_a_traceback_shows_no_secret_and_is_one_line(log: io.StringIO) -> None:
    error = ValueError("cannot open https://x.test/?access_token=hush-hush-hush")
    structlog.get_logger("app.test").error("failed", exc_info=error)
    assert "hush" not in log.getvalue()
    assert len(log.getvalue().splitlines()) == 1
    assert "ValueError" in log.getvalue()


def test_logs_of_libraries_are_redacted_too(log: io.StringIO) -> None:
    logging.getLogger("some.library").warning("unexpected: %s", "Bearer abcdefghijklmnop")
    (line,) = entries(log)
    assert line["logger"] == "some.library"
    assert "abcdefghijklmnop" not in log.getvalue()


async def test_a_request_is_one_line_with_its_id_and_without_the_key(
    agency: Agency, app: FastAPI, log: io.StringIO
) -> None:
    answer = await agency.http.get("/v1/projects", params={"limit": 3})
    (line,) = [line for line in entries(log) if line["event"] == "request"]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/v1/projects", 200)
    assert agency.key not in log.getvalue()


async def test_a_request_is_logged_with_its_workspace_and_community(agency: Agency, log: io.StringIO) -> None:
    community_id = str(uuid.uuid4())
    await agency.get(f"/v1/communities/{community_id}", 404)
    await agency.get("/v1/projects")
    about, other = [line for line in entries(log) if line["event"] == "request"]
    assert (about["workspace_id"], about["community_id"]) == (str(agency.workspace_id), community_id)
    assert (other["workspace_id"], other.get("community_id")) == (str(agency.workspace_id), None)


async def test_a_job_is_logged_with_what_it_is_about(agency: Agency, resources: Resources, log: io.StringIO) -> None:
    community_id = uuid.uuid4()
    async with resources.transaction(agency.workspace_id) as session:
        await jobs.enqueue(session, "communities.poll", workspace_id=agency.workspace_id, community_id=community_id)
    await agency.work("communities.poll")
    lines = [line for line in entries(log) if line.get("job") == "communities.poll"]
    assert {line["event"] for line in lines} >= {"job"}
    for line in lines:
        assert (line["workspace_id"], line["community_id"]) == (str(agency.workspace_id), str(community_id))
        assert line["job_id"]
    (ended,) = [line for line in lines if line["event"] == "job"]
    assert ended["outcome"] in {"failed", "dead", "done"}
    assert isinstance(ended["ms"], float)


async def test_a_request_is_logged_with_its_actor_alone(
    agency: Agency, stranger: httpx.AsyncClient, log: io.StringIO
) -> None:
    key_id = (await agency.http.get("/v1/me")).json()["api_key"]["id"]
    await stranger.get("/v1/platforms")
    await stranger.get("/v1/me")
    requests = [line for line in entries(log) if line["event"] == "request"]
    assert [line.get("actor") for line in requests] == [f"key:{key_id}", None, None]


@pytest.mark.parametrize("response_begun", [False, True], ids=["before the response", "during the response"])
async def test_a_crash_logs_the_route_and_never_the_path(
    stranger: httpx.AsyncClient, log: io.StringIO, monkeypatch: pytest.MonkeyPatch, *, response_begun: bool
) -> None:
    """A hook's URL is its secret, and the exception may contain it too."""
    address = f"/hooks/vk/{uuid.uuid4()}"

    async def crash(_: RawRoute, __: Scope, ___: Receive, send: Send) -> None:
        if response_begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError(f"cannot answer {address}")

    monkeypatch.setattr(RawRoute, "handle", crash)
    await stranger.post(address, content=b"{}")
    (crashed,) = [line for line in entries(log) if line["event"] == "request.crashed"]
    assert (crashed["method"], crashed["route"]) == ("POST", "/hooks/{platform}/{hook_id}")
    assert address.rpartition("/")[2] not in log.getvalue()


async def test_a_received_request_id_is_kept_if_it_is_valid(stranger: httpx.AsyncClient) -> None:
    valid = await stranger.get("/live", headers={"X-Request-ID": "trace-12345678"})
    assert valid.headers["x-request-id"] == "trace-12345678"
    for invalid in ("short", "x" * 65, "with space 123", 'quote"12345'):
        answer = await stranger.get("/live", headers={"X-Request-ID": invalid})
        assert answer.headers["x-request-id"] != invalid


@pytest.mark.parametrize(
    ("environment", "enabled"),
    [
        ({"PATH": "/bin"}, False),
        ({"OTEL_SERVICE_NAME": "instep"}, True),
        ({"FASTAPI_OTEL_AUTO_CONFIGURE": "true"}, True),
    ],
)
def test_opentelemetry_is_on_where_configured_and_excludes_hooks(environment: dict[str, str], *, enabled: bool) -> None:
    config = telemetry.traces(environment)
    assert (config["tracing"], config["metrics"], config["logs"]) == (enabled, enabled, False)
    is_excluded = config["exclude"]
    assert is_excluded is not None
    assert is_excluded({"path": "/hooks/vk/01890a5d"})
    assert not is_excluded({"path": "/v1/projects"})
