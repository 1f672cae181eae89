"""The mail that access sends: links of invitations, and for new passwords.

A link's token exists in the mail alone: it is made when the mail is sent, and its hash stored. Each attempt makes
another link, which ends the one before. So each has a `Message-ID` of its own (a receiver that drops repeats would
keep the link that is void), and after an attempt whose outcome is unknown there is no other.
"""

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.access import account_links
from app.access.accounts import NOBODY
from app.access.models import Invitation, InvitationMail, LinkPurpose, UserAccount, Workspace
from app.kit.db import fetch, now, workspace_of
from app.kit.i18n import translate
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
    if is_over or row.mail != InvitationMail.QUEUED.value:
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


async def store_outcome(
    session: AsyncSession, *, invitation_id: UUID, outcome: InvitationMail, detail: str | None = None
) -> None:
    """Store what became of an invitation's mail."""
    row = await fetch(session, Invitation, invitation_id, for_update=True)
    if row.mail == InvitationMail.QUEUED.value:
        row.mail, row.mail_detail = outcome.value, detail
