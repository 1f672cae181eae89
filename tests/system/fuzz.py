"""Requests with odd values for every operation, from a seed: the same seed makes the same requests.

Each begins as a valid request of the OpenAPI document and is then spoilt in one place or two, so that it gets
past the checks that come first. They are ASGI calls, as uvicorn makes them: its own checks are tested elsewhere.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlencode

from starlette.types import ASGIApp, Message

from tests.house.conftest import sample

TEXTS = (
    *("", " ", "\0", "a\0b", "null", "true", "0", "-1", "1.0", "1e999", "NaN", "9" * 30, "x" * 300, "x" * 30_000),
    *("💥", "ё", "İ", "\u202e", "\ufeff", "\ufffe", "\u2028", "\x1b", "\r\nX: y", "\x7f", "e\u0301" * 50, "🏳️‍🌈"),
    *("%", "%00", "_%\\", "' OR 1=1 --", ":*", "a & | b", '"', "\\", "<b>", "../..", "..%2f", "{}", "[]", "$1", "#"),
    *("0001-01-01", "9999-12-31", "1970-01-01", "2199-12-31", "2200-01-01", "2026-02-30", "2026-10-01", "-0001-01-01"),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-23:59", "1970-01-01T00:00:00Z"),
    *("0001-01-01T00:00:00+23:59", "2199-12-31T23:59:59Z", "2026-10-01T09:30:00Z", "2026-10-01T24:00:00Z"),
    *("2026-10-01T09:30:00", "2026-10-01T09:30:00+99:99", "0000-00-00T00:00:00Z", "2026-10-01T09:30:60Z"),
    *("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "f" * 32, "urn:uuid:" + "0" * 32),
    *("UTC", "Europe/Minsk", "../UTC", "UTC\0", "localtime", "Europe/", "/etc/passwd", "posixrules", "a" * 255),
    *("http://[", "https://x:99999/", "https://[::1]/", "https://\u2100.example", "http://a..b", "https://xn--/"),
    *("https://user:pw@x.example", "javascript:alert(1)", "https://x.example/\n", "//x", "https://xn--a.example"),
    *("2147483647", "2147483648", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "1" * 5000),
    *(
        "12:00",
        "24:00",
        "25:61",
        "day",
        "week",
        "created_at",
        "draft",
        "@",
        "a@b.example",
        "vk",
        "https://vk.com/club1",
    ),
)
VALUES: tuple[Any, ...] = (
    *TEXTS,
    *(None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, 5e-324, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 2**128, 10**400),
    *([], {}, [None], [[]], {"": ""}, {"a": {"b": {}}}, ["x"] * 600, [1, "1", None], {"\0": 1}, [{}]),
    *("\ud800", ["\udfff"], {"\ud800": 1}, json.loads("[" * 200 + "]" * 200)),
)
SPOILT_BODIES = (b"", b"{", b"\xff\xfe", b"[" * 5_000, b"NaN", b'"x"', b"1" * 5_000, b"[]", b"{}")
HEADERS = (
    *(("If-Match", value) for value in ('"v1"', "*", '"v99999999999999999999"', "W/", '"', '"v0", "x"', "\xff")),
    *(("If-None-Match", value) for value in ("*", '"x"', ",,,", "W/" * 100)),
    *(("Idempotency-Key", value) for value in ("x", "", " ", "k" * 255, "k" * 256, "\xff", "a b", "same")),
    *(("Authorization", value) for value in ("", "Bearer", "Bearer x", "Basic eDp5", "Bearer isk_a_b", "\xff")),
    *(("Authorization", "Bearer isk_" + "a" * 12 + "_" + "b" * 43), ("Authorization", "Bearer " + "x" * 9000)),
    *(("Content-Type", value) for value in ("", "text/plain", "application/json; charset=utf-16", "a/b; c", "\xff")),
    *(("Content-Length", value) for value in ("", "-1", "x", "9" * 30, "0", "²")),
    *(("Host", value) for value in ("", "[", "x:99999", "a b", "\xff", "evil.example", "[::1", "a@b")),
    *(("Accept", value) for value in ("", "*/*;q=x", "text/html", "application/json", "\xff")),
    *(("Accept-Language", value) for value in ("ru", "*;q=1e999", "x" * 5000, ";;;", "\xff", "en;q=")),
    *(("Accept-Encoding", value) for value in ("gzip", "gzip;q=0", "br, gzip;q=x", "\xff", "*")),
    *(("X-Forwarded-For", value) for value in ("", ",", "1.2.3.4", "x", "\xff", "::1%eth0")),
    *(("X-Request-ID", value) for value in ("", "x" * 64, "x" * 65, "\xff")),
    *(("User-Agent", value) for value in ("", "x" * 20_000, "\xff", "Googlebot")),
    *(("Referer", value) for value in ("", "http://[", "x" * 20_000, "\xff")),
    *(("Last-Event-ID", value) for value in ("-1", "x", "9" * 30)),
)


@dataclass
class Request:
    """A request of an operation."""

    operation: dict[str, Any]
    method: str
    path: str
    """With percent-encoding."""
    query: list[tuple[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    template: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}?{urlencode(self.query)[:400]} {self.headers} {self.body[:400]!r}"


@dataclass(frozen=True)
class Answer:
    """The answer to a request."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Fuzzer:
    """Makes requests of the operations of a document; `ids` are of objects that exist."""

    document: dict[str, Any]
    ids: dict[str, str]
    seed: int

    def requests(self, count: int) -> Iterator[Request]:
        """`count` requests, as many for each operation."""
        chance = random.Random(self.seed)
        operations = [
            (method.upper(), path, operation)
            for path, item in self.document["paths"].items()
            for method, operation in item.items()
        ]
        for number in range(count):
            yield self._request(chance, *operations[number % len(operations)])

    def _request(self, chance: random.Random, method: str, path: str, operation: dict[str, Any]) -> Request:
        parameters = operation.get("parameters", [])
        segments = {name: self.ids[name] for name in _named(parameters, "path")}
        request = Request(operation, method, path, template=path)
        for parameter in parameters:
            if parameter["in"] == "query" and chance.random() < 0.3:
                value = sample(self.document, parameter["schema"], self.ids, parameter["name"])
                if value not in (None, []):
                    request.query.append((parameter["name"], _written(value)))
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        body = None if content is None else self._body(chance, content["schema"])
        raw: bytes | None = None
        for _ in range(chance.choice((1, 1, 1, 2))):
            place = chance.choice(("path", "query", "query", "header", "body", "body", "body", "body"))
            if place == "body" and content is not None:
                if chance.random() < 0.08:
                    raw = chance.choice(SPOILT_BODIES)
                else:
                    body = _spoilt(chance, body)
            elif place == "path" and segments:
                segments[chance.choice(sorted(segments))] = chance.choice(TEXTS)
            elif place == "header":
                name, value = chance.choice(HEADERS)
                request.headers[name] = value
            else:
                names = [*_named(parameters, "query"), "unknown", "limit", "cursor", "\0"]
                request.query.append((chance.choice(names), chance.choice(TEXTS)))
        for name, text in segments.items():
            request.path = request.path.replace(f"{{{name}}}", quote(text, safe=chance.choice(("", "/"))))
        if content is not None:
            request.body = json.dumps(body).encode() if raw is None else raw
            request.headers.setdefault("Content-Type", "application/json")
        return request

    def _body(self, chance: random.Random, schema: dict[str, Any]) -> Any:
        """A valid body, with some of the fields that may be left out."""
        value = sample(self.document, schema, self.ids)
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        if isinstance(value, dict):
            for name, part in schema.get("properties", {}).items():
                if chance.random() < 0.4:
                    value[name] = sample(self.document, part, self.ids, name)
                if isinstance(value.get(name), list) and not value[name] and "items" in part:
                    value[name] = [sample(self.document, part["items"], self.ids, name)]
        return value


