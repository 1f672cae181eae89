"""The state of a conversation, computed from its messages and status changes.

Pure, and a function of the set alone: whatever the order in which messages are ingested, and
however often, the same messages and status changes give the same state.

What counts
- A wait starts with a customer's first message that has no answer yet, and ends with the next
  answer of the agency's. A later message of the customer's starts another wait.
- Automatic answers, deleted ones, and messages of the agency's before the customer's first one are
  no answers.
- Resolving ends a wait without an answer, but only for the messages ingested by then: a message
  ingested afterwards still waits for an answer. It also ends a wait that a reopening started.
- Reopening starts a wait at that instant. The first wait after an inquiry was resolved or
  reopened is an *opening* one, as the very first is.
- An episode begins with an opening wait and ends with the resolution that takes effect next. A reopening, or a
  message after the resolution, begins another one. An automatic resolution ends it too, and is marked as such; a
  person who confirms it while nothing else has happened takes its place.
- A customer's deleted message starts no wait, unless the next entry of the thread is an answer:
  then that wait did take place, and counts.
- Of several entries at one instant, customers' messages come first, then answers, then status
  changes in the order in which they were made: some platforms give times in whole seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from app.inquiries.models import InquiryStatus, MessageDirection


class EndedBy(StrEnum):
    """What ended a wait."""

    ANSWER = "answer"
    RESOLUTION = "resolution"


class Transition(StrEnum):
    """What a status change did."""

    RESOLVED = "resolved"
    REOPENED = "reopened"


@dataclass(frozen=True, slots=True)
class DeliveredMessage:
    """A message that exists on the platform: a queued reply is none yet."""

    at: datetime
    author: MessageDirection
    automatic: bool = False
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StatusChange:
    """Somebody resolved or reopened the inquiry."""

    at: datetime
    transition: Transition
    through: datetime | None = None
    """Of a resolution: the time of the latest message ingested by then."""
    automatic: bool = False
    reason: str | None = None
    sequence: int = 0
    """The order of status changes of one instant."""

    @property
    def effective_at(self) -> datetime:
        """When it took effect: never before the messages it covers, even if a platform's clock is ahead of ours."""
        return max(self.at, self.through or self.at)


@dataclass(frozen=True, slots=True)
class Wait:
    """A period in which a customer waited for an answer; `ended_at` is None while it lasts."""

    started_at: datetime
    ended_at: datetime | None
    ended_by: EndedBy | None
    opening: bool


