"""VK: metrics of many communities, publishing, refreshing and inspecting tokens, webhooks and rate limits."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.platforms.capabilities import (
    HookState,
    Inspects,
    MeasuresAcross,
    OutgoingPost,
    Picture,
    PostRef,
    Publishes,
    Refreshes,
    ReportsUsage,
    Subscribes,
)
from app.platforms.contract import (
    COST,
    AuthExpired,
    Cost,
    Credentials,
    LimitScope,
    Metric,
    MetricStatus,
    MissingPermission,
    Rejected,
    Token,
    Transient,
)
from app.platforms.vk.adapter import Vk
from app.platforms.vk.hooks import EVENTS
from tests.platforms.specimens import PIXEL
from tests.platforms.vk.server import GROUP, GROUP_TOKEN, USER_TOKEN, FakeVk, comment, post
from tests.platforms.vk.test_adapter import credentials, event, only_event

URL = "https://instep.example/hooks/vk/1"
BAD = {"error": "ERR_UPLOAD_BAD_IMAGE_SIZE: photo is too large", "bwact": "do_add"}
PICTURE = Picture(PIXEL, "image/png", "a dot")


def refs_of(community: int, *ids: int) -> tuple[PostRef, ...]:
    return tuple(PostRef(str(community), str(key)) for key in ids)


def test_the_adapter_has_its_capabilities() -> None:
    adapter = Vk(FakeVk().client())
    assert all(
        isinstance(adapter, capability) for capability in (MeasuresAcross, Publishes, Refreshes, Inspects, Subscribes)
    )
    assert not isinstance(adapter, ReportsUsage)


# ── limits ────────────────────────────────────────────────────────────────────────────────────────


async def test_every_request_declares_its_cost() -> None:
    costs: dict[str, Cost] = {}
    fake = FakeVk([post(1)])

    def server(request: httpx.Request) -> httpx.Response:
        costs[request.url.path.rpartition("/")[2]] = request.extensions[COST]
        return fake(request)

    adapter = Vk(httpx.AsyncClient(transport=httpx.MockTransport(server)))
    await adapter.posts(credentials(), None)
    await adapter.metrics(credentials(), ("1",))
    await adapter.conversations(credentials(), None)
    await adapter.publish(credentials(), OutgoingPost("Open", (PICTURE,)), "k")
    user, group = (USER_TOKEN, Token.USER), (GROUP_TOKEN, Token.COMMUNITY)
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
    assert costs["wall.post"].target == str(GROUP)


# ── many communities ──────────────────────────────────────────────────────────────────────────────


async def test_posts_of_many_communities_are_measured_together() -> None:
    """100 posts of 50 communities: their counters in one request, their reach in two."""
    owners = range(1, 51)
    fake = FakeVk([post(key, owner_id=-owner) for owner in owners for key in (1, 2)])
    refs = tuple(PostRef(str(owner), str(key)) for owner in owners for key in (2, 1))
    metrics = await Vk(fake.client()).metrics_across(credentials(), refs)
    assert [(one.external_id, one.counters[Metric.REACTIONS]) for one in metrics] == 50 * [("2", 2), ("1", 1)]
    assert [one.counters[Metric.REACH] for one in metrics] == 50 * [20, 10]
    requests = [name for name, _ in fake.calls if name != "stats.getPostReach"]
    assert requests == ["wall.getById", "execute", "execute"]


async def test_posts_of_two_communities_may_have_the_same_id() -> None:
    fake = FakeVk([post(1, owner_id=-5, likes={"count": 50}), post(1, owner_id=-6, likes={"count": 60})])
    metrics = await Vk(fake.client()).metrics_across(credentials(), (*refs_of(6, 1), *refs_of(7, 1), *refs_of(5, 1)))
    assert [one.gone for one in metrics] == [False, True, False]
    assert [one.counters.get(Metric.REACTIONS) for one in metrics] == [60, None, 50]


@pytest.mark.parametrize(
    ("code", "status"),
    [(15, "no_permission"), (7, "no_permission"), (100, "error"), (10, "error"), (99_999, "error")],
)
async def test_an_error_of_reach_in_one_community_leaves_the_others(code: int, status: str) -> None:
    """The token is not of an administrator of the second of three communities."""
    fake = FakeVk([post(1, owner_id=-owner) for owner in (5, 6, 7)], reach_errors={6: code})
    metrics = await Vk(fake.client()).metrics_across(credentials(), (*refs_of(5, 1), *refs_of(6, 1), *refs_of(7, 1)))
    assert [one.counters.get(Metric.REACH) for one in metrics] == [10, None, 10]
    assert metrics[1].missing[Metric.REACH] == MetricStatus(status)
    assert all(one.counters[Metric.VIEWS] == 1000 for one in metrics)


async def test_reach_that_is_not_in_the_response_is_missing() -> None:
    """`execute` returns fewer results than calls, and a failed call without an error."""
    answers: list[Any] = [
        {"response": {"items": [post(1, owner_id=-owner) for owner in (5, 6, 7, 8)]}},
        {"response": [False, [{"post_id": 1, "reach_total": 3}], []]},
    ]
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=answers.pop(0))))
    refs = (*refs_of(5, 1), *refs_of(6, 1), *refs_of(7, 1), *refs_of(8, 1))
    five, six, seven, eight = await Vk(http).metrics_across(credentials(), refs)
    assert five.missing[Metric.REACH] is MetricStatus.ERROR
    assert six.counters[Metric.REACH] == 3
    assert seven.missing[Metric.REACH] is eight.missing[Metric.REACH] is MetricStatus.PENDING


# ── publishing ────────────────────────────────────────────────────────────────────────────────────


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


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────


def with_refresh(base_url: str = "https://api.vk.ru", text: str = "device-1:vk2.a.old", **app: str) -> Credentials:
    tokens = {Token.USER: "vk2.a.user", Token.REFRESH: text}
    return Credentials("https://vk.com/coffee", base_url, "77", tokens, app or {"client_id": "51"})


class FakeVkId:
    """A fake VK ID server that issues a new pair of tokens for each refresh."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Mapping[str, str]]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        form = dict(httpx.QueryParams(request.content.decode()))
        self.calls.append((str(request.url), form))
        assert request.extensions[COST] == Cost(form["refresh_token"], Token.REFRESH, {}), "not an API request"
        tokens = {"access_token": f"vk2.a.{len(self.calls)}", "refresh_token": "vk2.a.new", "expires_in": 3600}
        return httpx.Response(200, json={**tokens, "state": form["state"], "user_id": 1, "token_type": "Bearer"})


