"""Who joins a VK community and who leaves it."""

from dataclasses import replace
from typing import Final

import pytest

from app.platforms.capabilities import JoinOrLeave
from app.platforms.vk import hooks
from app.platforms.vk.adapter import Vk
from tests.platforms.contract.stage import Subject
from tests.platforms.vk.events import event, only_event
from tests.platforms.vk.test_sandbox import SECRETS, URL
from tests.platforms.vk.test_sandbox import s as s
from tests.platforms.vk.test_sandbox import vk as vk

JOINS: Final = {"join": True, "unsure": False, "accepted": True, "approved": True, "request": False}
"""The answers to a community, and whether they make somebody a member."""


@pytest.mark.parametrize("answer", JOINS)
def test_only_who_becomes_a_member_has_joined(answer: str) -> None:
    """An application, and "Maybe" to an event, make nobody a member."""
    received = only_event(event("group_join", {"user_id": 5, "join_type": answer}))
    assert (received.account_id, received.unparsed) == ("77", None)
    assert [(one.account_id, one.joined, one.invite_link) for one in received.members] == (
        [("5", True, None)] if JOINS[answer] else []
    )
    assert received.undated, "VK does not say when it was"


@pytest.mark.parametrize("by_themselves", [0, 1, None])
def test_who_left_or_was_removed_has_left(by_themselves: int | None) -> None:
    more = {} if by_themselves is None else {"self": by_themselves}
    (one,) = only_event(event("group_leave", {"user_id": 5, **more})).members
    assert isinstance(one, JoinOrLeave)
    assert (one.account_id, one.joined) == ("5", False)


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("group_join", {"user_id": 5, "join_type": "invited"}),
        ("group_join", {"user_id": 5}),
        ("group_join", {"user_id": 0, "join_type": "join"}),
        ("group_join", {"user_id": "5", "join_type": "join"}),
        ("group_leave", {"self": 1}),
        ("group_leave", {}),
    ],
)
def test_an_answer_that_is_not_understood_is_kept_for_a_later_version(kind: str, subject: dict[str, object]) -> None:
    received = only_event(event(kind, subject))
    assert received.members == ()
    assert received.unparsed is not None


async def test_a_server_that_was_set_before_joins_were_read_is_set_again(s: Subject, vk: Vk) -> None:
    await vk.subscribe(s.c, URL, SECRETS)
    [ours] = s.sandbox.network.hooks.of(s.community)
    assert {"group_join", "group_leave"} <= ours.topics
    ours.topics -= {"group_join", "group_leave"}
    state = await vk.subscription(s.c, URL)
    assert (state.subscribed, state.outdated) == (False, True)
    assert state.detail == "VK does not send: group_join, group_leave"
    await vk.subscribe(s.c, URL, SECRETS)
    [ours] = s.sandbox.network.hooks.of(s.community)
    assert set(hooks.EVENTS) <= ours.topics
    assert not (await vk.subscription(s.c, URL)).outdated
    await vk.unsubscribe(s.c, URL)
    assert not (await vk.subscription(s.c, URL)).outdated, "a server that somebody removed is left alone"


def test_a_repeat_is_told_from_another_join_by_its_id() -> None:
    join = event("group_join", {"user_id": 5, "join_type": "join"})
    first, repeated, another = (only_event(one) for one in (join, join, {**join, "event_id": "e2"}))
    assert first == repeated
    assert first.event_id != another.event_id
    assert replace(another, event_id=first.event_id) == first
