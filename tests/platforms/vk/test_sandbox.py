"""VK against the sandbox: what the contract's suite does not cover."""

import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Final, Literal

import httpx
import pytest

from app.platforms.capabilities import HookState, OutgoingPost, Picture, ReplyTo
from app.platforms.contract import (
    COST,
    AuthExpired,
    Cost,
    Gone,
    MessageKind,
    PlatformError,
    RemoteMessage,
    RemotePerson,
    Token,
    Unreadable,
)
from app.platforms.vk import adapter as module
from app.platforms.vk.adapter import Vk
from app.platforms.vk.hooks import EVENTS
from sandbox.vk import wire_models
from tests.platforms.contract.pagination import Comments, Conversations, Listing, read_pages
from tests.platforms.contract.stage import Subject, staged
from tests.platforms.specimens import PIXEL

URL: Final = "https://instep.example/hooks/vk/1"
SECRETS: Final = {"secret": "agreed", "confirmation": "unknown yet"}
PICTURE: Final = Picture(PIXEL, "image/png", "a dot")


@pytest.fixture
async def s() -> AsyncIterator[Subject]:
    async with staged("vk", Vk) as subject:
        yield subject


@pytest.fixture
def vk(s: Subject) -> Vk:
    return Vk(s.http)


# ── tokens and limits ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kinds", [(Token.USER, Token.COMMUNITY), (Token.USER,), (Token.COMMUNITY,)])
async def test_each_token_reads_the_community_by_its_name_or_id(s: Subject, vk: Vk, kinds: tuple[Token, ...]) -> None:
    tokens = {kind: s.c.tokens[kind] for kind in kinds}
    snapshots = {
        await vk.community(replace(s.c, tokens=tokens, external_id=external_id))
        for external_id in (None, s.c.external_id)
    }
    [snapshot] = snapshots
    assert (snapshot.external_id, snapshot.url) == (s.c.external_id, f"https://vk.com/{s.community.key}")


async def test_a_community_that_does_not_exist(s: Subject, vk: Vk) -> None:
    with pytest.raises(Gone):
        await vk.community(replace(s.c, external_id="78"))
    with pytest.raises(AuthExpired) as caught:
        await vk.community(replace(s.c, tokens={}))
    assert caught.value.token is Token.COMMUNITY


async def test_a_method_is_called_with_the_token_that_it_accepts(s: Subject, vk: Vk) -> None:
    only_user, only_group = ({kind: s.c.tokens[kind]} for kind in (Token.USER, Token.COMMUNITY))
    assert (await vk.conversations(replace(s.c, tokens=only_user), None)).items == ()
    with pytest.raises(AuthExpired) as caught:
        await vk.posts(replace(s.c, tokens=only_group), None)
    assert caught.value.token is Token.USER
    with pytest.raises(AuthExpired) as caught:
        await vk.conversations(replace(s.c, tokens={Token.COMMUNITY: "revoked"}), None)
    assert caught.value.token is Token.COMMUNITY


