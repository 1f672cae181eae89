"""Contacts: the people of a project's client."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import audit
from app.clients.models import ClientLink, Contact
from app.kit.actors import Actor
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.errors import Conflict, NotFound
from app.projects.models import Project

MAX_CONTACTS: Final = 100
"""Contacts of a project."""


async def create(session: AsyncSession, actor: Actor, *, project_id: UUID, values: dict[str, Any]) -> Contact:
    """Add a contact; `Conflict` where the project has as many as it may, or has this e-mail address."""
    # The project's row is locked, so that two at once are counted one after the other.
    await fetch(session, Project, project_id, for_update=True)
    count = await session.scalar(select(func.count()).select_from(Contact).where(*_present(session, project_id)))
    if (count or 0) >= MAX_CONTACTS:
        raise Conflict(f"A project has {MAX_CONTACTS} contacts at most: remove one first.", code="too-many-contacts")
    await _require_free(session, project_id, values["email"])
    contact = Contact(
        workspace_id=workspace_of(session),
        project_id=project_id,
        created_at=now(session),
        removed_at=None,
        **values,
    )
    session.add(contact)
    await session.flush()
    audit.record(session, actor, "contacts.create", project_id=project_id, contact_id=contact.id)
    return contact


async def change(
    session: AsyncSession, actor: Actor, *, project_id: UUID, contact_id: UUID, changes: dict[str, Any]
) -> Contact:
    """Change what is known of a contact; `Conflict` where another one has the e-mail address."""
    await fetch(session, Project, project_id, for_update=True)
    contact = await _locked(session, project_id, contact_id)
    if "email" in changes:
        await _require_free(session, project_id, changes["email"], but=contact_id)
    for name, value in changes.items():
        setattr(contact, name, value)
    audit.record(session, actor, "contacts.update", project_id=project_id, contact_id=contact_id)
    return contact


async def remove(session: AsyncSession, actor: Actor, *, project_id: UUID, contact_id: UUID) -> None:
    """Remove a contact: their addresses are erased, their links end. What they stated stays, with their name."""
    contact = await _locked(session, project_id, contact_id)
    contact.removed_at = now(session)
    contact.email = contact.phone = contact.about = None
    await session.execute(
        update(ClientLink)
        .where(
            in_workspace(ClientLink, workspace_of(session)),
            ClientLink.contact_id == contact_id,
            ClientLink.revoked_at.is_(None),
        )
        .values(revoked_at=now(session))
    )
    audit.record(session, actor, "contacts.delete", project_id=project_id, contact_id=contact_id)


async def _locked(session: AsyncSession, project_id: UUID, contact_id: UUID) -> Contact:
    contact = await fetch(session, Contact, contact_id, for_update=True)
    if contact.project_id != project_id or contact.removed_at is not None:
        raise NotFound
    return contact


async def _require_free(session: AsyncSession, project_id: UUID, email: str, but: UUID | None = None) -> None:
    same = select(Contact.id).where(*_present(session, project_id), func.lower(Contact.email) == func.lower(email))
    contact_id = await session.scalar(same)
    if contact_id is not None and contact_id != but:
        raise Conflict("The project has a contact with this e-mail address already.", code="email-taken")


def _present(session: AsyncSession, project_id: UUID) -> Any:
    return in_workspace(Contact, workspace_of(session)), Contact.project_id == project_id, Contact.removed_at.is_(None)
