"""Jobs that send replies, and that reconcile those whose outcome is unknown."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select

from app.access.service import workspaces
from app.communities import platform_calls
from app.communities.platform_calls import Answered, Cause, Failed, Postponed
from app.communities.platform_client import PlatformClient, platform_client
from app.inquiries import counts, due_dates, sending
from app.inquiries.gauges import BY_DELIVERY, UNDER_WAY
from app.inquiries.lexemes import INQUIRY_LEXEMES, texts
from app.inquiries.models import ReplyDelivery
from app.inquiries.sending import Intent
from app.inquiries.service import RECONCILE, SEND
from app.kit import gauges
from app.kit.db import in_workspace, workspace_of
from app.kit.jobs import Reschedule, Run, Snooze, enqueue, job
from app.kit.search import FIRST
from app.platforms.capabilities import FindsReplies, Replies
from app.platforms.contract import (
    AuthExpired,
    Credentials,
    Gone,
    MissingPermission,
    OutcomeUnknown,
    Rejected,
    SendReceipt,
    TokenMissing,
)
from app.projects.models import Project

RETRY_DELAY: Final = timedelta(seconds=2)
ATTEMPTS: Final = 10
"""Over about a quarter of an hour while the platform is unavailable."""

_WHY_POSTPONED: Final[Mapping[Cause, str]] = {
    Cause.RATE_LIMIT: "It waits for its turn: the platform allows so many calls.",
    Cause.THROTTLED: "The platform asks for fewer calls; it is sent a little later.",
    Cause.TOKENS: "The token is being renewed.",
}


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
    result = await platform_calls.call(
        run,
        intent.community_id,
        client,
        lambda ready: _send_or_find(run, adapter, ready.credentials, intent),
        # Committed first, whatever happens next: nothing was sent.
        when_refused=lambda: _requeue(run, intent, "The token is being renewed."),
    )
    match result:
        case Answered(SendReceipt() as sent):
            async with run.step() as session:
                await sending.delivered(session, message_id=message_id, sent=sent)
                await run.finish(session)
        case Answered():
            assert intent.attempted_at is not None, "only a repeat is looked up"
            await _requeue(run, intent, "It is not seen on the platform yet, and is looked for again.")
            raise Snooze(intent.attempted_at + sending.RESEND_AFTER, "a sent reply may appear late")
        case Failed(OutcomeUnknown() as error):
            async with run.step() as session:
                await sending.unknown(session, message_id=message_id, why=f"No clear answer came: {error.message}.")
                await run.finish(session)
        case Failed():
            await _handle_failure(run, intent, result)
        case Postponed():
            await _retry_later(run, intent, result)


async def _send_or_find(run: Run, adapter: Replies, c: Credentials, intent: Intent) -> SendReceipt | None:
    """Send a reply, unless an earlier attempt has sent it and the server would not drop the repeat.

    None where the reply is not there, and may still appear.
    """
    if intent.attempted_at is not None and isinstance(adapter, FindsReplies) and not await adapter.drops_repeats(c):
        candidates = await adapter.find_replies(c, intent.to, intent.text, intent.lookup_since)
        may_resend = intent.may_resend(run.now)
        async with run.step() as session:
            receipt = await sending.resolve(session, intent=intent, candidates=candidates, may_resend=may_resend)
        if receipt is not None or not may_resend:
            return receipt
    return await adapter.reply(c, intent.to, intent.text, str(intent.message_id))


@job(RECONCILE)
async def reconcile(run: Run, message_id: UUID) -> Reschedule | None:
    """Look up a reply that may have been sent, where the platform can be asked; one that is not there needs review."""
    async with run.step() as session:
        intent = await sending.unresolved(session, message_id=message_id)
        client = (await platform_client(run.resources, session, intent.community_id))[1] if intent is not None else None
    if intent is not None and client is not None and isinstance(client.adapter, FindsReplies):
        if await _looked_up(run, client.adapter, client, intent):
            return None
        review_at = intent.lookup_since + sending.RECONCILE_TIMEOUT
        if run.now < review_at:
            return Reschedule(review_at)
    async with run.step() as session:
        await sending.require_review(session, message_id=message_id)
        await run.finish(session)
    return None


async def _looked_up(run: Run, adapter: FindsReplies, client: PlatformClient, intent: Intent) -> bool:
    """Whether the platform says that it has the reply; if so the message is sent, and the job finished."""
    result = await platform_calls.call(
        run,
        intent.community_id,
        client,
        lambda ready: adapter.find_replies(ready.credentials, intent.to, intent.text, intent.lookup_since),
    )
    if not isinstance(result, Answered):
        return False
    async with run.step() as session:
        receipt = await sending.resolve(session, intent=intent, candidates=result.value, may_resend=False)
        if receipt is not None:
            await sending.delivered(session, message_id=intent.message_id, sent=receipt)
            await run.finish(session)
    return receipt is not None


def _failure_detail(failure: Failed, *, maybe_sent: bool) -> str:
    """For people, with what to do next; a reply that may have been sent must not be sent again."""
    error = failure.error
    if failure.platform_is_unwell:
        return f"The platform stayed unwell: {error.message}.{'' if maybe_sent else ' Send it anew later.'}"
    if isinstance(error, AuthExpired):
        advice = "." if maybe_sent else ", then send the answer anew."
        return f"The platform refuses the token. Reconnect the community{advice}"
    if isinstance(error, TokenMissing):
        advice = "." if maybe_sent else ", then send the answer anew."
        return f"No token was given with which to answer here. Reconnect the community with one{advice}"
    if isinstance(error, MissingPermission):
        scopes = f" ({', '.join(error.scopes)})" if error.scopes else ""
        return f"The token may not answer here{scopes}. Reconnect the community with that permission."
    if isinstance(error, Gone):
        return "What it answers does not exist on the platform any more."
    if isinstance(error, Rejected):
        return f"The platform refused it: {error.message}."
    return error.message


async def _retry_later(run: Run, intent: Intent, postponed: Postponed) -> None:
    """Nothing was sent: try again (raises `Snooze`), unless a repeat might by then be delivered twice."""
    at, why = max(postponed.at, run.now + RETRY_DELAY), _WHY_POSTPONED[postponed.cause]
    if intent.repeat_safe_until is not None and at >= intent.repeat_safe_until:
        await _fail(run, intent, why)
        return
    await _requeue(run, intent, why)
    raise Snooze(at, postponed.reason)


async def _handle_failure(run: Run, intent: Intent, failure: Failed) -> None:
    """Nothing was sent by this attempt. Raises its error to try again, always where an earlier one may have sent it."""
    maybe_sent = intent.repeat_safe_until is not None
    detail = _failure_detail(failure, maybe_sent=maybe_sent)
    if run.attempt < ATTEMPTS and (failure.platform_is_unwell or maybe_sent):
        await _requeue(
            run, intent, "The platform is unwell; it is tried again." if failure.platform_is_unwell else detail
        )
        raise failure.error
    await _fail(run, intent, detail)


async def _requeue(run: Run, intent: Intent, why: str) -> None:
    async with run.step() as session:
        await sending.requeue(session, intent=intent, why=why)


async def _fail(run: Run, intent: Intent, why: str) -> None:
    async with run.step() as session:
        await sending.failed(session, intent=intent, why=why)
        await run.finish(session)


@job("inquiries.compact-counts", every=timedelta(hours=1))
async def compact_counts(run: Run) -> None:
    """Enqueue the compacting of every workspace's counts."""
    async with run.step() as session:
        for workspace_id in await workspaces(session):
            await enqueue(session, "inquiries.compact-counts-of-workspace", workspace_id=workspace_id, key="hourly")


