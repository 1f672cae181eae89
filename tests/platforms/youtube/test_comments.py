"""YouTube: comments and replies."""

from datetime import UTC, datetime

import httpx
import pytest

from app.platforms.capabilities import (
    ReplyTo,
)
from app.platforms.contract import (
    MessageKind,
    MissingPermission,
    Page,
    Rejected,
    RemoteMessage,
    RemotePerson,
    Token,
)
from app.platforms.youtube.adapter import YouTube
from tests.platforms.contract.stage import Subject
from tests.platforms.youtube.server import (
    ACCESS,
    CHANNEL_ID,
    cost,
    credentials,
    listing,
    messages,
    paths,
    posts,
    refused,
    with_responses,
)


async def test_replies_beyond_the_embedded_ones_are_fetched(stage: Subject) -> None:
    post = stage.post()["id"]
    root = stage.comment(post, "Until when?", person=1)["id"]
    for number in range(8):
        stage.comment(post, f"And {number}", parent=root, person=10 + number)
    video = (await posts(stage))[0][0].external_id
    made = YouTube(stage.http)
    paths(stage)
    listed, cursor = await messages(lambda at: made.comments(stage.c, video, at))
    assert paths(stage) == ["commentThreads", "comments"]
    assert {message.text for message in listed} == {"Until when?", *(f"And {number}" for number in range(8))}
    first = next(message for message in listed if message.in_reply_to is None)
    assert {message.in_reply_to for message in listed} == {None, first.external_id}
    assert len({message.thread_id for message in listed}) == 9, "one thread for each customer and root comment"
    assert {message.post_id for message in listed} == {video}
    assert cursor == "{}", "the next poll reads everything again"


async def test_comments_are_read_down_to_the_last_one_seen(stage: Subject) -> None:
    post = stage.post()["id"]
    root = stage.comment(post, "Known", person=1)["id"]
    for number in range(8):
        stage.comment(post, f"Known {number}", parent=root, person=10 + number)
    made = YouTube(stage.http)

    async def read(cursor: str | None) -> Page[RemoteMessage]:
        return await made.conversations(stage.c, cursor)

    listed, cursor = await messages(read)
    assert sum(message.text.startswith("Known") for message in listed) >= 9
    stage.comment(post, "New", person=2)
    stage.comment(post, "An answer to an old one", parent=root, person=3)
    paths(stage)
    listed, cursor = await messages(read, cursor)
    assert "New" in {message.text for message in listed}
    assert paths(stage) == ["commentThreads"], "long threads already read are not read again each time"


async def test_an_own_reply_belongs_to_the_thread_of_the_person_addressed() -> None:
    def comment(key: str, by: str, name: str, text: str, **more: object) -> dict[str, object]:
        said = {"authorDisplayName": name, "authorChannelId": {"value": by}, "textDisplay": text, **more}
        return {"id": key, "snippet": {"publishedAt": "2026-11-01T00:00:00Z", **said}}

    answers = [
        comment("T.3", CHANNEL_ID, "@us", "@second Yes"),
        comment("T.2", CHANNEL_ID, "@us", "Gladly"),
        comment("T.1", "UC2", "@second", "Me too?"),
        {"id": "T.0", "snippet": {"publishedAt": "2026-11-01T00:00:00Z", "textDisplay": "gone"}},
    ]
    root = comment("T", "UC1", "@first", "Me?", updatedAt="2026-11-02T00:00:00Z")
    snippet = {"topLevelComment": root, "totalReplyCount": 4, "videoId": "v"}
    made, requests = with_responses(listing({"id": "T", "snippet": snippet, "replies": {"comments": answers}}))
    page = await made.comments(credentials(), "v", None)
    threads = {message.external_id: message.thread_id for message in page.items}
    assert threads == {"T": "T:UC1", "T.3": "T:UC2", "T.2": "T:UC1", "T.1": "T:UC2", "T.0": "T:unknown-T.0"}
    assert [message.author.is_community for message in page.items] == [False, True, True, False, False]
    assert page.items[0].edited_at == datetime(2026, 11, 2, tzinfo=UTC)
    assert page.items[1].edited_at is None
    assert page.items[1].url == "https://www.youtube.com/watch?v=v&lc=T.3"
    assert requests[0].url.params["textFormat"] == "plainText"