@dataclass(frozen=True, slots=True)
class Episode:
    """From the start of an opening wait to the resolution."""

    started_at: datetime
    resolved_at: datetime
    automatic: bool
    """No person resolved it."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """How an inquiry was closed."""

    at: datetime
    reason: str | None
    automatic: bool


WITHDRAWN = "The customer deleted everything they wrote."


@dataclass(frozen=True, slots=True)
class ConversationState:
    """What a conversation amounts to."""

    waits: tuple[Wait, ...]
    status: InquiryStatus
    first_answered_at: datetime | None
    handled_at: datetime | None
    """When a person of the agency first answered or resolved it; automatic replies and resolutions do not count."""
    resolution: Resolution | None
    """None unless the status is resolved."""
    episodes: tuple[Episode, ...] = ()
    """Those that were resolved."""
    episode_started_at: datetime | None = None
    """When the episode began that is not resolved: the start of the latest opening wait; None without one."""


def conversation_state(
    messages: Iterable[DeliveredMessage], status_changes: Iterable[StatusChange]
) -> ConversationState:
    """The state that these messages and status changes, in any order, lead to."""
    replay = _Replay()
    entries: list[DeliveredMessage | StatusChange] = [*messages, *status_changes]
    for entry in sorted(entries, key=_order):
        if isinstance(entry, StatusChange):
            replay.change_status(entry)
        elif entry.author is MessageDirection.CUSTOMER:
            replay.customer_wrote(entry)
        else:
            replay.agency_wrote(entry)
    return replay.result()


def _order(entry: DeliveredMessage | StatusChange) -> tuple[datetime, int, datetime, int]:
    if isinstance(entry, StatusChange):
        return entry.effective_at, 2, entry.at, entry.sequence
    return entry.at, 0 if entry.author is MessageDirection.CUSTOMER else 1, entry.at, 0


@dataclass(slots=True)
class _Replay:
    waits: list[Wait] = field(default_factory=list)
    episodes: list[Episode] = field(default_factory=list)
    episode_started_at: datetime | None = None
    """When the episode began that is not resolved; None without one."""
    waiting_since: datetime | None = None
    """When the current wait started; None without one."""
    since_reopening: bool = False
    """A reopening started the current wait, and not a message."""
    deleted_unanswered_at: datetime | None = None
    """The first deleted message since the last answer: it starts the wait if an answer comes next."""
    last_customer_message_at: datetime | None = None
    """The customer's latest message that is not deleted."""
    customer_has_written: bool = False
    opening: bool = True
    withdrawn_at: datetime | None = None
    first_answered_at: datetime | None = None
    handled_at: datetime | None = None
    resolution: Resolution | None = None

    def customer_wrote(self, message: DeliveredMessage) -> None:
        self.customer_has_written = True
        if message.deleted_at is not None:
            self.deleted_unanswered_at = self.deleted_unanswered_at or message.at
            self.withdrawn_at = max(self.withdrawn_at or message.deleted_at, message.deleted_at)
            return
        self.last_customer_message_at = message.at
        if self.waiting_since is None:
            self.waiting_since, self.since_reopening = message.at, False
        self.resolution = None

    def agency_wrote(self, message: DeliveredMessage) -> None:
        if message.automatic or message.deleted_at is not None or not self.customer_has_written:
            return
        self.first_answered_at = self.first_answered_at or message.at
        self.handled_at = self.handled_at or message.at
        start = self.waiting_since or self.deleted_unanswered_at
        if start is not None:
            self._end(start, message.at, EndedBy.ANSWER)
        self.waiting_since = self.deleted_unanswered_at = None

    def change_status(self, change: StatusChange) -> None:
        if change.transition is Transition.REOPENED:
            if self.waiting_since is None:
                self.waiting_since, self.since_reopening = change.effective_at, True
            self.deleted_unanswered_at = self.resolution = None
            self.opening = True
            return
        if not change.automatic:
            self.handled_at = self.handled_at or change.at
        through = change.through or change.effective_at
        if self.waiting_since is not None and self.waiting_since > through and not self.since_reopening:
            return  # the wait began with a message that this resolution does not cover
        newer = self.last_customer_message_at is not None and self.last_customer_message_at > through
        if self.waiting_since is not None:
            self._end(self.waiting_since, change.effective_at, EndedBy.RESOLUTION)
        self._end_episode(change)
        self.waiting_since = change.effective_at if newer and self.waiting_since is not None else None
        self.since_reopening = False
        self.deleted_unanswered_at = None
        self.opening = True
        self.resolution = (
            None if self.waiting_since is not None else Resolution(change.at, change.reason, change.automatic)
        )

    def result(self) -> ConversationState:
        if self.waiting_since is not None:
            self._end(self.waiting_since, None, None)
            status = InquiryStatus.OPEN
        elif self.resolution is not None:
            status = InquiryStatus.RESOLVED
        elif self.withdrawn_at is not None and self.first_answered_at is None and self.last_customer_message_at is None:
            self.resolution = Resolution(self.withdrawn_at, WITHDRAWN, automatic=True)
            status = InquiryStatus.RESOLVED
        else:
            status = InquiryStatus.ANSWERED
        return ConversationState(
            tuple(self.waits),
            status,
            self.first_answered_at,
            self.handled_at,
            self.resolution,
            tuple(self.episodes),
            self.episode_started_at if status is not InquiryStatus.RESOLVED else None,
        )

    def _end_episode(self, resolution: StatusChange) -> None:
        start = self.episode_started_at
        if start is None and self.resolution is not None and self.resolution.automatic and not resolution.automatic:
            start = self.episodes.pop().started_at if self.episodes else None
        if start is None:
            return
        if self.episodes and self.episodes[-1].started_at == start:
            self.episodes.pop()  # it had no duration
        self.episodes.append(Episode(start, resolution.effective_at, resolution.automatic))
        self.episode_started_at = None

    def _end(self, start: datetime, end: datetime | None, ended_by: EndedBy | None) -> None:
        if self.waits and self.waits[-1].started_at == start:
            # The last one had no duration: this one replaces it.
            self.opening |= self.waits.pop().opening
        self.waits.append(Wait(start, end, ended_by, self.opening))
        if self.opening:
            self.episode_started_at = start
        self.opening = False
