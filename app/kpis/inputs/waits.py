"""The periods in which customers waited for an answer."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, case, cast, func, or_, select

from app.inquiries.models import ResponseWait
from app.kit.db import in_workspace
from app.kpis.contract import (
    DAY,
    CommunityData,
    Dataset,
    EvidenceQuery,
    LoadRequest,
    Measure,
    Project,
    Section,
    Span,
    Window,
)
from app.kpis.inputs.columns import Columns, running_sums
from app.kpis.inputs.inquiries import Conversations, by_conversations
from app.kpis.inputs.parameters import AS_OF, END, PROJECT, START, WORKSPACE, columns_by_community, local_day, position
from app.kpis.values import Community, Missing, Reason

ANSWER: Final = "answer"


T = TypeVar("T")


class ByDay(Generic[T]):
    """What ended on some days, in the order of the positions of these days."""

    def __init__(self, ended: Sequence[tuple[int, T]]) -> None:
        self._days = [at for at, _ in ended]
        self._ended = [one for _, one in ended]

    def between(self, start: int, stop: int) -> Sequence[T]:
        """What ended at the positions from `start` (included) to `stop` (not)."""
        return self._ended[bisect_left(self._days, start) : bisect_left(self._days, stop)]


class WaitDays(CommunityData):
    """The waits of one community that overlap the loaded days, by the day on which they ended."""

    __slots__ = ("_answered", "_answered_by_clock", "_open", "_unanswered")

    def __init__(self, community: Community, span: Span, columns: Columns, request: LoadRequest) -> None:
        super().__init__(community, span, request)
        started, ended, opening, by_answer, seconds, by_clock = columns or ((), (), (), (), (), ())
        """`started` and `ended` are positions of days; `ended` is None while a wait lasts."""
        began = [min(max(at, 0), self.length) for at in started]
        over = [self.length if at is None else min(max(at, 0), self.length) for at in ended]
        self._open = [
            begun - done
            for begun, done in zip(
                running_sums(self.length + 1, began, [1] * len(began)),
                running_sums(self.length + 1, over, [1] * len(over)),
                strict=True,
            )
        ]
        waits = sorted(
            (at, answered, length if length is not None else -1, clock)
            for at, is_opening, answered, length, clock in zip(
                ended, opening, by_answer, seconds, by_clock, strict=True
            )
            if is_opening and at is not None and 0 <= at < self.length
        )
        answered = [(at, length, clock) for at, by_answer, length, clock in waits if by_answer and length >= 0]
        self._answered = ByDay([(at, length) for at, length, _ in answered])
        self._answered_by_clock = ByDay([(at, clock) for at, _, clock in answered])
        self._unanswered = ByDay([(at, length) for at, by_answer, length, _ in waits if not by_answer])

    def open_at_end(self, window: Window) -> int:
        """The number of waits that were open at the end of the window's last day."""
        return self._open[window.stop]

    def answered(self, window: Window) -> Sequence[int]:
        """The working seconds of the opening waits that an answer ended in the window."""
        return self._answered.between(window.start, window.stop)

    def answered_by_clock(self, window: Window) -> Sequence[int]:
        """The seconds of the same waits by the clock."""
        return self._answered_by_clock.between(window.start, window.stop)

    def unanswered(self, window: Window) -> Sequence[int]:
        """The working seconds of the opening waits that ended in the window without an answer (-1 where unknown)."""
        return self._unanswered.between(window.start, window.stop)


_ENDED_AT: Final = case((ResponseWait.ended_at <= AS_OF, ResponseWait.ended_at))


BY_CLOCK: Final = cast(func.extract("epoch", ResponseWait.ended_at - ResponseWait.started_at), BigInteger).label(
    "seconds"
)
"""The duration of a wait by the clock."""


