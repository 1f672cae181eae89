"""Telegram's updates parsed into the types of the platform contract."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.platforms.capabilities import Event, ReplyTo
from app.platforms.contract import Malformed, MessageKind, Metric, PostMetrics, RemotePerson
from tests.platforms.telegram.server import (
    ANN,
    BEN,
    CHANNEL,
    CHANNEL_BOT,
    DATE,
    GROUP,
    C,
    FakeBotApi,
    Json,
    album_part,
    auto_forward,
    channel_post,
    group_comment,
    message,
    ok_response,
    stream_events,
    streamed_message,
    webhook_events,
)


async def test_a_post() -> None:
    [event] = await stream_events({"channel_post": channel_post(16, text="Open on Sunday")})
    assert (event.event_id, event.account_id) == ("1", str(CHANNEL["id"]))
    [post] = event.posts
    assert (post.external_id, post.url, post.text) == ("16", "https://t.me/coffee/16", "Open on Sunday")
    assert post.published_at == datetime.fromtimestamp(DATE + 16, UTC)
    assert post.edited_at is None
    assert post.metrics.counters == {}
    assert post.metrics.missing.keys() == set(Metric)


async def test_a_post_that_was_edited_is_the_same_post() -> None:
    [event] = await stream_events(
        {"edited_channel_post": channel_post(16, caption="Closed", photo=[], edit_date=DATE + 99)}
    )
    assert event.posts[0].external_id == "16"
    assert event.posts[0].text == "Closed"
    assert event.posts[0].edited_at == datetime.fromtimestamp(DATE + 99, UTC)


async def test_a_post_of_a_channel_without_a_username_has_a_url() -> None:
    private = {"id": -1001234567890, "type": "channel", "title": "Quiet"}
    [event] = await stream_events({"channel_post": message(3, private, text="x")})
    assert event.posts[0].url == "https://t.me/c/1234567890/3"


async def test_the_text_of_a_rich_message() -> None:
    blocks = [
        {"type": "heading", "text": [{"type": "bold", "text": "New"}, " menu"]},
        {"type": "list", "items": [{"label": "1.", "blocks": [{"type": "paragraph", "text": "Tea"}]}]},
        {"type": "photo", "photo": [{"file_id": "x"}], "caption": {"text": "The bar"}},
        {"type": "divider"},
    ]
    [event] = await stream_events({"channel_post": channel_post(16, rich_message={"blocks": blocks})})
    assert event.posts[0].text == "New menu\n1.\nTea\nThe bar"


@pytest.mark.parametrize("edited", [False, True])
async def test_a_comment_under_a_post(*, edited: bool) -> None:
    raw = group_comment(50, message_thread_id=40, reply_to_message=auto_forward(40, 16))
    if edited:
        raw["edit_date"] = DATE + 99
    [event] = await stream_events({"edited_message" if edited else "message": raw})
    assert event.account_id == str(GROUP["id"])
    [comment] = event.messages
    assert comment.external_id == f"{GROUP['id']}_50"
    assert comment.thread_id == f"{GROUP['id']}_40_5"
    assert (comment.kind, comment.post_id, comment.in_reply_to) == (MessageKind.COMMENT, "16", None)
    assert comment.author == RemotePerson("5", "Ann Lee", "https://t.me/ann", is_community=False)
    assert comment.url == "https://t.me/coffee/16?comment=50"
    assert comment.sent_at == datetime.fromtimestamp(DATE + 50, UTC)
    assert comment.edited_at == (datetime.fromtimestamp(DATE + 99, UTC) if edited else None)


async def test_a_reply_to_a_comment_names_it() -> None:
    reply = await streamed_message(group_comment(51, BEN, message_thread_id=40, reply_to_message=group_comment(50)))
    assert (reply.post_id, reply.in_reply_to) == (None, f"{GROUP['id']}_50")
    assert reply.thread_id == f"{GROUP['id']}_40_6", "one customer below one post"
    assert reply.url == "https://t.me/c/2000000077/51"


async def test_a_group_message_without_a_post_shares_a_thread_with_its_replies() -> None:
    first = await streamed_message(group_comment(60))
    second = await streamed_message(group_comment(61, message_thread_id=60, reply_to_message=group_comment(60)))
    third = await streamed_message(group_comment(62, reply_to_message=group_comment(60)))
    assert first.thread_id == second.thread_id == third.thread_id
    assert first.post_id is None
    assert first.in_reply_to is None


async def test_authors_who_are_the_community() -> None:
    def anonymous(sender: Json, above: Json) -> Json:
        return group_comment(52, CHANNEL_BOT, sender_chat=sender, message_thread_id=40, reply_to_message=above)

    other = {"id": -1009, "type": "channel", "title": "Ben's own", "username": "bens"}
    deep = await streamed_message(anonymous(CHANNEL, group_comment(50)))
    assert deep.author == RemotePerson(str(CHANNEL["id"]), "Coffee", "https://t.me/coffee", is_community=True)
    assert deep.thread_id == f"{GROUP['id']}_40_5", "the thread of the customer"
    assert (await streamed_message(anonymous(GROUP, group_comment(50)))).author.is_community, (
        "an administrator without a name"
    )
    theirs = await streamed_message(anonymous(other, auto_forward(40, 16)))
    assert (theirs.author.external_id, theirs.author.is_community) == ("-1009", False)
    assert theirs.author.name == "Ben's own"
    assert theirs.thread_id == f"{GROUP['id']}_40_-1009"


async def test_authors_who_are_another_community_of_the_bot() -> None:
    """The stream is read with the ids of one community and has the updates of all the bot's communities."""
    stranger = replace(C, external_id="-1007", aliases=frozenset({"-1008"}))
    root_comment = group_comment(52, CHANNEL_BOT, sender_chat=CHANNEL, reply_to_message=auto_forward(40, 16))
    assert (await streamed_message(root_comment, c=stranger)).author.is_community, "the post is of the same channel"
    nameless = group_comment(52, CHANNEL_BOT, sender_chat=GROUP)
    assert (await streamed_message(nameless, c=stranger)).author.is_community, "an administrator speaks for the group"
    deep = group_comment(52, CHANNEL_BOT, sender_chat=CHANNEL, reply_to_message=group_comment(50))
    reply = await streamed_message(deep, c=stranger)
    assert not reply.author.is_community, "unknown, so rather listed than missed"
    assert reply.author.external_id == str(CHANNEL["id"]), "the id of the channel"
    guest = replace(C, external_id=str(CHANNEL["id"]), aliases=frozenset())
    assert not (await streamed_message(deep, c=guest)).author.is_community, (
        "a channel that comments in another community's group"
    )


