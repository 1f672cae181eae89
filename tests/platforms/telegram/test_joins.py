"""Who joins a channel and who leaves it, and through which link."""

from typing import Any

import pytest

from app.platforms.capabilities import JoinOrLeave
from app.platforms.telegram import translate
from app.platforms.telegram import wire_models as telegram
from tests.platforms.telegram.test_sandbox import Stage
from tests.platforms.telegram.test_sandbox import stage as stage

DATE = 1_790_000_000
USER = {"id": 7, "is_bot": False, "first_name": "Olga"}
STATES: dict[str, tuple[dict[str, Any], bool]] = {
    "creator": ({"status": "creator"}, True),
    "administrator": ({"status": "administrator"}, True),
    "member": ({"status": "member"}, True),
    "restricted member": ({"status": "restricted", "is_member": True}, True),
    "restricted": ({"status": "restricted", "is_member": False}, False),
    "left": ({"status": "left"}, False),
    "kicked": ({"status": "kicked"}, False),
}


def update(before: dict[str, Any], after: dict[str, Any], **more: Any) -> telegram.Update:
    """An update of a channel's member."""
    return telegram.UPDATE.validate_python(
        {
            "update_id": 1,
            "chat_member": {
                "chat": {"id": -1001, "type": "channel", "title": "Coffee"},
                "from": USER,
                "date": DATE,
                "old_chat_member": {**before, "user": USER},
                "new_chat_member": {**after, "user": USER},
                **more,
            },
        }
    )


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_only_joins_and_leaves_count(before: str, after: str) -> None:
    event = translate.to_event(update(STATES[before][0], STATES[after][0]), bot_id=None)
    if STATES[before][1] == STATES[after][1]:
        assert event is None
        return
    assert event is not None
    (one,) = event.members
    assert (event.account_id, one.account_id, one.joined, one.invite_link) == ("-1001", "7", STATES[after][1], None)
    assert one.at.timestamp() == DATE


@pytest.mark.parametrize(
    ("address", "visible"),
    [
        ("https://t.me/+AbCdEfGhIjKlMnOp", "https://t.me/+AbCdEfGhIjKlMnOp"),
        ("https://t.me/+AbCdEfGh…", "https://t.me/+AbCdEfGh"),
        ("https://t.me/+AbCdEfGh...", "https://t.me/+AbCdEfGh"),
        ("https://t.me/joinchat/AbCdEfGh…", "https://t.me/joinchat/AbCdEfGh"),
        ("https://t.me/+Ab…", None),
        ("https://t.me/+…", None),
    ],
)
def test_a_link_is_known_as_far_as_it_is_visible(address: str, visible: str | None) -> None:
    link = {"invite_link": {"invite_link": address, "creator": USER}}
    event = translate.to_event(update(STATES["left"][0], STATES["member"][0], **link), bot_id=None)
    assert event is not None
    assert event.members[0].invite_link == visible


async def test_the_stream_has_joins_and_leaves(stage: Stage) -> None:
    _, cursor = await stage.events()
    person = stage.community.number_of(900_001)
    stage.emit("follow", person=person, detail={"invite_link": "https://t.me/+AbCdEfGhIjKlMnOp"})
    stage.emit("unfollow", person=person)
    events, _ = await stage.events(cursor)
    members = [one for event in events for one in event.members if one.account_id == str(person)]
    assert [one.joined for one in members] == [True, False]
    assert members[0].invite_link is not None
    assert "https://t.me/+AbCdEfGhIjKlMnOp".startswith(members[0].invite_link)
    assert isinstance(members[0], JoinOrLeave)