async def test_a_token_is_renewed_with_the_device_it_belongs_to() -> None:
    server = FakeVkId()
    adapter = Vk(httpx.AsyncClient(transport=httpx.MockTransport(server)))
    granted = await adapter.refresh(with_refresh())
    assert {kind: one.text for kind, one in granted.items()} == {
        Token.USER: "vk2.a.1",
        Token.REFRESH: "device-1:vk2.a.new",
    }
    assert granted[Token.USER].lifetime == timedelta(hours=1)
    assert granted[Token.REFRESH].lifetime == timedelta(days=180)
    await adapter.refresh(with_refresh("http://127.0.0.1:3", granted[Token.REFRESH].text))
    assert [url for url, _ in server.calls] == ["https://id.vk.ru/oauth2/auth", "http://127.0.0.1:3/oauth2/auth"]
    forms = [dict(form) for _, form in server.calls]
    states = {form.pop("state") for form in forms}
    assert len(states) == 2
    assert all(len(state) >= 32 for state in states)
    same = {"grant_type": "refresh_token", "client_id": "51", "device_id": "device-1"}
    assert forms == [{**same, "refresh_token": "vk2.a.old"}, {**same, "refresh_token": "vk2.a.new"}]


async def test_the_error_of_a_refresh_names_what_is_missing() -> None:
    server = FakeVkId()
    adapter = Vk(httpx.AsyncClient(transport=httpx.MockTransport(server)))
    with pytest.raises(AuthExpired, match="device_id:refresh_token") as caught:
        await adapter.refresh(with_refresh(text="vk2.a.old"))
    assert caught.value.token is Token.REFRESH
    with pytest.raises(MissingPermission, match="client_id"):
        await adapter.refresh(with_refresh(other="x"))
    assert not server.calls
    assert Vk.renewable({Token.REFRESH}, {"client_id"}) == {Token.USER, Token.REFRESH}
    assert not Vk.renewable({Token.REFRESH}, ())
    assert not Vk.renewable({Token.USER, Token.COMMUNITY}, {"client_id"})


async def test_missing_scopes_of_tokens() -> None:
    fake = FakeVk(mask=(1 << 13) + (1 << 20))
    states = await Vk(fake.client()).inspect(credentials())
    assert states[Token.USER].missing_scopes == ("photos",)
    assert states[Token.COMMUNITY].missing_scopes == ("manage", "wall")
    only = await Vk(fake.client()).inspect(credentials({Token.USER: USER_TOKEN}))
    assert only.keys() == {Token.USER}
    with pytest.raises(AuthExpired) as caught:
        await Vk(fake.client()).inspect(credentials({Token.USER: USER_TOKEN, Token.COMMUNITY: "revoked"}))
    assert caught.value.token is Token.COMMUNITY


