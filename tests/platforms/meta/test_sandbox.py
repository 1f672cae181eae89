"""Facebook and Instagram against the sandbox, in what their contract's checks do not cover.

The checks of `contract/` own the rules of all lists (nothing is missed while a list changes, `since`), of replies, of
publishing, of posts that are deleted, and of subscriptions.
"""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import parse_qs, unquote_plus

import httpx
import pytest

from app.platforms import adapter
from app.platforms.capabilities import OutgoingPost, Picture, Replies
from app.platforms.contract import COST, Gone, MessageKind, Metric, Rejected, Token, Transient
from app.platforms.meta.facebook import Facebook
from app.platforms.meta.instagram import Instagram
from sandbox.graph.mentions import IN_COMMENT, TAG_ALONE
from sandbox.graph.state import FEED
from sandbox.ledger import Record
from tests.platforms.calls import HOOK
from tests.platforms.contract.finding import remote_message, remote_post, reply_to
from tests.platforms.contract.hooks import call, receive, secrets, subscribe
from tests.platforms.contract.pagination import LISTINGS, read_pages
from tests.platforms.contract.stage import Subject, recorded_at, staged
from tests.platforms.specimens import PIXEL

POSTS, COMMENTS, CONVERSATIONS = LISTINGS
PICTURE = Picture(PIXEL, "image/jpeg", "a dot", "https://instep.example/1.jpg")


@pytest.fixture
async def page() -> AsyncIterator[Subject]:
    async with staged("facebook", Facebook) as subject:
        yield subject


@pytest.fixture
async def account() -> AsyncIterator[Subject]:
    async with staged("instagram", Instagram) as subject:
        yield subject


