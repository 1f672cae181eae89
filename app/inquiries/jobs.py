"""Jobs that send replies, and that reconcile those whose outcome is unknown."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.communities.platform_client import PlatformClient, platform_client, reauthorised, with_valid_tokens
from app.communities.polling.rate_limits import RateLimitReached
from app.inquiries import sending
from app.inquiries.sending import Intent
from app.inquiries.service import RECONCILE, SEND
from app.kit.jobs import Run, Snooze, job
from app.platforms.capabilities import Replies
from app.platforms.contract import (
    AuthExpired,
    Gone,
    Malformed,
    MissingPermission,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    Throttled,
    Transient,
)

RETRY_DELAY: Final = timedelta(seconds=2)
ATTEMPTS: Final = 10
"""Over about a quarter of an hour while the platform is unavailable."""


@job(SEND, timeout=timedelta(seconds=90), attempts=ATTEMPTS, on_dead=sending.job_failed)
async def send(run: Run, message_id: UUID) -> None:
    """Send a reply once; its outcome is committed together with the job's end."""
    async with run.step() as session:
        intent = await sending.record_intent(session, message_id=message_id)
        if intent is None:
            await run.finish(session)
            return
        _, client = await platform_client(run.resources, session, intent.community_id)
    adapter = client.adapter
    if not isinstance(adapter, Replies):
        await _fail(run, intent, "Instep cannot answer on this platform.")
        return
    try:
        # Tokens are checked before anything is sent: a failure here means that nothing was sent.
        client = await _client_with_valid_tokens(run, intent.community_id, client)
        sent = await adapter.reply(client.credentials, intent.to, intent.text, str(message_id))
    except OutcomeUnknown as error:
        async with run.step() as session:
            await sending.unknown(session, message_id=message_id, why=f"No clear answer came: {error.message}.")
            await run.finish(session)
        return
    except RateLimitReached as limit:
        await _retry_at(
            run, intent, limit.until, str(limit), "It waits for its turn: the platform allows so many calls."
        )
        return
    except Throttled as error:
        until = await client.throttled(error)
        await _retry_at(
            run, intent, until, error.message, "The platform asks for fewer calls; it is sent a little later."
        )
        return
    except Snooze as snooze:
        await _retry_at(run, intent, snooze.at, str(snooze), "The token is being renewed.")
        return
    except PlatformError as error:
        if isinstance(error, AuthExpired):
            # Committed first, whatever happens next: nothing was sent.
            await _requeue(run, intent, "The token is being renewed.")
            if await _reauthorised(run, intent.community_id, client, error):
                await _retry_at(run, intent, run.now + RETRY_DELAY, error.message, "The token was renewed.")
                return
        await _handle_failure(run, intent, error)
        return
    async with run.step() as session:
        await sending.delivered(session, message_id=message_id, sent=sent)
        await run.finish(session)


@job(RECONCILE)
async def reconcile(run: Run, message_id: UUID) -> None:
    """Mark a reply that polling has not found as needing review."""
    async with run.step() as session:
        await sending.require_review(session, message_id=message_id)
        await run.finish(session)


async def _client_with_valid_tokens(run: Run, community_id: UUID, client: PlatformClient) -> PlatformClient:
    try:
        return await with_valid_tokens(run, community_id, client)
    except OutcomeUnknown as error:
        raise Transient(error.message) from None


async def _reauthorised(run: Run, community_id: UUID, client: PlatformClient, error: AuthExpired) -> bool:
    """Whether there is, or soon will be, a valid token; without one the reply fails and can be sent again."""
    try:
        return await reauthorised(run, community_id, client, error)
    except (Snooze, RateLimitReached):
        return True
    except PlatformError:
        return False


def _failure_detail(error: PlatformError, *, maybe_sent: bool) -> str:
    """For people, with what to do next; a reply that may have been sent must not be sent again."""
    if isinstance(error, Transient | Malformed):
        return f"The platform stayed unwell: {error.message}.{'' if maybe_sent else ' Send it anew later.'}"
    if isinstance(error, AuthExpired):
        advice = "." if maybe_sent else ", then send the answer anew."
        return f"The platform refuses the token. Reconnect the community{advice}"
    if isinstance(error, MissingPermission):
        scopes = f" ({', '.join(error.scopes)})" if error.scopes else ""
        return f"The token may not answer here{scopes}. Reconnect the community with that permission."
    if isinstance(error, Gone):
        return "What it answers does not exist on the platform any more."
    if isinstance(error, Rejected):
        return f"The platform refused it: {error.message}."
    return error.message


async def _retry_at(run: Run, intent: Intent, at: datetime, reason: str, why: str) -> None:
    """Nothing was sent: try again at `at` (raises `Snooze`), unless a repeat might by then be delivered twice."""
    if intent.repeat_safe_until is not None and at >= intent.repeat_safe_until:
        await _fail(run, intent, why)
        return
    await _requeue(run, intent, why)
    raise Snooze(at, reason)


async def _handle_failure(run: Run, intent: Intent, error: PlatformError) -> None:
    """Nothing was sent by this attempt. Raises `error` to try again, always where an earlier one may have sent it."""
    unavailable, maybe_sent = isinstance(error, Transient | Malformed), intent.repeat_safe_until is not None
    detail = _failure_detail(error, maybe_sent=maybe_sent)
    if run.attempt < ATTEMPTS and (unavailable or maybe_sent):
        await _requeue(run, intent, "The platform is unwell; it is tried again." if unavailable else detail)
        raise error
    await _fail(run, intent, detail)


async def _requeue(run: Run, intent: Intent, why: str) -> None:
    async with run.step() as session:
        await sending.requeue(session, intent=intent, why=why)


async def _fail(run: Run, intent: Intent, why: str) -> None:
    async with run.step() as session:
        await sending.failed(session, intent=intent, why=why)
        await run.finish(session)
