"""Nightly deletion of what is of no use any more, and the record's heads; mail with links of accounts."""

from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import account_links, accounts, invitations, mailing, sessions, sign_in_limits
from app.access.audit.jobs import CHAIN
from app.access.mailing import Letter
from app.access.models import InvitationMail
from app.access.service import workspaces
from app.kit import idempotency, mail
from app.kit.jobs import Reschedule, Run, enqueue, job
from app.kit.mail import MailDeferred, MailInDoubt, MailMessage, MailRefused

log = structlog.get_logger()

PAGE: Final = 1_000
MAIL_ATTEMPTS: Final = 14
"""Over about two and a half hours while the mail server does not accept it."""


@job("access.tidy", every=timedelta(hours=24))
async def tidy(run: Run) -> None:
    """Enqueue `access.tidy_workspace` for every workspace, and the head of its record's day."""
    async with run.step() as session:
        for workspace_id in await workspaces(session):
            await enqueue(session, "access.tidy_workspace", workspace_id=workspace_id, key="nightly")
            await enqueue(session, CHAIN, workspace_id=workspace_id, key="chain")


@job("access.tidy_workspace")
async def tidy_workspace(run: Run) -> Reschedule | None:
    """Delete up to `PAGE` expired responses of a workspace, and run again where that many were deleted."""
    async with run.step() as session:
        deleted = await idempotency.delete_expired(session, limit=PAGE)
        reschedule = Reschedule(run.now) if deleted == PAGE else None
        await run.finish(session, reschedule)
    return reschedule


@job("access.tidy_accounts", every=timedelta(hours=24))
async def tidy_accounts(run: Run) -> None:
    """Delete sessions and links that ended long ago, and counters of sign-ins whose windows are over."""
    for delete_over in (sessions.delete_over, account_links.delete_over, sign_in_limits.delete_over):
        deleted = PAGE
        while deleted == PAGE:
            async with run.step() as session:
                deleted = await delete_over(session, limit=PAGE)


async def _send(run: Run, letter: Letter) -> tuple[InvitationMail, str | None]:
    """Send a letter; what became of it, and why. `MailDeferred` where it should be tried again."""
    if not mail.is_set_up(run.resources.settings):
        return InvitationMail.FAILED, "This installation sends no mail any more: INSTEP_SMTP_HOST is not set."
    message = MailMessage(
        to=letter.to,
        name=letter.name,
        subject=letter.subject,
        text=letter.text,
        message_id=f"{run.id}.{run.fence}",
        at=run.now,
        language=letter.language,
    )
    try:
        await mail.send(run.resources.settings, message)
    except MailDeferred:
        # What the server says may have the address in it, and is stored with the job.
        raise MailDeferred("the mail server did not accept it yet") from None
    except MailRefused as error:
        return InvitationMail.FAILED, f"It was not accepted: {error.reason}."
    except MailInDoubt as error:
        return InvitationMail.UNKNOWN, f"It may have arrived: {error.reason}. If it did not, invite the person anew."
    return InvitationMail.SENT, None


async def _invitation_not_mailed(session: AsyncSession, invitation_id: UUID) -> None:
    reason = "The mail server did not accept it for hours. Invite the person anew."
    await mailing.store_outcome(session, invitation_id=invitation_id, outcome=InvitationMail.FAILED, detail=reason)


@job(invitations.MAIL, timeout=timedelta(seconds=90), attempts=MAIL_ATTEMPTS, on_dead=_invitation_not_mailed)
async def mail_invitation(run: Run, invitation_id: UUID) -> None:
    """Make an invitation's link and send it to whoever is invited."""
    async with run.step() as session:
        letter = await mailing.invitation(session, run.resources.settings, invitation_id)
    if letter is None:
        return
    outcome, detail = await _send(run, letter)
    async with run.step() as session:
        await mailing.store_outcome(session, invitation_id=invitation_id, outcome=outcome, detail=detail)
        await run.finish(session)


@job(accounts.MAIL_RESET, timeout=timedelta(seconds=90), attempts=MAIL_ATTEMPTS)
async def mail_password_reset(run: Run, user_id: UUID) -> None:
    """Make a link for a new password and send it to the account's address.

    Nobody waits for its outcome: whoever gets no mail asks again.
    """
    async with run.step() as session:
        letter = await mailing.password_reset(session, run.resources.settings, user_id)
    if letter is None:
        return
    outcome, _ = await _send(run, letter)
    if outcome is not InvitationMail.SENT:
        log.warning("mail.not_sent", outcome=outcome.value, user_id=str(user_id))
