"""Why a credential may not do something, and who can change that."""

import contextlib
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import ARRAY, Uuid, bindparam, func, literal_column, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request

from app.access.authentication import RequestActor
from app.access.models import Membership, ProjectSeat, Role, Seat, UserAccount
from app.access.permissions import OF_THE_WORKSPACE, SEATS, Permission
from app.kit.actors import ActorKind
from app.kit.db import Base, Database, in_workspace
from app.kit.errors import Forbidden

_ID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MOST_IDS: Final = 100
_MOST_NAMES: Final = 5


async def refusal(database: Database, request: Request, actor: RequestActor, permission: Permission) -> Forbidden:
    """The error for an actor that has a permission nowhere."""
    refused = await refusal_for_found(database, request, actor, permission)
    if refused is not None:
        return refused
    async with database.read_connection(actor.workspace_id) as connection:
        return await _refusal(connection, actor, permission, None)


async def refusal_for_found(
    database: Database, request: Request, actor: RequestActor, permission: Permission
) -> Forbidden | None:
    """The error where a request names something that its actor sees, in a project where it lacks the permission.

    The actor's transaction sees only projects in which it has the permission: all else is not found. That is the
    right answer for what it may not even see; for what it may see, this one says what is missing.
    """
    permitted, visible = actor.projects, actor.grants.visible
    if permitted is None or permitted == visible:
        return None
    ids = await _ids(request)
    if not ids:
        return None
    async with database.read_connection(actor.workspace_id, projects=visible) as connection:
        projects = (await connection.scalars(_projects_of(), {"workspace": actor.workspace_id, "ids": ids})).all()
        for project_id in sorted(set(projects) - permitted):
            return await _refusal(connection, actor, permission, project_id)
    return None


async def _refusal(
    connection: AsyncConnection, actor: RequestActor, permission: Permission, project_id: UUID | None
) -> Forbidden:
    if actor.kind is ActorKind.API_KEY:
        return Forbidden(
            f"This API key lacks the permission {permission.value!r}: it was not given to the key, or its owner does "
            "not have it (any more).",
            code="missing-permission",
        )
    if permission in OF_THE_WORKSPACE:
        names = await _names(connection, actor.workspace_id, None)
        return Forbidden(
            f"For this one must be an owner or an admin of the workspace; the role is given by {names}.",
            code="missing-role",
        )
    seats = [seat.value for seat in SEATS if permission in SEATS[seat]]
    names = await _names(connection, actor.workspace_id, project_id)
    where = "in this project" if project_id is not None else "in a project"
    return Forbidden(
        f"For this one needs a seat {where}: {' or '.join(seats)}. It is given by {names}.",
        code="missing-seat",
        errors=[{"in": "path", "field": None, "code": "missing-seat", "detail": seat} for seat in seats],
    )


async def _names(connection: AsyncConnection, workspace_id: UUID, project_id: UUID | None) -> str:
    """The people who can give a seat in this project (None: a role), by name."""
    is_manager = (
        select(literal_column("1"))
        .where(
            in_workspace(ProjectSeat, workspace_id),
            ProjectSeat.user_id == Membership.user_id,
            ProjectSeat.project_id == project_id,
            ProjectSeat.seat == Seat.MANAGER.value,
        )
        .exists()
    )
    gives = Membership.role.in_([Role.OWNER.value, Role.ADMIN.value])
    query = (
        select(UserAccount.name)
        .join(Membership, Membership.user_id == UserAccount.id)
        .where(in_workspace(Membership, workspace_id), gives if project_id is None else or_(gives, is_manager))
        .order_by(Membership.created_at, Membership.id)
        .limit(_MOST_NAMES)
    )
    return " or ".join((await connection.scalars(query)).all()) or "nobody at the moment"


async def _ids(request: Request) -> list[UUID]:
    """All ids that a request names: in its path, its query, its body."""
    texts: list[str] = [*map(str, request.path_params.values()), *request.query_params.values()]
    with contextlib.suppress(orjson.JSONDecodeError):
        texts.extend(_strings(orjson.loads(await request.body() or b"null")))
    ids = {UUID(text): None for text in texts if _ID.fullmatch(text)}
    return list(ids)[:_MOST_IDS]


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
    elif isinstance(value, dict):
        yield from _strings(list(value.values()))


def _projects_of() -> Any:
    """The projects of the rows with these ids, whatever they are."""
    tables: Collection[Any] = Base.metadata.tables.values()
    ids = bindparam("ids", type_=ARRAY(Uuid()))
    workspace = bindparam("workspace", type_=Uuid())
    parts: Sequence[Any] = [
        select(table.c["id" if table.name == "project" else "project_id"].label("project_id")).where(
            table.c.workspace_id == workspace, table.c.id == func.any(ids)
        )
        for table in tables
        if {"workspace_id", "id"} <= set(table.primary_key.columns.keys())
        and (table.name == "project" or "project_id" in table.c)
    ]
    return union_all(*parts)
