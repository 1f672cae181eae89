"""Client links by mail: the token is made when the mail is sent, and is in the mail alone (`access.mailing`)."""

from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.access.mailing import Letter
from app.access.models import LinkMail, Workspace
from app.clients import link_tokens, service
from app.clients.models import ClientLink, Contact, Purpose
from app.clients.subjects import subjects
from app.kit.db import fetch, now
from app.kit.i18n import translate
from app.kit.localised import Instant, Phrase
from app.projects.models import Project
from app.projects.service import calendar
from app.settings import Settings

ASKS: Final = {
    Purpose.READ: Phrase("{agency} would like to show you something: {subject}, {title}."),
    Purpose.AGREE: Phrase("{agency} asks whether you agree: {subject}, {title}."),
    Purpose.APPROVE: Phrase("{agency} asks for your approval: {subject}, {title}."),
}
"""What the contact is asked, by what the link is for."""
TEXT: Final = Phrase(
    """Hello {name},

{asks} You find it here:
{link}

This link is yours alone and works until {until}. If you do not know why you get this, ignore it."""
)


async def letter(session: AsyncSession, settings: Settings, client_link_id: UUID) -> Letter | None:
    """The letter of a link, with a new token; None where it was sent, or can be opened no more."""
    link = await fetch(session, ClientLink, client_link_id, for_update=True)
    contact = await fetch(session, Contact, link.contact_id)
    if link.mail != LinkMail.QUEUED.value:
        return None
    if contact.email is None or link.revoked_at is not None or link.expires_at <= now(session):
        link.mail, link.mail_detail = LinkMail.FAILED.value, "It was not sent: the link had ended."
        return None
    language = contact.language
    agency = (await session.get_one(Workspace, link.workspace_id)).title
    title = (await fetch(session, Project, link.project_id)).title
    subject = translate(subjects()[link.subject_kind].title, language)
    asks = translate(ASKS[Purpose(link.purpose)], language).format(agency=agency, subject=subject, title=title)
    zone = (await calendar(session, project_id=link.project_id)).zone
    return Letter(
        to=contact.email,
        name=contact.name,
        language=language,
        subject=f"{agency}: {subject}",
        text=translate(TEXT, language).format(
            name=contact.name,
            asks=asks,
            link=service.address(settings, await link_tokens.make(session, link)),
            until=Instant(link.expires_at, zone).text(language),
        ),
    )


async def store_outcome(
    session: AsyncSession, *, client_link_id: UUID, outcome: LinkMail, detail: str | None = None
) -> None:
    """Store what became of a link's mail."""
    link = await fetch(session, ClientLink, client_link_id, for_update=True)
    if link.mail == LinkMail.QUEUED.value:
        link.mail, link.mail_detail = outcome.value, detail
