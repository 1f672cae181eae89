"""Waits, by example and against a second, slower way to find them."""

import dataclasses
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.inquiries.models import Direction, Status
from app.inquiries.waiting import Change, DeliveredMessage, EndedBy, StatusChange, Wait, course

START = datetime(2026, 10, 14, 9, 0, tzinfo=UTC)


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def asks(minute: int, *, deleted: bool = False) -> DeliveredMessage:
    return DeliveredMessage(at(minute), Direction.CUSTOMER, deleted_at=at(500) if deleted else None)


def answers(minute: int, *, automatic: bool = False, deleted: bool = False) -> DeliveredMessage:
    return DeliveredMessage(at(minute), Direction.AGENCY, automatic, at(500) if deleted else None)


def resolved(minute: int, through: int | None = None, *, automatic: bool = False) -> StatusChange:
    seen = at(through) if through is not None else None
    return StatusChange(at(minute), Change.RESOLVED, through=seen, automatic=automatic, reason="Done.")


def reopened(minute: int) -> StatusChange:
    return StatusChange(at(minute), Change.REOPENED)


Brief = tuple[int, int | None, str | None, bool]


def brief(wait: Wait) -> Brief:
    def minute(moment: datetime) -> int:
        return int((moment - START).total_seconds() // 60)

    ended = minute(wait.ended_at) if wait.ended_at is not None else None
    return minute(wait.started_at), ended, wait.ended_by.value if wait.ended_by else None, wait.opening


@pytest.mark.parametrize(
    ("steps", "waits", "status", "handled"),
    [
        ([asks(0)], [(0, None, None, True)], Status.OPEN, None),
        ([asks(0), asks(5), answers(9)], [(0, 9, "answer", True)], Status.ANSWERED, 9),
        (
            [asks(0), answers(3), answers(4), asks(10), answers(12)],
            [(0, 3, "answer", True), (10, 12, "answer", False)],
            Status.ANSWERED,
            3,
        ),
        ([answers(0), asks(5)], [(5, None, None, True)], Status.OPEN, None),
        ([asks(0), answers(1, automatic=True), answers(7)], [(0, 7, "answer", True)], Status.ANSWERED, 7),
        ([asks(0), answers(1, deleted=True)], [(0, None, None, True)], Status.OPEN, None),
        ([asks(0), resolved(6)], [(0, 6, "resolution", True)], Status.RESOLVED, 6),
        ([asks(0), resolved(6, automatic=True)], [(0, 6, "resolution", True)], Status.RESOLVED, None),
        ([asks(0), resolved(6, automatic=True), resolved(9)], [(0, 6, "resolution", True)], Status.RESOLVED, 9),
        ([asks(0), answers(2), resolved(6)], [(0, 2, "answer", True)], Status.RESOLVED, 2),
        (
            [asks(0), answers(2), resolved(6), asks(20)],
            [(0, 2, "answer", True), (20, None, None, True)],
            Status.OPEN,
            2,
        ),
        (
            [asks(0), answers(2), reopened(10), answers(15)],
            [(0, 2, "answer", True), (10, 15, "answer", True)],
            Status.ANSWERED,
            2,
        ),
        # It came to light after it was resolved: whoever resolved it had not seen it.
        (
            [asks(0), asks(4), resolved(6, through=0)],
            [(0, 6, "resolution", True), (6, None, None, True)],
            Status.OPEN,
            6,
        ),
        (
            [asks(0), answers(2), asks(4), resolved(6, through=2)],
            [(0, 2, "answer", True), (4, None, None, False)],
            Status.OPEN,
            2,
        ),
        # Their clock is ahead of ours: what had been seen is resolved all the same.
        ([asks(8), resolved(6, through=8)], [(8, 8, "resolution", True)], Status.RESOLVED, 6),
        ([asks(0, deleted=True)], [], Status.RESOLVED, None),
        ([asks(0, deleted=True), asks(5)], [(5, None, None, True)], Status.OPEN, None),
        ([asks(0, deleted=True), answers(5)], [(0, 5, "answer", True)], Status.ANSWERED, 5),
        ([asks(0), answers(2), asks(5, deleted=True)], [(0, 2, "answer", True)], Status.ANSWERED, 2),
        # Of two things at one instant, the customer's comes first.
        ([answers(3), asks(3)], [(3, 3, "answer", True)], Status.ANSWERED, 3),
    ],
)
def test_by_example(
    steps: list[DeliveredMessage | StatusChange], waits: list[Brief], status: Status, handled: int | None
) -> None:
    went = course(*_apart(steps))
    assert [brief(wait) for wait in went.waits] == waits
    assert went.status is status
    assert went.handled_at == (at(handled) if handled is not None else None)


def _apart(steps: list[DeliveredMessage | StatusChange]) -> tuple[list[DeliveredMessage], list[StatusChange]]:
    return [step for step in steps if isinstance(step, DeliveredMessage)], [
        step for step in steps if isinstance(step, StatusChange)
    ]


minutes = st.integers(0, 30)
saids = st.one_of(
    st.builds(lambda m, d: asks(m, deleted=d), minutes, st.booleans()),
    st.builds(lambda m, a, d: answers(m, automatic=a, deleted=d), minutes, st.booleans(), st.booleans()),
)
turns = st.one_of(
    st.builds(lambda m, t, a: resolved(m, t, automatic=a), minutes, st.none() | minutes, st.booleans()),
    st.builds(reopened, minutes),
)
threads = st.lists(saids, max_size=8)
decisions = st.lists(turns, max_size=3)


@given(threads, decisions, st.data())
def test_the_order_in_which_messages_are_seen_does_not_matter(
    said: list[DeliveredMessage], turned: list[StatusChange], data: st.DataObject
) -> None:
    assert course(data.draw(st.permutations(said)), turned) == course(said, turned)


@given(threads, decisions)
def test_waits_are_in_order_and_do_not_overlap(said: list[DeliveredMessage], turned: list[StatusChange]) -> None:
    went = course(said, turned)
    for wait in went.waits:
        assert wait.ended_at is None or wait.started_at <= wait.ended_at
    for one, following in pairwise(went.waits):
        assert one.ended_at is not None
        assert one.ended_at <= following.started_at
        assert one.started_at < following.started_at
    assert (went.status is Status.OPEN) == any(wait.ended_at is None for wait in went.waits)


@given(threads, decisions, minutes)
def test_a_robots_answer_changes_nothing(said: list[DeliveredMessage], turned: list[StatusChange], minute: int) -> None:
    assert course([*said, answers(minute, automatic=True)], turned) == course(said, turned)


@given(threads)
def test_without_turns_it_is_what_a_look_at_each_message_finds(said: list[DeliveredMessage]) -> None:
    """The slow way: for each real answer, the earliest question since the real answer before it."""
    asked = sorted(s.at for s in said if s.by is Direction.CUSTOMER and s.deleted_at is None)
    gone = sorted(s.at for s in said if s.by is Direction.CUSTOMER and s.deleted_at is not None)
    real = sorted({s.at for s in said if s.by is Direction.AGENCY and not s.automatic and s.deleted_at is None})
    found: list[tuple[datetime, datetime | None]] = []
    for previous, answer in pairwise([None, *real, None]):
        after, until = previous or at(-1), answer or at(999)
        start = [moment for moment in asked if after < moment <= until]
        if answer is not None and not start:
            start = [moment for moment in gone if after < moment <= until]
        if start:
            found.append((start[0], answer))
    assert [(wait.started_at, wait.ended_at) for wait in course(said, []).waits] == found


@given(threads, decisions)
def test_it_is_handled_when_a_person_first_did_something(
    said: list[DeliveredMessage], turned: list[StatusChange]
) -> None:
    went = course(said, turned)
    by_people = [turn.at for turn in turned if turn.change is Change.RESOLVED and not turn.automatic]
    first = [moment for moment in (went.first_answered_at,) if moment is not None]
    assert (went.handled_at is None) == (not by_people and not first)
    robots = [dataclasses.replace(turn, automatic=True) for turn in turned]
    assert course(said, robots).handled_at == went.first_answered_at
    assert all(wait.ended_by is not EndedBy.RESOLUTION for wait in course(said, []).waits)
