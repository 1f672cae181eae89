"""Invitations to a workspace, and how they are accepted."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import account_links, members
from app.access.audit import record, snapshot
from app.access.models import (
    AccountLink,
    Invitation,
    InvitationMail,
    Language,
    LinkPurpose,
    Membership,
    ProjectSeat,
    Role,
    UserAccount,
)
from app.kit.actors import Actor
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.errors import Conflict, NotFound
from app.kit.ids import uuid7
from app.kit.jobs import enqueue

LIFETIME: timedelta = account_links.LIFETIMES[LinkPurpose.INVITATION]
MAIL: Final = "access.mail-invitation"
"""The job that makes an invitation's link and sends it."""


async def invite(
    session: AsyncSession,
    actor: Actor,
    *,
    email: str,
    name: str,
    role: Role,
    seats: Sequence[dict[str, Any]],
    language: str = Language.ENGLISH.value,
    by_mail: bool = False,
) -> tuple[Invitation, str | None]:
    """Invite a person, who may have an account already; returns the invitation and its link's token.

    `by_mail`: a job makes the link and sends it, and there is no token to return. `seats`: `project_id` (text),
    `seat`, `about`. Raises `Conflict` (`member-already`) for a member.
    """
    query = (
        select(Membership.id)
        .join(UserAccount, UserAccount.id == Membership.user_id)
        .where(in_workspace(Membership, workspace_of(session)), func.lower(UserAccount.email) == func.lower(email))
    )
    if await session.scalar(query) is not None:
        raise Conflict("This person belongs to this workspace already.", code="member-already")
    invitation = Invitation(
        workspace_id=workspace_of(session),
        email=email,
        name=name,
        role=role.value,
        seats=list(seats),
        invited_by=str(actor),
        created_at=now(session),
        expires_at=now(session) + LIFETIME,
        accepted_at=None,
        revoked_at=None,
        language=language,
        mail=InvitationMail.QUEUED.value if by_mail else None,
    )
    session.add(invitation)
    await session.flush()
    token = None
    if by_mail:
        await enqueue(
            session,
            MAIL,
            workspace_id=invitation.workspace_id,
            key=str(invitation.id),
            invitation_id=invitation.id,
        )
    else:
        token = await account_links.make(
            session, LinkPurpose.INVITATION, workspace_id=invitation.workspace_id, invitation_id=invitation.id
        )
    record(session, actor, "invitations.create", invitation_id=invitation.id, after=_recorded(invitation))
    return invitation, token


async def revoke(session: AsyncSession, actor: Actor, *, invitation_id: UUID) -> Invitation:
    """Make an invitation useless; `Conflict` (`invitation-accepted`) for one that was accepted. Idempotent."""
    invitation = await fetch(session, Invitation, invitation_id, for_update=True)
    if invitation.accepted_at is not None:
        raise Conflict("This invitation was accepted: end the membership instead.", code="invitation-accepted")
    if invitation.revoked_at is None:
        before, invitation.revoked_at = snapshot(invitation), now(session)
        record(
            session,
            actor,
            "invitations.revoke",
            invitation_id=invitation.id,
            before=before,
            after=snapshot(invitation),
        )
    return invitation


async def accept(
    session: AsyncSession, actor: Actor, *, link: AccountLink, user_id: UUID
) -> tuple[Invitation, Membership]:
    """Make a user a member, with the invitation's role and seats. The link is locked, and used by this.

    Seats in projects that are gone by now are left out. Raises `NotFound` (`link-not-valid`) for a revoked
    invitation, `Conflict` (`member-already`) for somebody who has become a member in another way.
    """
    assert link.invitation_id is not None
    invitation = await fetch(session, Invitation, link.invitation_id, for_update=True)
    if invitation.revoked_at is not None or invitation.accepted_at is not None:
        raise NotFound("This link is not valid (any more): ask for a new one.", code="link-not-valid")
    member = await members.add(session, actor, user_id=user_id, role=Role(invitation.role))
    for seat in invitation.seats:
        await _give(session, actor, user_id, seat)
    before = snapshot(invitation)
    link.used_at = invitation.accepted_at = now(session)
    record(
        session,
        actor,
        "invitations.accept",
        invitation_id=invitation.id,
        user_id=user_id,
        before=before,
        after=snapshot(invitation),
    )
    return invitation, member


def _recorded(invitation: Invitation) -> dict[str, Any]:
    """A new invitation, as it is recorded: its seats without what is said of the person."""
    seats = [{"project_id": seat["project_id"], "seat": seat["seat"]} for seat in invitation.seats]
    return {**snapshot(invitation), "seats": seats}


async def _give(session: AsyncSession, actor: Actor, user_id: UUID, seat: dict[str, Any]) -> None:
    # Access knows no projects, but their rows: a seat in one that is gone is inserted nowhere.
    project = Membership.metadata.tables["project"]
    existing = select(project.c.id).where(
        project.c.workspace_id == workspace_of(session), project.c.id == UUID(seat["project_id"])
    )
    if await session.scalar(existing) is None:
        return
    seat_project_id = await session.scalar(
        insert(ProjectSeat)
        .values(
            workspace_id=workspace_of(session),
            id=uuid7(),
            project_id=UUID(seat["project_id"]),
            user_id=user_id,
            seat=seat["seat"],
            about=seat["about"],
            stands_in_id=None,
            created_at=now(session),
        )
        .on_conflict_do_nothing()
        .returning(ProjectSeat.project_id)
    )
    if seat_project_id is not None:
        after = {"user_id": user_id, "seat": seat["seat"], "stands_in_id": None}
        record(session, actor, "seats.create", project_id=seat_project_id, user_id=user_id, after=after)
