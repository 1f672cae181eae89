"""Polled and pushed messages, stored as inquiries."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select

from app.inquiries import previews
from app.inquiries.models import ResponseWait
from app.kit.events import EventRecord
from app.kit.i18n import translate, translate_count
from app.platforms.contract import Attachment, AttachmentKind, MessageKind, RemoteMessage, RemotePerson
from tests.conftest import Agency
from tests.inquiries.conftest import OLGA, OURS, InquirySetup, Post, connect_community

NOON = datetime(2026, 10, 14, 9, 0, tzinfo=UTC)
"""A Wednesday, 12:00 in Minsk."""
MINUTE = timedelta(minutes=1)


async def test_a_question_is_an_inquiry_until_it_is_answered(setup: InquirySetup) -> None:
    await setup.store_messages(setup.message("1", NOON))
    seen = await setup.only()
    assert (seen["status"], seen["kind"], seen["kind_by"]) == ("open", "question", "rule")
    assert seen["customer"] == {"id": "olga", "name": "Olga"}
    assert [wait["working_seconds"] for wait in seen["waits"]] == [None]
    await setup.store_messages(setup.message("2", NOON + 5 * MINUTE, "Пять рублей.", by=OURS))
    seen = await setup.only()
    assert seen["status"] == "answered"
    assert seen["first_answered_at"] == seen["handled_at"] == "2026-10-14T09:05:00Z"
    assert [(wait["working_seconds"], wait["ended_by"], wait["opening"]) for wait in seen["waits"]] == [
        (300, "answer", True)
    ]
    assert [message["text"] for message in seen["messages"]] == ["Сколько стоит?", "Пять рублей."]


async def test_own_messages_alone_are_no_inquiry_but_are_stored(setup: InquirySetup) -> None:
    await setup.store_messages(setup.message("2", NOON + MINUTE, "Пять рублей.", by=OURS))
    assert await setup.inquiries() == []
    await setup.store_messages(setup.message("1", NOON))
    seen = await setup.only()
    assert (seen["status"], seen["waits"][0]["working_seconds"]) == ("answered", 60)
    assert len(seen["messages"]) == 2


async def test_a_message_only_seen_deleted_is_not_shown_or_counted(setup: InquirySetup) -> None:
    gone = setup.message("1", NOON, "", by=RemotePerson("", ""), deleted=True)
    await setup.store_messages(gone)
    assert await setup.inquiries() == []
    await setup.store_messages(setup.message("1", NOON))
    seen = await setup.only()
    assert (seen["status"], seen["resolved_automatically"], seen["handled_at"]) == ("resolved", True, None)
    assert seen["messages"][0]["text"] == "Сколько стоит?"
    assert seen["waits"] == []


async def test_whether_a_message_is_hidden_is_that_of_the_latest_report_that_says_so(setup: InquirySetup) -> None:
    await setup.store_messages(setup.message("1", NOON))
    assert (await setup.only())["messages"][0]["hidden"] is None, "unknown is not False"
    for reported, visible in ((True, True), (None, True), (False, False)):
        await setup.store_messages(setup.message("1", NOON, hidden=reported))
        assert (await setup.only())["messages"][0]["hidden"] is visible


async def test_an_answered_message_that_is_deleted_later_keeps_its_wait(setup: InquirySetup) -> None:
    await setup.store_messages(setup.message("1", NOON), setup.message("2", NOON + MINUTE, "Да.", by=OURS))
    before = (await setup.only())["waits"]
    await setup.store_messages(setup.message("1", NOON, "", deleted=True))
    seen = await setup.only()
    assert seen["waits"] == before
    assert seen["status"] == "answered"


async def test_a_late_message_moves_the_wait_it_belongs_to(setup: InquirySetup) -> None:
    await setup.store_messages(
        setup.message("2", NOON + 5 * MINUTE), setup.message("3", NOON + 10 * MINUTE, "Да.", by=OURS)
    )
    await setup.store_messages(setup.message("1", NOON))
    assert [wait["working_seconds"] for wait in (await setup.only())["waits"]] == [600]
    await setup.store_messages(setup.message("4", NOON + 2 * MINUTE, "Сейчас.", by=OURS))
    assert [wait["working_seconds"] for wait in (await setup.only())["waits"]] == [120, 300]


async def test_a_repeat_changes_nothing_at_all(setup: InquirySetup) -> None:
    await setup.store_messages(setup.message("1", NOON))
    before = await setup.only()
    await setup.store_messages(setup.message("1", NOON), setup.message("1", NOON, by=RemotePerson("olga", "")))
    assert await setup.only() == before


async def test_an_edit_counts_and_an_older_one_does_not(setup: InquirySetup) -> None:
    edited = setup.message("1", NOON, "Спасибо!", edited_at=NOON + MINUTE)
    await setup.store_messages(edited)
    await setup.store_messages(setup.message("1", NOON))
    seen = await setup.only()
    assert (seen["kind"], seen["messages"][0]["text"]) == ("thanks", "Спасибо!")


PICTURE = Attachment(AttachmentKind.PICTURE, "https://platform.example/1.jpg", "Our table")


async def test_a_picture_alone_is_shown_in_words(setup: InquirySetup) -> None:
    await setup.store_messages(setup.message("1", NOON, "", attachments=(PICTURE,)))
    seen = await setup.only()
    assert seen["preview"] == "[picture: Our table]"
    assert seen["messages"][0]["text"] == ""
    assert seen["messages"][0]["attachments"] == [
        {"kind": "picture", "url": "https://platform.example/1.jpg", "name": "Our table"}
    ]
    many = (PICTURE, Attachment(AttachmentKind.PICTURE), Attachment(AttachmentKind.VOICE))
    await setup.store_messages(setup.message("2", NOON + MINUTE, "", attachments=many))
    assert (await setup.only())["preview"] == "[2 pictures, voice message]"
    await setup.store_messages(setup.message("3", NOON + 2 * MINUTE, "Это ваш?", attachments=(PICTURE,)))
    assert (await setup.only())["preview"] == "Это ваш?"
    assert await setup.inquiries(q="ваш") != []


async def test_attachments_follow_edits_and_survive_reports_without_them(setup: InquirySetup) -> None:
    await setup.store_messages(setup.message("1", NOON, "", attachments=(PICTURE,)))
    before = await setup.only()
    await setup.store_messages(setup.message("1", NOON, "", attachments=(PICTURE,)))
    await setup.store_messages(setup.message("1", NOON, ""))
    assert await setup.only() == before
    await setup.store_messages(setup.message("1", NOON, "Нет", edited_at=NOON + MINUTE))
    seen = await setup.only()
    assert (seen["preview"], seen["messages"][0]["attachments"]) == ("Нет", [])


async def test_a_wait_keeps_the_hours_in_force_when_it_ended(setup: InquirySetup) -> None:
    await setup.store_messages(setup.message("1", NOON), setup.message("2", NOON + 5 * MINUTE, "Да.", by=OURS))
    closed: dict[str, Any] = {"week": {}}
    await setup.agency.put(f"/v1/projects/{setup.ref.project_id}/working-hours", closed)
    await setup.store_messages(setup.message("3", NOON + 60 * MINUTE, "А завтра?"))
    await setup.store_messages(setup.message("4", NOON + 70 * MINUTE, "Тоже.", by=OURS))
    assert [wait["working_seconds"] for wait in (await setup.only())["waits"]] == [300, 0]


async def test_events_are_published_once(setup: InquirySetup, agency: Agency) -> None:
    for _ in range(2):
        await setup.store_messages(setup.message("1", NOON), setup.message("2", NOON + MINUTE, "Да.", by=OURS))
    await setup.store_messages(setup.message("3", NOON + 2 * MINUTE))
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        topics = await connection.scalars(
            select(EventRecord.topic).where(
                EventRecord.workspace_id == agency.workspace_id, EventRecord.topic.like("inquiry.%")
            )
        )
        assert sorted(topics) == ["inquiry.answered", "inquiry.received", "inquiry.reopened"]


async def test_the_same_ids_in_another_agency_are_other_messages(
    setup: InquirySetup, rival: Agency, post: Post
) -> None:
    elsewhere = await connect_community(rival)
    await setup.store_messages(setup.message("1", NOON))
    assert await elsewhere.inquiries() == []
    await elsewhere.store_messages(elsewhere.message("1", NOON))
    in_workspace = await setup.only()
    await rival.get(f"/v1/inquiries/{in_workspace['id']}", status=404)
    await rival.get(f"/v1/inquiries/{in_workspace['id']}/messages", status=404)
    await rival.get(f"/v1/inquiries/{in_workspace['id']}/events", status=404)
    await rival.post(f"/v1/inquiries/{in_workspace['id']}/messages", {"text": "Hi"}, status=404)
    assert len((await rival.get("/v1/inquiries"))["data"]) == 1


async def test_a_thousand_messages_are_a_handful_of_statements(setup: InquirySetup) -> None:
    messages = [
        setup.message(f"{thread}-{n}", NOON + (thread + n) * MINUTE, thread_id=str(thread), by=OURS if n else OLGA)
        for thread in range(500)
        for n in range(2)
    ]
    statements = 0

    def count(*_: Any) -> None:
        nonlocal statements
        statements += 1

    engine = setup.agency.resources.db._write.sync_engine
    event.listen(engine, "before_cursor_execute", count)
    try:
        await setup.store_messages(*messages)
        first, statements = statements, 0
        await setup.store_messages(*messages)
        again = statements
    finally:
        event.remove(engine, "before_cursor_execute", count)
    assert first <= 18
    assert again <= 3
    async with setup.agency.resources.transaction(setup.ref.workspace_id) as session:
        ended = select(func.count()).where(
            ResponseWait.community_id == setup.ref.community_id, ResponseWait.ended_by == "answer"
        )
        assert await session.scalar(ended) == 500


async def test_concurrent_polls_and_inbound_events_lose_nothing(setup: InquirySetup) -> None:
    messages = [
        setup.message(f"{thread}-{n}", NOON + n * MINUTE, thread_id=str(thread), by=OURS if n else OLGA)
        for thread in range(12)
        for n in range(2)
    ]
    await asyncio.gather(*(setup.store_messages(message) for message in reversed(messages)))
    inquiries = await setup.inquiries()
    assert [inquiry["status"] for inquiry in inquiries] == ["answered"] * 12
    assert all(message.inquiry_id is not None for message in await setup.stored())


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


async def _stored_state(setup: InquirySetup) -> Any:
    """All stored rows, without the columns that differ between communities."""
    inquiries = []
    for inquiry in await setup.inquiries():
        full = await setup.agency.get(f"/v1/inquiries/{inquiry['id']}")
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
        for row in sorted(await setup.stored(), key=lambda row: str(row.external_id))
    ]
    return inquiries, rows


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(pages=sightings(), data=st.data())
async def test_any_order_and_any_repetition_give_the_same(
    agency: Agency, post: Post, pages: list[list[RemoteMessage]], data: st.DataObject
) -> None:
    straight, crooked = await connect_community(agency), await connect_community(agency)
    for page in pages:
        await straight.store_messages(*page)
    for page in data.draw(st.permutations([*pages, *data.draw(st.lists(st.sampled_from(pages), max_size=3))])):
        await crooked.store_messages(*data.draw(st.permutations(page)))
    assert await _stored_state(crooked) == await _stored_state(straight)


async def test_attachments_are_described_in_the_readers_language(setup: InquirySetup, agency: Agency) -> None:
    """Of a message without a text; a text stays as it is, whatever it looks like."""
    menu = Attachment(AttachmentKind.FILE, None, "menu.pdf")
    await setup.store_messages(setup.message("1", NOON, "", attachments=(PICTURE, PICTURE, menu)))
    for language, text in [("ru", "[2 картинки, файл: menu.pdf]"), ("de", "[2 pictures, file: menu.pdf]")]:
        headers = {"accept-language": language}
        (listed,) = (await agency.http.get("/v1/inquiries", headers=headers)).json()["data"]
        read = (await agency.http.get(f"/v1/inquiries/{listed['id']}", headers=headers)).json()
        assert (listed["preview"], read["preview"]) == (text, text)
    await setup.store_messages(setup.message("2", NOON + MINUTE, "[picture]"))
    (listed,) = (await agency.http.get("/v1/inquiries", headers={"accept-language": "ru"})).json()["data"]
    assert listed["preview"] == "[picture]"


def test_every_kind_of_attachment_has_its_words() -> None:
    for kind in AttachmentKind:
        one, many = previews.KIND_NAMES[kind]
        assert translate(one, "ru") != one
        assert translate_count(many, 5, "ru") != many.format(count=5)
