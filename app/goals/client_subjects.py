"""What clients can be shown of goals, and agree to."""

from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.models import Answer, Contact, Purpose
from app.clients.subjects import StatementMade, Subject, SubjectView
from app.goals import views
from app.goals.agreements import Signatory, client_answer, state
from app.goals.models import OPEN, Goal, GoalAnswer
from app.goals.service import revision_of
from app.kit.actors import Actor
from app.kit.db import fetch
from app.kit.localised import Phrase

_ANSWERS: Final = {Answer.AGREE: GoalAnswer.AGREE, Answer.DECLINE: GoalAnswer.DECLINE}
_CLOSED: Final = Phrase("This goal is closed: there is nothing to answer any more.")


async def _goal(session: AsyncSession, goal_id: UUID) -> SubjectView:
    goal = await fetch(session, Goal, goal_id)
    revision = await revision_of(session, goal, goal.revision)
    agreed = None if revision.compared_with is None else await revision_of(session, goal, revision.compared_with)
    answer = await client_answer(session, goal.id, revision.number)
    closed = None if goal.status in OPEN else _CLOSED
    return views.view(goal, revision, agreed, answer=answer, closed=closed)


async def _state(session: AsyncSession, actor: Actor, made: StatementMade) -> None:
    contact = await fetch(session, Contact, made.contact_id)
    await state(
        session,
        actor,
        goal_id=made.subject_id,
        revision=int(made.revision),
        answer=_ANSWERS[made.answer],
        text=made.text,
        signatory=Signatory(contact.name, contact_id=contact.id, client_statement_id=made.statement_id),
    )


SUBJECTS: Final = (
    Subject(
        views.SUBJECT,
        Phrase("Goal"),
        frozenset({Purpose.READ, Purpose.AGREE}),
        _goal,
        question={Purpose.AGREE: Phrase("Do you agree to this goal?")},
        on_statement=_state,
    ),
)
