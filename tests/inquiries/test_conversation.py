"""Conversation states, by example and against a second, slower algorithm."""

import dataclasses
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.inquiries.conversation import (
    DeliveredMessage,
    EndedBy,
    Episode,
    StatusChange,
    Transition,
    Wait,
    conversation_state,
)
from app.inquiries.models import InquiryStatus, MessageDirection

START = datetime(2026, 10, 14, 9, 0, tzinfo=UTC)


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def customer(minute: int, *, deleted: bool = False) -> DeliveredMessage:
    return DeliveredMessage(at(minute), MessageDirection.CUSTOMER, deleted_at=at(500) if deleted else None)


def agency(minute: int, *, automatic: bool = False, deleted: bool = False) -> DeliveredMessage:
    return DeliveredMessage(at(minute), MessageDirection.AGENCY, automatic, at(500) if deleted else None)


def resolved(minute: int, through: int | None = None, *, automatic: bool = False) -> StatusChange:
    seen = at(through) if through is not None else None
    return StatusChange(at(minute), Transition.RESOLVED, through=seen, automatic=automatic, reason="Done.")


def reopened(minute: int) -> StatusChange:
    return StatusChange(at(minute), Transition.REOPENED)


Brief = tuple[int, int | None, str | None, bool]


def brief(wait: Wait) -> Brief:
    def minute(moment: datetime) -> int:
        return int((moment - START).total_seconds() // 60)

    ended = minute(wait.ended_at) if wait.ended_at is not None else None
    return minute(wait.started_at), ended, wait.ended_by.value if wait.ended_by else None, wait.opening


@pytest.mark.parametrize(
    ("entries", "waits", "status", "handled"),
    [
        ([customer(0)], [(0, None, None, True)], InquiryStatus.OPEN, None),
        ([customer(0), customer(5), agency(9)], [(0, 9, "answer", True)], InquiryStatus.ANSWERED, 9),
        (
            [customer(0), agency(3), agency(4), customer(10), agency(12)],
            [(0, 3, "answer", True), (10, 12, "answer", False)],
            InquiryStatus.ANSWERED,
            3,
        ),
        ([agency(0), customer(5)], [(5, None, None, True)], InquiryStatus.OPEN, None),
        ([customer(0), agency(1, automatic=True), agency(7)], [(0, 7, "answer", True)], InquiryStatus.ANSWERED, 7),
        ([customer(0), agency(1, deleted=True)], [(0, None, None, True)], InquiryStatus.OPEN, None),
        ([customer(0), resolved(6)], [(0, 6, "resolution", True)], InquiryStatus.RESOLVED, 6),
        ([customer(0), resolved(6, automatic=True)], [(0, 6, "resolution", True)], InquiryStatus.RESOLVED, None),
        (
            [customer(0), resolved(6, automatic=True), resolved(9)],
            [(0, 6, "resolution", True)],
            InquiryStatus.RESOLVED,
            9,
        ),
        ([customer(0), agency(2), resolved(6)], [(0, 2, "answer", True)], InquiryStatus.RESOLVED, 2),
        (
            [customer(0), agency(2), resolved(6), customer(20)],
            [(0, 2, "answer", True), (20, None, None, True)],
            InquiryStatus.OPEN,
            2,
        ),
        (
            [customer(0), agency(2), reopened(10), agency(15)],
            [(0, 2, "answer", True), (10, 15, "answer", True)],
            InquiryStatus.ANSWERED,
            2,
        ),
        # A message ingested after the resolution is not covered by it.
        (
            [customer(0), customer(4), resolved(6, through=0)],
            [(0, 6, "resolution", True), (6, None, None, True)],
            InquiryStatus.OPEN,
            6,
        ),
        (
            [customer(0), agency(2), customer(4), resolved(6, through=2)],
            [(0, 2, "answer", True), (4, None, None, False)],
            InquiryStatus.OPEN,
            2,
        ),
        # A reopened inquiry is resolved again, without a new message or with one that the resolution does not cover.
        (
            [customer(0), resolved(6, through=0), reopened(8), resolved(10, through=0)],
            [(0, 6, "resolution", True), (8, 10, "resolution", True)],
            InquiryStatus.RESOLVED,
            6,
        ),
        (
            [customer(0), resolved(6, through=0), reopened(8), customer(9), resolved(10, through=0)],
            [(0, 6, "resolution", True), (8, 10, "resolution", True), (10, None, None, True)],
            InquiryStatus.OPEN,
            6,
        ),
        (
            [customer(0), resolved(6, through=0), customer(7), reopened(8), resolved(10, through=0)],
            [(0, 6, "resolution", True), (7, None, None, True)],
            InquiryStatus.OPEN,
            6,
        ),
        # The platform's clock is ahead of ours: a message ingested before the resolution is covered all the same.
        ([customer(8), resolved(6, through=8)], [(8, 8, "resolution", True)], InquiryStatus.RESOLVED, 6),
        ([customer(0, deleted=True)], [], InquiryStatus.RESOLVED, None),
        ([customer(0, deleted=True), customer(5)], [(5, None, None, True)], InquiryStatus.OPEN, None),
        ([customer(0, deleted=True), agency(5)], [(0, 5, "answer", True)], InquiryStatus.ANSWERED, 5),
        ([customer(0), agency(2), customer(5, deleted=True)], [(0, 2, "answer", True)], InquiryStatus.ANSWERED, 2),
        # Of two things at one instant, the customer's comes first.
        ([agency(3), customer(3)], [(3, 3, "answer", True)], InquiryStatus.ANSWERED, 3),
    ],
)
def test_by_example(
    entries: list[DeliveredMessage | StatusChange], waits: list[Brief], status: InquiryStatus, handled: int | None
) -> None:
    state = conversation_state(*_split(entries))
    assert [brief(wait) for wait in state.waits] == waits
    assert state.status is status
    assert state.handled_at == (at(handled) if handled is not None else None)


def _split(entries: list[DeliveredMessage | StatusChange]) -> tuple[list[DeliveredMessage], list[StatusChange]]:
    return [entry for entry in entries if isinstance(entry, DeliveredMessage)], [
        entry for entry in entries if isinstance(entry, StatusChange)
    ]


minutes = st.integers(0, 30)
any_message = st.one_of(
    st.builds(lambda m, d: customer(m, deleted=d), minutes, st.booleans()),
    st.builds(lambda m, a, d: agency(m, automatic=a, deleted=d), minutes, st.booleans(), st.booleans()),
)
status_changes = st.one_of(
    st.builds(lambda m, t, a: resolved(m, t, automatic=a), minutes, st.none() | minutes, st.booleans()),
    st.builds(reopened, minutes),
)
threads = st.lists(any_message, max_size=8)
decisions = st.lists(status_changes, max_size=3)


@given(threads, decisions, st.data())
def test_the_order_of_messages_does_not_matter(
    messages: list[DeliveredMessage], changes: list[StatusChange], data: st.DataObject
) -> None:
    assert conversation_state(data.draw(st.permutations(messages)), changes) == conversation_state(messages, changes)


@given(threads, decisions)
def test_waits_are_in_order_and_do_not_overlap(messages: list[DeliveredMessage], changes: list[StatusChange]) -> None:
    state = conversation_state(messages, changes)
    for wait in state.waits:
        assert wait.ended_at is None or wait.started_at <= wait.ended_at
    for one, following in pairwise(state.waits):
        assert one.ended_at is not None
        assert one.ended_at <= following.started_at
        assert one.started_at < following.started_at
    assert (state.status is InquiryStatus.OPEN) == any(wait.ended_at is None for wait in state.waits)


@given(threads, decisions, minutes)
def test_an_automatic_answer_changes_nothing(
    messages: list[DeliveredMessage], changes: list[StatusChange], minute: int
) -> None:
    assert conversation_state([*messages, agency(minute, automatic=True)], changes) == conversation_state(
        messages, changes
    )


@given(threads)
def test_without_status_changes_waits_match_the_slow_algorithm(messages: list[DeliveredMessage]) -> None:
    """The slow algorithm: for each real answer, the earliest question since the real answer before it."""
    customer_times = sorted(s.at for s in messages if s.author is MessageDirection.CUSTOMER and s.deleted_at is None)
    deleted = sorted(s.at for s in messages if s.author is MessageDirection.CUSTOMER and s.deleted_at is not None)
    real = sorted(
        {s.at for s in messages if s.author is MessageDirection.AGENCY and not s.automatic and s.deleted_at is None}
    )
    waits: list[tuple[datetime, datetime | None]] = []
    for previous, answer in pairwise([None, *real, None]):
        after, until = previous or at(-1), answer or at(999)
        start = [moment for moment in customer_times if after < moment <= until]
        if answer is not None and not start:
            start = [moment for moment in deleted if after < moment <= until]
        if start:
            waits.append((start[0], answer))
    assert [(wait.started_at, wait.ended_at) for wait in conversation_state(messages, []).waits] == waits


@given(threads, decisions)
def test_handled_at_is_when_a_person_first_answered_or_resolved(
    messages: list[DeliveredMessage], changes: list[StatusChange]
) -> None:
    state = conversation_state(messages, changes)
    by_people = [change.at for change in changes if change.transition is Transition.RESOLVED and not change.automatic]
    first = [moment for moment in (state.first_answered_at,) if moment is not None]
    assert (state.handled_at is None) == (not by_people and not first)
    robots = [dataclasses.replace(change, automatic=True) for change in changes]
    assert conversation_state(messages, robots).handled_at == state.first_answered_at
    assert all(wait.ended_by is not EndedBy.RESOLUTION for wait in conversation_state(messages, []).waits)


def episode(start: int, end: int, *, automatic: bool = False) -> Episode:
    return Episode(at(start), at(end), automatic)


@pytest.mark.parametrize(
    ("entries", "episodes"),
    [
        ([customer(0), agency(2)], []),
        ([customer(0), customer(1), agency(2), customer(3), resolved(6)], [episode(0, 6)]),
        ([customer(0), resolved(6), customer(20), agency(25), resolved(30)], [episode(0, 6), episode(20, 30)]),
        ([customer(0), agency(2), resolved(6), reopened(10), resolved(15)], [episode(0, 6), episode(10, 15)]),
        # Of what was reopened before it was resolved, only the part after that is resolved.
        ([customer(0), agency(2), reopened(10), resolved(15)], [episode(10, 15)]),
        ([customer(0), resolved(6, automatic=True)], [episode(0, 6, automatic=True)]),
        # A person confirms an automatic resolution.
        ([customer(0), resolved(6, automatic=True), resolved(9)], [episode(0, 9)]),
        ([customer(0), resolved(6, automatic=True), resolved(8, automatic=True)], [episode(0, 6, automatic=True)]),
        (
            [customer(0), resolved(6, automatic=True), customer(8), resolved(9)],
            [episode(0, 6, automatic=True), episode(8, 9)],
        ),
        # The customer wrote meanwhile: the resolution ends what it covers, and the rest goes on.
        ([customer(0), customer(4), resolved(6, through=0), resolved(9)], [episode(0, 6), episode(6, 9)]),
        ([customer(0), agency(2), customer(4), resolved(6, through=2)], []),
        ([customer(0, deleted=True), resolved(6)], []),
    ],
)
def test_episodes_by_example(entries: list[DeliveredMessage | StatusChange], episodes: list[Episode]) -> None:
    assert list(conversation_state(*_split(entries)).episodes) == episodes


@given(threads, decisions)
def test_episodes_begin_with_opening_waits_and_do_not_overlap(
    messages: list[DeliveredMessage], changes: list[StatusChange]
) -> None:
    state = conversation_state(messages, changes)
    openings = {wait.started_at for wait in state.waits if wait.opening}
    ends = {change.effective_at for change in changes if change.transition is Transition.RESOLVED}
    for one in state.episodes:
        assert one.started_at in openings
        assert one.resolved_at in ends
        assert one.started_at <= one.resolved_at
    for one, following in pairwise(state.episodes):
        assert one.resolved_at <= following.started_at
        assert one.started_at < following.started_at