@job("inquiries.compact-counts-of-workspace")
async def compact_counts_of_workspace(run: Run) -> None:
    """Replace the changes in the numbers of inquiries by their sums."""
    async with run.step() as session:
        await counts.INQUIRY_TALLY.compact(session)
        await run.finish(session)


@job("inquiries.count-replies", timeout=timedelta(minutes=10), every=gauges.INTERVAL)
async def count_replies(run: Run) -> Reschedule:
    """Count the replies of all workspaces that are under way, for the metrics."""
    began = run.resources.clock.monotonic()
    async with run.step() as session:
        workspace_ids = await workspaces(session)
    numbers = await gauges.count(run.resources.db, workspace_ids, BY_DELIVERY)
    under_way = [one.value for one in ReplyDelivery if one not in {ReplyDelivery.SENT, ReplyDelivery.FAILED}]
    async with run.step() as session:
        await UNDER_WAY.store(session, {(delivery,): numbers[delivery,] for delivery in under_way})
    return Reschedule(gauges.next_count(run.now, run.resources.clock.monotonic() - began))


@job("inquiries.reconcile-counts", every=timedelta(hours=24))
async def reconcile_counts(run: Run) -> None:
    """Enqueue the comparison of every workspace's counts with a recount."""
    async with run.step() as session:
        for workspace_id in await workspaces(session):
            await enqueue(session, "inquiries.reconcile-counts-of-workspace", workspace_id=workspace_id, key="nightly")


