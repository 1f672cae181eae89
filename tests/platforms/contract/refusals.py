"""Rate limits, errors and tokens: each error has its class, and no secret is exposed."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Final, Literal
from urllib.parse import quote

import httpx
import pytest

from app.platforms.capabilities import Refreshes, ReportsUsage
from app.platforms.contract import (
    AuthExpired,
    MissingPermission,
    OutcomeUnknown,
    PlatformError,
    Throttled,
    Token,
    Transient,
)
from tests.platforms.calls import Call, changes, reads, renewals
from tests.platforms.contract.checks import check, has
from tests.platforms.contract.stage import Subject, wire_of
from tests.platforms.specimens import Limited

ACCESS: Final = (Token.USER, Token.COMMUNITY)
"""The token kinds used for API calls, as opposed to those used to renew others."""
STATES: Final[tuple[Literal["expired", "revoked"], ...]] = ("expired", "revoked")


def _calls(s: Subject) -> dict[str, Call]:
    made = s.adapter()
    return reads(made, s.about) | changes(made, s.about)


async def _error_of(call: Call, s: Subject) -> PlatformError | None:
    try:
        await call(s.c)
    except PlatformError as error:
        return error
    return None


# ── limits and errors ─────────────────────────────────────────────────────────────────────────────


@check("limits: throttled, with scope and time", lambda _, about: bool(about.limits))
async def limits(s: Subject) -> None:
    for limit in s.about.limits:
        await _hit_limit(s, limit)


async def _hit_limit(s: Subject, limit: Limited) -> None:
    wire = wire_of(s.spec.key)
    assert wire is not None
    allowed, name, call = s.sandbox.network.limits, f"{wire.name}_{limit.name}", _calls(s)[limit.call]
    s.clock.at += 100_000  # past every rate limit window
    generous, allowed[name] = allowed[name], 2
    error: PlatformError | None = None
    for _ in range(6):
        requests_before = len(s.transport.requests)
        if (error := await _error_of(call, s)) is not None:
            break
    assert isinstance(error, Throttled), f"{limit.name}: {error!r}"
    assert (
        len(s.transport.requests) == requests_before + 1
        or s.about.before(s.transport.requests[requests_before]) is not None
    ), "the request was repeated"
    assert error.scope is limit.scope, f"{limit.name} concerns the {limit.scope}, not the {error.scope}"
    assert (error.retry_after is not None) == limit.timed, f"{limit.name}: wait for {error.retry_after}"
    if error.retry_after is not None:
        if error.retry_after > 2:
            s.clock.at += error.retry_after / 2
            assert isinstance(await _error_of(call, s), Throttled), f"{limit.name}: too long a time"
            s.clock.at += error.retry_after / 2
        else:
            s.clock.at += error.retry_after
        assert await _error_of(call, s) is None, f"{limit.name}: too short a time"
    allowed[name] = generous


@check("limits: usage", lambda kind, about: issubclass(kind, ReportsUsage) and bool(about.limits))
async def used(s: Subject) -> None:
    """The used share of a rate limit grows with every call."""
    wire, allowed = wire_of(s.spec.key), s.sandbox.network.limits
    assert wire is not None
    assert issubclass(s.kind, ReportsUsage)
    s.clock.at += 100_000
    allowed.update({f"{wire.name}_{limit.name}": 20 for limit in s.about.limits})
    shares: list[float] = []
    for _ in range(5):
        responses_before = len(s.transport.responses)
        await s.adapter().community(s.c)
        usages = [usage for one in s.transport.responses[responses_before:] if (usage := s.kind.usage(one)) is not None]
        assert usages, "no usage is reported"
        shares.append(max(usage.share for usage in usages))
    assert shares == sorted(set(shares)), f"the shares are {shares}"
    assert 0 < shares[0] < shares[-1] <= 1, f"the shares are {shares}"


@check("errors: the platform's codes", lambda _, about: bool(about.codes))
async def codes(s: Subject) -> None:
    for code, means in s.about.codes.items():
        effect = {"type": "platform_error", "code": code}
        await s.control("faults", platform=s.spec.key, effect=effect)
        error = await _error_of(s.adapter().community, s)
        assert type(error) is means, f"{code} is {error!r}, not {means.__name__}"
        s.clear_faults()


@check("errors: a 502 is transient")
async def bad_gateway(s: Subject) -> None:
    """With status 502 reads raise `Transient`, and changes that or `OutcomeUnknown`."""
    made = s.adapter()
    for when in ("before", "after"):
        for name, call in _calls(s).items():
            await s.control("faults", platform=s.spec.key, when=when, effect={"type": "html", "status": 502})
            error = await _error_of(call, s)
            s.clear_faults()
            changing = name in changes(made, s.about)
            assert isinstance(error, Transient | OutcomeUnknown if changing else Transient), f"{name}: {error!r}"


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────


@check("tokens: an expired one is reported", lambda kind, _: bool(set(kind.spec.tokens) & set(ACCESS)))
async def expired(s: Subject) -> None:
    """At least one call raises `AuthExpired`, and it names this token or none."""
    for kind in [one for one in ACCESS if one in s.c.tokens]:
        for state in STATES:
            s.sandbox.network.grants.end(s.c.tokens[kind], state)
            errors = await _auth_errors(s, kind)
            assert errors, f"no call reports that the {kind} token is {state}"
            assert {error.token for error in errors} <= {kind, None}, "another token is named"
            s.sandbox.network.grants.end(s.c.tokens[kind], "good")


async def _auth_errors(s: Subject, kind: Token) -> list[AuthExpired]:
    """The `AuthExpired` errors of all calls. If none of them sends this token, they are repeated without the others."""
    whole, requests_before, forms = s.c, len(s.transport.requests), {s.c.tokens[kind], quote(s.c.tokens[kind], safe="")}
    errors = [await _error_of(call, s) for call in _calls(s).values()]
    sent = [f"{one.url} {one.headers.raw} {one.content!r}" for one in s.transport.requests[requests_before:]]
    if not any(form in text for form in forms for text in sent):
        s.c = replace(s.c, tokens={one: text for one, text in s.c.tokens.items() if one is kind or one not in ACCESS})
        errors = [await _error_of(call, s) for call in _calls(s).values()]
        s.c = whole
    return [error for error in errors if isinstance(error, AuthExpired)]


@check("tokens: a missing scope is reported", lambda kind, _: bool(set(kind.spec.tokens) & set(ACCESS)))
async def scopeless(s: Subject) -> None:
    """With tokens without any scope some call raises `MissingPermission`, and none `AuthExpired`."""
    tokens = dict(s.c.tokens)
    for kind in [one for one in ACCESS if one in tokens]:
        tokens[kind] = s.sandbox.network.grants.make(s.community, kind.value, [])
    s.c = replace(s.c, tokens=tokens)
    errors = [error for call in _calls(s).values() if (error := await _error_of(call, s)) is not None]
    assert not any(isinstance(error, AuthExpired) for error in errors), f"a token is reported as expired: {errors}"
    assert any(isinstance(error, MissingPermission) for error in errors), (
        f"no call reports a missing permission: {errors}"
    )


@check("refresh: new tokens are valid", has(Refreshes))
async def refreshed(s: Subject) -> None:
    made = s.adapter()
    assert isinstance(made, Refreshes)
    renewable = made.renewable(s.c.tokens.keys(), s.c.app.keys())
    assert renewable, "no token can be renewed with all of the sandbox's"
    s.later(60)
    granted = await made.refresh(s.c)
    assert granted.keys() <= renewable, "a token outside `renewable` was renewed"
    assert granted.keys() & {*ACCESS}, "no token for API calls was renewed"
    assert all(one.text and (one.lifetime is None or one.lifetime.total_seconds() > 60) for one in granted.values()), (
        f"{granted}"
    )
    for _ in range(2):  # the second time with the tokens of the first
        s.c = replace(s.c, tokens={**s.c.tokens, **{kind: one.text for kind, one in granted.items()}})
        errors = [error for call in _calls(s).values() if (error := await _error_of(call, s)) is not None]
        assert not any(isinstance(error, AuthExpired) for error in errors), f"a new token is invalid: {errors}"
        granted = await made.refresh(s.c)


@check("refresh: a refusal expires the token", has(Refreshes))
async def refresh_refused(s: Subject) -> None:
    made = s.adapter()
    assert isinstance(made, Refreshes)
    for token in s.c.tokens.values():
        s.sandbox.network.grants.end(token, "revoked")
    with pytest.raises(AuthExpired):
        await made.refresh(s.c)


@check("refresh: a lost response is unknown", has(Refreshes))
async def refresh_lost(s: Subject) -> None:
    made, requests_before = s.adapter(), len(s.transport.requests)
    assert isinstance(made, Refreshes)
    s.transport.loses = lambda _: True
    with pytest.raises(OutcomeUnknown):
        await made.refresh(s.c)
    assert len(s.transport.requests) == requests_before + 1, "the request must be sent once"


# ── secrets ───────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _captured_log() -> Iterator[io.StringIO]:
    """Captures everything that is logged, at any level."""
    captured = io.StringIO()
    handler, root = logging.StreamHandler(captured), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield captured
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def _echo(status: int, request: httpx.Request) -> httpx.Response:
    """An error in the formats of several platforms whose message repeats the request."""
    text = f"{request.url} {request.headers} {request.content.decode('latin-1')}"
    inner = {"message": text, "error_msg": text, "code": 100, "error_code": 100}
    plain = dict.fromkeys(("error_description", "message", "description", "error_msg"), text)
    nested = status in (400, 403)
    return httpx.Response(status, json={**plain, "error": inner if nested else text, "error_code": 100, "ok": False})


@check("no secret in any message, log or address")
async def no_secret_seen(s: Subject) -> None:
    """Not even if the platform's error repeats the whole request."""
    secrets, calls = s.secrets(), _calls(s) | renewals(s.adapter())
    errors: list[PlatformError | None] = []
    with _captured_log() as log:
        errors += [await _error_of(call, s) for call in calls.values()]
        for status in (200, 400, 401, 403, 404, 429, 500):
            s.transport.instead = partial(_echo, status)
            errors += [await _error_of(call, s) for call in calls.values()]
    texts = [log.getvalue(), *(f"{error} {error!r} {error.__dict__} {error.__cause__!r}" for error in errors if error)]
    texts += [str(request.url) for request in s.transport.requests if not s.about.token_in_url(request.url.path)]
    seen = [text for text in texts if any(secret in text for secret in secrets)]
    assert not seen, f"a secret is in {len(seen)} of {len(texts)} texts"
