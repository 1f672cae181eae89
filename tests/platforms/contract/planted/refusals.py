"""Errors of a wrong class, and exposed secrets."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Final

import httpx

from app.platforms.bluesky.adapter import Bluesky
from app.platforms.capabilities import Usage
from app.platforms.contract import (
    Adapter,
    AuthExpired,
    CommunitySnapshot,
    Credentials,
    LimitScope,
    MetricStatus,
    Page,
    PlatformError,
    PostMetrics,
    RemoteMessage,
    Throttled,
    Token,
    Transient,
)
from app.platforms.mastodon.adapter import Mastodon
from app.platforms.odnoklassniki.adapter import Odnoklassniki
from app.platforms.vk.adapter import Vk
from tests.platforms.contract.planted import Planted

Messages = Page[RemoteMessage]


class Leaking(Mastodon):
    """An error message contains the token."""

    def classify(self, response: httpx.Response) -> PlatformError | None:
        said = super().classify(response)
        if said is not None:
            said.args = (f"{said.message} with {response.request.headers.get('authorization')}",)
        return said


class LogsToken(Vk):
    """The token is logged at debug level."""

    async def community(self, c: Credentials) -> CommunitySnapshot:
        logging.getLogger("vk").debug("asking with %s", c.tokens)
        return await super().community(c)


class TokenInQuery(Mastodon):
    """The token is in the URL's query."""

    async def community(self, c: Credentials) -> CommunitySnapshot:
        where = f"{c.base_url}/api/v1/accounts/{c.external_id}"
        await self._http.get(where, params={"access_token": c.tokens[Token.COMMUNITY]})
        return await super().community(c)


class IgnoresThrottling(Odnoklassniki):
    """A rate limit error is returned as a missing metric."""

    async def _reach(self, c: Credentials, group: str, created: Mapping[str, int]) -> dict[str, int | MetricStatus]:
        try:
            return await super()._reach(c, group, created)
        except Throttled:
            return dict.fromkeys(created, MetricStatus.ERROR)


class Repeats(Mastodon):
    """A refused request is repeated immediately."""

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        with suppress(Throttled):
            return await super().metrics(c, ids)
        await super().metrics(c, ids)
        raise Throttled("too many calls", retry_after=30, scope=LimitScope.TOKEN)


def _with_errors(change: Callable[[PlatformError], PlatformError]) -> type[Adapter]:
    """VK's error codes are mapped to other classes."""

    class Changed(Vk):
        def classify(self, response: httpx.Response) -> PlatformError | None:
            said = super().classify(response)
            return None if said is None else change(said)

    return Changed


def _throttled(retry_after: float | None, scope: LimitScope) -> Callable[[PlatformError], PlatformError]:
    def changed(said: PlatformError) -> PlatformError:
        return Throttled(said.message, retry_after=retry_after, scope=scope) if isinstance(said, Throttled) else said

    return changed


class WrongToken(Vk):
    """The error names the other token."""

    async def conversations(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Messages:
        try:
            return await super().conversations(c, cursor, since)
        except AuthExpired as error:
            raise AuthExpired(error.message, token=Token.USER) from None


class ConstantUsage(Bluesky):
    """The reported usage is constant."""

    @classmethod
    def usage(cls, response: httpx.Response) -> Usage | None:
        sound = super().usage(response)
        return None if sound is None else Usage(0.25, sound.scope)


PLANTED: Final[tuple[Planted, ...]] = (
    ("no secret in any message, log or address", Leaking, "a secret is in"),
    ("no secret in any message, log or address", LogsToken, "a secret is in"),
    ("no secret in any message, log or address", TokenInQuery, "a secret is in"),
    ("limits: throttled, with scope and time", _with_errors(_throttled(None, LimitScope.TOKEN)), "wait for None"),
    ("limits: throttled, with scope and time", _with_errors(_throttled(0.5, LimitScope.TOKEN)), "too short"),
    ("limits: throttled, with scope and time", _with_errors(_throttled(60.0, LimitScope.TOKEN)), "too long"),
    (
        "limits: throttled, with scope and time",
        _with_errors(_throttled(1.0, LimitScope.ADDRESS)),
        "concerns the token",
    ),
    ("limits: throttled, with scope and time", _with_errors(lambda said: Transient(said.message)), "Transient"),
    ("metrics: no request after a 429", IgnoresThrottling, "DID NOT RAISE"),
    ("metrics: no request after a 429", Repeats, "after the 429"),
    ("errors: the platform's codes", _with_errors(lambda said: Transient(said.message)), "is Transient"),
    ("tokens: an expired one is reported", _with_errors(lambda said: Transient(said.message)), "no call reports"),
    ("tokens: an expired one is reported", WrongToken, "is named"),
    (
        "tokens: a missing scope is reported",
        _with_errors(lambda said: AuthExpired(said.message)),
        "reported as expired",
    ),
    ("limits: usage", ConstantUsage, "the shares are"),
)
