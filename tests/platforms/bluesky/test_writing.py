"""What the Bluesky adapter writes, its tokens, and the cost of requests."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.platforms.bluesky import records, sessions
from app.platforms.bluesky.adapter import Bluesky
from app.platforms.bluesky.wire_models import Session
from app.platforms.capabilities import OutgoingPost, Picture, ReplyTo
from app.platforms.contract import (
    COST,
    AuthExpired,
    Cost,
    LimitScope,
    Malformed,
    MessageKind,
    OutcomeUnknown,
    Rejected,
    Throttled,
    Token,
)
from sandbox.bluesky import ids
from tests.platforms.bluesky.server import ACCESS, POSTED_AT, PROFILE, Server, credentials, post, read_all
from tests.platforms.contract.stage import Subject, staged
from tests.platforms.specimens import PIXEL, customer, json_response
from tests.platforms.specimens.bluesky import CID, CUSTOMER, DATE, OWN_DID, before, jwt, uri
from tests.sandbox.lexicons import problems, record_problems


@pytest.fixture
async def stage() -> AsyncIterator[Subject]:
    async with staged("bluesky", Bluesky) as subject:
        yield subject


# ── writing ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_repeated_reply_writes_no_second_record(stage: Subject) -> None:
    made, comment = Bluesky(stage.http), stage.comment(stage.post()["id"])
    remote = next(one for one in await read_all(stage.c, made.conversations))
    to = ReplyTo(remote.external_id, remote.thread_id, remote.kind, remote.author, remote.post_id)
    first = await made.reply(stage.c, to, "Until six, see https://velo.example/hours.", "key")
    written = json.loads(stage.transport.requests[-1].content)["record"]
    assert (written["reply"]["root"]["uri"], written["reply"]["parent"]["uri"]) == (to.post_id, to.external_id)
    stage.later()
    again = await made.reply(stage.c, to, "Until six, see https://velo.example/hours.", "key")
    other = await made.reply(stage.c, to, "Bye", "another key")
    assert first.external_id == again.external_id != other.external_id
    answers = [stage.community.wall[one] for one in stage.community.wall[int(comment["id"])].replies]
    assert [one.text for one in answers] == ["Until six, see https://velo.example/hours.", "Bye"]
    assert (first.sent_at, again.sent_at) == (datetime.fromtimestamp(stage.now // 1000 - 1, UTC), None)


async def test_a_repeated_direct_message_is_recognised_by_its_text(stage: Subject) -> None:
    stage.message("Is anybody there?")
    made = Bluesky(stage.http)
    message = next(one for one in await read_all(stage.c, made.conversations) if one.kind is MessageKind.MESSAGE)
    to = ReplyTo(message.external_id, message.thread_id, message.kind, message.author, None)
    first, again = [await made.reply(stage.c, to, "Yes", "key") for _ in range(2)]
    assert first.external_id == again.external_id
    stage.later()
    await made.reply(stage.c, to, "Of course", "other")
    stage.message("Still?")
    latest_message = next(one for one in await read_all(stage.c, made.conversations) if one.text == "Still?")
    later = await made.reply(stage.c, replace(to, external_id=latest_message.external_id), "Yes", "third")
    assert later.external_id != first.external_id, "the same text in reply to another message is another reply"
    (dialog,) = (one for one in stage.community.dialogs.values() if one.person == stage.community.number_of(1))
    texts = [stage.community.mail[one].text for one in dialog.messages]
    assert texts[-5:] == ["Is anybody there?", "Yes", "Of course", "Still?", "Yes"]


async def test_a_post_is_published_once_with_its_pictures(stage: Subject) -> None:
    made = Bluesky(stage.http)
    draft = OutgoingPost("Open on Sunday", tuple(Picture(PIXEL, "image/png", f"dot {n}") for n in range(4)))
    first = await made.publish(stage.c, draft, "key")
    requests_before = len(stage.transport.requests)
    again = await made.publish(stage.c, draft, "key")
    assert first.external_id == again.external_id == records.uri(ids.did(18), "key")
    assert len(stage.transport.requests) == requests_before + 1, "a repeat must upload nothing"
    assert len(stage.records("media")) == 4
    with pytest.raises(Rejected, match="301 characters"):
        await made.publish(stage.c, OutgoingPost("x" * 301), "other")
    await made.publish(stage.c, OutgoingPost("👩‍👩‍👧" * 150), "other")


async def test_two_concurrent_publications_write_one_post(stage: Subject) -> None:
    """Neither lookup finds a record; the server accepts only one."""
    posts = len(stage.community.posts)
    done: list[int] = []

    class Late(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await stage.transport.handle_async_request(request)
            if request.url.path.endswith("getRecord") and not done:
                done.append(1)
                stage.later()
                await Bluesky(stage.http).publish(stage.c, OutgoingPost("Ours"), "key")
            return response

    async with httpx.AsyncClient(transport=Late()) as http:
        sent = await Bluesky(http).publish(stage.c, OutgoingPost("Ours"), "key")
    assert len(stage.community.posts) == posts + 1
    assert (sent.external_id, sent.sent_at) == (records.uri(ids.did(18), "key"), None)


async def test_writing_requires_a_session() -> None:
    server = Server()
    to = ReplyTo(uri(CUSTOMER, "c"), "t", MessageKind.COMMENT, customer(CUSTOMER), uri(OWN_DID, "a"))
    with pytest.raises(AuthExpired) as caught:
        await server.adapter.publish(credentials(), OutgoingPost("Ours"), "key")
    assert caught.value.token is Token.COMMUNITY
    with pytest.raises(AuthExpired):
        await server.adapter.reply(credentials(password="p"), to, "Ours", "key")
    assert await server.adapter.inspect(credentials(refresh="r")) == {}
    assert not server.requests


async def test_without_a_date_header_nothing_is_written() -> None:
    missing = json_response({"error": "RecordNotFound", "message": "Could not locate record"}, 400)
    server = Server(getRecord=missing)
    with pytest.raises(Malformed, match="time"):
        await server.adapter.publish(credentials(community=ACCESS), OutgoingPost("Ours"), "key")


async def test_every_request_matches_the_lexicons() -> None:
    """Both the requests that write and those that read."""
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        name = request.url.path.rpartition("/")[2]
        reads: dict[str, object] = {
            "app.bsky.actor.getProfile": PROFILE,
            "app.bsky.actor.getProfiles": {"profiles": [{"did": CUSTOMER, "handle": "Customer.Example"}]},
            "app.bsky.feed.getAuthorFeed": {"feed": []},
            "app.bsky.feed.getPostThread": {"thread": {"post": post("a")}},
            "app.bsky.notification.listNotifications": {"notifications": []},
            "chat.bsky.convo.listConvos": {"convos": []},
            "com.atproto.server.getSession": PROFILE,
            "com.atproto.repo.putRecord": {"uri": uri(OWN_DID, "x"), "cid": CID},
            "chat.bsky.convo.sendMessage": {
                "id": "3k",
                "rev": "3k",
                "text": "",
                "sender": {"did": OWN_DID},
                "sentAt": POSTED_AT,
            },
            "com.atproto.server.createSession": {"accessJwt": "a", "refreshJwt": "b", "did": OWN_DID},
            "com.atproto.server.refreshSession": json_response({"error": "ExpiredToken", "message": ""}, 400),
        }
        response = before(request) or reads[name]
        return response if isinstance(response, httpx.Response) else json_response(response, date=DATE)

    made = Bluesky(httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    c = credentials(community=ACCESS, refresh="a-refresh-token", password="abcd-efgh-ijkl-mnop")
    text = "Größe: https://velo.example/a_(b)), @customer.example and @nobody.example. #Räder #1"
    comment = ReplyTo(uri(CUSTOMER, "c"), "t", MessageKind.COMMENT, customer(CUSTOMER), uri(OWN_DID, "a"))
    message = ReplyTo("3k/3k", "direct:3k", MessageKind.MESSAGE, customer(CUSTOMER), None)
    await made.community(c)
    await made.posts(c, None)
    await made.metrics(c, (uri(OWN_DID, "a"),))
    await made.comments(c, uri(OWN_DID, "a"), None)
    page = await made.conversations(c, None)
    await made.conversations(c, page.cursor)
    await made.reply(c, comment, text, "key")
    await made.reply(c, message, text, "key")
    await made.publish(c, OutgoingPost(text, (Picture(PIXEL, "image/png", "A dot"),)), "key")
    await made.refresh(c)
    await made.inspect(c)
    for request in requests:
        name = request.url.path.rpartition("/")[2]
        query: dict[str, Any] = {key: request.url.params.get_list(key) for key in request.url.params}
        plural = {"uris", "actors", "reasons"}
        sent = {key: value if key in plural else _typed(value[0]) for key, value in query.items()}
        assert problems(name, "parameters", sent) == []
        if request.headers.get("content-type") == "application/json":
            body = json.loads(request.content)
            assert problems(name, "input", body) == []
            if "record" in body:
                assert record_problems(body["record"]) == []
                assert body["swapRecord"] is None
                raw = body["record"]["text"].encode()
                marked = [
                    (raw[one["index"]["byteStart"] : one["index"]["byteEnd"]].decode(), one["features"][0])
                    for one in body["record"]["facets"]
                ]
                kind = "app.bsky.richtext.facet"
                assert marked == [
                    ("https://velo.example/a_(b)", {"$type": f"{kind}#link", "uri": "https://velo.example/a_(b)"}),
                    ("@customer.example", {"$type": f"{kind}#mention", "did": CUSTOMER}),
                    ("#Räder", {"$type": f"{kind}#tag", "tag": "Räder"}),
                ]
                assert body["record"]["createdAt"] == "2026-11-23T06:00:00.000Z"
    assert len(requests) > 15


def _typed(value: str) -> object:
    """A query parameter in its type by the lexicon."""
    return int(value) if value.isdecimal() else {"true": True, "false": False}.get(value, value)


def test_a_records_key_is_a_tid_of_its_own() -> None:
    keys = {records.rkey(str(number)) for number in range(1000)}
    assert len(keys) == 1000
    assert all(re.fullmatch(r"2[2-7a-z]{12}", key) for key in keys)
    number = ids.parse_tid(records.rkey("key"))
    assert number is not None
    assert datetime.fromtimestamp((number >> 10) / 1e6, UTC).year < 2007


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_session_is_created_by_password_and_renewed_by_refresh_token(stage: Subject) -> None:
    made, only = Bluesky(stage.http), {Token.PASSWORD: stage.c.tokens[Token.PASSWORD]}
    assert Bluesky.renewable(only, ()) == {Token.COMMUNITY, Token.REFRESH}
    assert Bluesky.renewable({Token.COMMUNITY}, ()) == frozenset()
    opened = await made.refresh(replace(stage.c, tokens=only))
    assert {kind: one.lifetime for kind, one in opened.items()} == {
        Token.COMMUNITY: timedelta(hours=2),
        Token.REFRESH: timedelta(days=90),
    }
    held = replace(stage.c, tokens={kind: one.text for kind, one in opened.items()})
    renewed = await made.refresh(held)
    assert renewed[Token.REFRESH].text != opened[Token.REFRESH].text
    stage.later(3 * 3600)
    with pytest.raises(AuthExpired) as caught:
        await made.refresh(held)
    assert caught.value.token is Token.REFRESH
    again = await made.refresh(replace(held, tokens={**held.tokens, **only}))
    assert (await made.inspect(replace(held, tokens={kind: one.text for kind, one in again.items()}))).keys() == {
        Token.COMMUNITY,
        Token.REFRESH,
    }


async def test_a_wrong_password_requires_reconnecting(stage: Subject) -> None:
    made = Bluesky(stage.http)
    with pytest.raises(AuthExpired) as caught:
        await made.refresh(replace(stage.c, tokens={Token.PASSWORD: "aaaa-bbbb-cccc-dddd"}))
    assert caught.value.token is Token.PASSWORD
    with pytest.raises(AuthExpired) as caught:
        await made.refresh(replace(stage.c, tokens={}))
    assert caught.value.token is Token.PASSWORD


async def test_a_session_of_another_account_is_refused() -> None:
    session = {"accessJwt": "a", "refreshJwt": "b", "did": CUSTOMER, "handle": "c.example"}
    server = Server(refreshSession=session, createSession=session)
    with pytest.raises(AuthExpired, match="another account"):
        await server.adapter.refresh(credentials(refresh="r", password="p"))
    assert [one.url.path.rpartition(".")[2] for one in server.requests] == ["refreshSession", "createSession"]


async def test_a_renewal_without_a_response_is_not_repeated_by_password() -> None:
    server = Server(refreshSession=json_response({"error": "UpstreamFailure", "message": ""}, 502))
    with pytest.raises(OutcomeUnknown):
        await server.adapter.refresh(credentials(refresh="r", password="p"))
    assert len(server.requests) == 1


async def test_inspect_returns_lifetimes_and_missing_scopes() -> None:
    ordinary = jwt("signature", scope="com.atproto.appPass", iat=1795413600, exp=1795413600 + 600)
    refresh = jwt("signature", scope="com.atproto.refresh", exp=1795413600 + 86_400)
    server = Server(getSession=PROFILE)
    states = await server.adapter.inspect(credentials(community=ordinary, refresh=refresh))
    assert states[Token.COMMUNITY].missing_scopes == ("com.atproto.appPassPrivileged",)
    assert states[Token.COMMUNITY].lifetime == timedelta(minutes=10)
    assert states[Token.REFRESH].lifetime == timedelta(days=1)
    states = await server.adapter.inspect(credentials(community="opaque"))
    assert (states[Token.COMMUNITY].lifetime, states[Token.COMMUNITY].missing_scopes) == (None, ())


@pytest.mark.parametrize("text", ["opaque", "a.b.c", "..", "a.e30.c", "a.W10.c", "a.eyJleHAiOiJ4In0.c", "é.é.é"])
def test_a_token_without_an_expiry_has_the_usual_lifetime(text: str) -> None:
    granted = sessions.issued_tokens(Session(access_jwt=text, refresh_jwt=text, did=OWN_DID))
    assert [one.lifetime for one in granted.values()] == [timedelta(hours=2), timedelta(days=90)]


# ── limits ────────────────────────────────────────────────────────────────────────────────────────


async def test_requests_carry_their_cost() -> None:
    server = Server(
        getRecord=json_response({"error": "RecordNotFound", "message": ""}, 400, date=DATE),
        uploadBlob={"blob": {}},
        putRecord={"uri": uri(OWN_DID, "x"), "cid": CID},
        createSession={"accessJwt": "a", "refreshJwt": "b", "did": OWN_DID},
        getPosts={"posts": []},
    )
    c = credentials(community=ACCESS)
    await server.adapter.publish(c, OutgoingPost("Ours", (Picture(PIXEL, "image/png"),)), "key")
    await server.adapter.refresh(credentials(password="p"))
    await server.adapter.metrics(c, (uri(OWN_DID, "a"),))
    costs = [request.extensions[COST] for request in server.requests]
    assert costs == [
        Cost(ACCESS, Token.COMMUNITY),
        Cost(ACCESS, Token.COMMUNITY, {"calls": 1, "uploads": 1}, OWN_DID),
        Cost(ACCESS, Token.COMMUNITY, {"calls": 1, "writes": 2}, OWN_DID),
        Cost("", None, {"calls": 1, "sessions": 1}, OWN_DID),
        Cost("", None),
    ]


async def test_a_write_limit_has_the_scope_of_the_account(stage: Subject) -> None:
    stage.sandbox.network.limits["bluesky_writes"] = 3
    made = Bluesky(stage.http)
    await made.publish(stage.c, OutgoingPost("One"), "one")
    usage = Bluesky.usage(stage.transport.responses[-1])
    assert usage is not None
    assert (round(usage.share, 2), usage.scope) == (0.67, LimitScope.COMMUNITY)
    with pytest.raises(Throttled) as caught:
        await made.publish(stage.c, OutgoingPost("Two"), "two")
    assert caught.value.scope is LimitScope.COMMUNITY
    assert caught.value.retry_after is not None
    await made.posts(stage.c, None)
    usage = Bluesky.usage(stage.transport.responses[-1])
    assert usage is not None
    assert usage.scope is LimitScope.ADDRESS
    assert usage.resets_in is not None
    assert 0 < usage.resets_in <= 300


@pytest.mark.parametrize(
    "headers", [{}, {"ratelimit-limit": "0", "ratelimit-remaining": "0"}, {"ratelimit-limit": "x"}]
)
def test_without_limit_headers_there_is_no_usage(headers: dict[str, str]) -> None:
    assert Bluesky.usage(httpx.Response(200, headers=headers)) is None
