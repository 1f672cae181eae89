"""The Telegram adapter against the sandbox."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Unpack

import httpx
import pytest

from app.platforms.capabilities import Event, OutgoingPost, Picture, ReplyTo
from app.platforms.contract import (
    AuthExpired,
    Credentials,
    Gone,
    MessageKind,
    Metric,
    MissingPermission,
    OutcomeUnknown,
    Rejected,
    Throttled,
    Token,
)
from app.platforms.telegram import errors
from app.platforms.telegram.adapter import Telegram
from sandbox.entities import Community
from sandbox.ledger import Fields, Record
from sandbox.server import Sandbox, build
from tests.platforms.specimens import PIXEL
from tests.sandbox.conftest import ManualClock, lift_rate_limits


@dataclass
class Stage:
    """A channel of the sandbox, and an adapter whose responses may be lost."""

    sandbox: Sandbox
    adapter: Telegram
    c: Credentials
    loses_response: list[Callable[[httpx.Request], bool]]
    """The response to a request for which one of these is true is lost."""

    @property
    def community(self) -> Community:
        return self.sandbox.network.world.communities["velo_gorod"]

    def emit(self, event: str, /, **fields: Unpack[Fields]) -> Record:
        self.advance(1)
        return self.sandbox.network.world.emit(event, self.community, "control", **fields)

    def advance(self, seconds: float) -> None:
        self.sandbox.network.clock.advance(round(seconds * 1000))
        self.sandbox.network.tick()

    async def events(self, cursor: str | None = None) -> tuple[list[Event], str | None]:
        events: list[Event] = []
        for _ in range(100):
            page = await self.adapter.updates(self.c, cursor)
            events += page.items
            cursor = page.cursor
            if not page.more:
                return events, cursor
        raise AssertionError("the stream does not end")


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    sandbox = build(seed=7, real=ManualClock(), tick=None, speed=0, platforms=["telegram"])
    lift_rate_limits(sandbox)
    inner = httpx.ASGITransport(sandbox.app)
    loses_response: list[Callable[[httpx.Request], bool]] = []

    class LossyTransport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await inner.handle_async_request(request)
            await response.aread()
            if any(lost(request) for lost in loses_response):
                raise httpx.ReadError("lost")
            return response

    token = sandbox.network.grants.stable(sandbox.network.world.communities["velo_gorod"])["community"]
    assert token is not None
    async with httpx.AsyncClient(transport=LossyTransport()) as http:
        adapter = Telegram(http)
        c = Credentials("https://t.me/velo_gorod", "http://localhost", None, {Token.COMMUNITY: token})
        community = await adapter.community(c)
        yield Stage(
            sandbox, adapter, replace(c, external_id=community.external_id, aliases=community.aliases), loses_response
        )
    sandbox.network.world.ledger.close()


async def test_a_channel_is_found_by_name_number_and_id(stage: Stage) -> None:
    snapshots = [
        await stage.adapter.community(replace(stage.c, address=address, external_id=external_id))
        for address, external_id in (
            ("https://t.me/velo_gorod", None),
            ("https://t.me/c/1000000008", None),
            ("https://t.me/old_name", "-1001000000008"),
        )
    ]
    assert snapshots[0] == snapshots[1] == snapshots[2]
    assert (snapshots[0].external_id, snapshots[0].title, snapshots[0].url) == (
        "-1001000000008", "Велогород", "https://t.me/velo_gorod",
    )  # fmt: skip
    assert snapshots[0].size == len(stage.community.followers)
    assert snapshots[0].aliases == {"-1002000000008", "7000000008"}
    with pytest.raises(Gone):
        await stage.adapter.community(replace(stage.c, address="https://t.me/nobody_here", external_id=None))
    with pytest.raises(Rejected):
        await stage.adapter.community(replace(stage.c, external_id=str(stage.community.number_of(1))))


async def test_a_comment_a_reply_and_a_reply_to_that_are_one_thread(stage: Stage) -> None:
    """A comment, the agency's reply and the customer's reply to it are one thread below one post."""
    _, cursor = await stage.events()
    post = stage.emit("post", text="Кто едет?")
    person = stage.community.number_of(1)
    comment = stage.emit("comment", post=post["id"], text="Я!", person=person, kind="other")
    events, cursor = await stage.events(cursor)
    [comment_read] = [one for event in events for one in event.messages if one.text == "Я!"]
    [post_read] = [one for event in events for one in event.posts]
    assert comment_read.post_id == post_read.external_id
    sent = await stage.adapter.reply(
        stage.c,
        ReplyTo(
            comment_read.external_id,
            comment_read.thread_id,
            comment_read.kind,
            comment_read.author,
            comment_read.post_id,
        ),
        "Ждём",
        "key",
    )
    reply_id = max(stage.community.wall)
    assert stage.community.wall[reply_id].parent == int(comment["id"])
    question = stage.emit("comment", post=post["id"], parent=str(reply_id), text="Где?", person=person, kind="question")
    events, _ = await stage.events(cursor)
    messages = [one for event in events for one in event.messages]
    assert sent.external_id not in {one.external_id for one in messages}, "no update for the bot's own messages"
    [last] = [one for one in messages if one.text == "Где?"]
    assert last.in_reply_to == sent.external_id
    assert last.thread_id == comment_read.thread_id
    assert question["id"]


async def test_a_customer_who_writes_to_the_bot_is_answered(stage: Stage) -> None:
    _, cursor = await stage.events()
    person = stage.community.number_of(1)
    stage.emit("message", person=person, text="Вы открыты?", kind="question")
    events, _ = await stage.events(cursor)
    [(event, question)] = [
        (event, one) for event in events for one in event.messages if one.kind is MessageKind.MESSAGE
    ]
    assert event.account_id in stage.c.aliases
    to = ReplyTo(question.external_id, question.thread_id, question.kind, question.author, None)
    await stage.adapter.reply(stage.c, to, "Да", "key")
    assert [stage.community.mail[one].text for one in stage.community.dialogs[person].messages][-2:] == [
        "Вы открыты?", "Да",
    ]  # fmt: skip
    stranger = replace(to, external_id=f"{stage.community.number_of(2)}_1")
    with pytest.raises(Rejected):
        await stage.adapter.reply(stage.c, stranger, "Да", "key")


async def test_what_is_published_appears_once_with_its_pictures(stage: Stage) -> None:
    picture = Picture(PIXEL, "image/png")
    for draft in (
        OutgoingPost("Слова"),
        OutgoingPost("Фото", (picture,)),
        OutgoingPost("Альбом", (picture,) * 10),
        OutgoingPost("", (picture,)),
    ):
        before = len(stage.community.posts)
        sent = await stage.adapter.publish(stage.c, draft, "key")
        assert len(stage.community.posts) == before + 1
        entry = stage.community.wall[stage.community.posts[-1]]
        assert (entry.text, len(entry.media)) == (draft.text, len(draft.pictures))
        assert sent.url == f"https://t.me/velo_gorod/{sent.external_id}"


@pytest.mark.parametrize("pictures", [0, 1, 2])
async def test_a_post_whose_response_is_lost_was_published_all_the_same(stage: Stage, pictures: int) -> None:
    stage.loses_response.append(lambda _: True)
    before = len(stage.community.posts)
    with pytest.raises(OutcomeUnknown):
        await stage.adapter.publish(stage.c, OutgoingPost("Слова", (Picture(PIXEL, "image/png"),) * pictures), "key")
    assert len(stage.community.posts) == before + 1


async def test_an_album_by_another_author_is_one_post_with_its_comments(stage: Stage) -> None:
    _, cursor = await stage.events()
    world = stage.sandbox.network.world
    media = [
        world.emit("media", stage.community, "control", kind="image/png", count=67)["id"] for _ in range(3)
    ]  # fmt: skip
    post = stage.emit("post", text="Весна", media=media)
    stage.emit("comment", post=post["id"], text="Ура", person=stage.community.number_of(1), kind="other")
    events, _ = await stage.events(cursor)
    [album] = [one for event in events for one in event.posts]
    assert album.text == "Весна"
    assert [one.post_id for event in events for one in event.messages if one.text == "Ура"] == [album.external_id]


async def test_reactions_arrive_late_as_a_total(stage: Stage) -> None:
    _, cursor = await stage.events()
    post = stage.emit("post", text="Кто едет?")
    for number in range(5):
        stage.emit("reaction", id=post["id"], person=stage.community.number_of(900_000 + number))
    events, cursor = await stage.events(cursor)
    assert not [event for event in events if event.metrics]
    stage.advance(300)
    events, cursor = await stage.events(cursor)
    stored = stage.community.wall[int(post["id"])]
    counted = [(one.external_id, one.counters) for event in events for one in event.metrics]
    assert (str(stored.id * 16), {Metric.REACTIONS: len(stored.reactors)}) == counted[-1]
    assert len([one for one, _ in counted if one == str(stored.id * 16)]) < len(stored.reactors), "in batches"


async def test_the_stream_is_empty_while_a_webhook_is_set(stage: Stage) -> None:
    _, cursor = await stage.events()
    url = "https://instep.example/hook"
    assert await stage.adapter.subscribe(stage.c, url, {"secret": "sesame"}) == {}
    assert (await stage.adapter.subscription(stage.c, url)).subscribed
    assert not (await stage.adapter.subscription(stage.c, f"{url}/other")).subscribed
    page = await stage.adapter.updates(stage.c, cursor)
    assert (page.items, page.more) == ((), False)
    await stage.adapter.subscribe(stage.c, url, {"secret": "sesame"})
    await stage.adapter.subscribe(stage.c, "", {"secret": "sesame"})
    assert not (await stage.adapter.subscription(stage.c, url)).subscribed
    stage.emit("post", text="Снова здесь")
    events, _ = await stage.events(page.cursor)
    assert [post.text for event in events for post in event.posts][-1] == "Снова здесь"


async def test_a_token_that_was_revoked_or_lacks_permissions(stage: Stage) -> None:
    grants = stage.sandbox.network.grants
    state = await stage.adapter.inspect(stage.c)
    assert state[Token.COMMUNITY].missing_scopes == ()
    weak = replace(stage.c, tokens={Token.COMMUNITY: grants.make(stage.community, "community", ["administrator"])})
    state = await stage.adapter.inspect(weak)
    assert state[Token.COMMUNITY].missing_scopes == (errors.POST, errors.READ_GROUP)
    with pytest.raises(MissingPermission) as caught:
        await stage.adapter.publish(weak, OutgoingPost("x"), "key")
    assert caught.value.scopes == (errors.POST,)
    none = replace(stage.c, tokens={Token.COMMUNITY: grants.make(stage.community, "community", [])})
    assert (await stage.adapter.inspect(none))[Token.COMMUNITY].missing_scopes == Telegram.spec.scopes[Token.COMMUNITY]
    with pytest.raises(MissingPermission):
        await stage.adapter.publish(none, OutgoingPost("x"), "key")
    grants.end(stage.c.tokens[Token.COMMUNITY], "revoked")
    for c in (stage.c, replace(stage.c, tokens={Token.COMMUNITY: "nonsense"})):
        with pytest.raises(AuthExpired):
            await stage.adapter.updates(c, None)


async def test_a_rate_limit_of_a_chat_has_a_retry_after(stage: Stage) -> None:
    stage.sandbox.network.limits.update(telegram_chat_rps=1000, telegram_group_rpm=20)
    for number in range(20):
        await stage.adapter.publish(stage.c, OutgoingPost(f"Пост {number}"), "key")
    with pytest.raises(Throttled) as caught:
        await stage.adapter.publish(stage.c, OutgoingPost("Ещё один"), "key")
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 60
