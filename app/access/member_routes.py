"""The people of a workspace: members, their roles, invitations, new passwords."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from fastapi import Request, Response, status
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.access import account_links, accounts, invitations, members, passwords, sessions
from app.access.authentication import RequestActor, authenticator
from app.access.current import CurrentActor, PagerDep, ReadDep, ResourcesDep, SessionDep
from app.access.models import Invitation, LinkPurpose, Membership, ProjectSeat, Role, UserAccount
from app.access.permissions import Permission
from app.access.routing import Router
from app.access.schemas import (
    Done,
    InvitationAccept,
    InvitationCreate,
    InvitationMade,
    InvitationRead,
    MemberRead,
    MemberUpdate,
    PasswordReset,
    PasswordResetCreate,
    PasswordResetMade,
    SessionMade,
)
from app.access.session_routes import session_made, sign_in_of
from app.access.sign_in_limits import Attempt
from app.kit import mail
from app.kit.actors import Actor, ActorKind
from app.kit.db import fetch, in_workspace
from app.kit.errors import Conflict, Forbidden, NotFound
from app.kit.paging import Cursor, Keyset, Limit, Page
from app.kit.resources import Resources
from app.kit.routing import problems, public_router

ROUTER = Router("/v1", tag="access")
PUBLIC = public_router("/v1", tag="access")

_MEMBERS: Final = Keyset((Membership.created_at, Membership.id), descending=False)
_INVITATIONS: Final = Keyset((Invitation.created_at, Invitation.id))
_KEY: Final = (datetime, UUID)


@ROUTER.get("/users", operation_id="users.list", permission=Permission.WORKSPACE_READ)
async def list_members(
    actor: CurrentActor, connection: ReadDep, pager: PagerDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[MemberRead]:
    """The members of the workspace, in the order in which they joined.

    Seats are shown of the projects that you see.
    """
    query = _members(actor.workspace_id)
    result = await connection.execute(_MEMBERS.after(query, pager.read(cursor, _KEY), limit))
    rows, next_cursor = pager.page(result.all(), limit, ("joined_at", "membership_id"))
    return Page(data=[MemberRead.model_validate(row) for row in rows], next_cursor=next_cursor)


@ROUTER.get(
    "/users/{user_id}", operation_id="users.read", permission=Permission.WORKSPACE_READ, responses=problems(404)
)
async def read_member(user_id: UUID, actor: CurrentActor, connection: ReadDep) -> MemberRead:
    """A member of the workspace.

    Seats are shown of the projects that you see.
    """
    return await _member(connection, actor.workspace_id, user_id)


async def _member(connection: AsyncConnection | AsyncSession, workspace_id: UUID, user_id: UUID) -> MemberRead:
    row = (await connection.execute(_members(workspace_id).where(Membership.user_id == user_id))).one_or_none()
    if row is None:
        raise NotFound
    return MemberRead.model_validate(row)


def _members(workspace_id: UUID) -> Any:
    seats = (
        select(func.jsonb_agg(func.jsonb_build_object("project_id", ProjectSeat.project_id, "seat", ProjectSeat.seat)))
        .where(in_workspace(ProjectSeat, workspace_id), ProjectSeat.user_id == Membership.user_id)
        .scalar_subquery()
    )
    return (
        select(
            Membership.id.label("membership_id"),
            Membership.created_at.label("joined_at"),
            Membership.role,
            UserAccount.id,
            UserAccount.name,
            UserAccount.email,
            UserAccount.picture_url,
            seats.label("seats"),
        )
        .join(UserAccount, UserAccount.id == Membership.user_id)
        .where(in_workspace(Membership, workspace_id))
    )


@ROUTER.patch(
    "/users/{user_id}",
    operation_id="users.update",
    permission=Permission.MEMBERS_WRITE,
    responses=problems(404, 409),
)
async def change_role(
    user_id: UUID, body: MemberUpdate, actor: CurrentActor, session: SessionDep, resources: ResourcesDep
) -> MemberRead:
    """Give a member another role.

    Owners alone make and unmake owners, and one always remains. What the person's API keys may do changes with it.
    """
    by = Role((await members.membership(session, actor.user_id)).role)
    if "role" in body.changes():
        await members.change_role(session, actor, user_id=user_id, role=body.role, by=by, grants=actor.grants)
        authenticator(resources).credentials.clear_after_commit(session)
        await session.flush()
    return await _member(session, actor.workspace_id, user_id)


@ROUTER.delete(
    "/users/{user_id}",
    operation_id="users.remove",
    permission=Permission.MEMBERS_WRITE,
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(404, 409),
)
async def remove(user_id: UUID, actor: CurrentActor, session: SessionDep, resources: ResourcesDep) -> None:
    """End a membership.

    The person's seats, sessions and API keys here end with it; what they did stays. The last owner cannot leave.
    """
    by = Role((await members.membership(session, actor.user_id)).role)
    await members.remove(session, actor, user_id=user_id, by=by, grants=actor.grants)
    authenticator(resources).credentials.clear_after_commit(session)


@ROUTER.post(
    "/users/{user_id}/password-reset",
    operation_id="users.reset-password",
    permission=Permission.MEMBERS_WRITE,
    responses=problems(404, 409),
)
async def reset_password_of(
    user_id: UUID, actor: CurrentActor, session: SessionDep, resources: ResourcesDep
) -> PasswordResetMade:
    """Make a link with which a member sets a new password; it may be used once, within two hours.

    Where this installation sends mail, the member gets it and nobody else: whoever has it could sign in as them.
    Of an owner only owners may; of somebody who works in other workspaces too nobody may but themselves.
    """
    by = Role((await members.membership(session, actor.user_id)).role)
    member = await members.membership(session, user_id)
    if member.role == Role.OWNER and by is not Role.OWNER:
        raise Forbidden("Only an owner lets an owner set a new password.", code="not-an-owner")
    await accounts.require_only_here(session, user_id=user_id)
    by_mail = mail.is_set_up(resources.settings)
    token = await accounts.reset_link(session, actor, user_id=user_id, by_mail=by_mail)
    return PasswordResetMade(link=_link(resources, LinkPurpose.PASSWORD_RESET, token), mailed=by_mail)


def _link(resources: Resources, purpose: LinkPurpose, token: str | None) -> str | None:
    return None if token is None else account_links.address(resources.settings, purpose, token)


@ROUTER.post(
    "/invitations",
    operation_id="invitations.create",
    permission=Permission.MEMBERS_WRITE,
    status_code=status.HTTP_201_CREATED,
    responses=problems(404, 409),
)
async def invite(
    body: InvitationCreate, actor: CurrentActor, session: SessionDep, resources: ResourcesDep
) -> InvitationMade:
    """Invite somebody to the workspace, with the seats that they will have.

    The link may be used once, within seven days. Where this installation sends mail, the person gets it; else it is
    in the answer, for you to pass on.
    """
    await _require_may_invite(session, actor, body.role)
    for seat in body.seats:
        await members.require_project(session, seat.project_id)
    seats = [seat.model_dump(mode="json") for seat in body.seats]
    inviter = await session.get_one(UserAccount, actor.user_id)
    invitation, token = await invitations.invite(
        session,
        actor,
        email=body.email,
        name=body.name,
        role=body.role,
        seats=seats,
        language=inviter.language if body.language is None else body.language.value,
        by_mail=mail.is_set_up(resources.settings),
    )
    link = _link(resources, LinkPurpose.INVITATION, token)
    return InvitationMade(**InvitationRead.model_validate(invitation).model_dump(), link=link)


async def _require_may_invite(session: SessionDep, actor: RequestActor, role: Role) -> None:
    by = Role((await members.membership(session, actor.user_id)).role)
    if role is Role.OWNER and (by is not Role.OWNER or not members.may_grant(actor.grants, role)):
        raise Forbidden("Only an owner of the workspace makes or unmakes an owner.", code="not-an-owner")


@ROUTER.get("/invitations", operation_id="invitations.list", permission=Permission.MEMBERS_WRITE)
async def list_invitations(
    actor: CurrentActor, connection: ReadDep, pager: PagerDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[InvitationRead]:
    """Invitations to the workspace, latest first.

    Accepted, revoked and expired ones too; never their links.
    """
    query = select(Invitation.__table__).where(in_workspace(Invitation, actor.workspace_id))
    result = await connection.execute(_INVITATIONS.after(query, pager.read(cursor, _KEY), limit))
    rows, next_cursor = pager.page(result.all(), limit, ("created_at", "id"))
    return Page(data=[InvitationRead.model_validate(row) for row in rows], next_cursor=next_cursor)


@ROUTER.get(
    "/invitations/{invitation_id}",
    operation_id="invitations.read",
    permission=Permission.MEMBERS_WRITE,
    responses=problems(404),
)
async def read_invitation(invitation_id: UUID, actor: CurrentActor, connection: ReadDep) -> InvitationRead:
    """An invitation.

    Its link was shown when it was made, and is not stored.
    """
    query = select(Invitation.__table__).where(
        in_workspace(Invitation, actor.workspace_id), Invitation.id == invitation_id
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound
    return InvitationRead.model_validate(row)


@ROUTER.post(
    "/invitations/{invitation_id}/revoke",
    operation_id="invitations.revoke",
    permission=Permission.MEMBERS_WRITE,
    responses=problems(404, 409),
)
async def revoke(invitation_id: UUID, actor: CurrentActor, session: SessionDep) -> InvitationRead:
    """Make an invitation useless.

    Its link is answered like one that never was. One that was accepted is a membership: end that.
    """
    return InvitationRead.model_validate(await invitations.revoke(session, actor, invitation_id=invitation_id))


@PUBLIC.post(
    "/invitations/accept",
    operation_id="invitations.accept",
    status_code=status.HTTP_201_CREATED,
    responses=problems(401, 404, 409),
)
async def accept(body: InvitationAccept, request: Request, response: Response, resources: ResourcesDep) -> SessionMade:
    """Join a workspace with the link of an invitation, and sign in to it.

    Somebody without an account gets one with this password; somebody who has one sends its password.
    """
    at = resources.clock.now()
    async with resources.transaction(None, accounts.BY_LINK) as session:
        link = await account_links.find(session, LinkPurpose.INVITATION, body.token, at=at)
    assert link.workspace_id is not None
    assert link.invitation_id is not None
    async with resources.transaction(link.workspace_id, accounts.BY_LINK) as session:
        invitation = await fetch(session, Invitation, link.invitation_id)
        existing = await accounts.by_email(session, invitation.email)
    signing_in = sign_in_of(request, invitation.email, body.password, body.code, None, cookie=body.cookie)
    name, user_id, password_hash = body.name or invitation.name, None, ""
    if existing is not None:
        if existing.password_hash is None:
            # Whoever has this link need not be that person: it was given to whoever invited them.
            raise Conflict(
                "There is an account with this e-mail address and without a password: its owner sets one first, by "
                "POST /v1/users/{user_id}/password-reset.",
                code="no-password-yet",
            )
        user_id = (await sessions.identify(resources, signing_in, is_joining=True)).user_id
    else:
        passwords.require_strong(body.password, name, invitation.email)
        password_hash = await passwords.hash_password(body.password)
    async with resources.transaction(link.workspace_id, accounts.BY_LINK) as session:
        link = await account_links.find(session, LinkPurpose.INVITATION, body.token, at=at)
        if user_id is None:
            user_id = await accounts.create(
                session,
                accounts.BY_LINK,
                email=invitation.email,
                name=name,
                password_hash=password_hash,
                language=invitation.language,
            )
        await invitations.accept(session, Actor(ActorKind.USER, str(user_id)), link=link, user_id=user_id)
        row, token = sessions.start(session, user_id=user_id, request=signing_in)
    return session_made(resources, response, row, token)


@PUBLIC.post(
    "/password-resets",
    operation_id="password-resets.create",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problems(409),
)
async def forget_password(body: PasswordResetCreate, request: Request, resources: ResourcesDep) -> Done:
    """Have a link mailed with which to set a new password.

    The answer is the same whether there is such an account or not. The link may be used once, within two hours. Where
    this installation sends no mail, the answer is 409 `no-mail` and says whom to ask.
    """
    if not mail.is_set_up(resources.settings):
        raise Conflict(
            "This installation sends no mail: ask an owner or an admin of your agency for a link, which they make by "
            "POST /v1/users/{user_id}/password-reset.",
            code="no-mail",
        )
    source: str = request.scope.get("client_address", "unknown")
    attempt = Attempt.of_reset(resources.keyring, email=body.email, source=source)
    async with resources.transaction(None, accounts.FORGETFUL) as session:
        await attempt.begin(session)
        await accounts.request_reset(session, accounts.FORGETFUL, email=body.email)
    return Done()


@PUBLIC.post("/password-resets/confirm", operation_id="password-resets.confirm", responses=problems(404))
async def reset_password(body: PasswordReset, resources: ResourcesDep) -> Done:
    """Set a new password with a link.

    All sessions of the account end; the second factor stays.
    """
    at = resources.clock.now()
    async with resources.transaction(None, accounts.BY_LINK) as session:
        link = await account_links.find(session, LinkPurpose.PASSWORD_RESET, body.token, at=at)
        assert link.user_id is not None
        workspace_id, user = link.workspace_id, await session.get_one(UserAccount, link.user_id)
    passwords.require_strong(body.password, user.name, user.email)
    password_hash = await passwords.hash_password(body.password)
    async with resources.transaction(workspace_id, accounts.BY_LINK) as session:
        await accounts.use_reset_link(session, accounts.BY_LINK, token=body.token, password_hash=password_hash)
        authenticator(resources).credentials.clear_after_commit(session)
    return Done()
