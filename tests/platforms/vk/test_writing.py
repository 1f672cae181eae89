"""VK: replies and posts, with the exact forms that are sent, and the errors."""

from typing import Any

import httpx
import pytest

from app.platforms.capabilities import (
    OutgoingPost,
    Picture,
    ReplyTo,
)
from app.platforms.contract import (
    AuthExpired,
    MessageKind,
    MissingPermission,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    RemotePerson,
    Throttled,
    Token,
    Transient,
)
from app.platforms.vk.adapter import Vk
from tests.platforms.specimens import PIXEL
from tests.platforms.vk.server import GROUP_TOKEN, USER_TOKEN, FakeVk, credentials

BAD = {"error": "ERR_UPLOAD_BAD_IMAGE_SIZE: photo is too large", "bwact": "do_add"}
PICTURE = Picture(PIXEL, "image/png", "a dot")


def to_comment() -> ReplyTo:
    return ReplyTo("comment-12", "comment-10-6", MessageKind.COMMENT, RemotePerson("6", "Bob"), "1")


def to_message() -> ReplyTo:
    return ReplyTo("message-1", "message-5", MessageKind.MESSAGE, RemotePerson("5", "Ann"), None)


async def test_a_comment_is_answered() -> None:
    fake = FakeVk()
    sent = await Vk(fake.client()).reply(credentials(), to_comment(), "Yes & no", "key-1")
    assert sent.external_id == "comment-901"
    [(method, form)] = fake.calls
    assert method == "wall.createComment"
    assert form == {
        "v": "5.199",
        "owner_id": "-77",
        "post_id": "1",
        "from_group": "77",
        "message": "Yes & no",
        "guid": "key-1",
        "reply_to_comment": "12",
    }


async def test_the_random_id_of_a_reply_depends_on_its_idempotency_key() -> None:
    fake = FakeVk()
    adapter = Vk(fake.client())
    for key in ("key-1", "key-1", "key-2"):
        assert (await adapter.reply(credentials(), to_message(), "Yes", key)).external_id == "message-900"
    numbers = [int(form["random_id"]) for _, form in fake.calls]
    assert numbers[0] == numbers[1] != numbers[2]
    assert all(0 < number < 2**31 for number in numbers)
    assert fake.calls[0][1]["peer_id"] == "5"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (1, OutcomeUnknown),
        (10, OutcomeUnknown),
        (36, OutcomeUnknown),
        (77_777, OutcomeUnknown),
        (6, Throttled),
        (9, Throttled),
        (15, MissingPermission),
        (27, AuthExpired),
        (212, Rejected),
        (213, Rejected),
        (901, Rejected),
        (902, Rejected),
        (914, Rejected),
        (100, Rejected),
    ],
)
async def test_the_error_of_a_reply_says_whether_it_may_have_been_sent(code: int, error: type[PlatformError]) -> None:
    fake = FakeVk(errors={"messages.send": code, "wall.createComment": code})
    for target in (to_message(), to_comment()):
        with pytest.raises(error):
            await Vk(fake.client()).reply(credentials(), target, "text", "key")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(502, text="<html>"),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"response": True}),
    ],
)
async def test_a_reply_with_an_unreadable_answer_may_have_been_sent(answer: httpx.Response) -> None:
    adapter = Vk(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer)))
    with pytest.raises(OutcomeUnknown):
        await adapter.reply(credentials(), to_message(), "text", "key")


async def test_a_post_with_its_pictures_in_their_order() -> None:
    fake = FakeVk()
    sent = await Vk(fake.client()).publish(credentials(), OutgoingPost("Open & warm", (PICTURE, PICTURE)), "key-1")
    assert (sent.external_id, sent.url) == ("902", "https://vk.com/wall-77_902")
    assert [name for name, _ in fake.calls] == [
        "photos.getWallUploadServer", "photos.saveWallPhoto", "photos.saveWallPhoto", "wall.post",
    ]  # fmt: skip
    assert fake.calls[-1][1] == {
        "v": "5.199",
        "owner_id": "-77",
        "from_group": "1",
        "message": "Open & warm",
        "guid": "key-1",
        "attachments": "photo1_71_key,photo1_72_key",
    }
    for upload in fake.uploads:
        assert b'name="photo"; filename="picture.png"' in upload.content
        assert PIXEL in upload.content
        assert "authorization" not in upload.headers


async def test_a_post_without_pictures_needs_only_the_communitys_token() -> None:
    fake = FakeVk()
    only_group = credentials({Token.COMMUNITY: GROUP_TOKEN})
    assert (await Vk(fake.client()).publish(only_group, OutgoingPost("Open"), "k")).external_id == "902"
    assert "attachments" not in fake.calls[0][1]
    with pytest.raises(AuthExpired) as caught:
        await Vk(fake.client()).publish(only_group, OutgoingPost("Open", (PICTURE,)), "k")
    assert caught.value.token is Token.USER
    assert len(fake.calls) == 1, "nothing was posted without its picture"


@pytest.mark.parametrize(
    "uploaded", [{"server": 1, "photo": "[]", "hash": "x"}, {"server": 1, "photo": "", "hash": ""}, BAD]
)
async def test_a_picture_that_vk_does_not_take_is_not_posted(uploaded: dict[str, Any]) -> None:
    fake = FakeVk(uploaded=uploaded)
    with pytest.raises(Rejected, match="picture"):
        await Vk(fake.client()).publish(credentials(), OutgoingPost("Open", (PICTURE,)), "k")
    assert [name for name, _ in fake.calls] == ["photos.getWallUploadServer"]


async def test_the_error_for_a_token_of_vk_id_names_the_token_to_use() -> None:
    fake = FakeVk(errors={"wall.post": 1051})
    with pytest.raises(MissingPermission, match="community's own token"):
        await Vk(fake.client()).publish(credentials({Token.USER: USER_TOKEN}), OutgoingPost("Open"), "k")


async def test_the_error_after_fifty_posts_a_day_names_the_limit() -> None:
    fake = FakeVk(errors={"wall.post": 214})
    with pytest.raises(Rejected, match="50 a day"):
        await Vk(fake.client()).publish(credentials(), OutgoingPost("Open"), "k")


@pytest.mark.parametrize("answer", [httpx.Response(502), httpx.Response(200, json={"error": {"error_code": 10}})])
async def test_a_failed_upload_is_transient(answer: httpx.Response) -> None:
    fake = FakeVk()
    adapter = Vk(
        httpx.AsyncClient(
            transport=httpx.MockTransport(lambda request: answer if "upload" in request.url.path else fake(request))
        )
    )
    with pytest.raises(Transient):
        await adapter.publish(credentials(), OutgoingPost("Open", (PICTURE,)), "k")