# ── hooks ─────────────────────────────────────────────────────────────────────────────────────────

SECRETS = {"secret": "agreed", "confirmation": "unknown yet"}


async def test_a_webhook_is_subscribed_to_the_events_of_the_adapter() -> None:
    fake = FakeVk(servers=[{"id": 9, "url": "https://other.example/", "status": "ok", "events": {"like_add"}}])
    fake.servers[0] |= {"title": "x", "secret_key": "theirs", "creator_id": 1}
    adapter = Vk(fake.client())
    assert not (await adapter.subscription(credentials(), URL)).subscribed
    assert await adapter.subscribe(credentials(), URL, SECRETS) == {"confirmation": "a1b2c3"}
    theirs, ours = fake.servers
    assert theirs["events"] == {"like_add"}, "the server of another application is not changed"
    assert (ours["url"], ours["secret_key"]) == (URL, "agreed")
    assert ours["events"] >= set(EVENTS)
    assert len(ours["title"]) <= 14


@pytest.mark.parametrize(
    ("status", "secret", "edits"),
    [("ok", "agreed", 0), ("wait", "agreed", 1), ("failed", "agreed", 1), ("ok", "another", 1)],
)
async def test_subscribing_again_edits_a_server_that_differs_or_fails(status: str, secret: str, edits: int) -> None:
    fake = FakeVk()
    adapter = Vk(fake.client())
    await adapter.subscribe(credentials(), URL, SECRETS)
    fake.servers[0] |= {"status": status, "secret_key": secret}
    await adapter.subscribe(credentials(), URL, SECRETS)
    assert len(fake.servers) == 1
    assert [name for name, _ in fake.calls].count("groups.editCallbackServer") == edits
    assert fake.servers[0]["secret_key"] == "agreed"


@pytest.mark.parametrize(("status", "delivering"), [("ok", True), ("failed", False), ("wait", None)])
async def test_the_state_of_a_webhook(status: str, delivering: bool | None) -> None:
    fake = FakeVk()
    adapter = Vk(fake.client())
    await adapter.subscribe(credentials(), URL, SECRETS)
    fake.servers[0]["status"] = status
    state = await adapter.subscription(credentials(), URL)
    assert (state.subscribed, state.delivering, bool(state.detail)) == (True, delivering, status != "ok")
    fake.servers[0]["events"].remove("message_new")
    assert await adapter.subscription(credentials(), URL) == HookState(False, detail="VK does not send: message_new")


def test_restored_and_edited_comments_are_complete_messages() -> None:
    """Edited and restored comments have the id of the deleted one, and a text."""
    deleted = only_event(event("wall_reply_delete", {"id": 11, "post_id": 1}))
    (restored,) = only_event(event("wall_reply_restore", comment(11, 5))).messages
    (edited,) = only_event(event("wall_reply_edit", comment(11, 5, text="In other words"))).messages
    assert deleted.deleted_ids == (restored.external_id,) == (edited.external_id,)
    assert (restored.deleted, restored.restored, restored.text) == (False, True, "comment 11")
    assert replace(edited, text=restored.text, restored=True) == restored


def test_an_edited_message_is_parsed() -> None:
    body = {"id": 3, "peer_id": 5, "from_id": 5, "date": 10, "update_time": 20, "text": "In other words"}
    (edited,) = only_event(event("message_edit", body)).messages
    assert (edited.external_id, edited.text) == ("message-3", "In other words")
    assert edited.edited_at is not None


# ── responses and limits ──────────────────────────────────────────────────────────────────────────────────


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


def test_rate_limits_by_kind_of_token() -> None:
    by_kind = {(one.name, one.token): (one.calls, one.seconds, one.scope) for one in Vk.spec.rate_limits}
    assert by_kind == {
        ("calls", Token.USER): (3, 1, LimitScope.TOKEN),
        ("calls", Token.COMMUNITY): (20, 1, LimitScope.TOKEN),
        ("wall.get", Token.USER): (5000, 86_400, LimitScope.TOKEN),
        ("wall.post", None): (50, 86_400, LimitScope.COMMUNITY),
    }


async def test_the_code_for_execute() -> None:
    fake = FakeVk([post(1, owner_id=-5), post(1, owner_id=-6)])
    await Vk(fake.client()).metrics_across(credentials(), (*refs_of(5, 1), *refs_of(6, 1)))
    (code,) = [form["code"] for name, form in fake.calls if name == "execute"]
    first, second = (json.dumps({"owner_id": owner, "post_ids": "1"}) for owner in (-5, -6))
    assert code == f"return [API.stats.getPostReach({first}),API.stats.getPostReach({second})];"