class Waits(Conversations[WaitDays]):
    """Waits of customers: every wait that overlaps the requested days, those that have not ended included."""

    key = "waits"
    title = "Waits between a customer's message and the agency's next answer"
    rows = columns_by_community(
        select(
            ResponseWait.community_id,
            position(local_day(ResponseWait.__table__.c.started_at, PROJECT.c.timezone)),
            position(local_day(_ENDED_AT, PROJECT.c.timezone)).label("ended"),
            ResponseWait.opening,
            func.coalesce(ResponseWait.ended_by == ANSWER, False).label("by_answer"),
            ResponseWait.working_seconds,
            BY_CLOCK,
        ).where(
            in_workspace(ResponseWait, WORKSPACE),
            ResponseWait.project_id == PROJECT.c.id,
            or_(ResponseWait.ended_at >= START, ResponseWait.ended_at.is_(None)),
            ResponseWait.started_at < END,
            ResponseWait.started_at <= AS_OF,
        )
    )

    def dataset(self, project: Project, rows: Any, request: LoadRequest) -> Dataset[WaitDays]:
        """The waits by community."""
        return by_conversations(project, rows, WaitDays, request)


WAITS: Final = Waits()


class OpenWaits(Measure[WaitDays]):
    """The number of waits that were open at the end of the window."""

    source = WAITS

    def amounts(self, data: WaitDays, windows: Sequence[Window]) -> list[list[int]]:
        """The number of open waits, by window."""
        return [[data.open_at_end(window) for window in windows]]

    def missing(self, data: WaitDays, window: Window) -> tuple[bool, Sequence[Missing]]:
        """Whether it is known; of a community disconnected before the window's end no wait counts."""
        if data.ended_within(window):
            return False, [data.missing_whole(Reason.DISCONNECTED, window)]
        return super().missing(data, window)


class OpeningWaits(Measure[WaitDays]):
    """The working seconds of the opening waits that ended in the window, with an answer and without one; and those of
    the answered ones by the clock.
    """

    source = WAITS
    nothing = ((), (), ())

    def amounts(self, data: WaitDays, windows: Sequence[Window]) -> list[list[Sequence[int]]]:
        """The three lists of seconds, by window."""
        return [
            [data.answered(window) for window in windows],
            [data.unanswered(window) for window in windows],
            [data.answered_by_clock(window) for window in windows],
        ]

    def totals(self, columns: Iterable[Sequence[Sequence[int]]]) -> list[list[int]]:
        """The lists of all communities concatenated, by window."""
        return [[seconds for waits in parts for seconds in waits] for parts in zip(*columns, strict=True)]


def _select(workspace_id: UUID, project: Project, *filters: ColumnElement[bool]) -> EvidenceQuery:
    return select(
        ResponseWait.id,
        ResponseWait.inquiry_id,
        ResponseWait.community_id,
        ResponseWait.started_at,
        ResponseWait.ended_at,
        ResponseWait.ended_by,
        ResponseWait.opening,
        ResponseWait.working_seconds,
        BY_CLOCK,
    ).where(in_workspace(ResponseWait, workspace_id), ResponseWait.project_id == project.id, *filters)


def _answered(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
    return _select(
        workspace_id,
        project,
        ResponseWait.ended_at >= project.start_of(first),
        ResponseWait.ended_at < project.start_of(last + DAY),
        ResponseWait.ended_at <= project.now,
        ResponseWait.ended_by == ANSWER,
        ResponseWait.opening.is_(True),
        ResponseWait.working_seconds.is_not(None),
    )


def _open(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
    end = project.start_of(last + DAY)
    return _select(
        workspace_id,
        project,
        ResponseWait.started_at < end,
        ResponseWait.started_at <= project.now,
        # Also one that ended before the window did, but after the instant as of which it is asked.
        or_(
            ResponseWait.ended_at >= end,
            ResponseWait.ended_at > project.now,
            ResponseWait.ended_at.is_(None),
        ),
    )


_FIELDS: Final = (
    "`id`, `inquiry_id`, `community_id`, `started_at`, `ended_at`, `ended_by`, `opening`, `working_seconds`, "
    "`seconds` (by the clock)."
)
ANSWERED: Final = Section(
    "wait",
    f"An opening wait that an answer ended in the window: {_FIELDS}",
    _answered,
    {"ended_at": datetime, "id": UUID},
    "working_seconds",
)
OPEN: Final = Section(
    "wait", f"A wait that was going on when the window ended: {_FIELDS}", _open, {"started_at": datetime, "id": UUID}
)
