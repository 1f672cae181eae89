"""Members of a workspace: their roles, and how one joins and leaves."""

from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.audit import record, snapshot
from app.access.grants import Grants
from app.access.models import ApiKey, Membership, ProjectSeat, Role, UserSession, UserWorkspace
from app.access.permissions import ROLES
from app.kit.actors import Actor
from app.kit.db import in_workspace, now, workspace_of
from app.kit.errors import Conflict, Forbidden, NotFound
from app.kit.ids import uuid7


async def membership(session: AsyncSession, user_id: UUID, *, for_update: bool = False) -> Membership:
    """A user's membership of this workspace; `NotFound` where there is none."""
    row: Membership | None = await session.scalar(
        select(Membership)
        .where(in_workspace(Membership, workspace_of(session)), Membership.user_id == user_id)
        .with_for_update(read=not for_update)
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise NotFound("Nobody with this id belongs to this workspace.")
    return row


async def add(session: AsyncSession, actor: Actor, *, user_id: UUID, role: Role) -> Membership:
    """Make a user a member; `Conflict` (`member-already`) for one who is."""
    workspace_id = workspace_of(session)
    membership_id = await session.scalar(
        insert(Membership)
        .values(workspace_id=workspace_id, id=uuid7(), user_id=user_id, role=role.value, created_at=now(session))
        .on_conflict_do_nothing()
        .returning(Membership.id)
    )
    if membership_id is None:
        raise Conflict("This person belongs to this workspace already.", code="member-already")
    await session.execute(insert(UserWorkspace).values(user_id=user_id, workspace_id=workspace_id))
    record(session, actor, "users.join", user_id=user_id, after={"role": role.value})
    return await membership(session, user_id)


async def require_project(session: AsyncSession, project_id: UUID) -> None:
    """Raise `NotFound` where this workspace has no such project. Access knows no projects, but their rows."""
    project = Membership.metadata.tables["project"]
    row = await session.scalar(
        select(project.c.id).where(project.c.workspace_id == workspace_of(session), project.c.id == project_id)
    )
    if row is None:
        raise NotFound("There is no such project here.")


def may_grant(grants: Grants, role: Role) -> bool:
    """Whether a credential may give or take this role: it must have all of the role's permissions itself.

    Owners alone make and unmake owners; that a credential is an owner's cannot be told from its permissions.
    """
    return grants.everywhere >= ROLES[role]


async def change_role(
    session: AsyncSession, actor: Actor, *, user_id: UUID, role: Role, by: Role, grants: Grants
) -> Membership:
    """Give a member another role.

    `by`: the role of whoever does it. Raises `NotFound`; `Forbidden` (`not-an-owner`) where an owner is made or
    unmade by somebody else; `Conflict` (`last-owner`) where the workspace would have no owner.
    """
    member = await _locked(session, user_id, by, role, grants)
    if member.role != role:
        before, member.role = snapshot(member), role.value
        record(session, actor, "users.update", user_id=user_id, before=before, after=snapshot(member))
    return member


async def remove(session: AsyncSession, actor: Actor, *, user_id: UUID, by: Role, grants: Grants) -> None:
    """End a membership: seats go with it, sessions and API keys in this workspace are revoked.

    What the person did stays, under their name. Errors as those of `change_role`.
    """
    member = await _locked(session, user_id, by, None, grants)
    workspace_id = workspace_of(session)
    sessions = await session.scalars(
        update(UserSession)
        .where(
            UserSession.workspace_id == workspace_id,
            UserSession.user_id == user_id,
            UserSession.revoked_at.is_(None),
        )
        .values(revoked_at=now(session))
        .returning(UserSession.id)
    )
    keys = await session.scalars(
        update(ApiKey)
        .where(ApiKey.workspace_id == workspace_id, ApiKey.owner_id == user_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=now(session))
        .returning(ApiKey.id)
    )
    seats = await session.execute(
        delete(ProjectSeat)
        .where(in_workspace(ProjectSeat, workspace_id), ProjectSeat.user_id == user_id)
        .returning(ProjectSeat.project_id, ProjectSeat.seat)
    )
    ended = {
        "role": member.role,
        "sessions": sorted(sessions.all()),
        "api_keys": sorted(keys.all()),
        "seats": sorted([str(row.project_id), row.seat] for row in seats),
    }
    await session.execute(delete(Membership).where(in_workspace(Membership, workspace_id), Membership.id == member.id))
    record(session, actor, "users.remove", user_id=user_id, before=ended)


async def _locked(session: AsyncSession, user_id: UUID, by: Role, role: Role | None, grants: Grants) -> Membership:
    """The membership, locked with all owners', whose role may become `role` (None: it may end)."""
    owners = (
        await session.scalars(
            select(Membership.user_id)
            .where(in_workspace(Membership, workspace_of(session)), Membership.role == Role.OWNER.value)
            .order_by(Membership.id)
            .with_for_update()
        )
    ).all()
    member = await membership(session, user_id, for_update=True)
    touches_owner = Role.OWNER in (Role(member.role), role) and role != member.role
    if touches_owner and (by is not Role.OWNER or not may_grant(grants, Role.OWNER)):
        raise Forbidden("Only an owner of the workspace makes or unmakes an owner.", code="not-an-owner")
    if member.role == Role.OWNER and role is not Role.OWNER and len(owners) == 1:
        raise Conflict(
            "A workspace needs an owner, and this is the last one: make somebody else an owner first.",
            code="last-owner",
        )
    return member
