"""Polled and pushed messages, stored as inquiries."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select

from app.inquiries.models import ResponseWait
from app.kit.events import EventRecord
from app.platforms.contract import MessageKind, RemoteMessage, RemotePerson
from tests.conftest import Agency
from tests.inquiries.conftest import OLGA, OURS, Post, Town, settle

NOON = datetime(2026, 10, 14, 9, 0, tzinfo=UTC)
"""A Wednesday, 12:00 in Minsk."""
MINUTE = timedelta(minutes=1)


async def test_a_question_is_an_inquiry_until_it_is_answered(town: Town) -> None:
    await town.see(town.said("1", NOON))
    seen = await town.only()
    assert (seen["status"], seen["kind"], seen["kind_by"]) == ("open", "question", "rule")
    assert seen["customer"] == {"id": "olga", "name": "Olga"}
    assert [wait["working_seconds"] for wait in seen["waits"]] == [None]
    await town.see(town.said("2", NOON + 5 * MINUTE, "Пять рублей.", by=OURS))
    seen = await town.only()
    assert seen["status"] == "answered"
    assert seen["first_answered_at"] == seen["handled_at"] == "2026-10-14T09:05:00.000000Z"
    assert [(wait["working_seconds"], wait["ended_by"], wait["opening"]) for wait in seen["waits"]] == [
        (300, "answer", True)
    ]
    assert [message["text"] for message in seen["messages"]] == ["Сколько стоит?", "Пять рублей."]


async def test_own_messages_alone_are_no_inquiry_but_are_stored(town: Town) -> None:
    await town.see(town.said("2", NOON + MINUTE, "Пять рублей.", by=OURS))
    assert await town.inquiries() == []
    await town.see(town.said("1", NOON))
    seen = await town.only()
    assert (seen["status"], seen["waits"][0]["working_seconds"]) == ("answered", 60)
    assert len(seen["messages"]) == 2


async def test_a_message_only_seen_deleted_is_not_shown_or_counted(town: Town) -> None:
    gone = town.said("1", NOON, "", by=RemotePerson("", ""), deleted=True)
    await town.see(gone)
    assert await town.inquiries() == []
    await town.see(town.said("1", NOON))
    seen = await town.only()
    assert (seen["status"], seen["resolved_automatically"], seen["handled_at"]) == ("resolved", True, None)
    assert seen["messages"][0]["text"] == "Сколько стоит?"
    assert seen["waits"] == []


async def test_an_answered_message_that_is_deleted_later_keeps_its_wait(town: Town) -> None:
    await town.see(town.said("1", NOON), town.said("2", NOON + MINUTE, "Да.", by=OURS))
    before = (await town.only())["waits"]
    await town.see(town.said("1", NOON, "", deleted=True))
    seen = await town.only()
    assert seen["waits"] == before
    assert seen["status"] == "answered"


async def test_a_late_message_moves_the_wait_it_belongs_to(town: Town) -> None:
    await town.see(town.said("2", NOON + 5 * MINUTE), town.said("3", NOON + 10 * MINUTE, "Да.", by=OURS))
    await town.see(town.said("1", NOON))
    assert [wait["working_seconds"] for wait in (await town.only())["waits"]] == [600]
    await town.see(town.said("4", NOON + 2 * MINUTE, "Сейчас.", by=OURS))
    assert [wait["working_seconds"] for wait in (await town.only())["waits"]] == [120, 300]


async def test_a_repeat_changes_nothing_at_all(town: Town) -> None:
    await town.see(town.said("1", NOON))
    before = await town.only()
    await town.see(town.said("1", NOON), town.said("1", NOON, by=RemotePerson("olga", "")))
    assert await town.only() == before


async def test_an_edit_counts_and_an_older_one_does_not(town: Town) -> None:
    edited = town.said("1", NOON, "Спасибо!", edited_at=NOON + MINUTE)
    await town.see(edited)
    await town.see(town.said("1", NOON))
    seen = await town.only()
    assert (seen["kind"], seen["messages"][0]["text"]) == ("thanks", "Спасибо!")


async def test_a_wait_keeps_the_hours_in_force_when_it_ended(town: Town) -> None:
    await town.see(town.said("1", NOON), town.said("2", NOON + 5 * MINUTE, "Да.", by=OURS))
    closed: dict[str, Any] = {"week": {}}
    await town.agency.put(f"/v1/projects/{town.place.project_id}/working-hours", closed)
    await town.see(town.said("3", NOON + 60 * MINUTE, "А завтра?"))
    await town.see(town.said("4", NOON + 70 * MINUTE, "Тоже.", by=OURS))
    assert [wait["working_seconds"] for wait in (await town.only())["waits"]] == [300, 0]


async def test_events_are_published_once(town: Town, agency: Agency) -> None:
    for _ in range(2):
        await town.see(town.said("1", NOON), town.said("2", NOON + MINUTE, "Да.", by=OURS))
    await town.see(town.said("3", NOON + 2 * MINUTE))
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        topics = await connection.scalars(
            select(EventRecord.topic).where(
                EventRecord.workspace_id == agency.workspace_id, EventRecord.topic.like("inquiry.%")
            )
        )
        assert sorted(topics) == ["inquiry.answered", "inquiry.received", "inquiry.reopened"]


async def test_the_same_ids_in_another_agency_are_other_messages(town: Town, rival: Agency, post: Post) -> None:
    elsewhere = await settle(rival)
    await town.see(town.said("1", NOON))
    assert await elsewhere.inquiries() == []
    await elsewhere.see(elsewhere.said("1", NOON))
    in_workspace = await town.only()
    await rival.get(f"/v1/inquiries/{in_workspace['id']}", status=404)
    await rival.get(f"/v1/inquiries/{in_workspace['id']}/messages", status=404)
    await rival.get(f"/v1/inquiries/{in_workspace['id']}/events", status=404)
    await rival.post(f"/v1/inquiries/{in_workspace['id']}/messages", {"text": "Hi"}, status=404)
    assert len((await rival.get("/v1/inquiries"))["data"]) == 1


async def test_a_thousand_messages_are_a_handful_of_statements(town: Town) -> None:
    messages = [
        town.said(f"{thread}-{n}", NOON + (thread + n) * MINUTE, thread_id=str(thread), by=OURS if n else OLGA)
        for thread in range(500)
        for n in range(2)
    ]
    statements = 0

    def count(*_: Any) -> None:
        nonlocal statements
        statements += 1

    engine = town.agency.resources.db._write.sync_engine
    event.listen(engine, "before_cursor_execute", count)
    try:
        await town.see(*messages)
        first, statements = statements, 0
        await town.see(*messages)
        again = statements
    finally:
        event.remove(engine, "before_cursor_execute", count)
    assert first <= 15
    assert again <= 3
    async with town.agency.resources.transaction(town.place.workspace_id) as session:
        ended = select(func.count()).where(
            ResponseWait.community_id == town.place.community_id, ResponseWait.ended_by == "answer"
        )
        assert await session.scalar(ended) == 500


async def test_concurrent_polls_and_inbound_events_lose_nothing(town: Town) -> None:
    messages = [
        town.said(f"{thread}-{n}", NOON + n * MINUTE, thread_id=str(thread), by=OURS if n else OLGA)
        for thread in range(12)
        for n in range(2)
    ]
    await asyncio.gather(*(town.see(message) for message in reversed(messages)))
    found = await town.inquiries()
    assert [inquiry["status"] for inquiry in found] == ["answered"] * 12
    assert all(message.inquiry_id is not None for message in await town.stored())


@st.composite
def sightings(draw: st.DrawFn) -> list[list[RemoteMessage]]:
    """Pages of messages; some come in several editions, and some of those are deletions."""
    seen: list[RemoteMessage] = []
    for n in range(draw(st.integers(1, 7))):
        thread = draw(st.sampled_from(["a", "b"]))
        author = draw(st.sampled_from([OURS, OLGA]))
        at = NOON + draw(st.integers(0, 12)) * 10 * MINUTE
        texts = draw(st.lists(st.sampled_from(["Спасибо!", "Где?", "Не работает", "ок"]), min_size=1, max_size=3))
        for edition, text in enumerate(texts):
            seen.append(
                RemoteMessage(
                    external_id=f"m{n}",
                    thread_id=thread,
                    kind=MessageKind.MESSAGE,
                    author=author if draw(st.booleans()) or author is OURS else RemotePerson("olga", ""),
                    text=text,
                    sent_at=at,
                    edited_at=at + edition * MINUTE if edition else None,
                )
            )
        if draw(st.booleans()):
            seen.append(
                RemoteMessage(
                    external_id=f"m{n}",
                    thread_id=thread,
                    kind=MessageKind.MESSAGE,
                    author=author,
                    text="",
                    sent_at=at,
                    deleted=True,
                )
            )
    order = draw(st.permutations(seen))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(order) - 1)), max_size=3)))
    return [list(order[a:b]) for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]


async def _stored_state(town: Town) -> Any:
    """All stored rows, without the columns that differ between communities."""
    inquiries = []
    for inquiry in await town.inquiries():
        full = await town.agency.get(f"/v1/inquiries/{inquiry['id']}")
        own = {"id", "project_id", "community_id", "version"}
        inquiries.append(
            {
                **{name: value for name, value in full.items() if name not in own},
                "messages": sorted(
                    (
                        {name: value for name, value in message.items() if name not in {"id", "inquiry_id"}}
                        for message in full["messages"]
                    ),
                    key=lambda message: str(message["external_id"]),
                ),
            }
        )
    inquiries.sort(key=lambda inquiry: [message["external_id"] for message in inquiry["messages"]])
    rows = [
        (
            row.thread_id,
            row.external_id,
            row.text,
            row.sent_at,
            row.deleted_at,
            row.content_known,
            row.inquiry_id is not None,
        )
        for row in sorted(await town.stored(), key=lambda row: str(row.external_id))
    ]
    return inquiries, rows


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pages=sightings(), data=st.data())
async def test_any_order_and_any_repetition_give_the_same(
    agency: Agency, post: Post, pages: list[list[RemoteMessage]], data: st.DataObject
) -> None:
    straight, crooked = await settle(agency), await settle(agency)
    for page in pages:
        await straight.see(*page)
    for page in data.draw(st.permutations([*pages, *data.draw(st.lists(st.sampled_from(pages), max_size=3))])):
        await crooked.see(*data.draw(st.permutations(page)))
    assert await _stored_state(crooked) == await _stored_state(straight)
