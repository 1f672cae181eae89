"""How a conversation went: who waited for whom, from when, and until when.

Pure, and a function of the set alone: whatever order messages are seen in, and however often, the
same messages and turns give the same course.

What counts
- A wait starts with a customer's first message that has no answer yet, and ends with the next
  answer of the agency's. A later message of the customer's starts another wait.
- Automatic answers, deleted ones, and words of the agency's before any of the customer's are no
  answers.
- Resolving ends a wait without an answer. It ends it for what had been seen by then: a message
  that came to light afterwards is still waited for.
- Reopening starts a wait at that instant. The first wait after an inquiry was resolved or
  reopened is an *opening* one, as the very first is.
- A customer's deleted message asks for nothing. Where it was answered before (an answer is the
  next thing in the thread) the wait stands: it happened.
- Of several things at one instant, customers come first, then answers, then turns: platforms that
  count whole seconds do not say more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from app.inquiries.models import Direction, Status


class EndedBy(StrEnum):
    """What ended a wait."""

    ANSWER = "answer"
    RESOLUTION = "resolution"


class Change(StrEnum):
    """The turns an inquiry takes by somebody's decision."""

    RESOLVED = "resolved"
    REOPENED = "reopened"


@dataclass(frozen=True, slots=True)
class DeliveredMessage:
    """A message that has reached its reader: one that waits to be sent is not said yet."""

    at: datetime
    by: Direction
    automatic: bool = False
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StatusChange:
    """Somebody resolved or reopened the inquiry."""

    at: datetime
    change: Change
    through: datetime | None = None
    """Resolved: the newest message that had been seen then."""
    automatic: bool = False
    reason: str | None = None

    @property
    def moment(self) -> datetime:
        """When it took effect: not before what it was about, by whatever clock."""
        return max(self.at, self.through or self.at)


@dataclass(frozen=True, slots=True)
class Wait:
    """A stretch of time in which a customer waited."""

    started_at: datetime
    ended_at: datetime | None
    ended_by: EndedBy | None
    opening: bool


@dataclass(frozen=True, slots=True)
class Resolution:
    """How it was closed."""

    at: datetime
    reason: str | None
    automatic: bool


WITHDRAWN = "The customer deleted everything they wrote."


@dataclass(frozen=True, slots=True)
class ConversationState:
    """How it went, all in all."""

    waits: tuple[Wait, ...]
    status: Status
    first_answered_at: datetime | None
    handled_at: datetime | None
    """When a person of the agency first answered, or resolved it: an automatic one is neither."""
    resolution: Resolution | None
    """Where it stands resolved."""


def course(messages: Iterable[DeliveredMessage], turns: Iterable[StatusChange]) -> ConversationState:
    """How a conversation went."""
    walk = _Walk()
    steps: list[DeliveredMessage | StatusChange] = [*messages, *turns]
    for step in sorted(steps, key=_order):
        if isinstance(step, StatusChange):
            walk.turn(step)
        elif step.by is Direction.CUSTOMER:
            walk.asked(step)
        else:
            walk.answered(step)
    return walk.course()


def _order(step: DeliveredMessage | StatusChange) -> tuple[datetime, int, datetime]:
    if isinstance(step, StatusChange):
        return step.moment, 2 if step.change is Change.RESOLVED else 3, step.at
    return step.at, 0 if step.by is Direction.CUSTOMER else 1, step.at


@dataclass(slots=True)
class _Walk:
    waits: list[Wait] = field(default_factory=list)
    since: datetime | None = None
    """Since when the customer waits."""
    taken_back: datetime | None = None
    """A deleted message that would be what they wait since, had it been answered."""
    last_asked: datetime | None = None
    """The customer's newest message that is not deleted."""
    heard: bool = False
    opening: bool = True
    withdrawn_at: datetime | None = None
    first_answered_at: datetime | None = None
    handled_at: datetime | None = None
    resolution: Resolution | None = None

    def asked(self, said: DeliveredMessage) -> None:
        self.heard = True
        if said.deleted_at is not None:
            self.taken_back = self.taken_back or said.at
            self.withdrawn_at = max(self.withdrawn_at or said.deleted_at, said.deleted_at)
            return
        self.last_asked = said.at
        self.since = self.since or said.at
        self.resolution = None

    def answered(self, said: DeliveredMessage) -> None:
        if said.automatic or said.deleted_at is not None or not self.heard:
            return
        self.first_answered_at = self.first_answered_at or said.at
        self.handled_at = self.handled_at or said.at
        start = self.since or self.taken_back
        if start is not None:
            self._end(start, said.at, EndedBy.ANSWER)
        self.since = self.taken_back = None

    def turn(self, turn: StatusChange) -> None:
        if turn.change is Change.REOPENED:
            self.since = self.since or turn.moment
            self.taken_back = self.resolution = None
            self.opening = True
            return
        if not turn.automatic:
            self.handled_at = self.handled_at or turn.at
        through = turn.through or turn.moment
        if self.since is not None and self.since > through:
            return  # whoever resolved it had not seen that anybody waits
        unseen = self.last_asked is not None and self.last_asked > through
        if self.since is not None:
            self._end(self.since, turn.moment, EndedBy.RESOLUTION)
        self.since = turn.moment if unseen and self.since is not None else None
        self.taken_back = None
        self.opening = True
        self.resolution = None if self.since is not None else Resolution(turn.at, turn.reason, turn.automatic)

    def course(self) -> ConversationState:
        if self.since is not None:
            self._end(self.since, None, None)
            status = Status.OPEN
        elif self.resolution is not None:
            status = Status.RESOLVED
        elif self.withdrawn_at is not None and self.first_answered_at is None and self.last_asked is None:
            self.resolution = Resolution(self.withdrawn_at, WITHDRAWN, automatic=True)
            status = Status.RESOLVED
        else:
            status = Status.ANSWERED
        return ConversationState(tuple(self.waits), status, self.first_answered_at, self.handled_at, self.resolution)

    def _end(self, start: datetime, end: datetime | None, by: EndedBy | None) -> None:
        if self.waits and self.waits[-1].started_at == start:
            # The last one lasted no time at all: this one stands for both.
            self.opening |= self.waits.pop().opening
        self.waits.append(Wait(start, end, by, self.opening))
        self.opening = False
