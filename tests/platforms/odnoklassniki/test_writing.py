"""The Odnoklassniki adapter: posts and replies, tokens and errors."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs

import httpx
import pytest

from app.platforms.capabilities import OutgoingPost, Picture, ReplyTo
from app.platforms.contract import (
    COST,
    AuthExpired,
    Cost,
    Malformed,
    MessageKind,
    OutcomeUnknown,
    Token,
)
from app.platforms.odnoklassniki.adapter import Odnoklassniki
from app.platforms.odnoklassniki.errors import CODES, from_answer
from tests.platforms.contract.stage import Subject, staged
from tests.platforms.odnoklassniki.server import APP, CUSTOMER, TOKENS, C, FakeOdnoklassniki, error_response


@pytest.fixture
async def s() -> AsyncIterator[Subject]:
    async with staged("odnoklassniki", Odnoklassniki) as subject:
        yield subject


async def test_an_album_keeps_its_order(s: Subject) -> None:
    pictures = (Picture(b"one", "image/png"), Picture(b"second", "image/jpeg"))
    s.transport.requests.clear()
    sent = await Odnoklassniki(s.http).publish(s.c, OutgoingPost("Открыто", pictures), "key")
    [posted] = s.accepted("post")
    assert sent.url == f"https://ok.ru/group/{s.c.external_id}/topic/{posted['id']}"
    uploaded = {record["id"]: record["kind"] for record in s.accepted("media")}
    assert [uploaded[one] for one in posted["media"]] == ["image/png", "image/jpeg"]
    uploads = [request for request in s.transport.requests if request.url.path == "/uploadImage"]
    assert [request.extensions[COST] for request in uploads] == [Cost(), Cost()], "an upload carries no token"


async def test_a_picture_that_was_not_uploaded_is_not_posted() -> None:
    upload = {"upload_url": "https://up.example/0", "photo_ids": ["p0"]}
    fake = FakeOdnoklassniki(photosV2_getUploadUrl=upload, **{"/0": {"photos": {"other": {"token": "t"}}}})
    with pytest.raises(Malformed):
        await fake.adapter().publish(C, OutgoingPost("", (Picture(b"one", "image/png"),)), "key")
    assert [method for method, _ in fake.calls] == ["photosV2.getUploadUrl", "/0"]


async def test_a_write_with_a_malformed_response_has_an_unknown_outcome() -> None:
    fake = FakeOdnoklassniki(discussions_addDiscussionComment=None, mediatopic_post={"ok": True})
    with pytest.raises(OutcomeUnknown):
        await fake.adapter().publish(C, OutgoingPost("Hello"), "key")
    with pytest.raises(OutcomeUnknown):
        await fake.adapter().reply(C, ReplyTo("comment:66:1", "t", MessageKind.COMMENT, CUSTOMER, "66"), "Hi", "key")
    assert len(fake.requests) == 2


@pytest.mark.parametrize(
    ("response", "granted"),
    [
        ({"access_token": "new", "expires_in": "1800"}, {Token.USER: ("new", timedelta(minutes=30))}),
        ({"access_token": "new", "expires_in": 60}, {Token.USER: ("new", timedelta(minutes=1))}),
        (
            {"access_token": "new", "refresh_token": "next"},
            {Token.USER: ("new", timedelta(minutes=30)), Token.REFRESH: ("next", None)},
        ),
    ],
)
async def test_new_tokens(response: object, granted: dict[Token, tuple[str, timedelta | None]]) -> None:
    fake = FakeOdnoklassniki(**{"/oauth/token.do": response})
    issued = await fake.adapter().refresh(C)
    assert {kind: (one.text, one.lifetime) for kind, one in issued.items()} == granted
    (request,) = fake.requests
    assert request.url.query == b""
    form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
    assert form == {
        "grant_type": "refresh_token", "refresh_token": "ref", "client_id": "512", "client_secret": "SECRET"
    }  # fmt: skip


def test_what_can_be_renewed() -> None:
    assert Odnoklassniki.renewable(TOKENS, APP) == {Token.USER}
    assert not Odnoklassniki.renewable({Token.USER}, APP)
    assert not Odnoklassniki.renewable(TOKENS, {"application_key"})


async def test_missing_permissions_are_named(s: Subject) -> None:
    adapter = Odnoklassniki(s.http)
    token = s.sandbox.network.grants.make(s.community, "user", ["VALUABLE_ACCESS", "GROUP_CONTENT"])
    states = await adapter.inspect(replace(s.c, tokens={Token.USER: token}))
    assert {kind: state.missing_scopes for kind, state in states.items()} == {Token.USER: ("PHOTO_CONTENT",)}
    alone = replace(s.c, tokens={Token.COMMUNITY: s.c.tokens[Token.COMMUNITY]})
    assert (await adapter.inspect(alone)).keys() == {Token.COMMUNITY}


async def test_the_error_names_the_expired_token() -> None:
    ended = error_response(102)
    fake = FakeOdnoklassniki(
        group_getInfo=ended, **{"/graph/me/chats": ended, "/oauth/token.do": {"error": "invalid_token"}}
    )
    adapter = fake.adapter()
    calls: dict[Token, Callable[[], Awaitable[object]]] = {
        Token.USER: lambda: adapter.community(C),
        Token.COMMUNITY: lambda: adapter.conversations(C, None),
        Token.REFRESH: lambda: adapter.refresh(C),
    }
    for kind, call in calls.items():
        with pytest.raises(AuthExpired) as caught:
            await call()
        assert caught.value.token is kind


@pytest.mark.parametrize("code", [*CODES, 424242])
def test_every_error_code_is_an_error(code: int) -> None:
    error = from_answer(httpx.Response(200, json={"error_code": code, "error_msg": "SECRET"}))
    assert error is not None
    assert error.platform_code == str(code)
    assert "SECRET" not in str(error)


@pytest.mark.parametrize("response", [[], {}, "66", True, None, [{"error_code": 1}]])
def test_a_response_without_an_error_code_is_no_error(response: object) -> None:
    assert from_answer(httpx.Response(200, json=response)) is None