async def test_a_private_message_belongs_to_the_bot() -> None:
    chat = {"id": 5, "type": "private", "first_name": "Ann"}
    raw = message(7, chat, **{"from": ANN}, text="Hello?")
    [event] = await stream_events({"message": raw})
    assert event.account_id == "7000000077"
    assert event.account_id in C.aliases
    [direct] = event.messages
    assert (direct.external_id, direct.thread_id, direct.kind) == ("5_7", "5", MessageKind.MESSAGE)
    assert (direct.post_id, direct.url, direct.author.is_community) == (None, None, False)
    [pushed] = webhook_events({"message": raw})
    assert pushed.account_id is None, "a webhook call does not name its bot"
    assert pushed.messages == event.messages


@pytest.mark.parametrize(
    "update",
    [
        {"message": auto_forward(40, 16)},
        {"message": message(60, GROUP, **{"from": ANN}, new_chat_members=[BEN])},
        {"message": message(3, {**GROUP, "is_direct_messages": True}, **{"from": ANN}, text="x")},
        {"message_reaction_count": {"chat": GROUP, "message_id": 50, "date": DATE, "reactions": []}},
        {"channel_post": channel_post(3, pinned_message=channel_post(2, text="x"))},
        {"my_chat_member": {"chat": {"id": 5, "type": "private"}, "date": DATE}},
        {"poll": {"id": "x"}},
    ],
    ids=["a post's copy", "a new member", "a channel's direct messages", "reactions to comments", "a post was pinned",
         "a person blocked the bot", "something else"],
)  # fmt: skip
async def test_updates_that_are_ignored(update: Json) -> None:
    assert await stream_events(update) == []
    assert webhook_events(update) == ()


async def test_an_attachment_alone_is_a_message_without_text() -> None:
    raw = {key: value for key, value in group_comment(50).items() if key != "text"} | {"sticker": {}}
    assert (await streamed_message(raw)).text == ""


async def test_reactions_are_counted_together() -> None:
    kinds = [{"type": {"type": "emoji", "emoji": "👍"}, "total_count": 3}, {"type": {"type": "paid"}, "total_count": 4}]
    changed = {"chat": CHANNEL, "message_id": 16, "date": DATE, "reactions": kinds}
    [event] = await stream_events({"message_reaction_count": changed})
    assert event.metrics == (PostMetrics("16", {Metric.REACTIONS: 7}),)
    assert event.at == datetime.fromtimestamp(DATE, UTC)
    [event] = await stream_events({"message_reaction_count": {**changed, "reactions": []}})
    assert event.metrics[0].counters == {Metric.REACTIONS: 0}, "the last reaction was withdrawn: a counted 0"


async def test_a_change_of_the_bots_membership_is_an_event_of_the_channel() -> None:
    [event] = await stream_events({"my_chat_member": {"chat": CHANNEL, "date": DATE}})
    assert event == Event("1", str(CHANNEL["id"]))


