"""Injected faults, switched on and off through the control API.

A rule says which requests it matches (platform, path, HTTP method, token, community), how many of
them, and the effect. With `when: after` the request is carried out first: its effect is in the
ledger and only the response is lost.
"""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.grants import Grant
from sandbox.network import Network, WireFormat

TRANSPORT = "sandbox.transport"
"""The ASGI extension that holds the connection's transport, so that a fault can abort it."""
_CHUNK = 64 * 1024


class Effect(BaseModel):
    """What happens to a matched request."""

    model_config = ConfigDict(extra="forbid")

    type: Literal[
        "status", "platform_error", "vk_error", "drop", "hang", "slow", "truncate", "wrong_type", "huge", "html",
        "redirect",
    ]  # fmt: skip
    status: Annotated[int, Field(ge=300, le=599)] = 503
    retry_after: str | None = None
    """The Retry-After header, sent verbatim, valid or not; None sends none."""
    body: str | None = None
    code: int | str = 10
    """The platform's own error code; `vk_error` is `platform_error` for VK."""
    seconds: Annotated[float, Field(ge=0, le=600)] = 60
    """How long the request hangs before the connection is aborted."""
    bytes_per_second: Annotated[float, Field(gt=0)] = 1
    size: Annotated[int, Field(ge=1, le=1 << 30)] = 64 << 20
    """Length of a `huge` body, in bytes."""
    location: str = "http://127.0.0.1:9/elsewhere"


class Rule(BaseModel):
    """Which requests get which effect."""

    model_config = ConfigDict(extra="forbid")

    id: int = 0
    platform: str | None = None
    """A platform, or a wire format that several platforms share."""
    path: str | None = None
    """A regular expression, searched for in the path."""
    method: str | None = None
    token: str | None = None
    """A token, or its name (`coffee/community/0`)."""
    community: str | None = None
    """The community the token belongs to."""
    count: Annotated[int, Field(ge=1)] | None = None
    """How many requests it applies to; None: until the rule is cleared."""
    when: Literal["before", "after"] = "before"
    effect: Effect
    met: int = 0
    """How many requests it has matched."""

    @field_validator("path")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as problem:
                raise ValueError(f"not a regular expression: {problem}") from None
        return value


