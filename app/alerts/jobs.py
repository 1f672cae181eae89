"""Jobs that look for what needs a person, tell them, and link their chats."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.access.service import workspaces
from app.alerts import bots, channels, sending, watching
from app.alerts.deliveries import DELIVER
from app.alerts.kinds import kinds
from app.alerts.sending import Intent
from app.alerts.service import POLL_BOT, WATCH
from app.alerts.trial import TRY, plan_trial
from app.kit import mail
from app.kit.jobs import Reschedule, Run, enqueue, job
from app.kit.mail import MailDeferred, MailInDoubt, MailMessage, MailRefused
from app.platforms.contract import AuthExpired, OutcomeUnknown, PlatformError, Throttled, Transient

WATCH_EVERY: Final = timedelta(minutes=2)


@job("alerts.watch", every=WATCH_EVERY)
async def watch(run: Run) -> None:
    """Enqueue `alerts.watch-workspace` for every workspace."""
    async with run.step() as session:
        for workspace_id in await workspaces(session):
            await enqueue(session, WATCH, workspace_id=workspace_id, key="watch")


@job(WATCH, timeout=timedelta(minutes=5))
async def watch_workspace(run: Run) -> None:
    """End the alerts of a workspace that are over, and open new ones; a kind in each transaction."""
    for kind in kinds().values():
        async with run.step() as session:
            await watching.end_over(session, kind)
            await watching.open_new(session, run.resources.settings, kind)


async def _not_delivered(session: AsyncSession, user_id: UUID, channel: str) -> None:
    """Its job is dead: what was under way may have arrived, and what is due is tried by another job."""
    await sending.give_up(session, user_id=user_id, channel=channel)


@job(DELIVER, timeout=timedelta(seconds=90), on_dead=_not_delivered)
async def deliver(run: Run, user_id: UUID, channel: str) -> Reschedule | None:
    """Send what is due to a person by a channel, as one message; its outcome is committed with the job's end."""
    settings = run.resources.settings
    async with run.step() as session:
        intent = await sending.record_intent(session, settings, user_id=user_id, channel=channel)
        if intent is None:
            await session.flush()
            return await _finish(run, session, user_id, channel, None)
    error = await _transmit(run, intent)
    async with run.step() as session:
        again_at = None
        match error:
            case None:
                await sending.sent(session, user_id=user_id, channel=channel)
            case MailDeferred() | Transient() | Throttled():
                again_at = await sending.deferred(
                    session, settings, user_id=user_id, channel=channel, why=_why(error), at=_not_before(run, error)
                )
            case MailInDoubt() | OutcomeUnknown():
                again_at = await sending.in_doubt(session, settings, user_id=user_id, channel=channel, why=_why(error))
            case _:
                if isinstance(error, AuthExpired):
                    await bots.refuse(session, platform=channel, detail=_why(error))
                await sending.failed(session, settings, user_id=user_id, channel=channel, why=_why(error))
        await session.flush()
        return await _finish(run, session, user_id, channel, again_at)


async def _finish(
    run: Run, session: AsyncSession, user_id: UUID, channel: str, again_at: datetime | None
) -> Reschedule | None:
    """Finish the job, or run it again when the next delivery is due, or a repeat."""
    due_at = await sending.next_due(session, user_id=user_id, channel=channel)
    times = [at for at in (again_at, due_at) if at is not None]
    reschedule = Reschedule(min(times)) if times else None
    await run.finish(session, reschedule)
    return reschedule


async def _transmit(run: Run, intent: Intent) -> Exception | None:
    """Send a message; why it was not sent, or may not have been."""
    try:
        if intent.channel == channels.MAIL:
            await _mail(run, intent)
        else:
            await _write(run, intent)
    except (MailDeferred, MailRefused, MailInDoubt, PlatformError) as error:
        return error
    return None


async def _mail(run: Run, intent: Intent) -> None:
    if not mail.is_set_up(run.resources.settings):
        raise MailRefused("this installation sends no mail any more")
    message = MailMessage(
        to=intent.to,
        name=intent.name,
        subject=intent.message.subject,
        text=intent.message.body,
        message_id=str(intent.message_id),
        at=intent.at,
        language=intent.language,
    )
    await mail.send(run.resources.settings, message)


async def _write(run: Run, intent: Intent) -> None:
    async with run.step() as session:
        token = await bots.token(session, run.resources.keyring, intent.channel)
    assert run.resources.http is not None, "workers have a client"
    bot, credentials = channels.connected(run.resources.settings, run.resources.http, intent.channel, token)
    await bot.notify(credentials, intent.to, f"{intent.message.subject}\n\n{intent.message.body}")


def _why(error: Exception | None) -> str:
    return error.reason if isinstance(error, mail.MailError) else str(error)


def _not_before(run: Run, error: Exception | None) -> datetime | None:
    """When the platform may be asked again."""
    seconds = error.retry_after if isinstance(error, Throttled) else None
    return None if seconds is None else run.now + timedelta(seconds=seconds)


@job(TRY)
async def try_channels(run: Run, user_id: UUID) -> None:
    """Send a person a test alert by each channel of theirs."""
    async with run.step() as session:
        await plan_trial(session, run.resources.settings, user_id=user_id)
        await run.finish(session)


@job(POLL_BOT, attempts=100)
async def poll_bot(run: Run, platform: str) -> Reschedule | None:
    """Ask the platform for the bot's name, and, while somebody has a code, for the chats that were started."""
    async with run.step() as session:
        bot_poll = await bots.to_poll(session, run.resources.keyring, platform=platform)
    if bot_poll is None:
        return None
    assert run.resources.http is not None, "workers have a client"
    bot, credentials = channels.connected(run.resources.settings, run.resources.http, platform, bot_poll.token)
    try:
        username = bot_poll.username or await bot.bot_name(credentials)
        page = await bot.started_chats(credentials, bot_poll.cursor) if bot_poll.expects_chats else None
    except AuthExpired as error:
        async with run.step() as session:
            await bots.refuse(session, platform=platform, detail=str(error))
            await run.finish(session)
        return None
    async with run.step() as session:
        next_at = await bots.store_poll(session, platform=platform, polled=bot_poll, username=username, page=page)
        reschedule = None if next_at is None else Reschedule(next_at)
        await run.finish(session, reschedule)
    return reschedule
