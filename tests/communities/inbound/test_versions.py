"""Events of edits, of parts of an album, without a time, and of messages that somebody wrote for the community."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.kit.clock import SetClock
from app.platforms.capabilities import Event
from app.platforms.contract import MessageKind, Metric, PostMetrics, RemoteMessage, RemotePerson, RemotePost
from tests.communities.conftest import START
from tests.communities.inbound.conftest import InboundSetup

MINUTE = timedelta(minutes=1)
OLGA = RemotePerson("olga", "Olga")
QUESTION = RemoteMessage("m1", "olga", MessageKind.MESSAGE, OLGA, "Are you open?", START)


def post(number: int, text: str = "News", **changes: Any) -> RemotePost:
    """A post of the community, sent so many seconds after the start."""
    at, post_id = START + timedelta(seconds=number), str(number)
    return replace(RemotePost(post_id, f"https://fake.test/{post_id}", text, at, PostMetrics(post_id, {})), **changes)


async def publications(inbound: InboundSetup) -> list[tuple[Any, ...]]:
    return await inbound.rows("SELECT external_id, url, text FROM publication ORDER BY external_id")


async def only_inquiry(inbound: InboundSetup) -> Any:
    [inquiry] = (await inbound.agency.get("/v1/inquiries"))["data"]
    return await inbound.agency.get(f"/v1/inquiries/{inquiry['id']}")


# ── posts ─────────────────────────────────────────────────────────────────────────────────────────


async def test_an_edit_of_a_post_is_applied_and_an_older_version_is_not(inbound: InboundSetup) -> None:
    path = await inbound.open(await inbound.connect("a"))
    await inbound.deliver(path, Event("1", "a", posts=(post(1),)))
    await inbound.deliver(path, Event("2", "a", posts=(post(1, "Good news", edited_at=START + 2 * MINUTE),)))
    await inbound.deliver(path, Event("3", "a", posts=(post(1, "Old news", edited_at=START + MINUTE),)))
    await inbound.deliver(path, Event("4", "a", posts=(post(1),)))
    assert await publications(inbound) == [("1", "https://fake.test/1", "Good news")]
    edits = Event("5", "a", posts=(post(1, "x", edited_at=START + 3 * MINUTE), post(1, "y", edited_at=START)))
    await inbound.deliver(path, edits, Event("6", "a", posts=(post(1, "Better", edited_at=START + 4 * MINUTE),)))
    assert await publications(inbound) == [("1", "https://fake.test/1", "Better")], "also of several at once"


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("order", [(8, 9, 10), (10, 9, 8), (9, 8, 10)])
@pytest.mark.parametrize("with_text", [None, 8, 10])
async def test_the_parts_of_an_album_are_one_post(
    inbound: InboundSetup, together: bool, order: tuple[int, ...], with_text: int | None
) -> None:
    path = await inbound.open(await inbound.connect("a"))
    parts = [post(number, "News" if number == with_text else "", album="5") for number in order]
    events = [Event(f"{part.external_id}", "a", posts=(part,)) for part in parts]
    other = Event("20", "a", posts=(post(20, "", album="6"), post(21, "Alone")))
    if together:
        await inbound.deliver(path, *events, other)
    else:
        for event in (*events, other):
            await inbound.deliver(path, event)
    reactions = PostMetrics("8", {Metric.REACTIONS: 3})
    await inbound.deliver(path, Event("r", "a", metrics=(reactions,), at=START + MINUTE))
    first = ("8", "https://fake.test/8", "News" if with_text else "")
    others = [("20", "https://fake.test/20", ""), ("21", "https://fake.test/21", "Alone")]
    assert await publications(inbound) == sorted([first, *others])
    query = "SELECT p.external_id, s.reactions FROM post_snapshot s JOIN publication p ON p.id = s.publication_id"
    assert ("8", 3) in await inbound.rows(query)


async def test_an_edit_of_an_albums_part_is_one_of_the_album(inbound: InboundSetup) -> None:
    path = await inbound.open(await inbound.connect("a"))
    await inbound.deliver(path, Event("1", "a", posts=(post(8, album="5"), post(9, "", album="5"))))
    edited = post(9, "", album="5", edited_at=START + MINUTE)
    await inbound.deliver(path, Event("2", "a", posts=(edited,)))
    assert await publications(inbound) == [("8", "https://fake.test/8", "News")], "another picture, the same words"
    edited = post(9, "Good news", album="5", edited_at=START + 2 * MINUTE)
    await inbound.deliver(path, Event("3", "a", posts=(edited,)))
    assert await publications(inbound) == [("8", "https://fake.test/8", "Good news")]


# ── messages ──────────────────────────────────────────────────────────────────────────────────────


async def test_an_edit_that_changed_nothing_is_no_second_inquiry(inbound: InboundSetup, clock: SetClock) -> None:
    """A reaction makes Telegram send the message again as edited."""
    path = await inbound.open(await inbound.connect("a"))
    await inbound.deliver(path, Event("1", "a", messages=(QUESTION,)))
    before = await only_inquiry(inbound)
    await inbound.agency.post(f"/v1/inquiries/{before['id']}/resolve", {"reason": "By phone"}, status=200)
    clock.advance(timedelta(hours=1))
    await inbound.deliver(path, Event("2", "a", messages=(replace(QUESTION, edited_at=START + 30 * MINUTE),)))
    after = await only_inquiry(inbound)
    assert (after["status"], len(after["messages"])) == ("resolved", 1)
    assert after["last_message_at"] == before["last_message_at"]


async def test_an_event_without_a_time_is_dated_when_it_is_received(inbound: InboundSetup, clock: SetClock) -> None:
    path = await inbound.open(await inbound.connect("a"))
    clock.advance(timedelta(hours=2))
    long_ago = START - timedelta(days=400)
    await inbound.deliver(path, Event("1", "a", messages=(replace(QUESTION, sent_at=long_ago),), undated=True))
    [message] = (await only_inquiry(inbound))["messages"]
    assert datetime.fromisoformat(message["sent_at"]) == clock.now()


async def test_an_answer_names_the_account_of_the_person_who_wrote_it(inbound: InboundSetup) -> None:
    path = await inbound.open(await inbound.connect("a"))
    community = RemotePerson("a", "Coffee", is_community=True)
    answer = replace(QUESTION, external_id="m2", author=community, text="Until six", sent_at=START + MINUTE)
    await inbound.deliver(path, Event("1", "a", messages=(QUESTION, answer)))
    [question, unsigned] = (await only_inquiry(inbound))["messages"]
    assert (question["written_by_id"], unsigned["written_by_id"]) == (None, None)
    await inbound.deliver(path, Event("2", "a", messages=(replace(answer, written_by_id="77"),)))
    await inbound.deliver(path, Event("3", "a", messages=(answer,)))
    [_, signed] = (await only_inquiry(inbound))["messages"]
    assert signed["written_by_id"] == "77", "a list without it does not remove it"