class Faults:
    """The active rules, and the middleware that applies them."""

    def __init__(self, app: ASGIApp, network: Network) -> None:
        self._app = app
        self._network = network
        self.rules: dict[int, Rule] = {}
        self._made = 0

    def add(self, rule: Rule) -> Rule:
        """Activate a rule. Raises `ValueError` for an unknown platform or an error the platform does not have."""
        if rule.effect.type == "vk_error":
            rule = rule.model_copy(update={"platform": "vk"})
        wire = next((one for one in self._network.wire_formats if rule.platform in (one.name, *one.platforms)), None)
        if rule.platform is not None and wire is None:
            raise ValueError(f"there is no platform {rule.platform} here")
        if rule.effect.type in ("platform_error", "vk_error"):
            if wire is None or wire.fault is None:
                raise ValueError("name a platform that has errors of its own")
            wire.fault(rule.effect.code)
        self._made += 1
        self.rules[self._made] = rule.model_copy(update={"id": self._made, "met": 0})
        return self.rules[self._made]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self.rules or scope["path"].startswith("/_sandbox"):
            await self._app(scope, receive, send)
            return
        body, receive = await _buffered(receive)
        wire = self._network.wire(scope["path"])
        rule = self._meet(wire, scope, body)
        if rule is None:
            await self._app(scope, receive, send)
            return
        await self._apply_effect(rule, wire, scope, receive, send)

    def _meet(self, wire: WireFormat | None, scope: Scope, body: bytes) -> Rule | None:
        """The first rule that matches this request, or None; the match is counted."""
        token = "" if wire is None else wire.token_of(Request(scope), body)
        grant = self._network.grants.find(token, wire.name) if wire is not None and token else None
        for rule in self.rules.values():
            if not _meets(rule, wire, scope, token, grant):
                continue
            rule.met += 1
            if rule.count is not None and rule.met >= rule.count:
                del self.rules[rule.id]
            self._network.world.note(
                "fault", name=rule.effect.type, kind=rule.when, detail={"path": scope["path"], "rule": rule.id}
            )
            return rule
        return None

    async def _apply_effect(
        self, rule: Rule, wire: WireFormat | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        effect = rule.effect
        real = Captured()
        if rule.when == "after" or effect.type in ("slow", "truncate", "wrong_type"):
            await self._app(scope, receive, real.send)
        match effect.type:
            case "drop":
                await _cut(scope, receive)
            case "hang":
                await asyncio.sleep(effect.seconds)
                await _cut(scope, receive)
            case "truncate":
                await _answer(send, real.status, {"content-type": "application/json"}, real.body[: len(real.body) // 2])
            case "wrong_type":
                wrong = orjson.dumps(_wrong(orjson.loads(real.body)))
                await _answer(send, real.status, {"content-type": "application/json"}, wrong)
            case "slow":
                await _trickle(send, real, effect.bytes_per_second)
            case "huge":
                await _flood(send, effect.size)
            case "html":
                page = "<!doctype html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1><p>nginx"
                await _answer(send, effect.status, {"content-type": "text/html"}, (effect.body or page).encode())
            case "redirect":
                await _answer(send, 302, {"location": effect.location}, b"")
            case "platform_error" | "vk_error":
                if wire is not None and wire.fault is not None:  # always true: `add` has checked it
                    await wire.fault(effect.code)(scope, receive, send)
            case "status":
                headers = {"content-type": "application/json"}
                if effect.retry_after is not None:
                    headers["retry-after"] = effect.retry_after
                said = '{"error":"Too many requests"}' if effect.status == 429 else '{"error":"Something went wrong"}'
                await _answer(send, effect.status, headers, (said if effect.body is None else effect.body).encode())


class Captured:
    """A response that is captured instead of sent."""

    def __init__(self) -> None:
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], message["headers"]
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")


def _meets(rule: Rule, wire: WireFormat | None, scope: Scope, token: str, grant: Grant | None) -> bool:
    name = grant.name if grant is not None else None
    platforms = set() if wire is None else {wire.name, *(wire.platforms if grant is None else {grant.platform})}
    return (
        (rule.platform is None or rule.platform in platforms)
        and (rule.path is None or re.search(rule.path, scope["path"]) is not None)
        and (rule.method is None or rule.method.upper() == scope["method"])
        and (rule.token is None or rule.token in (token, name))
        and (rule.community is None or (grant is not None and grant.community == rule.community))
    )


async def _buffered(receive: Receive) -> tuple[bytes, Receive]:
    """The whole body, and a `receive` that returns it again."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return first.pop() if first else await receive()

    return body, again


async def _cut(scope: Scope, receive: Receive) -> None:
    """Abort the connection without a response."""
    scope["extensions"][TRANSPORT].abort()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _trickle(send: Send, real: Captured, bytes_per_second: float) -> None:
    await send({"type": "http.response.start", "status": real.status, "headers": real.headers})
    for place in range(len(real.body)):
        await send({"type": "http.response.body", "body": real.body[place : place + 1], "more_body": True})
        await asyncio.sleep(1 / bytes_per_second)
    await send({"type": "http.response.body", "body": b""})


async def _flood(send: Send, size: int) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'["', "more_body": True})
    for sent in range(0, size, _CHUNK):
        await send({"type": "http.response.body", "body": b"a" * min(_CHUNK, size - sent), "more_body": True})
    await send({"type": "http.response.body", "body": b'"]'})


def _wrong(value: object) -> object:
    """The same response with wrong types: lists become objects, integers strings."""
    if isinstance(value, dict):
        return {name: _wrong(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return {"items_of": len(value)}
    if isinstance(value, int) and not isinstance(value, bool):
        return f"about {value}"
    return value
