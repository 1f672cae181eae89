"""The team of a project: who has which seat, and who stands in for whom."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.audit import record, snapshot
from app.access.models import Membership, ProjectSeat, Seat
from app.kit.actors import Actor
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.errors import Conflict, Invalid, NotFound
from app.kit.ids import uuid7
from app.projects.models import Project


async def give(
    session: AsyncSession,
    actor: Actor,
    *,
    project_id: UUID,
    user_id: UUID,
    seat: Seat,
    about: str | None = None,
    stands_in_id: UUID | None = None,
) -> ProjectSeat:
    """Give a member a seat in a project.

    Raises `NotFound` without the project, and for a person who does not belong to the workspace, `Invalid`
    (`stands-in-for-themselves`), `Conflict` (`seat-taken`) where the person has this seat already.
    """
    await fetch(session, Project, project_id)
    await _require_members(session, user_id=user_id, stands_in_id=stands_in_id)
    seat_id = await session.scalar(
        insert(ProjectSeat)
        .values(
            workspace_id=workspace_of(session),
            id=uuid7(),
            project_id=project_id,
            user_id=user_id,
            seat=seat.value,
            about=about,
            stands_in_id=stands_in_id,
            created_at=now(session),
        )
        .on_conflict_do_nothing()
        .returning(ProjectSeat.id)
    )
    if seat_id is None:
        raise Conflict(f"This person is {seat.value} of this project already.", code="seat-taken")
    row = await fetch(session, ProjectSeat, seat_id)
    record(session, actor, "seats.create", project_id=project_id, user_id=user_id, after=snapshot(row))
    return row


async def update(
    session: AsyncSession, actor: Actor, *, project_id: UUID, seat_id: UUID, changes: dict[str, Any]
) -> ProjectSeat:
    """Change what is said of a seat, or who stands in; errors as those of `give`."""
    row = await _seat(session, project_id, seat_id)
    await _require_members(session, user_id=row.user_id, stands_in_id=changes.get("stands_in_id"))
    before = snapshot(row)
    for name, value in changes.items():
        setattr(row, name, value)
    record(
        session,
        actor,
        "seats.update",
        project_id=project_id,
        user_id=row.user_id,
        seat=row.seat,
        before=before,
        after=snapshot(row),
    )
    return row


async def take(session: AsyncSession, actor: Actor, *, project_id: UUID, seat_id: UUID) -> None:
    """Take a seat away; `NotFound` where the project has none of this id."""
    row = await _seat(session, project_id, seat_id)
    record(session, actor, "seats.delete", project_id=project_id, user_id=row.user_id, before=snapshot(row))
    await session.delete(row)


async def _seat(session: AsyncSession, project_id: UUID, seat_id: UUID) -> ProjectSeat:
    row = await fetch(session, ProjectSeat, seat_id, for_update=True)
    if row.project_id != project_id:
        raise NotFound
    return row


async def _require_members(session: AsyncSession, *, user_id: UUID, stands_in_id: UUID | None) -> None:
    if stands_in_id == user_id:
        raise _invalid("stands_in_id", "stands-in-for-themselves", "Nobody stands in for themselves.")
    people = {"user_id": user_id, "stands_in_id": stands_in_id}
    requested = {each for each in people.values() if each is not None}
    query = select(Membership.user_id).where(
        in_workspace(Membership, workspace_of(session)), Membership.user_id.in_(requested)
    )
    members = set((await session.scalars(query)).all())
    for field, each in people.items():
        if each is not None and each not in members:
            raise NotFound(f"{field}: nobody with this id belongs to this workspace; invite them first.")


def _invalid(field: str, code: str, detail: str) -> Invalid:
    problem = {"in": "body", "field": field, "code": code, "detail": detail}
    return Invalid(f"{field}: {detail}", code=code, errors=[problem])