# ── old and malformed updates ──────────────────────────────────────────────────────────────


def legacy(number: int, post: int, **more: Json) -> Json:
    """The copy of a channel's post in the format before Bot API 5.5 and 7.0."""
    telegram = {"id": 777000, "is_bot": False, "first_name": "Telegram"}
    forwarded = {"forward_from_chat": CHANNEL, "forward_from_message_id": post, "forward_date": DATE}
    return message(number, GROUP, **{"from": telegram, **forwarded, "text": "post", **more})


@pytest.mark.parametrize("more", [{}, {"is_automatic_forward": True}, {"sender_chat": CHANNEL}])
async def test_a_forwarded_post_of_an_old_version_is_recognised(more: Json) -> None:
    copy = legacy(40, 16, **more)
    assert webhook_events({"message": copy}) == (), "it is no comment"
    comment = await streamed_message(group_comment(50, reply_to_message=copy))
    assert (comment.post_id, comment.in_reply_to) == ("16", None)
    assert comment.url == "https://t.me/coffee/16?comment=50"
    answer = group_comment(51, CHANNEL_BOT, sender_chat=CHANNEL, reply_to_message=copy)
    [event] = webhook_events({"message": answer})
    assert event.messages[0].author.is_community, "the channel speaks below its own post"


async def test_a_message_that_a_person_forwards_is_of_that_person() -> None:
    comment = await streamed_message(group_comment(50, forward_from_chat=CHANNEL, forward_from_message_id=16))
    assert (comment.author.external_id, comment.author.is_community, comment.post_id) == ("5", False, None)


@pytest.mark.parametrize(
    ("chat", "private"), [({"id": 5, "first_name": "Ann"}, True), ({"id": -77, "title": "We"}, False)]
)
async def test_the_type_of_a_chat_may_be_missing(chat: Json, *, private: bool) -> None:
    comment = await streamed_message(message(7, chat, **{"from": ANN}, text="/start"))
    assert (comment.kind is MessageKind.MESSAGE, comment.external_id) == (private, f"{chat['id']}_7")
    assert comment.url is None, "a basic group has no address"


async def test_a_null_field_is_a_missing_field() -> None:
    raw = group_comment(50, sender_chat=None, reply_to_message=None, edit_date=None, caption=None)
    assert (await streamed_message(raw)).text == "Until when?"
    assert webhook_events({"message": {**raw, "text": None}, "channel_post": None}) == (), "there is no text"


async def test_an_unparsed_update_does_not_affect_the_others() -> None:
    broken = {"message": {**group_comment(50), "date": "yesterday"}}
    event, *kept = await stream_events(broken, {"message": group_comment(51)}, broken)
    assert event.messages[0].external_id == f"{GROUP['id']}_51"
    payloads = [one.unparsed.payload for one in kept if one.unparsed]
    assert [json.loads(one) for one in payloads] == [{"update_id": n, **broken} for n in (1, 3)]
    assert [bool(one.unparsed) for one in await stream_events(broken)] == [True]


async def test_the_stream_continues_after_an_unparsed_update() -> None:
    """Otherwise the same update would be returned again and again."""
    fake = FakeBotApi([ok_response([{"update_id": 7, "message": {}}]), ok_response([])])
    page = await fake.adapter().updates(C, None)
    await fake.adapter().updates(C, page.cursor)
    assert fake.params[1]["offset"] == 8
    for strange in (1, {}, {"update_id": "7"}, {"update_id": True}, {"update_id": 2**63}):
        with pytest.raises(Malformed):
            await FakeBotApi([ok_response([strange])]).adapter().updates(C, None)


# ── albums ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("captions", [("Spring", "", ""), ("", "", "Spring"), ("", "", "")])
async def test_an_album_is_one_post(captions: tuple[str, ...]) -> None:
    parts = [album_part(20 + place, caption) for place, caption in enumerate(captions)]
    single = {"channel_post": channel_post(30, text="Between")}
    events = await stream_events(parts[0], single, *parts[1:], album_part(40, "Other", "b"))
    assert [event.event_id for event in events] == ["1", "2", "5"]
    assert [post.external_id for event in events for post in event.posts] == ["20", "30", "40"]
    assert events[0].posts[0].text == max(captions)


async def test_an_album_on_two_pages_is_one_post() -> None:
    pages = [
        [{"update_id": 1, **album_part(20, "Spring")}],
        [{"update_id": 2, **album_part(21)}],
        [{"update_id": 3, **album_part(50, "", "c")}],
    ]
    fake = FakeBotApi([ok_response(page) for page in pages])
    post_ids, cursor = [], None
    for _ in pages:
        page = await fake.adapter().updates(C, cursor)
        cursor = page.cursor
        post_ids += [post.external_id for event in page.items for post in event.posts]
    assert post_ids == ["20", "50"]