@job("inquiries.reconcile-counts-of-workspace", timeout=timedelta(minutes=10))
async def reconcile_counts_of_workspace(run: Run) -> None:
    """Compare the numbers of inquiries with a recount; correct, count and log those that differ."""
    async with run.step() as session:
        corrected = await counts.INQUIRY_TALLY.reconcile(session)
        await run.finish(session)
    counts.INQUIRY_TALLY.report(corrected)


_OF_WORKSPACE: Final = "inquiries.reconcile-lexemes-of-workspace"


@job("inquiries.reconcile-lexemes", every=timedelta(hours=24))
async def reconcile_lexemes(run: Run) -> None:
    """Enqueue the comparison of every workspace's words of inquiries with their texts."""
    async with run.step() as session:
        for workspace_id in await workspaces(session):
            await enqueue(session, _OF_WORKSPACE, workspace_id=workspace_id, key=str(FIRST), after=FIRST)


@job(_OF_WORKSPACE, timeout=timedelta(minutes=10))
async def reconcile_lexemes_of_workspace(run: Run, after: UUID) -> None:
    """Compare the words of a page of inquiries with their texts; repair, count and log what differs."""
    async with run.step() as session:
        changed, last = await INQUIRY_LEXEMES.reconcile(session, texts, after)
        if last is not None:
            await enqueue(session, _OF_WORKSPACE, workspace_id=run.workspace_id, key=str(last), after=last)
        await run.finish(session)
    INQUIRY_LEXEMES.report(changed, run.workspace_id)


@job("inquiries.reconcile-due-dates", every=timedelta(hours=24))
async def reconcile_due_dates(run: Run) -> None:
    """Enqueue the comparison of every workspace's deadlines of inquiries with their waits."""
    async with run.step() as session:
        for workspace_id in await workspaces(session):
            await enqueue(
                session, "inquiries.reconcile-due-dates-of-workspace", workspace_id=workspace_id, key="nightly"
            )


@job("inquiries.reconcile-due-dates-of-workspace", timeout=timedelta(minutes=10))
async def reconcile_due_dates_of_workspace(run: Run) -> None:
    """Compare the deadlines of each project's inquiries with their waits; repair, count and log those that differ."""
    async with run.step() as session:
        of_workspace = in_workspace(Project, workspace_of(session))
        project_ids = (await session.scalars(select(Project.id).where(of_workspace))).all()
    repaired = 0
    for project_id in project_ids:
        async with run.step() as session:
            repaired += await due_dates.reconcile(session, project_id)
    async with run.step() as session:
        await run.finish(session)
    due_dates.report(repaired, run.workspace_id)
