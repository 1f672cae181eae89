"""Telegram's own updates, from the webhook to what the API shows of them."""

import itertools
import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from app.communities.events import CommunityRef
from app.kit.clock import SetClock
from app.platforms.telegram.adapter import Telegram
from tests.communities.conftest import START
from tests.communities.inbound.test_comment_counts import apply_events, settle
from tests.conftest import Agency

CHANNEL = {"id": -1001, "type": "channel", "title": "Coffee", "username": "coffee"}
PRIVATE = {"id": 5, "type": "private", "first_name": "Ann"}
ANN = {"id": 5, "is_bot": False, "first_name": "Ann"}
SENT = int(START.timestamp())
NUMBERS = itertools.count(1)


def message(number: int, chat: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"message_id": number, "date": SENT + number, "chat": chat, **more}


async def receive(agency: Agency, ref: CommunityRef, *updates: dict[str, Any]) -> None:
    """Each update in a call of its own."""
    for update in updates:
        body = json.dumps({"update_id": next(NUMBERS), **update}).encode()
        await apply_events(agency, ref, Telegram.parse_event(body))


async def publications(agency: Agency) -> list[tuple[str, str]]:
    async with agency.resources.transaction(agency.workspace_id) as session:
        rows = await session.execute(text("SELECT external_id, text FROM publication ORDER BY external_id"))
        return [(row.external_id, row.text) for row in rows]


async def test_an_album_without_words_is_one_post_with_its_reactions(agency: Agency, project_id: str) -> None:
    ref = await settle(agency, project_id)
    parts = [{"channel_post": message(number, CHANNEL, photo=[{}], media_group_id="1")} for number in (8, 9, 10)]
    reactions = {"chat": CHANNEL, "message_id": 8, "date": SENT + 60, "reactions": [{"total_count": 4}]}
    await receive(agency, ref, *parts, {"message_reaction_count": reactions})
    assert await publications(agency) == [("8", "")]
    async with agency.resources.transaction(agency.workspace_id) as session:
        assert await session.scalar(text("SELECT max(reactions) FROM post_snapshot")) == 4
    edited = message(9, CHANNEL, photo=[{}], media_group_id="1", caption="New cakes", edit_date=SENT + 99)
    await receive(agency, ref, {"edited_channel_post": edited})
    assert await publications(agency) == [("8", "New cakes")]


async def test_a_pressed_button_begins_an_inquiry_when_it_is_received(
    agency: Agency, project_id: str, clock: SetClock
) -> None:
    ref = await settle(agency, project_id)
    clock.advance(timedelta(hours=3))
    keyboard = {"inline_keyboard": [[{"text": "What does delivery cost?", "callback_data": "delivery"}]]}
    below = message(7, PRIVATE, text="Hello!", reply_markup=keyboard)
    query = {"id": "4382", "from": ANN, "message": below, "chat_instance": "1", "data": "delivery"}
    await receive(agency, ref, {"callback_query": query})
    [inquiry] = (await agency.get("/v1/inquiries"))["data"]
    assert (inquiry["preview"], inquiry["status"]) == ("What does delivery cost?", "open")
    assert datetime.fromisoformat(inquiry["opened_at"]) == clock.now()


async def test_an_edit_of_a_message_is_applied(agency: Agency, project_id: str) -> None:
    ref = await settle(agency, project_id)
    first = message(5, PRIVATE, text="One cup please", **{"from": ANN})
    await receive(agency, ref, {"message": first}, {"edited_message": first | {"text": "Two", "edit_date": SENT + 60}})
    [inquiry] = (await agency.get("/v1/inquiries"))["data"]
    [edited] = (await agency.get(f"/v1/inquiries/{inquiry['id']}"))["messages"]
    assert (edited["text"], inquiry["preview"]) == ("Two", "Two")


def member_changed(number: int, *, joined: bool, link: str | None = None) -> dict[str, Any]:
    """Somebody joined the channel or left it."""
    user = {"id": number, "is_bot": False, "first_name": "Ann"}
    states = [{"status": status, "user": user} for status in ("left", "member")]
    changed = {"chat": CHANNEL, "from": user, "date": SENT + number % 1000, "old_chat_member": states[not joined]}
    invite = {} if link is None else {"invite_link": {"invite_link": link, "creator": user}}
    return {"chat_member": {**changed, "new_chat_member": states[joined], **invite}}


async def test_who_joins_is_stored_once_and_known_by_a_hash_alone(agency: Agency, project_id: str) -> None:
    ref = await settle(agency, project_id)
    join = member_changed(77_700_123, joined=True, link="https://t.me/+AbCdEfGh…")
    for _ in range(2):
        await receive(
            agency, ref, join, member_changed(77_700_124, joined=True), member_changed(77_700_124, joined=False)
        )
    async with agency.resources.transaction(agency.workspace_id) as session:
        rows = (await session.execute(text("SELECT * FROM member_change ORDER BY at, joined"))).mappings().all()
        pending = await session.scalar(text("SELECT count(*) FROM inbound_event WHERE payload IS NOT NULL"))
    assert [(row["joined"], row["invite_link"]) for row in rows] == [
        (True, "https://t.me/+AbCdEfGh"),
        (False, None),
        (True, None),
    ]
    assert [len(row["member"]) for row in rows] == [16, 16, 16]
    assert len({row["member"] for row in rows}) == 2
    assert "77700123" not in str(rows)
    assert pending == 0, "what was applied is not kept"