@pytest.fixture(params=["facebook", "instagram"])
async def either(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    """A Page, then an account."""
    async with staged(request.param, adapter(request.param)) as subject:
        yield subject


# ── lists ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_thread_is_a_customer_below_a_comment_with_the_page_s_replies(page: Subject) -> None:
    post = page.post()["id"]
    first = page.comment(post, person=1)
    other = page.comment(post, parent=first["id"], person=2)
    ours = page.let("reply", via="comment", post=post, parent=first["id"], text="Until six")
    one, another, reply = [await remote_message(page, record) for record in (first, other, ours)]
    assert one.thread_id == reply.thread_id == f"comment-{one.external_id}-{one.author.external_id}"
    assert another.thread_id == f"comment-{one.external_id}-{another.author.external_id}"
    assert (one.in_reply_to, another.in_reply_to, reply.in_reply_to) == (None, one.external_id, one.external_id)
    assert [item.author.is_community for item in (one, another, reply)] == [False, False, True]
    post_id = await remote_post(page, post)
    cursor = (await Facebook(page.http).comments(page.c, post_id, None)).cursor
    again = await Facebook(page.http).comments(page.c, post_id, cursor)
    assert len(again.items) == 3, "one that was hidden may reappear anywhere: the next scan reads all again"


async def test_messages_of_the_same_second_are_not_missed(page: Subject) -> None:
    page.message(person=1)
    read = await read_pages(CONVERSATIONS, page)
    number = page.community.number_of(2)
    page.sandbox.network.world.emit("message", page.community, "control", text="So?", person=number, kind="question")
    news = await read_pages(CONVERSATIONS, page, read.cursor)
    assert "So?" in {item.text for item in news.items}


async def test_one_request_if_no_message_is_new(page: Subject) -> None:
    CONVERSATIONS.fill(page)
    read = await read_pages(CONVERSATIONS, page)
    requests_before = len(page.transport.requests)
    await read_pages(CONVERSATIONS, page, read.cursor)
    assert len(page.transport.requests) == requests_before + 1


# ── fields ────────────────────────────────────────────────────────────────────────────────────────


def _spoil_fields(subject: Subject, name: str, node_type: str) -> list[str]:
    """Have Graph refuse one field from now on; the `fields` of each request that reaches the sandbox are recorded."""
    answered: list[str] = []
    message = f"(#100) Tried accessing nonexisting field ({name}) on node type ({node_type})"
    error = {"error": {"message": message, "type": "OAuthException", "code": 100}}

    def refuse(request: httpx.Request) -> httpx.Response | None:
        text = unquote_plus(f"{request.url.query.decode()} {request.content.decode('latin-1')}")
        if re.search(rf"\b{name}\b", text) is None:
            answered.append(text)
            return None
        if b"batch=" not in request.content:
            return httpx.Response(400, json=error)
        parts = json.loads(parse_qs(request.content.decode())["batch"][0])
        return httpx.Response(200, json=[{"code": 400, "body": json.dumps(error)} for _ in parts])

    subject.transport.instead = refuse
    return answered


@pytest.mark.parametrize("field", ["shares", "followers_count", "permalink_url", "parent"])
async def test_a_field_that_graph_does_not_know_stops_no_other_of_a_page(page: Subject, field: str) -> None:
    post = page.post()["id"]
    page.comment(post)
    _spoil_fields(page, field, "Page")
    made, (post_id, *_) = Facebook(page.http), [await remote_post(page, post)]
    assert (await made.community(page.c)).external_id == page.c.external_id
    (metrics,) = await made.metrics(page.c, (post_id,))
    assert metrics.counters[Metric.COMMENTS] == 1
    assert (Metric.SHARES in metrics.counters) == (field != "shares"), "it is not 0 where it is not known"
    listed = next(post for post in (await made.posts(page.c, None)).items if post.external_id == post_id)
    assert (Metric.SHARES in listed.metrics.counters) == (field != "shares")
    assert [one.text for one in (await made.comments(page.c, post_id, None)).items] == ["Until when?"]


@pytest.mark.parametrize("field", ["like_count", "name", "username"])
async def test_a_field_that_graph_does_not_know_stops_no_other_of_an_account(account: Subject, field: str) -> None:
    post = account.post()["id"]
    account.comment(post)
    post_id = await remote_post(account, post)
    _spoil_fields(account, field, "IGMedia")
    made = Instagram(account.http)
    (metrics,) = await made.metrics(account.c, (post_id,))
    assert metrics.counters[Metric.COMMENTS] == 1
    (comment,) = (await made.comments(account.c, post_id, None)).items
    assert comment.text == "Until when?"


async def test_a_field_that_cannot_be_left_out_is_an_error(page: Subject) -> None:
    error = {"code": 100, "message": "(#100) Tried accessing nonexisting field (age) on node type (Page)"}
    page.transport.instead = lambda _: httpx.Response(400, json={"error": error})
    with pytest.raises(Rejected, match="does not know the field"):
        await Facebook(page.http).community(page.c)


@pytest.mark.parametrize("kind", [Token.COMMUNITY, Token.USER])
async def test_insights_by_either_login(account: Subject, kind: Token) -> None:
    """Their results have other fields with each, and with that of Instagram there are no batches."""
    posts = [account.post(f"Post {number}") for number in range(3)]
    account.later(49 * 3600)
    ids = tuple([await remote_post(account, post["id"]) for post in posts])
    account.delete(posts[2])
    with_one = replace(account.c, tokens={kind: account.c.tokens[kind]})
    requests_before = len(account.transport.requests)
    first, second, deleted = await Instagram(account.http).metrics(with_one, ids)
    assert all(Instagram.spec.metrics == one.counters.keys() for one in (first, second)), "nothing is unsupported"
    assert deleted.gone
    costs = [request.extensions[COST].units["calls"] for request in account.transport.requests[requests_before:]]
    # Counters and insights, each a batch; without batches a refused one of a single read, then three and two reads.
    assert costs == ([3, 2] if kind is Token.COMMUNITY else [1] * (1 + 3 + 2))


async def test_batches_are_used_where_they_are_accepted(account: Subject) -> None:
    """By graph.instagram.com too, if it does: found out with a batch of one."""
    posts = tuple([await remote_post(account, account.post(f"Post {number}")["id"]) for number in range(3)])
    account.later(49 * 3600)
    page_token = account.c.tokens[Token.COMMUNITY]
    in_place_of_own = replace(account.c, tokens={Token.USER: page_token})
    made, requests_before = Instagram(account.http), len(account.transport.requests)
    for _ in range(2):
        assert all(one.counters[Metric.VIEWS] for one in await made.metrics(in_place_of_own, posts))
    costs = [request.extensions[COST].units["calls"] for request in account.transport.requests[requests_before:]]
    assert costs == [1, 2, 3, 3, 3], "the first alone; all others together, from then on"


# ── writing ───────────────────────────────────────────────────────────────────────────────────────


async def test_pictures_keep_their_alternative_text(page: Subject) -> None:
    for pictures in ((PICTURE,), (PICTURE, replace(PICTURE, alt=""))):
        before = len(page.records("media"))
        sent = await Facebook(page.http).publish(page.c, OutgoingPost("Open", pictures), "key")
        made = page.records("media")[before:]
        assert [one["detail"]["alt"] for one in made] == [picture.alt for picture in pictures]
        assert sent.url == f"https://www.facebook.com/{sent.external_id}"


async def test_what_is_not_ready_is_not_published(account: Subject) -> None:
    draft, posts_before = OutgoingPost("Open", (PICTURE,)), len(account.accepted("post"))
    account.sandbox.network.limits["graph_container_seconds"] = 60
    with pytest.raises(Transient, match="busy"):
        await Instagram(account.http).publish(account.c, draft, "key")
    account.sandbox.network.limits |= {"graph_container_seconds": 0, "graph_publish_daily": 0}
    with pytest.raises(Rejected, match="0 posts"):
        await Instagram(account.http).publish(account.c, draft, "key")
    assert len(account.accepted("post")) == posts_before


@pytest.mark.parametrize(("days", "late"), [(0, False), (2, True), (2, False)])
async def test_a_late_answer_to_a_message_says_that_a_person_wrote_it(
    either: Subject, days: int, *, late: bool
) -> None:
    """Also where the day ended on the way, so that the answer was not known to be late."""
    question = either.message()
    to = reply_to(await remote_message(either, question))
    either.later(days * 24 * 3600)
    made, requests_before = either.adapter(), len(either.transport.requests)
    assert isinstance(made, Replies)
    await made.reply(either.c, replace(to, late=late), "Yes, until six", "key")
    (record,) = either.accepted("reply")
    assert (record["via"], record["text"]) == ("message", "Yes, until six")
    assert len(either.transport.requests) - requests_before == (2 if days and not late else 1)
    tagged = [b"HUMAN_AGENT" in request.content for request in either.transport.requests[requests_before:]]
    assert tagged[-1] == bool(days)


async def test_a_late_answer_of_a_script_is_refused(either: Subject) -> None:
    """The tag is for people: sending it with a script's answer would break Meta's rules."""
    to = reply_to(await remote_message(either, either.message()))
    either.later(2 * 24 * 3600)
    made = either.adapter()
    assert isinstance(made, Replies)
    for late in (True, False):
        with pytest.raises(Rejected, match="24 hours"):
            await made.reply(either.c, replace(to, late=late, by_person=False), "Yes", "key")
    either.later(6 * 24 * 3600)
    with pytest.raises(Rejected, match="seven days"):
        await made.reply(either.c, replace(to, late=True), "Yes", "key")
    assert not either.accepted("reply")


# ── hooks ─────────────────────────────────────────────────────────────────────────────────────────


async def test_events_of_an_account_are_subscribed_by_either_login(account: Subject) -> None:
    """By the Page's token, the fields of the Page; by that of Instagram's own login, the account's own."""
    made = Instagram(account.http)
    with_page = replace(account.c, tokens={Token.COMMUNITY: account.c.tokens[Token.COMMUNITY]})
    with_own = replace(account.c, tokens={Token.USER: account.c.tokens[Token.USER]})
    await made.subscribe(with_page, HOOK, secrets(account))
    assert (await made.subscription(with_page, HOOK)).subscribed
    assert not (await made.subscription(with_own, HOOK)).subscribed
    await made.subscribe(with_own, HOOK, secrets(account))
    assert (await made.subscription(with_own, HOOK)).subscribed
    assert not (await made.subscription(with_page, HOOK)).subscribed


async def test_a_pressed_button_is_the_listed_message(either: Subject) -> None:
    subject = either
    box = subscribe(subject)
    number = subject.community.number_of(1)
    record = subject.let("message", text="Opening hours", person=number, kind="question", detail={"payload": "HOURS"})
    ((_, delivery),) = box.sent
    assert delivery.kind == "messaging_postbacks"
    _, (event,) = receive(subject, call(subject, delivery), secrets(subject))
    (message,) = event.messages
    listed = await remote_message(subject, record)
    assert (message.external_id, message.thread_id, message.text) == (
        listed.external_id, listed.thread_id, "Opening hours",
    )  # fmt: skip


async def test_an_edit_changes_the_listed_message(page: Subject) -> None:
    record = page.message("One cup")
    box = subscribe(page)
    page.let("graph_edited", id=record["id"], text="Two cups", count=1)
    ((_, delivery),) = box.sent
    _, (event,) = receive(page, call(page, delivery), secrets(page))
    (change,) = event.changes
    listed = await remote_message(page, record)
    assert (change.external_id, change.text) == (listed.external_id, listed.text) == (listed.external_id, "Two cups")


async def test_a_hidden_comment_is_listed_as_hidden(either: Subject) -> None:
    subject = either
    name = "is_hidden" if subject.kind is Facebook else "hide"
    post = subject.post()["id"]
    comments = [subject.comment(post, person=number) for number in (1, 2)]
    ids = [(await remote_message(subject, comment)).external_id for comment in comments]
    box = subscribe(subject)
    headers = {"authorization": f"Bearer {subject.c.tokens[Token.COMMUNITY]}"}
    for hidden in ("true", "false", "true"):
        subject.later()
        url = f"{subject.c.base_url}/v26.0/{ids[0]}"
        assert (await subject.http.post(url, data={name: hidden}, headers=headers)).json() == {"success": True}
    subject.seen.clear()
    assert [(await remote_message(subject, comment)).hidden for comment in comments] == [True, False]
    if subject.kind is Facebook:
        received = [receive(subject, call(subject, delivery), secrets(subject))[1] for _, delivery in box.sent]
        assert [event.changes[0].hidden for (event,) in received] == [True, False, True]
        assert len({event.event_id for (event,) in received}) == 3


async def subscribed_fields(subject: Subject, token: str) -> list[str]:
    """The fields that the community sends to the application."""
    url = f"{subject.c.base_url}/v26.0/me/subscribed_apps"
    (app,) = (await subject.http.get(url, headers={"authorization": f"Bearer {token}"})).json()["data"]
    return list(app["subscribed_fields"])


async def test_instagrams_own_login_subscribes_only_to_what_it_has(account: Subject) -> None:
    """It has no field for mentions, and Instagram announces no edits: nothing is asked for and refused."""
    token = account.c.tokens[Token.USER]
    account.transport.requests.clear()
    await Instagram(account.http).subscribe(replace(account.c, tokens={Token.USER: token}), HOOK, secrets(account))
    assert [request.method for request in account.transport.requests] == ["POST"]
    assert await subscribed_fields(account, token) == ["comments", "messages", "messaging_postbacks"]


async def test_a_field_that_meta_does_not_have_is_left_out(page: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older version of Meta's API has no edits of messages; the rest of the subscription stands."""
    monkeypatch.setattr("sandbox.graph.subscriptions.FEED", FEED - {"message_edits"})
    await Facebook(page.http).subscribe(page.c, HOOK, secrets(page))
    fields = await subscribed_fields(page, page.c.tokens[Token.COMMUNITY])
    assert sorted(fields) == sorted(FEED - {"message_edits"})


# ── mentions ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["question", IN_COMMENT])
async def test_a_mention_is_announced_read_and_answered(account: Subject, kind: str) -> None:
    """In a caption, and in a comment below another account's media."""
    instagram = Instagram(account.http)
    box = subscribe(account)
    record = account.let("mention", text="Is it any good?", person=account.community.number_of(1), kind=kind)
    ((_, delivery),) = box.sent
    _, (event,) = receive(account, call(account, delivery), secrets(account))
    (reference,) = event.announced
    message = await instagram.announced(account.c, reference)
    assert (message.kind, message.sent_at) == (MessageKind.MENTION, recorded_at(record))
    assert "Is it any good?" in message.text
    assert message.author.name
    if kind != IN_COMMENT:
        assert message == await remote_message(account, record), "it is tagged as well: the same message"
    await instagram.reply(account.c, reply_to(message), "It is", "key")
    (reply,) = account.accepted("reply")
    assert (reply["via"], reply["parent"]) == ("mention", record["id"])
    account.delete(Record(type="mention", id=record["id"], post="0", person=record["person"], at=""))
    with pytest.raises(Gone):
        await instagram.announced(account.c, reference)


async def test_with_instagrams_own_login_no_announced_mention_is_read(account: Subject) -> None:
    """Its accounts have no such field: nothing is requested."""
    own_login = replace(account.c, tokens={Token.USER: account.c.tokens[Token.USER]})
    before = len(account.transport.requests)
    for reference in ("17930000000000001", "17930000000000001/17850000000000001"):
        with pytest.raises(Rejected, match="token of the account's Page"):
            await Instagram(account.http).announced(own_login, reference)
    assert len(account.transport.requests) == before


async def test_a_tag_is_listed_and_cannot_be_answered(account: Subject) -> None:
    """Its caption may contain another account's name that begins like ours."""
    box = subscribe(account)
    text = f"Buns with @{account.community.key}.berlin and a@{account.community.key}"
    record = account.let("mention", text=text, person=account.community.number_of(1), kind=TAG_ALONE)
    assert box.sent == [], "no event announces it"
    message = await remote_message(account, record)
    assert message.text == text
    requests_before = len(account.transport.requests)
    with pytest.raises(Rejected, match="only tagged"):
        await Instagram(account.http).reply(account.c, reply_to(message), "Thanks", "key")
    assert len(account.transport.requests) == requests_before
    (beginning,) = Instagram.spec.unanswerable
    assert message.external_id.startswith(beginning)
