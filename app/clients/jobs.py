"""The mail with client links."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.access import mailing as letters
from app.access.models import LinkMail
from app.clients import mailing, service
from app.kit.jobs import Run, job


async def _not_mailed(session: AsyncSession, client_link_id: UUID) -> None:
    reason = f"{letters.NOT_ACCEPTED} Make another link."
    await mailing.store_outcome(session, client_link_id=client_link_id, outcome=LinkMail.FAILED, detail=reason)


@job(service.MAIL, timeout=letters.TIMEOUT, attempts=letters.ATTEMPTS, on_dead=_not_mailed)
async def mail_link(run: Run, client_link_id: UUID) -> None:
    """Make a client link's token and send it to the contact."""
    async with run.step() as session:
        letter = await mailing.letter(session, run.resources.settings, client_link_id)
    if letter is None:
        return
    outcome, detail = await letters.send(run, letter, instead="make another link.")
    async with run.step() as session:
        await mailing.store_outcome(session, client_link_id=client_link_id, outcome=outcome, detail=detail)
        await run.finish(session)
