"""Sending answers, and finding out what became of them."""

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

SOON: Final = timedelta(seconds=2)
ATTEMPTS: Final = 10
"""Over about a quarter of an hour, where the platform is unwell."""


@job(SEND, timeout=timedelta(seconds=90), attempts=ATTEMPTS, on_dead=sending.abandoned)
async def send(run: Run, message_id: UUID) -> None:
    """Send an answer once; what became of it is committed together with the job's end."""
    async with run.step() as session:
        intent = await sending.intend(session, message_id=message_id)
        if intent is None:
            await run.finish(session)
            return
        _, line = await platform_client(run.resources, session, intent.community_id)
    adapter = line.adapter
    if not isinstance(adapter, Replies):
        await _fail(run, intent, "Instep cannot answer on this platform.")
        return
    try:
        # Nothing is sent before the tokens are good: what goes wrong here leaves no doubt.
        line = await _with_good_tokens(run, intent.community_id, line)
        sent = await adapter.reply(line.credentials, intent.to, intent.text, str(message_id))
    except OutcomeUnknown as error:
        async with run.step() as session:
            await sending.unknown(session, message_id=message_id, why=f"No clear answer came: {error.message}.")
            await run.finish(session)
        return
    except RateLimitReached as spent:
        await _wait(run, intent, spent.until, str(spent), "It waits for its turn: the platform allows so many calls.")
        return
    except Throttled as error:
        until = await line.throttled(error)
        await _wait(run, intent, until, error.message, "The platform asks for fewer calls; it is sent a little later.")
        return
    except Snooze as later:
        await _wait(run, intent, later.at, str(later), "The token is being renewed.")
        return
    except PlatformError as error:
        if isinstance(error, AuthExpired):
            # Written down before anything else can go wrong: nothing was sent.
            await _put_back(run, intent, "The token is being renewed.")
            if await _mended(run, intent.community_id, line, error):
                await _wait(run, intent, run.now + SOON, error.message, "The token was renewed.")
                return
        await _refused(run, intent, error)
        return
    async with run.step() as session:
        await sending.delivered(session, message_id=message_id, sent=sent)
        await run.finish(session)


@job(RECONCILE)
async def reconcile(run: Run, message_id: UUID) -> None:
    """Ask a person about an answer that polling has not found."""
    async with run.step() as session:
        await sending.give_up(session, message_id=message_id)
        await run.finish(session)


async def _with_good_tokens(run: Run, community_id: UUID, line: PlatformClient) -> PlatformClient:
    try:
        return await with_valid_tokens(run, community_id, line)
    except OutcomeUnknown as error:
        raise Transient(error.message) from None


async def _mended(run: Run, community_id: UUID, line: PlatformClient, error: AuthExpired) -> bool:
    """Whether there is, or soon will be, a good token; where none comes, the answer fails and can be sent anew."""
    try:
        return await reauthorised(run, community_id, line, error)
    except (Snooze, RateLimitReached):
        return True
    except PlatformError:
        return False


def _words(error: PlatformError, *, doubted: bool) -> str:
    """For people, with what to do next; what is in doubt is not to be sent anew."""
    if isinstance(error, Transient | Malformed):
        return f"The platform stayed unwell: {error.message}.{'' if doubted else ' Send it anew later.'}"
    if isinstance(error, AuthExpired):
        then = "." if doubted else ", then send the answer anew."
        return f"The platform refuses the token. Reconnect the community{then}"
    if isinstance(error, MissingPermission):
        lacking = f" ({', '.join(error.scopes)})" if error.scopes else ""
        return f"The token may not answer here{lacking}. Reconnect the community with that permission."
    if isinstance(error, Gone):
        return "What it answers does not exist on the platform any more."
    if isinstance(error, Rejected):
        return f"The platform refused it: {error.message}."
    return error.message


async def _wait(run: Run, intent: Intent, at: datetime, reason: str, why: str) -> None:
    """Nothing was sent: try again at `at` (raises `Later`), unless it is in doubt and a repeat would be sent twice."""
    if intent.doubted_until is not None and at >= intent.doubted_until:
        await _fail(run, intent, why)
        return
    await _put_back(run, intent, why)
    raise Snooze(at, reason)


async def _refused(run: Run, intent: Intent, error: PlatformError) -> None:
    """Nothing was sent now. Raises `error` where it is tried again, as all is that was in doubt before."""
    unwell, doubted = isinstance(error, Transient | Malformed), intent.doubted_until is not None
    words = _words(error, doubted=doubted)
    if run.attempt < ATTEMPTS and (unwell or doubted):
        await _put_back(run, intent, "The platform is unwell; it is tried again." if unwell else words)
        raise error
    await _fail(run, intent, words)


async def _put_back(run: Run, intent: Intent, why: str) -> None:
    async with run.step() as session:
        await sending.put_back(session, intent=intent, why=why)


async def _fail(run: Run, intent: Intent, why: str) -> None:
    async with run.step() as session:
        await sending.failed(session, intent=intent, why=why)
        await run.finish(session)
