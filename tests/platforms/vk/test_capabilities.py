"""VK: metrics of many communities, refreshing and inspecting tokens, and rate limits."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.platforms.capabilities import (
    Inspects,
    MeasuresAcross,
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
    Token,
)
from app.platforms.vk.adapter import Vk
from tests.platforms.vk.server import USER_TOKEN, FakeVk, credentials, post


def refs_of(community: int, *ids: int) -> tuple[PostRef, ...]:
    return tuple(PostRef(str(community), str(key)) for key in ids)


def test_the_adapter_has_its_capabilities() -> None:
    adapter = Vk(FakeVk().client())
    assert all(
        isinstance(adapter, capability) for capability in (MeasuresAcross, Publishes, Refreshes, Inspects, Subscribes)
    )
    assert not isinstance(adapter, ReportsUsage)


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


async def test_the_code_for_execute() -> None:
    fake = FakeVk([post(1, owner_id=-5), post(1, owner_id=-6)])
    await Vk(fake.client()).metrics_across(credentials(), (*refs_of(5, 1), *refs_of(6, 1)))
    (code,) = [form["code"] for name, form in fake.calls if name == "execute"]
    first, second = (json.dumps({"owner_id": owner, "post_ids": "1"}) for owner in (-5, -6))
    assert code == f"return [API.stats.getPostReach({first}),API.stats.getPostReach({second})];"


def test_rate_limits_by_kind_of_token() -> None:
    by_kind = {(one.name, one.token): (one.calls, one.seconds, one.scope) for one in Vk.spec.rate_limits}
    assert by_kind == {
        ("calls", Token.USER): (3, 1, LimitScope.TOKEN),
        ("calls", Token.COMMUNITY): (20, 1, LimitScope.TOKEN),
        ("wall.get", Token.USER): (5000, 86_400, LimitScope.TOKEN),
        ("wall.post", None): (50, 86_400, LimitScope.COMMUNITY),
    }


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
