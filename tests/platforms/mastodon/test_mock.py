"""The Mastodon adapter end to end: the third-party server `mastodon_mock` as a process, over real HTTP."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.kit.http import client
from app.platforms.capabilities import ReplyTo
from app.platforms.contract import (
    AuthExpired,
    Credentials,
    Gone,
    Malformed,
    MessageKind,
    Metric,
    OutcomeUnknown,
    Page,
    Rejected,
    RemoteMessage,
    RemotePost,
    Throttled,
    Token,
    Transient,
)
from app.platforms.mastodon.adapter import Mastodon

START_SECONDS = 60


SERVE = """
import uvicorn
from mastodon_mock.app import create_app
from mastodon_mock.config import DatabaseConfig, MastodonMockConfig, demo_config
config = demo_config(MastodonMockConfig(database=DatabaseConfig(path=":memory:")))
uvicorn.run(create_app(config), host="127.0.0.1", port=0, log_level="info")
"""
"""`mastodon_mock serve --in-memory --demo`, on a free port."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of a running `mastodon_mock` with its demo community."""
    folder = tmp_path_factory.mktemp("mastodon_mock")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-c", SERVE], cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield f"127.0.0.1:{_port(process, folder / 'log')}"
        finally:
            process.kill()  # on SIGTERM it would first sleep through its simulated timeouts
            process.wait()


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    """The port, from the line that the server logs once it listens."""
    for _ in range(START_SECONDS * 10):
        match = re.search(r"running on http://127\.0\.0\.1:(\d+)", log.read_text())
        if match is not None:
            return int(match[1])
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(log.read_text())


@pytest.fixture
async def http(server: str) -> AsyncIterator[httpx.AsyncClient]:
    async with client(allow=[server], deadline=10) as made:
        yield made


