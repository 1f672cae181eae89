"""Calling a platform from a job: one place that turns what can go wrong into what the job does next.

`call` renews tokens that end soon, makes the call, and returns one of three results:

- `Answered`: the value.
- `Postponed`: nothing is wrong that a person or a later attempt has to mend. The job runs again at `at`: a rate
  limit is used up, the platform asked for fewer calls (which every worker now heeds), or tokens were renewed.
- `Failed`: the platform's error. `needs_person` tells a refusal, which repeating does not change, from a
  platform that is unwell, which the job retries or backs off from.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Generic, TypeVar
from uuid import UUID

from app.communities.models import Community
from app.communities.platform_client import PlatformClient, reauthorised, renewable, with_valid_tokens
from app.communities.polling.rate_limits import RateLimitReached
from app.kit.db import fetch
from app.kit.jobs import Run, Snooze
from app.platforms.contract import (
    AuthExpired,
    Gone,
    Malformed,
    MissingPermission,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    Throttled,
    TokenMissing,
    Transient,
    Unreadable,
    Unsupported,
)

T = TypeVar("T")


class Cause(Enum):
    """Why a call is postponed."""

    RATE_LIMIT = auto()
    THROTTLED = auto()
    """The platform answered that there were too many calls."""
    TOKENS = auto()
    """They were renewed, or another worker is renewing them."""


@dataclass(frozen=True, slots=True)
class Answered(Generic[T]):
    """What the platform answered."""

    value: T


@dataclass(frozen=True, slots=True)
class Postponed:
    """The job is to run again at `at`. Nothing was changed at the platform by the call that was refused."""

    at: datetime
    reason: str
    cause: Cause

    def snooze(self) -> Snooze:
        """For a handler to raise."""
        return Snooze(self.at, self.reason)


@dataclass(frozen=True, slots=True)
class Failed:
    """The call failed with the platform's `error`."""

    error: PlatformError

    @property
    def needs_person(self) -> bool:
        """Whether repeating is useless until somebody changes something: tokens, permissions, the request itself."""
        return isinstance(self.error, AuthExpired | MissingPermission | Rejected | Gone | Unsupported | Unreadable)

    @property
    def platform_is_unwell(self) -> bool:
        """Whether the platform cannot answer now, so that a later attempt may succeed."""
        return isinstance(self.error, Transient | Malformed)


async def call(
    run: Run,
    community_id: UUID,
    client: PlatformClient,
    make: Callable[[PlatformClient], Awaitable[T]],
    *,
    when_refused: Callable[[], Awaitable[None]] | None = None,
) -> Answered[T] | Postponed | Failed:
    """Make a call for a community with valid tokens, outside of any transaction.

    `when_refused` is awaited where the platform refuses a token, before others are fetched: a caller stores
    there that nothing was sent. An error of `make` that is not a platform's is raised.
    """
    try:
        try:
            client = await with_valid_tokens(run, community_id, client)
        except OutcomeUnknown as error:  # of the renewal; the call itself was not made
            raise Transient(error.message) from None
        return Answered(await make(client))
    except AuthExpired as error:
        if not client.stored_tokens.versions and not renewable(client):
            return Failed(_token_missing(client, error))
        if when_refused is not None:
            await when_refused()
        return await _after_refusal(run, community_id, client, error)
    except (PlatformError, RateLimitReached, Snooze) as error:
        return await _decided(run, community_id, client, error)


def _token_missing(client: PlatformClient, error: AuthExpired) -> TokenMissing:
    """The error of a community for which nobody has given a token: it needs one, not another one."""
    spec = client.adapter.spec
    kinds = ", ".join(sorted(spec.tokens if error.token is None else {error.token}))
    detail = f"{spec.title} shows this to nobody without a token here, and none was given; needed: {kinds}."
    return TokenMissing(detail, platform_code=error.platform_code)


async def _after_refusal(
    run: Run, community_id: UUID, client: PlatformClient, error: AuthExpired
) -> Postponed | Failed:
    """What follows from a refused token: others are used, if there are any."""
    try:
        if await reauthorised(run, community_id, client, error):
            return Postponed(run.now, "the tokens were renewed", Cause.TOKENS)
    except (PlatformError, RateLimitReached, Snooze) as worse:
        return await _decided(run, community_id, client, worse)
    return Failed(error)


async def _decided(
    run: Run, community_id: UUID, client: PlatformClient, error: PlatformError | RateLimitReached | Snooze
) -> Postponed | Failed:
    match error:
        case RateLimitReached():
            return Postponed(error.until, str(error), Cause.RATE_LIMIT)
        case Snooze():  # another worker is renewing the tokens
            return Postponed(error.at, str(error), Cause.TOKENS)
        case Throttled():
            return Postponed(await _record_throttle(run, community_id, client, error), error.message, Cause.THROTTLED)
        case _:
            return Failed(error)


async def _record_throttle(run: Run, community_id: UUID, client: PlatformClient, error: Throttled) -> datetime:
    """Have no worker call before the platform allows it again; when that is. First of all: others are about to call."""
    until = await client.throttled(error)
    async with run.step() as session:
        community = await fetch(session, Community, community_id, for_update=True)
        community.throttled_until = until
    return until