def _named(parameters: list[dict[str, Any]], place: str) -> list[str]:
    return [parameter["name"] for parameter in parameters if parameter["in"] == place]


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value[0] if isinstance(value, list) else value)


def _spoilt(chance: random.Random, value: Any) -> Any:
    """The value with one part of it replaced, added or left out."""
    if isinstance(value, dict) and value and chance.random() < 0.95:
        name = chance.choice(sorted(value))
        kind = chance.random()
        if kind < 0.08:
            return {other: part for other, part in value.items() if other != name}
        if kind < 0.16:
            return {**value, chance.choice(TEXTS): chance.choice(VALUES)}
        return {**value, name: _spoilt(chance, value[name])}
    if isinstance(value, list) and value and chance.random() < 0.7:
        place = chance.randrange(len(value))
        return [*value[:place], _spoilt(chance, value[place]), *value[place + 1 :]]
    return chance.choice(VALUES)


async def call(app: ASGIApp, request: Request, key: str) -> Answer:
    """The application's answer, called as uvicorn calls it; `key` is the API key where no other is sent."""
    headers = {"Host": "instep.test", "Authorization": f"Bearer {key}", **request.headers}
    headers.setdefault("Content-Length", str(len(request.body)))
    raw_path, query = request.path.encode(), urlencode(request.query).encode()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(request.path),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()],
        "client": ("203.0.113.9", 50_000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    messages: list[Message] = []
    unread = [{"type": "http.request", "body": request.body, "more_body": False}]

    async def receive() -> Message:
        return unread.pop() if unread else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, send)
    start, *rest = messages
    received = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], received, b"".join(message.get("body", b"") for message in rest))
