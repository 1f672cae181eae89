"""What clients can be shown of a project itself: an overview, and the brief."""

from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.models import ProjectSeat, Seat, UserAccount, Workspace
from app.clients.models import Purpose
from app.clients.subjects import Section, Subject, SubjectView
from app.kit.db import fetch, in_workspace, workspace_of
from app.kit.errors import Conflict
from app.kit.localised import Phrase
from app.projects.models import Brief, Project

SEAT_TITLES: Final = {
    Seat.MANAGER.value: Phrase("Manager"),
    Seat.DESIGNER.value: Phrase("Designer"),
    Seat.CONTENT_MANAGER.value: Phrase("Content manager"),
    Seat.PROMOTION_MANAGER.value: Phrase("Promotion manager"),
    Seat.COMMUNITY_MANAGER.value: Phrase("Community manager"),
}
"""The agency's seats, as the client reads them."""

_TEAM: Final = Phrase("Your team")
_FAQ: Final = Phrase("What your customers ask, and what we answer")
_PARTS: Final = {
    "business": Phrase("Your business"),
    "audience": Phrase("Whom you want to reach"),
    "products": Phrase("What you sell"),
    "tone": Phrase("How we write for you"),
    "taboos": Phrase("What we never write"),
}


async def _overview(session: AsyncSession, project_id: UUID) -> SubjectView:
    project = await fetch(session, Project, project_id)
    agency = await session.get_one(Workspace, workspace_of(session))
    query = (
        select(ProjectSeat.seat, ProjectSeat.about, UserAccount.name)
        .join(UserAccount, UserAccount.id == ProjectSeat.user_id)
        .where(
            in_workspace(ProjectSeat, workspace_of(session)),
            ProjectSeat.project_id == project.id,
            ProjectSeat.seat.in_(SEAT_TITLES),
        )
        .order_by(ProjectSeat.created_at, ProjectSeat.id)
    )
    team = [{"name": row.name, "seat": row.seat, "about": row.about} for row in (await session.execute(query)).all()]
    rows = [(one["name"], one["about"] or SEAT_TITLES[one["seat"]]) for one in team]
    return SubjectView(
        project_id=project.id,
        revision=str(project.version),
        title=project.title,
        content={"title": project.title, "agency": agency.title, "team": team},
        sections=(Section(_TEAM, rows=rows) if rows else Section(_TEAM, [Phrase("Nobody has a seat here yet.")]),),
    )


async def _brief(session: AsyncSession, project_id: UUID) -> SubjectView:
    project = await fetch(session, Project, project_id)
    brief = await session.scalar(
        select(Brief)
        .where(in_workspace(Brief, workspace_of(session)), Brief.project_id == project.id)
        .order_by(Brief.version.desc())
        .limit(1)
    )
    if brief is None:
        raise Conflict("No brief is written yet: write one, PUT /v1/projects/{project_id}/brief.", code="no-brief-yet")
    sections = [Section(heading, [brief.content[name]]) for name, heading in _PARTS.items() if brief.content.get(name)]
    faq = [(one["question"], one["answer"]) for one in brief.content.get("faq", ())]
    if faq:
        sections.append(Section(_FAQ, rows=faq))
    return SubjectView(
        project_id=project.id,
        revision=str(brief.version),
        title=project.title,
        content=dict(brief.content),
        sections=sections,
    )


SUBJECTS: Final = (
    Subject("project", Phrase("Who works for you"), frozenset({Purpose.READ}), _overview),
    Subject(
        "brief",
        Phrase("Brief"),
        frozenset({Purpose.READ, Purpose.AGREE}),
        _brief,
        question={Purpose.AGREE: Phrase("Have we understood your business?")},
    ),
)
