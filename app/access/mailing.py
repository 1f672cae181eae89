"""Mail with a link in it: of invitations, and for new passwords; other rooms send theirs in the same way (`send`).

A link's token exists in the mail alone: it is made when the mail is sent, and its hash stored. Each attempt makes
another link, which ends the one before. So each has a `Message-ID` of its own (a receiver that drops repeats would
keep the link that is void), and after an attempt whose outcome is unknown there is no other.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.access import account_links
from app.access.accounts import NOBODY
from app.access.models import Invitation, LinkMail, LinkPurpose, UserAccount, Workspace
from app.kit import mail
from app.kit.db import fetch, now, workspace_of
from app.kit.i18n import translate
from app.kit.jobs import Run
from app.kit.mail import MailDeferred, MailInDoubt, MailMessage, MailRefused
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Letter:
    """What a person is written, and where to."""

    to: str
    name: str
    language: str
    subject: str
    text: str = field(repr=False)
    """With a link in it."""


ATTEMPTS: Final = 14
"""Of a job that sends a letter: over about two and a half hours while the mail server does not accept it."""
TIMEOUT: Final = timedelta(seconds=90)
"""Of such a job."""
NOT_ACCEPTED: Final = "The mail server did not accept it for hours."

INVITED = "Invitation to {workspace}"
INVITED_TEXT = """Hello {name},

you are invited to work with {workspace}. Accept the invitation here, within seven days:
{link}

If you do not know why you get this, ignore it: nothing happens without the link."""
RESET = "A new password"
RESET_TEXT = """Hello {name},

set a new password here, within two hours:
{link}

If you did not ask for it, ignore this: your password stays as it is."""


async def invitation(session: AsyncSession, settings: Settings, invitation_id: UUID) -> Letter | None:
    """The letter of an invitation, with a new link; None where it cannot be accepted any more, or was sent."""
    row = await fetch(session, Invitation, invitation_id, for_update=True)
    is_over = row.accepted_at is not None or row.revoked_at is not None or row.expires_at <= now(session)
    if is_over or row.mail != LinkMail.QUEUED.value:
        return None
    workspace = await session.get_one(Workspace, workspace_of(session))
    token = await account_links.make(
        session, LinkPurpose.INVITATION, workspace_id=row.workspace_id, invitation_id=row.id
    )
    link = account_links.address(settings, LinkPurpose.INVITATION, token)
    return Letter(
        to=row.email,
        name=row.name,
        language=row.language,
        subject=translate(INVITED, row.language).format(workspace=workspace.title),
        text=translate(INVITED_TEXT, row.language).format(name=row.name, workspace=workspace.title, link=link),
    )


async def password_reset(session: AsyncSession, settings: Settings, user_id: UUID) -> Letter | None:
    """The letter with a new link to set a password; None where there is no such account."""
    user = None if user_id == NOBODY else await session.get(UserAccount, user_id)
    if user is None:
        return None
    workspace_id = session.info["workspace_id"]
    token = await account_links.make(session, LinkPurpose.PASSWORD_RESET, workspace_id=workspace_id, user_id=user.id)
    link = account_links.address(settings, LinkPurpose.PASSWORD_RESET, token)
    return Letter(
        to=user.email,
        name=user.name,
        language=user.language,
        subject=translate(RESET, user.language),
        text=translate(RESET_TEXT, user.language).format(name=user.name, link=link),
    )


async def send(run: Run, letter: Letter, *, instead: str = "invite the person anew.") -> tuple[LinkMail, str | None]:
    """Send a letter; what became of it, and why. `instead`: what people can do about one that may not have arrived.

    Raises `MailDeferred` where it should be tried again.
    """
    settings = run.resources.settings
    if not mail.is_set_up(settings):
        return LinkMail.FAILED, "This installation sends no mail any more: INSTEP_SMTP_HOST is not set."
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
        await mail.send(settings, message)
    except MailDeferred:
        # What the server says may have the address in it, and is stored with the job.
        raise MailDeferred("the mail server did not accept it yet") from None
    except MailRefused as error:
        return LinkMail.FAILED, f"It was not accepted: {error.reason}."
    except MailInDoubt as error:
        return LinkMail.UNKNOWN, f"It may have arrived: {error.reason}. If it did not, {instead}"
    return LinkMail.SENT, None


async def store_outcome(
    session: AsyncSession, *, invitation_id: UUID, outcome: LinkMail, detail: str | None = None
) -> None:
    """Store what became of an invitation's mail."""
    row = await fetch(session, Invitation, invitation_id, for_update=True)
    if row.mail == LinkMail.QUEUED.value:
        row.mail, row.mail_detail = outcome.value, detail