async def test_comments_that_are_switched_off_are_none(stage: Subject) -> None:
    stage.let("post", text="Quiet", category="comments_off")
    video = (await posts(stage))[0][0].external_id
    page = await YouTube(stage.http).comments(stage.c, video, None)
    assert (page.items, page.more) == ((), False)
    made, _ = with_responses(refused(403, "commentsDisabled"))
    cursor = '{"seen_until":"2026-11-01T00:00:00Z"}'
    page = await made.conversations(credentials(), cursor)
    assert (page.items, page.cursor, page.more) == ((), cursor, False)
    made, _ = with_responses(refused(403, "forbidden"), refused(400, "invalidParameter"))
    with pytest.raises(MissingPermission):
        await made.comments(credentials(), "v", None)
    with pytest.raises(Rejected):
        await made.comments(credentials(), "v", None)


async def test_a_comment_deleted_during_paging_has_no_replies(stage: Subject) -> None:
    post = stage.post()["id"]
    root = stage.comment(post, "Gone soon")
    for number in range(8):
        stage.comment(post, f"And {number}", parent=root["id"], person=10 + number)
    video = (await posts(stage))[0][0].external_id
    made = YouTube(stage.http)
    page = await made.comments(stage.c, video, None)
    assert page.more
    stage.delete(root)
    page = await made.comments(stage.c, video, page.cursor)
    assert (page.items, page.more) == ((), False)


async def test_a_reply_is_below_the_root_comment_and_addresses_the_author(stage: Subject) -> None:
    post = stage.post()["id"]
    root = stage.comment(post, "Until when?", person=1)["id"]
    stage.comment(post, "Yes, when?", parent=root, person=2)
    video = (await posts(stage))[0][0].external_id
    made = YouTube(stage.http)
    question, below = (await messages(lambda at: made.comments(stage.c, video, at)))[0]
    for message in (question, below):
        stage.later()
        to = ReplyTo(message.external_id, message.thread_id, message.kind, message.author, message.post_id)
        sent = await made.reply(stage.c, to, "Until six", "key")
        assert sent.external_id.startswith(f"{question.external_id}.")
        charged = cost(stage.transport.requests[-1])
        assert (charged[1], charged[2]) == (Token.COMMUNITY, {"units": 50})
        listed = (await messages(lambda at: made.comments(stage.c, video, at)))[0]
        (ours,) = [one for one in listed if one.external_id == sent.external_id]
        assert ours.author.is_community
        assert ours.thread_id == message.thread_id
        mention = "" if message is question else f"{message.author.name} "
        assert ours.text == f"{mention}Until six"
        assert ours.url == sent.url
        assert ours.sent_at == sent.sent_at


async def test_nothing_but_comments_is_answered() -> None:
    made, requests = with_responses()
    to = ReplyTo("1", "t", MessageKind.MESSAGE, RemotePerson("UC1", "x"), None)
    with pytest.raises(Rejected):
        await made.reply(credentials(Token.COMMUNITY), to, "text", "key")
    assert not requests


async def test_a_refusal_does_not_repeat_what_was_sent() -> None:
    said = {"error": {"message": f"no {ACCESS}", "errors": [{"reason": f"x {ACCESS}", "message": ACCESS}]}}
    made, _ = with_responses(httpx.Response(400, json=said))
    with pytest.raises(Rejected) as caught:
        await made.community(credentials(Token.COMMUNITY))
    assert ACCESS not in f"{caught.value} {caught.value!r} {caught.value.__dict__}"
    assert "400" in caught.value.message
