"""What the client states about a goal: by a client link, or as a member with the seat `client`."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import audit
from app.access.models import ProjectSeat, Seat, UserAccount
from app.goals.events import GoalAgreed, GoalDeclined
from app.goals.models import OPEN, Goal, GoalAgreement, GoalAnswer, GoalStatus, Side
from app.goals.service import revision_of
from app.kit.actors import Actor
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.errors import Conflict, Forbidden, NotFound
from app.kit.events import publish
from app.kit.ids import uuid7


@dataclass(frozen=True, slots=True)
class Signatory:
    """The person who answers for the client: a member, or a contact with the statement that they made."""

    name: str
    user_id: UUID | None = None
    contact_id: UUID | None = None
    client_statement_id: UUID | None = None

    def has_made(self, agreement: GoalAgreement) -> bool:
        """Whether an answer is this person's."""
        return (agreement.user_id, agreement.contact_id) == (self.user_id, self.contact_id)


async def answer_as_member(
    session: AsyncSession,
    actor: Actor,
    *,
    goal_id: UUID,
    user_id: UUID,
    revision: int,
    answer: GoalAnswer,
    text: str | None,
) -> GoalAgreement:
    """Answer for the client; `Forbidden` (`client-seat-needed`) for a member without the seat `client`.

    Raises what `state` raises.
    """
    goal = await fetch(session, Goal, goal_id)
    seat_id = await session.scalar(
        select(ProjectSeat.id).where(
            in_workspace(ProjectSeat, workspace_of(session)),
            ProjectSeat.project_id == goal.project_id,
            ProjectSeat.user_id == user_id,
            ProjectSeat.seat == Seat.CLIENT.value,
        )
    )
    if seat_id is None:
        raise Forbidden(
            "The client agrees, not the agency: a member with the seat `client` of this project, or a contact by a "
            "client link (POST /v1/client-links with the purpose `agree` and the subject `goal`).",
            code="client-seat-needed",
        )
    account = await session.get_one(UserAccount, user_id)
    signatory = Signatory(account.name, user_id=user_id)
    return await state(
        session, actor, goal_id=goal_id, revision=revision, answer=answer, text=text, signatory=signatory
    )


async def state(
    session: AsyncSession,
    actor: Actor,
    *,
    goal_id: UUID,
    revision: int,
    answer: GoalAnswer,
    text: str | None,
    signatory: Signatory,
) -> GoalAgreement:
    """Agree to the latest revision, or decline it, for the client: once; the same again gives what there is.

    Raises `NotFound` without such a revision, `Conflict`: `revision-outdated` where there is a later one,
    `already-answered` where the client has answered it otherwise, `goal-closed`.
    """
    goal = await fetch(session, Goal, goal_id, for_update=True)
    if revision > goal.revision:
        raise NotFound("The goal has no such revision.")
    if revision < goal.revision:
        raise Conflict(
            f"There is a newer revision, {goal.revision}: read what has changed, then answer that one.",
            code="revision-outdated",
        )
    existing = await client_answer(session, goal.id, revision)
    if existing is not None:
        return _same(existing, answer, text, signatory)
    if goal.status not in OPEN:
        raise Conflict(f"This goal is {goal.status}: there is nothing to answer any more.", code="goal-closed")
    proposed = await revision_of(session, goal, revision)
    agreement_id = await session.scalar(
        insert(GoalAgreement)
        .values(
            workspace_id=goal.workspace_id,
            id=uuid7(),
            project_id=goal.project_id,
            goal_id=goal.id,
            revision=revision,
            content_hash=proposed.content_hash,
            side=Side.CLIENT.value,
            answer=answer.value,
            actor=str(actor),
            name=signatory.name,
            user_id=signatory.user_id,
            contact_id=signatory.contact_id,
            client_statement_id=signatory.client_statement_id,
            text=text,
            stated_at=now(session),
        )
        .on_conflict_do_nothing()
        .returning(GoalAgreement.id)
    )
    agreement = await client_answer(session, goal.id, revision)
    assert agreement is not None
    if agreement_id is None:  # answered meanwhile
        return _same(agreement, answer, text, signatory)
    before, is_agreed = audit.snapshot(goal), answer is GoalAnswer.AGREE
    goal.status = (GoalStatus.AGREED if is_agreed else GoalStatus.DECLINED).value
    if is_agreed:
        goal.agreed_revision = revision
    goal.version += 1
    goal.updated_at = now(session)
    await session.flush()
    audit.record(
        session,
        actor,
        "goals.agree",
        goal_id=goal.id,
        project_id=goal.project_id,
        agreement_id=agreement_id,
        before=before,
        # What was answered is in the chain of changes too: to which content, and in which words.
        after={
            **audit.snapshot(goal),
            **audit.snapshot(agreement),
            "content_sha256": agreement.content_hash,
        },
    )
    event_class = GoalAgreed if is_agreed else GoalDeclined
    await publish(session, event_class(goal.project_id, goal.id, revision, proposed.content_hash))
    return agreement


async def client_answer(session: AsyncSession, goal_id: UUID, revision: int) -> GoalAgreement | None:
    """What the client has answered to a revision; None: nothing yet."""
    agreement: GoalAgreement | None = await session.scalar(
        select(GoalAgreement).where(
            in_workspace(GoalAgreement, workspace_of(session)),
            GoalAgreement.goal_id == goal_id,
            GoalAgreement.revision == revision,
            GoalAgreement.side == Side.CLIENT.value,
        )
    )
    return agreement


def _same(existing: GoalAgreement, answer: GoalAnswer, text: str | None, signatory: Signatory) -> GoalAgreement:
    if not signatory.has_made(existing) or (existing.answer, existing.text) != (answer.value, text):
        raise Conflict(
            f"{existing.name} has answered this revision already ({existing.answer}); that counts until the agency "
            "proposes another one.",
            code="already-answered",
        )
    return existing