def _refusing(s: Subject, kind: Token, code: int) -> list[str]:
    """Have methods refused for one kind of token; the tokens with which anything is posted from now on."""
    tried: list[str] = []

    def instead(request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith(("wall.post", "wall.createComment")):
            return None
        token = request.headers["authorization"].removeprefix("Bearer ")
        tried.append(next(kind for kind, text in s.c.tokens.items() if text == token))
        refused = token == s.c.tokens[kind]
        return httpx.Response(200, json={"error": {"error_code": code, "error_msg": "no"}}) if refused else None

    s.transport.instead = instead
    return tried


@pytest.mark.parametrize("code", [27, 15])
async def test_what_the_communitys_token_may_not_post_is_posted_with_the_administrators(
    s: Subject, vk: Vk, code: int
) -> None:
    """VK refuses the token before anything is changed."""
    post = s.post()["id"]
    question = s.comment(post)
    tried = _refusing(s, Token.COMMUNITY, code)
    sent = await vk.publish(s.c, OutgoingPost("Open", (PICTURE,)), "key-1")
    [posted] = s.accepted("post")
    assert (posted["id"], posted["text"]) == (sent.external_id, "Open")
    person = RemotePerson(str(question["person"]), "Ann")
    to = ReplyTo(f"comment-{question['id']}", "t", MessageKind.COMMENT, person, post)
    await vk.reply(s.c, to, "Until six", "key-2")
    assert [record["text"] for record in s.accepted("reply")] == ["Until six"]
    assert tried == [Token.COMMUNITY, Token.USER] * 2
    assert {cost.kind for cost in (request.extensions[COST] for request in s.transport.requests[-2:])} == {*tried}


@pytest.mark.parametrize("code", [10, 1, 77_777, 214, 9])
async def test_no_other_error_makes_a_post_be_tried_with_another_token(s: Subject, vk: Vk, code: int) -> None:
    """It may have been posted, or is refused to every token."""
    tried = _refusing(s, Token.COMMUNITY, code)
    with pytest.raises(PlatformError):
        await vk.publish(s.c, OutgoingPost("Open"), "key-1")
    assert tried == [Token.COMMUNITY]


async def test_the_error_names_the_token_that_is_missing(s: Subject, vk: Vk) -> None:
    _refusing(s, Token.COMMUNITY, 27)
    with pytest.raises(AuthExpired) as caught:
        await vk.publish(replace(s.c, tokens={Token.COMMUNITY: s.c.tokens[Token.COMMUNITY]}), OutgoingPost("Open"), "k")
    assert caught.value.token is Token.USER, "the community's token is valid"


async def test_closed_comments_are_an_error_of_that_post_alone(s: Subject, vk: Vk) -> None:
    post = s.post()["id"]
    closed = httpx.Response(200, json={"error": {"error_code": 212, "error_msg": "Access to post comments denied"}})
    s.transport.instead = lambda request: closed if request.url.path.endswith("wall.getComments") else None
    with pytest.raises(Unreadable) as caught:
        await vk.comments(s.c, post, None)
    assert caught.value.may_be_one_items


async def test_every_request_declares_its_cost(s: Subject, vk: Vk) -> None:
    post = s.post()["id"]
    s.transport.requests.clear()
    await vk.posts(s.c, None)
    await vk.metrics(s.c, (post,))
    await vk.conversations(s.c, None)
    await vk.publish(s.c, OutgoingPost("Open", (PICTURE,)), "k")
    costs: dict[str, Cost] = {
        request.url.path.rpartition("/")[2]: request.extensions[COST] for request in s.transport.requests
    }
    user, group = ((s.c.tokens[kind], kind) for kind in (Token.USER, Token.COMMUNITY))
    assert {name: (cost.token, cost.kind) for name, cost in costs.items()} == {
        "wall.get": user,
        "wall.getById": user,
        "execute": user,
        "messages.getConversations": group,
        "photos.getWallUploadServer": user,
        "upload.php": ("", None),
        "photos.saveWallPhoto": user,
        "wall.post": group,
    }
    named = {limit.name for limit in Vk.spec.rate_limits} - {"calls"}
    assert named == {"wall.get", "wall.post"}
    for name, cost in costs.items():
        assert cost.units.get("calls") == 1
        assert {unit for unit in cost.units if unit in named} == ({name} & named)
    assert costs["wall.post"].target == s.c.external_id


# ── comments ──────────────────────────────────────────────────────────────────────────────────────


async def _comments(s: Subject, post: str) -> Mapping[str, RemoteMessage]:
    """All comments of a post by their text."""
    comments: dict[str, RemoteMessage] = {}
    cursor: str | None = None
    more = True
    while more:
        page = await Vk(s.http).comments(s.c, post, cursor)
        comments |= {one.text: one for one in page.items}
        cursor, more = page.cursor, page.more
    return comments


async def test_comments_form_one_thread_for_each_customer_and_first_comment(s: Subject) -> None:
    post = s.post()["id"]
    first = s.comment(post, "Until when?", person=1)["id"]
    s.let("reply", via="comment", post=post, parent=first, text="Until six")
    second = s.comment(post, "On Sunday too?", person=2, parent=first)["id"]
    s.let("reply", via="comment", post=post, parent=second, text="On Sunday too")
    other = s.comment(post, "Is there tea?", person=2)["id"]
    s.let("reply", via="comment", post=post, text="Today: cake")
    by_text = await _comments(s, post)
    one, two = (s.community.number_of(person) for person in (1, 2))
    own = f"-{s.c.external_id}"
    assert {text: comment.thread_id for text, comment in by_text.items()} == {
        "Until when?": f"comment-{first}-{one}",
        "Until six": f"comment-{first}-{one}",
        "On Sunday too?": f"comment-{first}-{two}",
        "On Sunday too": f"comment-{first}-{two}",
        "Is there tea?": f"comment-{other}-{two}",
        "Today: cake": f"{by_text['Today: cake'].external_id}-{own}",
    }
    ours = {text for text, comment in by_text.items() if comment.author.is_community}
    assert ours == {"Until six", "On Sunday too", "Today: cake"}
    assert by_text["On Sunday too"].in_reply_to == f"comment-{second}"
    assert by_text["Until when?"].author.name
    assert {comment.post_id for comment in by_text.values()} == {post}


@pytest.mark.parametrize("size", [6, 7, 30, 250])
async def test_a_long_thread_is_read_to_its_end(s: Subject, size: int) -> None:
    post = s.post()["id"]
    first = s.comment(post, "First", person=1)["id"]
    texts = {"First"}
    for number in range(size):
        s.comment(post, f"Answer {number}", parent=first, person=2)
        s.comment(post, f"Comment {number}", person=3)
        texts |= {f"Answer {number}", f"Comment {number}"}
    assert set(await _comments(s, post)) >= texts


# ── messages ──────────────────────────────────────────────────────────────────────────────────────


async def test_messages_both_ways(s: Subject, vk: Vk) -> None:
    _, cursor = await _messages(s, None)
    question = s.message("Until when?", person=1)
    s.let("reply", via="message", person=question["person"], text="Until six")
    s.message("Is there tea?", person=2)
    messages, cursor = await _messages(s, cursor)
    one, two = (s.community.number_of(person) for person in (1, 2))
    assert {(m.text, m.thread_id, m.author.is_community) for m in messages} == {
        ("Until when?", f"message-{one}", False),
        ("Until six", f"message-{one}", True),
        ("Is there tea?", f"message-{two}", False),
    }
    administrator = str(wire_models.admin_id(s.community))
    assert {(m.text, m.written_by_id) for m in messages if m.author.is_community} == {("Until six", administrator)}
    assert not any(m.written_by_id for m in messages if not m.author.is_community)
    calls = len(s.transport.requests)
    assert (await _messages(s, cursor))[0] == []
    assert len(s.transport.requests) == calls + 1
    s.message("Hello?", person=2)
    assert [m.text for m in (await _messages(s, cursor))[0]] == ["Hello?"]


async def _messages(s: Subject, cursor: str | None) -> tuple[list[RemoteMessage], str | None]:
    messages: list[RemoteMessage] = []
    more = True
    while more:
        page = await Vk(s.http).conversations(s.c, cursor)
        messages += page.items
        cursor, more = page.cursor, page.more
    return messages, cursor


# ── random changes between requests ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("listing", [Comments(), Conversations()], ids=lambda listing: listing.name)
async def test_nothing_is_missed_while_anything_changes(
    s: Subject, monkeypatch: pytest.MonkeyPatch, listing: Listing, seed: int
) -> None:
    """With pages that are small enough for an item to cross any bound between two of them."""
    for name, size in {"COMMENTS_PAGE": 12, "THREAD_ITEMS": 2, "CONVERSATIONS_PAGE": 8, "HISTORY_PAGE": 8}.items():
        monkeypatch.setattr(module, name, size)
    rng = random.Random(seed)
    post = s.post("Who comes along?")["id"]

    def add() -> None:
        person = rng.randrange(1, 20)
        if isinstance(listing, Conversations):
            s.message(person=person)
            return
        first = [one for one in s.community.wall[int(post)].replies if not s.community.wall[one].deleted]
        parent = str(rng.choice(first)) if first and rng.random() < 0.6 else None
        s.comment(post, parent=parent, person=person)

    changes_left = 0

    def change(_: int) -> None:
        nonlocal changes_left
        for _ in range(min(changes_left, rng.randrange(4))):
            changes_left -= 1
            left = listing.removable(s)
            if left and rng.random() < 0.5:
                s.delete(rng.choice(left))
            else:
                add()

    for _ in range(rng.randrange(60)):
        add()
    seen: set[int] = set()
    cursor: str | None = None
    s.transport.before = change
    for _ in range(3):
        changes_left = 40
        done = await read_pages(listing, s, cursor)
        seen |= set(done.seconds)
        cursor = done.cursor
    s.transport.before = lambda _: None
    done = await read_pages(listing, s, cursor)
    seen |= set(done.seconds)
    assert {at // 1000 for at in listing.existing(s)} <= seen


# ── the webhook ───────────────────────────────────────────────────────────────────────────────────


async def test_a_webhook_is_subscribed_to_the_events_of_the_adapter(s: Subject, vk: Vk) -> None:
    hooks = s.sandbox.network.hooks
    theirs = hooks.configure(s.community, "https://other.example/", "theirs", title="x", origin="api")
    theirs.topics = {"like_add"}
    confirmation = hooks.code(s.community)
    assert await vk.subscribe(s.c, URL, SECRETS) == {"confirmation": confirmation}
    other, ours = hooks.of(s.community)
    assert (other.url, other.topics) == ("https://other.example/", {"like_add"}), "another application's is not changed"
    assert (ours.url, ours.secret) == (URL, "agreed")
    assert ours.topics >= set(EVENTS)
    assert len(ours.title) <= 14


@pytest.mark.parametrize(
    ("status", "secret", "edits"),
    [("ok", "agreed", 0), ("wait", "agreed", 1), ("failed", "agreed", 1), ("ok", "another", 1)],
)
async def test_subscribing_again_edits_a_server_that_differs_or_fails(
    s: Subject, vk: Vk, status: Literal["ok", "wait", "failed"], secret: str, edits: int
) -> None:
    await vk.subscribe(s.c, URL, SECRETS)
    [ours] = s.sandbox.network.hooks.of(s.community)
    ours.status, ours.secret = status, secret
    s.transport.requests.clear()
    await vk.subscribe(s.c, URL, SECRETS)
    [ours] = s.sandbox.network.hooks.of(s.community)
    assert ours.secret == "agreed"
    assert [request.url.path for request in s.transport.requests].count("/method/groups.editCallbackServer") == edits


@pytest.mark.parametrize(("status", "delivering"), [("ok", True), ("failed", False), ("wait", None)])
async def test_the_state_of_a_webhook(
    s: Subject, vk: Vk, status: Literal["ok", "wait", "failed"], delivering: bool | None
) -> None:
    await vk.subscribe(s.c, URL, SECRETS)
    [ours] = s.sandbox.network.hooks.of(s.community)
    ours.status = status
    state = await vk.subscription(s.c, URL)
    assert (state.subscribed, state.delivering, bool(state.detail)) == (True, delivering, status != "ok")
    ours.topics.remove("message_new")
    assert await vk.subscription(s.c, URL) == HookState(False, outdated=True, detail="VK does not send: message_new")


async def test_a_webhook_is_unsubscribed_once_and_another_stays(s: Subject, vk: Vk) -> None:
    hooks = s.sandbox.network.hooks
    hooks.configure(s.community, "https://other.example/", "theirs", title="x", origin="api")
    await vk.subscribe(s.c, URL, SECRETS)
    assert len(hooks.of(s.community)) == 2
    for _ in range(2):
        await vk.unsubscribe(s.c, URL)
        assert [one.url for one in hooks.of(s.community)] == ["https://other.example/"]
    assert not (await vk.subscription(s.c, URL)).subscribed
