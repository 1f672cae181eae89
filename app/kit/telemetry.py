"""Logs and metrics: structured, with the ids of request and job, without secrets."""

import json
import logging
import platform as machine
import re
import sys
import time
from collections import Counter as Counts
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from importlib import metadata
from typing import Any, Protocol, TextIO
from weakref import WeakSet

import orjson
import structlog
from fastapi.telemetry import TelemetryConfig
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from structlog.typing import Processor

REQUEST_SECONDS = Histogram(
    "instep_request_seconds",
    "Time to answer a request.",
    ["method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
JOBS = Counter("instep_jobs", "Attempts at jobs, by how they ended.", ["job", "outcome"])
JOB_SECONDS = Histogram("instep_job_seconds", "Time of one attempt at a job.", ["job"])
INSTALLATION = CollectorRegistry()
"""Metrics of the whole installation: API processes read them from PostgreSQL at each scrape; workers do not serve
them."""
JOBS_DEAD = Gauge("instep_jobs_dead", "Jobs that were given up and wait for a person.", registry=INSTALLATION)
JOBS_LAG = Gauge("instep_jobs_lag_seconds", "For how long the oldest due job has been waiting.", registry=INSTALLATION)
WORKER_SILENCE = Gauge(
    "instep_worker_silence_seconds",
    "Time since the latest heartbeat of any worker; +Inf: none was ever seen.",
    registry=INSTALLATION,
)
ITEMS_LEFT_OUT = Counter("instep_answer_items_left_out", "Items of platforms' responses that could not be parsed.")
PLATFORM_CALLS = Counter(
    "instep_platform_calls",
    "Calls to platforms, by the class of the response's status (`2xx` …), or `no-answer`.",
    ["platform", "outcome"],
)
BUILD = Info("instep_build", "The version that this process runs.")
BUILD.info({"version": metadata.version("instep"), "python": machine.python_version()})


class Pooled(Protocol):
    """What has pools of connections."""

    def pools(self) -> Mapping[str, tuple[int, int]]:
        """Of each pool: how many connections it may have, and how many of them are in use."""


class PoolCollector(Collector):
    """The pools of this process; looked at when they are scraped."""

    def __init__(self) -> None:
        self._owners: WeakSet[Pooled] = WeakSet()

    def watch(self, owner: Pooled) -> None:
        """Show the pools of `owner`, for as long as it exists."""
        self._owners.add(owner)

    def collect(self) -> Iterator[Metric]:
        """Yield both metrics."""
        sizes, uses = Counts[str](), Counts[str]()
        for owner in tuple(self._owners):
            for name, (size, in_use) in owner.pools().items():
                sizes[name] += size
                uses[name] += in_use
        for metric, documentation, values in (
            ("instep_database_pool_size", "Connections to PostgreSQL that a pool may have.", sizes),
            ("instep_database_pool_in_use", "Connections to PostgreSQL that are in use.", uses),
        ):
            family = GaugeMetricFamily(metric, documentation, labels=["pool"])
            for name, value in values.items():
                family.add_metric([name], value)
            yield family


class LimitCollector(Collector):
    """What was left of platforms' limits at the last call that counted against them.

    A limit may be counted for many tokens; the least that is left is shown. What was not called for the length of
    a limit's window is not shown any more: it is unused again.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._left: dict[tuple[str, str, str], tuple[float, float]] = {}

    def note(self, platform: str, limit: str, counter: str, *, left: float, seconds: float) -> None:
        """A share of `left` (0 to 1) is left of a limit; `counter` tells apart what it is counted for."""
        self._left[platform, limit, counter] = left, self._monotonic() + seconds

    def collect(self) -> Iterator[Metric]:
        """Yield the metric."""
        now = self._monotonic()
        self._left = {key: value for key, value in self._left.items() if value[1] > now}
        least: dict[tuple[str, str], float] = {}
        for (platform, limit, _), (left, _) in self._left.items():
            least[platform, limit] = min(left, least.get((platform, limit), 1.0))
        family = GaugeMetricFamily(
            "instep_platform_limit_left_ratio",
            "The least that was left of a platform's limit at its last use, of any token or address: 1 is all of it.",
            labels=["platform", "limit"],
        )
        for labels, left in sorted(least.items()):
            family.add_metric(labels, left)
        yield family


POOLS = PoolCollector()
LIMITS_LEFT = LimitCollector()
REGISTRY.register(POOLS)
REGISTRY.register(LIMITS_LEFT)

_SECRET_NAME = re.compile(r"token|secret|password|authorization|api_?key|credential|cookie", re.IGNORECASE)
_SECRET_TEXT = re.compile(
    r"is[ks]_[A-Za-z0-9]+_[A-Za-z0-9_-]+"
    r"|(?<=Bearer )[^\s\"']+"
    r"|(?<=access_token=)[^&\s\"']+"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|(?<=/bot)\d+:[A-Za-z0-9_-]+"
    r"|(?<=[?&]token=)[A-Za-z0-9_-]{43}"  # a link of an account
)
_SECRET_PATH = re.compile(r"(/hooks/[^/?#\s\"'\\]+/|/s/)[^{/?#\s\"'\\]+")
"""The part of a hook's URL after the platform's name, which is enough to send events; the token of a client link."""
_MARKS = ("isk_", "iss_", "Bearer ", "token=", "://", "/bot", "/hooks/", "/s/")
"""One of these is in every text with a secret; looking for them takes less time than the patterns."""
REDACTED = "…"


def redact(text: str) -> str:
    """Replace API keys, tokens, passwords in URLs and the secret part of hooks' and clients' URLs in a text."""
    if not any(map(text.__contains__, _MARKS)):
        return text
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

    Hooks and the pages behind links are excluded, as their URLs are secret, and logs, as a validation error may
    contain a token.
    """
    enabled = any(name.startswith(("OTEL_", "FASTAPI_OTEL_")) for name in environment)
    return {
        "tracing": enabled,
        "metrics": enabled,
        "logs": False,
        "exclude": lambda scope: str(scope.get("path")).startswith(("/hooks/", "/s/", "/account/")),
    }


def configure_logs(*, level: str, style: str, stream: TextIO | None = None) -> None:
    """Write our logs and the libraries', one line for each event, to `stream` (stderr); `style`: `json` or `console`.

    Ours do not pass through `logging`, which would take most of the time of a log line.
    """
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Processor = structlog.processors.JSONRenderer(_json)
    if style == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty())
    structlog.configure(
        processors=[*shared, _without_secrets, renderer],
        logger_factory=structlog.WriteLoggerFactory(stream),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _without_secrets, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for verbose in ("httpx", "httpcore", "aiohttp", "uvicorn.access", "arq", "sqlalchemy"):
        logging.getLogger(verbose).setLevel(logging.WARNING)


def _json(event: Any, *, default: Callable[[Any], Any]) -> str:
    try:
        return orjson.dumps(event, default=default).decode()
    except TypeError:  # what orjson refuses: integers of more than 64 bits, other keys than text, lone surrogates
        return json.dumps(event, default=default)
