"""Hooks that the service subscribes itself: subscribing, sharing between communities, and probing."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from pydantic import SecretStr

from app.communities import tokens
from app.communities.inbound import ingest, jobs, subscriptions
from app.kit.clock import SetClock
from app.platforms.capabilities import Event, HookState, IssuedToken
from app.platforms.contract import AuthExpired, LimitScope, MissingPermission, Rejected, Throttled, Token, Transient
from tests.communities.conftest import START, World
from tests.communities.inbound.conftest import InboundSetup

SUBSCRIBE, PROBE, UNSUBSCRIBE = subscriptions.SUBSCRIBE, subscriptions.PROBE, subscriptions.UNSUBSCRIBE


async def read(inbound: InboundSetup, community_id: str) -> Any:
    return await inbound.agency.get(f"/v1/communities/{community_id}/hook")


async def put_hook(inbound: InboundSetup, community_id: str, **secrets: str) -> Any:
    return await inbound.agency.put(f"/v1/communities/{community_id}/hook", {"secrets": secrets})


def message_event(world: World, number: int, at: Any = START) -> Event:
    return Event(f"e{number}", "a", messages=(world.message_from("olga", number, at),))


# ── setting it ────────────────────────────────────────────────────────────────────────────────────


async def test_it_is_set_at_the_platform_with_secrets_of_our_own(inbound: InboundSetup) -> None:
    a = await inbound.connect("a")
    opened = await put_hook(inbound, a)
    assert (opened["status"], opened["reason"]) == ("waiting", None)
    assert inbound.fake_platform.calls == 0, "a request never calls a platform"
    await inbound.agency.work(SUBSCRIBE)
    assert inbound.fake_platform.urls == [opened["url"]]
    (stored_secrets,) = inbound.fake_platform.secrets
    assert set(stored_secrets) == {"secret", "verify"}
    assert min(map(len, stored_secrets.values())) >= 32
    assert (await read(inbound, a))["status"] == "subscribed"
    inbound.secret = stored_secrets["secret"]
    answer = await inbound.call(urlsplit(opened["url"]).path)
    assert answer.status_code == 200, "and they are those that a call is verified with"


async def test_secrets_that_were_given_stay_and_those_that_come_back_are_kept(
    inbound: InboundSetup, clock: SetClock
) -> None:
    a = await inbound.connect("a")
    inbound.fake_platform.issues = {"verify": "chosen-by-the-platform"}
    path = await inbound.open(a)
    await inbound.agency.work(SUBSCRIBE)
    assert (await read(inbound, a))["status"] == "waiting"
    challenge = {"verify": "chosen-by-the-platform", "challenge": "42"}
    ingest.inbound_ingest(inbound.agency.resources).clear()
    assert (await inbound.stranger.get(path, params=challenge)).text == "42", "it may ask before it says yes"
    clock.advance(timedelta(seconds=ingest.CACHE_SECONDS))
    await inbound.agency.work(SUBSCRIBE)
    assert [one["secret"] for one in inbound.fake_platform.secrets] == [inbound.secret] * 2
    assert (await read(inbound, a))["status"] == "subscribed"


async def test_what_is_known_of_our_application_is_not_made_up(
    inbound: InboundSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    apps = inbound.agency.resources.settings.platform_apps
    monkeypatch.setitem(apps, "fake", {"secret": SecretStr("the-apps"), "client_id": SecretStr("7")})
    path = urlsplit((await put_hook(inbound, await inbound.connect("a")))["url"]).path
    await inbound.agency.work(SUBSCRIBE)
    assert inbound.fake_platform.secrets[0]["secret"] == "the-apps"
    assert set(inbound.fake_platform.secrets[0]) == {"secret", "verify"}
    inbound.secret = "the-apps"
    assert (await inbound.call(path)).status_code == 200


@pytest.mark.parametrize("error", [Rejected("the address is not https"), MissingPermission("it lacks manage")])
async def test_a_refusal_has_a_reason_and_is_tried_again_on_request(inbound: InboundSetup, error: Any) -> None:
    a = await inbound.connect("a")
    inbound.fake_platform.fail = [error]
    await put_hook(inbound, a)
    await inbound.agency.work(SUBSCRIBE)
    hook = await read(inbound, a)
    assert (hook["status"], hook["reason"]) == ("refused", error.message)
    assert await inbound.agency.due(SUBSCRIBE) == []
    await put_hook(inbound, a)
    await inbound.agency.work(SUBSCRIBE)
    hook = await read(inbound, a)
    assert (hook["status"], hook["reason"]) == ("subscribed", None)


@pytest.mark.parametrize(
    "error", [Transient("down for a minute"), Throttled("slow down", retry_after=30, scope=LimitScope.TOKEN)]
)
async def test_a_platform_in_trouble_is_tried_later(inbound: InboundSetup, clock: SetClock, error: Any) -> None:
    a = await inbound.connect("a")
    inbound.fake_platform.fail = [error]
    await put_hook(inbound, a)
    await inbound.agency.work(SUBSCRIBE)
    assert (await read(inbound, a))["status"] == "waiting"
    assert await inbound.agency.due(SUBSCRIBE) == []
    clock.advance(timedelta(minutes=2))
    await inbound.agency.work(SUBSCRIBE)
    assert (await read(inbound, a))["status"] == "subscribed"


async def test_subscribing_waits_for_the_first_poll(inbound: InboundSetup, clock: SetClock) -> None:
    body = {"project_id": inbound.project_id, "platform": "fake", "address": "https://fake.test/a"}
    a = (await inbound.agency.post("/v1/communities", {**body, "credentials": {"community": "t"}}))["id"]
    await put_hook(inbound, a)
    await inbound.agency.work(SUBSCRIBE)
    assert (inbound.fake_platform.calls, (await read(inbound, a))["status"]) == (0, "waiting")
    await inbound.agency.work("communities.poll")
    clock.advance(jobs.RETRY_UNREAD_AFTER)
    await inbound.agency.work(SUBSCRIBE)
    assert (await read(inbound, a))["status"] == "subscribed"


async def test_secrets_that_only_a_person_knows_are_not_generated(inbound: InboundSetup) -> None:
    """With a generated secret every call would be refused, although the hook would look subscribed."""
    inbound.allow(hook_manual_secrets=frozenset({"secret"}), hook_secrets=frozenset({"secret", "verify", "networks"}))
    inbound.allow(hook_optional_secrets=frozenset({"networks"}))
    a = await inbound.connect("a")
    await put_hook(inbound, a)
    await inbound.agency.work(SUBSCRIBE)
    hook = await read(inbound, a)
    assert (hook["status"], inbound.fake_platform.calls) == ("refused", 0)
    assert "secret" in hook["reason"]
    assert (await inbound.health(a))["reason"] == hook["reason"]
    path = await inbound.open(a)
    await inbound.agency.work(SUBSCRIBE)
    hook = await read(inbound, a)
    assert (hook["status"], hook["reason"]) == ("subscribed", None)
    assert set(inbound.fake_platform.secrets[-1]) == {"secret", "verify"}
    assert (await inbound.call(path)).status_code == 200


@pytest.mark.parametrize("job", [SUBSCRIBE, PROBE])
async def test_a_token_that_has_ended_is_renewed_for_it(
    inbound: InboundSetup, monkeypatch: pytest.MonkeyPatch, clock: SetClock, job: str
) -> None:
    async def refresh(*_: Any) -> dict[Token, IssuedToken]:
        return {Token.COMMUNITY: IssuedToken("new", None)}

    monkeypatch.setattr(inbound.adapter_class, "refresh", refresh, raising=False)
    monkeypatch.setattr(inbound.adapter_class, "renewable", lambda *_: frozenset({Token.COMMUNITY}), raising=False)
    a = await inbound.connect("a")
    await inbound.open(a)
    if job == PROBE:
        await inbound.agency.work(SUBSCRIBE)
        clock.advance(subscriptions.FIRST_PROBE_AFTER)
    inbound.fake_platform.fail = [AuthExpired("the token has ended", token=Token.COMMUNITY)]
    await inbound.agency.work(job)
    assert (await read(inbound, a))["status"] == "subscribed"
    assert (await inbound.health(a))["subscribed"] is (True if job == PROBE else None)
    async with inbound.agency.resources.transaction(inbound.agency.workspace_id) as session:
        held = await tokens.load(session, inbound.agency.resources.keyring, UUID(a))
    assert held.texts == {Token.COMMUNITY: "new"}


async def test_a_platform_that_is_unwell_for_long_is_not_given_up(inbound: InboundSetup, clock: SetClock) -> None:
    a = await inbound.connect("a")
    inbound.fake_platform.fail = [Transient("down for hours")] * 15
    await put_hook(inbound, a)
    for _ in range(16):
        await inbound.agency.work(SUBSCRIBE)
        clock.advance(timedelta(hours=1))
    assert (await read(inbound, a))["status"] == "subscribed"


async def test_closed_meanwhile_nothing_is_set(inbound: InboundSetup) -> None:
    a = await inbound.connect("a")
    await put_hook(inbound, a)
    await inbound.agency.http.delete(f"/v1/communities/{a}/hook")
    await inbound.agency.work(SUBSCRIBE)
    assert inbound.fake_platform.calls == 0
    assert await inbound.health(a) is None


async def test_a_closed_one_is_taken_away_at_the_platform(inbound: InboundSetup, clock: SetClock) -> None:
    """Some platforms cannot be polled while a hook is subscribed."""
    a, b = await inbound.connect("a"), await inbound.connect("b")
    url = (await put_hook(inbound, a))["url"]
    await put_hook(inbound, b)
    await inbound.agency.work(SUBSCRIBE)
    await inbound.agency.http.delete(f"/v1/communities/{a}/hook")
    assert await inbound.agency.due(UNSUBSCRIBE) == [], "another community has it still"
    await inbound.agency.http.delete(f"/v1/communities/{b}/hook")
    inbound.fake_platform.fail = [
        Transient("down for a minute"),
        Throttled("slow down", retry_after=30, scope=LimitScope.TOKEN),
    ]
    for _ in range(3):
        await inbound.agency.work(UNSUBSCRIBE)
        clock.advance(timedelta(minutes=1))
    assert inbound.fake_platform.unsubscribed_urls == [url]
    opened = await put_hook(inbound, a)
    await inbound.agency.http.delete(f"/v1/communities/{a}/hook")
    inbound.fake_platform.fail = [MissingPermission("it lacks manage")]
    await inbound.agency.work(UNSUBSCRIBE)
    assert (inbound.fake_platform.unsubscribed_urls, opened["url"] != url) == ([url], True)


# ── one address for an application ────────────────────────────────────────────────────────────────


async def test_communities_of_one_application_share_an_address(inbound: InboundSetup, world: World) -> None:
    a, b = await inbound.connect("a"), await inbound.connect("b")
    path = await inbound.open(a)
    shared = await put_hook(inbound, b, verify="xyz")
    assert urlsplit(shared["url"]).path == path
    challenge = {"verify": "xyz", "challenge": "42"}
    assert (await inbound.stranger.get(path, params=challenge)).text == "42", "its secrets are one set"
    await inbound.agency.work(SUBSCRIBE)
    assert inbound.fake_platform.urls == [shared["url"]] * 2, "each community is subscribed"
    assert {(await read(inbound, one))["status"] for one in (a, b)} == {"subscribed"}
    await inbound.agency.http.delete(f"/v1/communities/{a}/hook")
    await inbound.deliver(path, message_event(world, 1))
    assert await inbound.messages() == [(a, "m1")], "the address is the application's as long as one of them has it"
    await inbound.agency.http.delete(f"/v1/communities/{b}/hook")
    assert (await inbound.call(path, message_event(world, 2))).status_code == 404


async def test_others_have_an_address_each(inbound: InboundSetup) -> None:
    inbound.allow(hook_of_app=False)
    a, b = await inbound.connect("a"), await inbound.connect("b")
    assert await inbound.open(a) != await inbound.open(b)


# ── asking about it ───────────────────────────────────────────────────────────────────────────────


async def test_a_hook_is_probed_soon_and_then_daily(inbound: InboundSetup, clock: SetClock) -> None:
    a = await inbound.connect("a")
    await inbound.open(a)
    await inbound.agency.work(SUBSCRIBE, PROBE)
    fields = (
        "reason",
        "checked_at",
        "subscribed",
        "delivering",
        "waiting",
        "detail",
        "last_event_at",
        "gaps",
        "last_gap_at",
    )
    assert await inbound.health(a) == {**dict.fromkeys(fields), "status": "subscribed"}
    inbound.fake_platform.state, inbound.fake_platform.calls = (
        HookState(True, False, 17, "Wrong response: 502 Bad Gateway"),
        0,
    )
    clock.advance(subscriptions.FIRST_PROBE_AFTER)
    await inbound.agency.work(PROBE)
    health = await inbound.health(a)
    assert health["checked_at"] == "2026-10-15T12:05:00Z"
    assert (health["subscribed"], health["delivering"], health["waiting"]) == (True, False, 17)
    assert health["detail"] == "Wrong response: 502 Bad Gateway"
    for _ in range(24):
        clock.advance(jobs.PROBE_CHECK_INTERVAL)
        assert inbound.fake_platform.calls == 1
        await inbound.agency.work(PROBE)
    assert inbound.fake_platform.calls == 2


async def test_an_unusual_silence_is_probed_once(
    inbound: InboundSetup, world: World, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BUSY_WEEK", 3)
    a = await inbound.connect("a")
    path = await inbound.open(a)
    clock.advance(subscriptions.FIRST_PROBE_AFTER)
    await inbound.agency.work(SUBSCRIBE, PROBE)
    inbound.fake_platform.calls = 0

    async def hours(many: int) -> int:
        before = inbound.fake_platform.calls
        for _ in range(many):
            clock.advance(jobs.PROBE_CHECK_INTERVAL)
            await inbound.agency.work(PROBE)
        return inbound.fake_platform.calls - before

    await inbound.deliver(path, message_event(world, 1), message_event(world, 2))
    assert await hours(3) == 0, "two events are no habit"
    await inbound.deliver(path, message_event(world, 3))
    assert await hours(5) == 1
    await inbound.deliver(path, message_event(world, 4))
    assert await hours(5) == 1, "another silence"


async def test_a_platform_that_does_not_answer_leaves_it_unknown(inbound: InboundSetup, clock: SetClock) -> None:
    a = await inbound.connect("a")
    await inbound.open(a)
    await inbound.agency.work(SUBSCRIBE)
    clock.advance(subscriptions.FIRST_PROBE_AFTER)
    inbound.fake_platform.fail = [MissingPermission("the token may not ask")]
    await inbound.agency.work(PROBE)
    health = await inbound.health(a)
    assert (health["subscribed"], health["detail"]) == (None, "the token may not ask")
    assert health["checked_at"] is not None


async def test_a_paused_community_is_left_alone_and_a_closed_hook_forgotten(
    inbound: InboundSetup, clock: SetClock
) -> None:
    a = await inbound.connect("a")
    await inbound.open(a)
    await inbound.agency.work(SUBSCRIBE)
    inbound.fake_platform.calls = 0
    await inbound.agency.post(f"/v1/communities/{a}/pause", status=200)
    clock.advance(timedelta(days=2))
    await inbound.agency.work(PROBE)
    assert inbound.fake_platform.calls == 0
    await inbound.agency.http.delete(f"/v1/communities/{a}/hook")
    clock.advance(timedelta(days=2))
    await inbound.agency.work(PROBE)
    assert await inbound.rows(
        "SELECT count(*) FROM job WHERE kind = :kind AND workspace_id = :id", kind=PROBE, id=inbound.agency.workspace_id
    ) == [(0,)]