async def test_the_text_of_an_album_may_come_with_the_next_page() -> None:
    pages = [[{"update_id": 1, **album_part(20)}], [{"update_id": 2, **album_part(21, "Spring")}]]
    fake = FakeBotApi([ok_response(page) for page in pages])
    first = await fake.adapter().updates(C, None)
    second = await fake.adapter().updates(C, first.cursor)
    [begun], [more] = ([post for event in page.items for post in event.posts] for page in (first, second))
    assert (begun.text, more.text, begun.album) == ("", "Spring", more.album)


def test_the_webhook_takes_each_part_of_an_album_as_one_of_the_same_post() -> None:
    parts = [album_part(20), album_part(21, "Spring"), album_part(22), album_part(23, album="b")]
    posts = [post for part in parts for event in webhook_events(part) for post in event.posts]
    assert [(post.external_id, post.text) for post in posts] == [("20", ""), ("21", "Spring"), ("22", ""), ("23", "")]
    assert posts[0].album == posts[1].album == posts[2].album != posts[3].album
    [edited] = webhook_events({"edited_channel_post": album_part(21, "Summer")["channel_post"] | {"edit_date": DATE}})
    assert (edited.posts[0].album, edited.posts[0].edited_at is None) == (posts[0].album, False)
    [alone] = webhook_events({"channel_post": channel_post(30, text="Alone")})
    assert alone.posts[0].album is None


async def test_a_joined_album_is_recognised_by_later_events_of_its_parts() -> None:
    [streamed] = await stream_events(album_part(20), album_part(21))
    [part] = webhook_events(album_part(21))
    assert streamed.posts[0].album == part.posts[0].album is not None


# ── buttons ───────────────────────────────────────────────────────────────────────────────────────

KEYBOARD = [
    [{"text": "Our site", "url": "https://coffee.example"}],
    [{"text": "Opening hours", "callback_data": "hours"}, {"text": "Delivery", "callback_data": "delivery"}],
]


def pressed(chat: Json, data: str | None = "delivery", **more: Json) -> Json:
    below = {**message(7, chat, text="What would you like to know?"), "reply_markup": {"inline_keyboard": KEYBOARD}}
    query = {"id": "4382", "from": ANN, "message": below | more, "chat_instance": "1", "data": data}
    return {"callback_query": {name: value for name, value in query.items() if value is not None}}


@pytest.mark.parametrize(("data", "text"), [("delivery", "Delivery"), ("unlisted", "unlisted")])
async def test_a_pressed_button_is_a_message_of_the_customer(data: str, text: str) -> None:
    private = {"id": 5, "type": "private", "first_name": "Ann"}
    [event] = webhook_events(pressed(private, data))
    [streamed] = await stream_events(pressed(private, data))
    assert streamed.messages == event.messages
    [message] = event.messages
    assert (message.text, message.thread_id, message.kind) == (text, "5", MessageKind.MESSAGE)
    assert message.author == RemotePerson("5", "Ann Lee", "https://t.me/ann")
    assert message.in_reply_to == "5_7"
    assert (event.undated, event.account_id, streamed.account_id) == (True, None, "7000000077")


async def test_an_answer_to_a_pressed_button_is_below_the_message_with_the_button() -> None:
    private = {"id": 5, "type": "private", "first_name": "Ann"}
    [event] = webhook_events(pressed(private))
    [button] = event.messages
    sent = ok_response(message(8, private, text="Free"))
    fake = FakeBotApi([sent])
    to = ReplyTo(button.external_id, button.thread_id, button.kind, button.author, None)
    await fake.adapter().reply(C, to, "Free", "key")
    assert (fake.params[0]["chat_id"], fake.params[0]["reply_parameters"]["message_id"]) == (5, 7)


def test_a_button_pressed_in_the_discussion_group_is_a_comment() -> None:
    [event] = webhook_events(pressed(GROUP, message_thread_id=40))
    [comment] = event.messages
    assert (comment.kind, comment.thread_id) == (MessageKind.COMMENT, f"{GROUP['id']}_40_5")
    assert event.account_id == str(GROUP["id"])


@pytest.mark.parametrize(
    "update",
    [
        pressed(CHANNEL),
        pressed({"id": 5, "type": "private"}, data=None),
        {"callback_query": {"id": "1", "from": ANN, "inline_message_id": "x", "chat_instance": "1", "data": "x"}},
    ],
)
def test_other_presses_are_no_messages(update: Json) -> None:
    """Of a post's button, of a game's, and below a message that was sent through the bot to another chat."""
    assert webhook_events(update) == ()
