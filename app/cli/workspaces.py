"""`instep workspaces`: the agencies of this installation."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import func, select

from app.access import service
from app.access.models import ApiKey, Membership, UserAccount, Workspace
from app.access.schemas import WorkspaceCreate
from app.cli.options import CommandFailed
from app.communities.models import Community
from app.kit.actors import Actor, ActorKind
from app.kit.crypto import Keyring
from app.kit.db import Database, in_workspace
from app.kit.errors import Conflict
from app.kit.ids import uuid7
from app.projects.models import Project
from app.settings import Settings


@dataclass(frozen=True)
class WorkspaceLine:
    """A workspace, as it is listed."""

    id: UUID
    title: str
    owner: str | None
    """The e-mail address of its oldest member."""
    projects: int
    communities: int
    api_keys: int
    """Those that work."""
    created_at: datetime


async def find(settings: Settings) -> list[WorkspaceLine]:
    """All workspaces, the oldest first; each is read in a transaction of its own, as row-level security has it."""
    database = Database(settings.database_url, pool=1)
    lines = []
    try:
        async with database.transaction(None) as session:
            ids = await service.workspaces(session)
        for workspace_id in ids:
            async with database.read_session(workspace_id) as session:
                workspace = await session.get_one(Workspace, workspace_id)
                owner = await session.scalar(
                    select(UserAccount.email)
                    .join(Membership, Membership.user_id == UserAccount.id)
                    .where(in_workspace(Membership, workspace_id))
                    .order_by(Membership.created_at)
                    .limit(1)
                )
                projects, communities = [
                    await session.scalar(
                        select(func.count()).select_from(model).where(in_workspace(model, workspace_id))
                    )
                    for model in (Project, Community)
                ]
                keys = await session.scalar(
                    select(func.count()).where(
                        ApiKey.workspace_id == workspace_id,
                        ApiKey.revoked_at.is_(None),
                        func.coalesce(ApiKey.expires_at > func.now(), True),
                    )
                )
            numbers = (projects or 0, communities or 0, keys or 0)
            lines.append(WorkspaceLine(workspace_id, workspace.title, owner, *numbers, workspace.created_at))
    finally:
        await database.close()
    return sorted(lines, key=lambda line: (line.created_at, line.id))


async def create(settings: Settings, *, title: str, owner_name: str, owner_email: str) -> tuple[UUID, str]:
    """Sign up an agency, also where sign-up is closed: its workspace's id and the full text of its first API key.

    Raises:
        CommandFailed: a name or the address is not one, or the address has signed up before.
    """
    try:
        body = WorkspaceCreate.model_validate({"title": title, "owner": {"name": owner_name, "email": owner_email}})
    except ValidationError as error:
        options: dict[tuple[int | str, ...], str] = {
            ("title",): "TITLE",
            ("owner", "name"): "--owner-name",
            ("owner", "email"): "--owner-email",
        }
        problems = error.errors(include_url=False)
        raise CommandFailed("\n".join(f"{options.get(one['loc'], '')}: {one['msg']}" for one in problems)) from None
    workspace_id = uuid7()
    database, actor = Database(settings.database_url, pool=1), Actor(ActorKind.COMMAND, "workspaces-create")
    try:
        async with database.transaction(workspace_id, actor) as session:
            session.info["keyring"] = Keyring(settings.secret_keys)
            *_, token = await service.sign_up(
                session, actor, title=body.title, owner_name=body.owner.name, owner_email=body.owner.email
            )
    except Conflict as taken:
        raise CommandFailed(taken.detail) from None
    finally:
        await database.close()
    return workspace_id, str(token)