@pytest.fixture
async def control(server: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client for the actions of customers, and for faults of the server."""
    async with httpx.AsyncClient(base_url=f"http://{server}", trust_env=False) as made:
        yield made
        await made.delete("/api/v1/_mock/faults")


@pytest.fixture
async def ada(server: str, http: httpx.AsyncClient) -> Credentials:
    address = Mastodon.address(f"http://{server}/@ada")
    assert address.base_url is not None
    c = Credentials(address.canonical, address.base_url, None, {Token.COMMUNITY: "ada_token"})
    snapshot = await Mastodon(http).community(replace(c, tokens={}))
    return replace(c, external_id=snapshot.external_id)


async def write_status(control: httpx.AsyncClient, author: str, text: str, **more: str) -> dict[str, Any]:
    response = await control.post(
        "/api/v1/statuses", data={"status": text, **more}, headers={"authorization": f"Bearer {author}_token"}
    )
    assert response.is_success, response.text
    said: dict[str, Any] = response.json()
    return said


async def set_fault(control: httpx.AsyncClient, path: str, **effect: object) -> None:
    response = await control.post("/api/v1/_mock/faults", json={"match": {"path": path}, "effect": effect, "count": 1})
    assert response.is_success, response.text


async def all_posts(made: Mastodon, c: Credentials, cursor: str | None = None) -> tuple[list[RemotePost], str | None]:
    posts: list[RemotePost] = []
    while True:
        page: Page[RemotePost] = await made.posts(c, cursor)
        posts += page.items
        cursor = page.cursor
        if not page.more:
            return posts, cursor


async def all_conversations(
    made: Mastodon, c: Credentials, cursor: str | None = None, since: datetime | None = None
) -> tuple[list[RemoteMessage], str | None]:
    messages: list[RemoteMessage] = []
    while True:
        page: Page[RemoteMessage] = await made.conversations(c, cursor, since)
        messages += page.items
        cursor = page.cursor
        if not page.more:
            return messages, cursor


async def test_the_community(http: httpx.AsyncClient, control: httpx.AsyncClient, ada: Credentials) -> None:
    snapshot = await Mastodon(http).community(ada)
    raw = (await control.get(f"/api/v1/accounts/{ada.external_id}")).json()
    assert snapshot.size == raw["followers_count"] > 0
    assert snapshot.title == raw["display_name"]


async def test_posts_are_read_to_the_end_and_then_only_new_ones(
    http: httpx.AsyncClient, control: httpx.AsyncClient, ada: Credentials
) -> None:
    made = Mastodon(http)
    for number in range(45):
        await write_status(control, "ada", f"post {number}")
    posts, cursor = await all_posts(made, ada)
    texts = [post.text for post in posts]
    assert texts[:45] == [f"post {number}" for number in reversed(range(45))]
    raw = (await control.get(f"/api/v1/accounts/{ada.external_id}")).json()
    assert len({post.external_id for post in posts}) == len(posts) <= raw["statuses_count"]
    assert (await all_posts(made, ada, cursor))[0] == []
    await write_status(control, "ada", "the newest")
    assert [post.text for post in (await all_posts(made, ada, cursor))[0]] == ["the newest"]


async def test_metrics_move(http: httpx.AsyncClient, control: httpx.AsyncClient, ada: Credentials) -> None:
    made = Mastodon(http)
    post, gone = await write_status(control, "ada", "like me"), await write_status(control, "ada", "delete me")
    headers = {"authorization": "Bearer grace_token"}
    await control.post(f"/api/v1/statuses/{post['id']}/favourite", headers=headers)
    await control.post(f"/api/v1/statuses/{post['id']}/reblog", headers=headers)
    await control.delete(f"/api/v1/statuses/{gone['id']}", headers={"authorization": "Bearer ada_token"})
    one, two = await made.metrics(ada, (post["id"], gone["id"]))
    assert one.counters[Metric.REACTIONS] == one.counters[Metric.SHARES] == 1
    assert one.counters[Metric.COMMENTS] == 0
    assert two.gone
    await set_fault(control, "/api/v1/statuses", type="status", status=405)
    assert await made.metrics(ada, (post["id"], gone["id"])) == (one, two)


async def test_a_customer_is_answered(http: httpx.AsyncClient, control: httpx.AsyncClient, ada: Credentials) -> None:
    made = Mastodon(http)
    before = datetime.now(UTC)
    post = await write_status(control, "ada", "ask us anything")
    comment = await write_status(control, "grace", "@ada is it open on Sunday?", in_reply_to_id=post["id"])
    direct = await write_status(control, "alan", "@ada my order is lost", visibility="direct")
    mention = await write_status(control, "alan", "@ada is great")
    messages = {m.external_id: m for m in (await all_conversations(made, ada, None, before))[0]}
    assert {m: messages[m].kind for m in messages} == {
        comment["id"]: MessageKind.COMMENT,
        direct["id"]: MessageKind.MESSAGE,
        mention["id"]: MessageKind.MENTION,
    }
    [listed] = (await made.comments(replace(ada, tokens={}), post["id"], None)).items
    assert listed == messages[comment["id"]]
    for question in (messages[comment["id"]], messages[direct["id"]]):
        to = ReplyTo(question.external_id, question.thread_id, question.kind, question.author, question.post_id)
        sent = await made.reply(ada, to, "Yes, we are", f"key-{question.external_id}")
        again = await made.reply(ada, to, "Yes, we are", f"key-{question.external_id}")
        assert sent.external_id == again.external_id, "the same key must give the same reply"
        raw = (
            await control.get(f"/api/v1/statuses/{sent.external_id}", headers={"authorization": "Bearer ada_token"})
        ).json()
        assert raw["in_reply_to_id"] == question.external_id
        assert raw["visibility"] == ("direct" if question.kind is MessageKind.MESSAGE else "public")
    ours = [m for m in (await made.comments(ada, post["id"], None)).items if m.author.is_community]
    assert [m.thread_id for m in ours] == [listed.thread_id]
    assert "Yes, we are" in ours[0].text


async def test_errors_are_classified(http: httpx.AsyncClient, control: httpx.AsyncClient, ada: Credentials) -> None:
    made = Mastodon(http)
    path = f"/api/v1/accounts/{ada.external_id}"
    await set_fault(control, path, type="ratelimit")
    with pytest.raises(Throttled):
        await made.community(ada)
    for code in (500, 502, 503):
        await set_fault(control, path, type="status", status=code)
        with pytest.raises(Transient):
            await made.community(ada)
    await set_fault(control, path, type="malformed")
    with pytest.raises(Malformed):
        await made.community(ada)
    with pytest.raises(AuthExpired):
        await made.conversations(replace(ada, tokens={Token.COMMUNITY: "no such token"}), None)
    with pytest.raises(Gone):
        await made.comments(ada, "999999999", None)
    assert (await made.community(ada)).external_id == ada.external_id


async def test_a_server_that_does_not_answer(server: str, control: httpx.AsyncClient, ada: Credentials) -> None:
    post = await write_status(control, "ada", "a post")
    comment = await write_status(control, "grace", "@ada hello?", in_reply_to_id=post["id"])
    async with client(allow=[server], deadline=0.5) as impatient:
        made = Mastodon(impatient)
        await set_fault(control, f"/api/v1/accounts/{ada.external_id}", type="timeout", delay_ms=3000)
        with pytest.raises(Transient):
            await made.community(ada)
        [question] = (await made.comments(ada, post["id"], None)).items
        assert question.external_id == comment["id"]
        await set_fault(control, "/api/v1/statuses", type="timeout", delay_ms=3000)
        to = ReplyTo(question.external_id, question.thread_id, question.kind, question.author, question.post_id)
        with pytest.raises(OutcomeUnknown):
            await made.reply(ada, to, "Hello", "key")


async def test_an_address_that_may_not_be_reached(ada: Credentials) -> None:
    async with client() as strict:
        with pytest.raises(Rejected):
            await Mastodon(strict).community(ada)
    await asyncio.sleep(0)
