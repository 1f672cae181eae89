"""A customer first known by name, then by id, or by another name: one thread, and one inquiry."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.kit.events import EventRecord
from app.platforms.contract import RemoteMessage, RemotePerson, thread_of_answers
from tests.conftest import Agency
from tests.inquiries.conftest import OURS, InquirySetup, Post

NOON = datetime(2026, 10, 14, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BY_NAME, BY_ID = RemotePerson("guest", "guest"), RemotePerson("9001", "guest")


def listed(message: RemoteMessage) -> RemoteMessage:
    """As a list reports it, which knows the customer best."""
    return replace(message, renames_thread=True)


@pytest.fixture
def messages(setup: InquirySetup) -> dict[str, RemoteMessage]:
    """A question that an event reports by the customer's name, a list by the id; later ones, and our answer."""
    return {
        "pushed": setup.message("c1", NOON, by=BY_NAME, thread_id="c1-guest"),
        "listed": listed(setup.message("c1", NOON, by=BY_ID, thread_id="c1-9001")),
        "second": setup.message("c2", NOON + MINUTE, "And tea?", by=BY_ID, thread_id="c1-9001"),
        "answer": listed(setup.message("c3", NOON + 10 * MINUTE, "Five.", by=OURS, thread_id="c1-9001")),
    }


async def test_the_stored_thread_takes_the_id_that_the_list_reports(
    setup: InquirySetup, messages: dict[str, RemoteMessage]
) -> None:
    await setup.store_messages(messages["pushed"])
    before = await setup.only()
    await setup.store_messages(messages["answer"], messages["listed"])
    after = await setup.only()
    assert (after["id"], after["status"]) == (before["id"], "answered")
    assert after["customer"] == {"id": "9001", "name": "guest"}
    assert [wait["working_seconds"] for wait in after["waits"]] == [600]
    assert {message.thread_id for message in await setup.stored()} == {"c1-9001"}


@pytest.mark.parametrize("classified", ["first", "second"])
async def test_two_inquiries_become_one_with_the_history_of_both(
    setup: InquirySetup, agency: Agency, post: Post, messages: dict[str, RemoteMessage], classified: str
) -> None:
    await setup.store_messages(messages["pushed"])
    (first,) = await setup.inquiries()
    await setup.store_messages(messages["second"])
    second = next(one for one in await setup.inquiries() if one["id"] != first["id"])
    by_person = {"first": first, "second": second}[classified]["id"]
    await agency.post(f"/v1/inquiries/{by_person}/classify", {"kind": "problem"}, status=200)
    await agency.post(f"/v1/inquiries/{second['id']}/messages", {"text": "Tea as well."}, status=202)
    await setup.store_messages(messages["listed"], messages["answer"])
    merged = await setup.only()
    assert (merged["id"], merged["status"], merged["kind"]) == (first["id"], "answered", "problem")
    assert [message["text"] for message in merged["messages"]][:3] == ["Сколько стоит?", "And tea?", "Five."]
    assert [wait["working_seconds"] for wait in merged["waits"]] == [600]
    events = (await agency.get(f"/v1/inquiries/{first['id']}/events"))["data"]
    assert {"classified", "replied", "merged"} == {event["type"] for event in events}
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        published = select(EventRecord.data).where(EventRecord.topic == "inquiry.merged")
        (data,) = (await connection.scalars(published)).all()
    assert (data["inquiry_id"], data["merged_inquiry_id"]) == (first["id"], second["id"])
    await agency.get(f"/v1/inquiries/{second['id']}", status=404)
    await agency.work("inquiries.send")
    assert [text for _, text, _ in post.sent] == ["Tea as well."]
    (to, *_) = post.sent[0]
    assert to.thread_id == "c1-9001"
    (sent,) = [one for one in (await setup.only())["messages"] if one["text"] == "Tea as well."]
    assert sent["delivery"] == "sent"


@pytest.mark.parametrize("order", [("pushed", "listed", "second", "answer"), ("second", "pushed", "answer", "listed")])
async def test_the_order_of_reports_makes_no_difference(
    setup: InquirySetup, messages: dict[str, RemoteMessage], order: tuple[str, ...]
) -> None:
    for name in (*order, "listed", "pushed"):
        await setup.store_messages(messages[name])
    seen: Any = await setup.only()
    assert (seen["status"], len(seen["messages"])) == ("answered", 3)
    assert [wait["working_seconds"] for wait in seen["waits"]] == [600]


async def test_a_report_that_does_not_rename_leaves_the_thread(
    setup: InquirySetup, messages: dict[str, RemoteMessage]
) -> None:
    """What an event knows of the customer is less than what the list knows."""
    await setup.store_messages(messages["listed"])
    await setup.store_messages(messages["pushed"])
    assert {message.thread_id for message in await setup.stored()} == {"c1-9001"}


@pytest.mark.parametrize(
    ("author", "threads"),
    [
        (RemotePerson("guest", "guest"), 1),
        (RemotePerson("9001", ""), 1),
        (RemotePerson("9001", "guest.of.new"), 1),
        (RemotePerson("9002", "other"), 2),
        (RemotePerson("9002", ""), 2),
    ],
)
@pytest.mark.parametrize("together", [True, False])
async def test_a_customer_who_answers_themselves_stays_in_the_thread(
    setup: InquirySetup, author: RemotePerson, threads: int, *, together: bool
) -> None:
    """An event does not say who wrote what the message answers: what is stored does, by the id or by the name."""
    first = setup.message("c1", NOON, by=BY_ID, thread_id="c1")
    guess = f"c1-{author.name or author.external_id}"
    more: dict[str, Any] = {"by": author, "thread_id": guess, "in_reply_to": "c1", "guesses_thread": True}
    second = setup.message("c2", NOON + MINUTE, "And tea?", **more)
    for batch in [(second, first)] if together else [(first,), (second,)]:
        await setup.store_messages(*batch)
    inquiries = await setup.inquiries()
    assert len(inquiries) == threads
    assert sorted({message.thread_id for message in await setup.stored()}) == ["c1", guess][:threads]


@pytest.mark.parametrize("order", [(0,), *itertools.permutations(range(4))], ids=str)
async def test_own_answers_join_what_they_answer_whichever_is_seen_first(
    setup: InquirySetup, order: tuple[int, ...]
) -> None:
    """The account's own list does not say which conversation an answer is part of."""

    def answer(key: str, at: datetime, to: str) -> RemoteMessage:
        more: dict[str, Any] = {"thread_id": thread_of_answers(to), "in_reply_to": to, "guesses_thread": True}
        return setup.message(key, at, key, by=OURS, **more)

    seen = (
        setup.message("q", NOON, by=BY_ID, thread_id="mention:q:9001"),
        answer("a1", NOON + 10 * MINUTE, "q"),
        answer("a2", NOON + 11 * MINUTE, "a1"),
        answer("elsewhere", NOON + 12 * MINUTE, "a-stranger's"),
    )
    for batch in [[seen[index]] for index in order] if len(order) > 1 else [list(reversed(seen))]:
        await setup.store_messages(*batch)
    inquiry = await setup.only()
    assert [message["text"] for message in inquiry["messages"]][1:] == ["a1", "a2"]
    assert [wait["working_seconds"] for wait in inquiry["waits"]] == [600]
