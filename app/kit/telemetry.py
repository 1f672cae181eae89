"""Logs and metrics: structured, with the ids of request and job, without secrets."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from structlog.typing import Processor

REQUEST_SECONDS = Histogram(
    "instep_request_seconds",
    "Time to answer a request.",
    ["method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
JOBS = Counter("instep_jobs", "Attempts at jobs, by how they ended.", ["job", "outcome"])
JOB_SECONDS = Histogram("instep_job_seconds", "Time of one attempt at a job.", ["job"])
QUEUE = CollectorRegistry()
"""Metrics of the whole queue: API processes read them from PostgreSQL at each scrape; workers do not serve them."""
JOBS_DEAD = Gauge("instep_jobs_dead", "Jobs that were given up and wait for a person.", registry=QUEUE)
JOBS_LAG = Gauge("instep_jobs_lag_seconds", "For how long the oldest due job has been waiting.", registry=QUEUE)
ITEMS_LEFT_OUT = Counter("instep_answer_items_left_out", "Items of platforms' responses that could not be parsed.")
PLATFORM_CALLS = Counter("instep_platform_calls", "Calls to platforms, by how they ended.", ["platform", "outcome"])

_SECRET_NAME = re.compile(r"token|secret|password|authorization|api_?key|credential|cookie", re.IGNORECASE)
_SECRET_TEXT = re.compile(
    r"isk_[A-Za-z0-9]+_[A-Za-z0-9_-]+"
    r"|(?<=Bearer )[^\s\"']+"
    r"|(?<=access_token=)[^&\s\"']+"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|(?<=/bot)\d+:[A-Za-z0-9_-]+"
)
_SECRET_PATH = re.compile(r"(/hooks/[^/?#\s\"'\\]+/)[^{/?#\s\"'\\]+")
"""The part of a hook's URL after the platform's name: knowing it is enough to send events."""
REDACTED = "…"


def redact(text: str) -> str:
    """Replace API keys, bearer tokens, passwords in URLs and the secret part of hooks' URLs in a text."""
    return _SECRET_PATH.sub(rf"\1{REDACTED}", _SECRET_TEXT.sub(REDACTED, text))


def _without_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        event[name] = _redacted(name, value)
    return event


def _redacted(name: str, value: Any) -> Any:
    if _SECRET_NAME.search(name):
        return REDACTED
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: _redacted(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(name, inner) for inner in value]
    return value


def traces(environment: Mapping[str, str]) -> TelemetryConfig:
    """FastAPI's OpenTelemetry configuration: off, unless the environment has a variable of OpenTelemetry.

    Hooks are excluded, as their URLs are secret, and logs, as a validation error may contain a token.
    """
    enabled = any(name.startswith(("OTEL_", "FASTAPI_OTEL_")) for name in environment)
    return {
        "tracing": enabled,
        "metrics": enabled,
        "logs": False,
        "exclude": lambda scope: str(scope.get("path")).startswith("/hooks/"),
    }


def configure_logs(*, level: str, style: str) -> None:
    """Write our logs and the libraries' to stderr, one line for each event; `style`: `json` or `console`."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Processor = structlog.processors.JSONRenderer(ensure_ascii=False)
    if style == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _without_secrets, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for verbose in ("httpx", "httpcore", "aiohttp", "uvicorn.access", "arq", "sqlalchemy"):
        logging.getLogger(verbose).setLevel(logging.WARNING)
