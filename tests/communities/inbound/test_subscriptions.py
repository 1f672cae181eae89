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
from tests.communities.inbound.conftest import Town

SUBSCRIBE, PROBE, UNSUBSCRIBE = subscriptions.SUBSCRIBE, subscriptions.PROBE, subscriptions.UNSUBSCRIBE


async def read(town: Town, community_id: str) -> Any:
    return await town.agency.get(f"/v1/communities/{community_id}/hook")


async def put(town: Town, community_id: str, **given: str) -> Any:
    return await town.agency.put(f"/v1/communities/{community_id}/hook", {"secrets": given})


def telling(world: World, number: int, at: Any = START) -> Event:
    return Event(f"e{number}", "a", messages=(world.says("olga", number, at),))


# ── setting it ────────────────────────────────────────────────────────────────────────────────────


async def test_it_is_set_at_the_platform_with_secrets_of_our_own(town: Town) -> None:
    a = await town.connect("a")
    opened = await put(town, a)
    assert (opened["state"], opened["reason"]) == ("waiting", None)
    assert town.fake_platform.asked == 0, "a request never calls a platform"
    await town.agency.work(SUBSCRIBE)
    assert town.fake_platform.urls == [opened["url"]]
    (told,) = town.fake_platform.secrets
    assert set(told) == {"secret", "verify"}
    assert min(map(len, told.values())) >= 32
    assert (await read(town, a))["state"] == "subscribed"
    town.secret = told["secret"]
    answer = await town.call(urlsplit(opened["url"]).path)
    assert answer.status_code == 200, "and they are those that a call is verified with"


async def test_secrets_that_were_given_stay_and_those_that_come_back_are_kept(town: Town, clock: SetClock) -> None:
    a = await town.connect("a")
    town.fake_platform.chooses = {"verify": "chosen-by-the-platform"}
    path = await town.open(a)
    await town.agency.work(SUBSCRIBE)
    assert (await read(town, a))["state"] == "waiting"
    asked = {"verify": "chosen-by-the-platform", "challenge": "42"}
    ingest.inbound_ingest(town.agency.resources.db).clear()
    assert (await town.stranger.get(path, params=asked)).text == "42", "it may ask before it says yes"
    clock.advance(timedelta(seconds=ingest.CACHE_SECONDS))
    await town.agency.work(SUBSCRIBE)
    assert [one["secret"] for one in town.fake_platform.secrets] == [town.secret] * 2
    assert (await read(town, a))["state"] == "subscribed"


async def test_what_is_known_of_our_application_is_not_made_up(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    apps = town.agency.resources.settings.platform_apps
    monkeypatch.setitem(apps, "fake", {"secret": SecretStr("the-apps"), "client_id": SecretStr("7")})
    path = urlsplit((await put(town, await town.connect("a")))["url"]).path
    await town.agency.work(SUBSCRIBE)
    assert town.fake_platform.secrets[0]["secret"] == "the-apps"
    assert set(town.fake_platform.secrets[0]) == {"secret", "verify"}
    town.secret = "the-apps"
    assert (await town.call(path)).status_code == 200


@pytest.mark.parametrize("error", [Rejected("the address is not https"), MissingPermission("it lacks manage")])
async def test_a_refusal_has_a_reason_and_is_tried_again_on_request(town: Town, error: Any) -> None:
    a = await town.connect("a")
    town.fake_platform.fail = [error]
    await put(town, a)
    await town.agency.work(SUBSCRIBE)
    found = await read(town, a)
    assert (found["state"], found["reason"]) == ("refused", error.message)
    assert await town.agency.due(SUBSCRIBE) == []
    await put(town, a)
    await town.agency.work(SUBSCRIBE)
    found = await read(town, a)
    assert (found["state"], found["reason"]) == ("subscribed", None)


@pytest.mark.parametrize(
    "error", [Transient("down for a minute"), Throttled("slow down", retry_after=30, scope=LimitScope.TOKEN)]
)
async def test_a_platform_in_trouble_is_tried_later(town: Town, clock: SetClock, error: Any) -> None:
    a = await town.connect("a")
    town.fake_platform.fail = [error]
    await put(town, a)
    await town.agency.work(SUBSCRIBE)
    assert (await read(town, a))["state"] == "waiting"
    assert await town.agency.due(SUBSCRIBE) == []
    clock.advance(timedelta(minutes=2))
    await town.agency.work(SUBSCRIBE)
    assert (await read(town, a))["state"] == "subscribed"


async def test_subscribing_waits_for_the_first_poll(town: Town, clock: SetClock) -> None:
    body = {"project_id": town.project_id, "platform": "fake", "address": "https://fake.test/a"}
    a = (await town.agency.post("/v1/communities", {**body, "credentials": {"community": "t"}}))["id"]
    await put(town, a)
    await town.agency.work(SUBSCRIBE)
    assert (town.fake_platform.asked, (await read(town, a))["state"]) == (0, "waiting")
    await town.agency.work("communities.poll")
    clock.advance(jobs.RETRY_UNREAD_AFTER)
    await town.agency.work(SUBSCRIBE)
    assert (await read(town, a))["state"] == "subscribed"


async def test_secrets_that_only_a_person_knows_are_not_generated(town: Town) -> None:
    """With a secret of our own making every call would be refused, and all would look well."""
    town.allow(hook_given=frozenset({"secret"}), hook_secrets=frozenset({"secret", "verify", "networks"}))
    town.allow(hook_optional=frozenset({"networks"}))
    a = await town.connect("a")
    await put(town, a)
    await town.agency.work(SUBSCRIBE)
    found = await read(town, a)
    assert (found["state"], town.fake_platform.asked) == ("refused", 0)
    assert "secret" in found["reason"]
    assert (await town.health(a))["reason"] == found["reason"]
    path = await town.open(a)
    await town.agency.work(SUBSCRIBE)
    found = await read(town, a)
    assert (found["state"], found["reason"]) == ("subscribed", None)
    assert set(town.fake_platform.secrets[-1]) == {"secret", "verify"}
    assert (await town.call(path)).status_code == 200


@pytest.mark.parametrize("job", [SUBSCRIBE, PROBE])
async def test_a_token_that_has_ended_is_renewed_for_it(
    town: Town, monkeypatch: pytest.MonkeyPatch, clock: SetClock, job: str
) -> None:
    async def refresh(*_: Any) -> dict[Token, IssuedToken]:
        return {Token.COMMUNITY: IssuedToken("new", None)}

    monkeypatch.setattr(town.kind, "refresh", refresh, raising=False)
    monkeypatch.setattr(town.kind, "renewable", lambda *_: frozenset({Token.COMMUNITY}), raising=False)
    a = await town.connect("a")
    await town.open(a)
    if job == PROBE:
        await town.agency.work(SUBSCRIBE)
        clock.advance(subscriptions.FIRST_PROBE_AFTER)
    town.fake_platform.fail = [AuthExpired("the token has ended", token=Token.COMMUNITY)]
    await town.agency.work(job)
    assert (await read(town, a))["state"] == "subscribed"
    assert (await town.health(a))["subscribed"] is (True if job == PROBE else None)
    async with town.agency.resources.transaction(town.agency.workspace_id) as session:
        held = await tokens.load(session, town.agency.resources.keyring, UUID(a))
    assert held.texts == {Token.COMMUNITY: "new"}


async def test_a_platform_that_is_unwell_for_long_is_not_given_up(town: Town, clock: SetClock) -> None:
    a = await town.connect("a")
    town.fake_platform.fail = [Transient("down for hours")] * 15
    await put(town, a)
    for _ in range(16):
        await town.agency.work(SUBSCRIBE)
        clock.advance(timedelta(hours=1))
    assert (await read(town, a))["state"] == "subscribed"


async def test_closed_meanwhile_nothing_is_set(town: Town) -> None:
    a = await town.connect("a")
    await put(town, a)
    await town.agency.http.delete(f"/v1/communities/{a}/hook")
    await town.agency.work(SUBSCRIBE)
    assert town.fake_platform.asked == 0
    assert await town.health(a) is None


async def test_a_closed_one_is_taken_away_at_the_platform(town: Town, clock: SetClock) -> None:
    """As long as it is set, some let nothing be polled."""
    a, b = await town.connect("a"), await town.connect("b")
    url = (await put(town, a))["url"]
    await put(town, b)
    await town.agency.work(SUBSCRIBE)
    await town.agency.http.delete(f"/v1/communities/{a}/hook")
    assert await town.agency.due(UNSUBSCRIBE) == [], "another community has it still"
    await town.agency.http.delete(f"/v1/communities/{b}/hook")
    town.fake_platform.fail = [
        Transient("down for a minute"),
        Throttled("slow down", retry_after=30, scope=LimitScope.TOKEN),
    ]
    for _ in range(3):
        await town.agency.work(UNSUBSCRIBE)
        clock.advance(timedelta(minutes=1))
    assert town.fake_platform.taken_away == [url]
    opened = await put(town, a)
    await town.agency.http.delete(f"/v1/communities/{a}/hook")
    town.fake_platform.fail = [MissingPermission("it lacks manage")]
    await town.agency.work(UNSUBSCRIBE)
    assert (town.fake_platform.taken_away, opened["url"] != url) == ([url], True)


# ── one address for an application ────────────────────────────────────────────────────────────────


async def test_communities_of_one_application_share_an_address(town: Town, world: World) -> None:
    a, b = await town.connect("a"), await town.connect("b")
    path = await town.open(a)
    shared = await put(town, b, verify="xyz")
    assert urlsplit(shared["url"]).path == path
    asked = {"verify": "xyz", "challenge": "42"}
    assert (await town.stranger.get(path, params=asked)).text == "42", "its secrets are one set"
    await town.agency.work(SUBSCRIBE)
    assert town.fake_platform.urls == [shared["url"]] * 2, "each community is subscribed"
    assert {(await read(town, one))["state"] for one in (a, b)} == {"subscribed"}
    await town.agency.http.delete(f"/v1/communities/{a}/hook")
    await town.deliver(path, telling(world, 1))
    assert await town.messages() == [(a, "m1")], "the address is the application's as long as one of them has it"
    await town.agency.http.delete(f"/v1/communities/{b}/hook")
    assert (await town.call(path, telling(world, 2))).status_code == 404


async def test_others_have_an_address_each(town: Town) -> None:
    town.allow(hook_of_app=False)
    a, b = await town.connect("a"), await town.connect("b")
    assert await town.open(a) != await town.open(b)


# ── asking about it ───────────────────────────────────────────────────────────────────────────────


async def test_a_hook_is_probed_soon_and_then_daily(town: Town, clock: SetClock) -> None:
    a = await town.connect("a")
    await town.open(a)
    await town.agency.work(SUBSCRIBE, PROBE)
    known = (
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
    assert await town.health(a) == {**dict.fromkeys(known), "state": "subscribed"}
    town.fake_platform.state, town.fake_platform.asked = (
        HookState(True, False, 17, "Wrong response: 502 Bad Gateway"),
        0,
    )
    clock.advance(subscriptions.FIRST_PROBE_AFTER)
    await town.agency.work(PROBE)
    found = await town.health(a)
    assert found["checked_at"] == "2026-10-15T12:05:00.000000Z"
    assert (found["subscribed"], found["delivering"], found["waiting"]) == (True, False, 17)
    assert found["detail"] == "Wrong response: 502 Bad Gateway"
    for _ in range(24):
        clock.advance(jobs.PROBE_CHECK_INTERVAL)
        assert town.fake_platform.asked == 1
        await town.agency.work(PROBE)
    assert town.fake_platform.asked == 2


async def test_an_unusual_silence_is_probed_once(
    town: Town, world: World, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BUSY_WEEK", 3)
    a = await town.connect("a")
    path = await town.open(a)
    clock.advance(subscriptions.FIRST_PROBE_AFTER)
    await town.agency.work(SUBSCRIBE, PROBE)
    town.fake_platform.asked = 0

    async def hours(many: int) -> int:
        before = town.fake_platform.asked
        for _ in range(many):
            clock.advance(jobs.PROBE_CHECK_INTERVAL)
            await town.agency.work(PROBE)
        return town.fake_platform.asked - before

    await town.deliver(path, telling(world, 1), telling(world, 2))
    assert await hours(3) == 0, "two events are no habit"
    await town.deliver(path, telling(world, 3))
    assert await hours(5) == 1
    await town.deliver(path, telling(world, 4))
    assert await hours(5) == 1, "another silence"


async def test_a_platform_that_does_not_answer_leaves_it_unknown(town: Town, clock: SetClock) -> None:
    a = await town.connect("a")
    await town.open(a)
    await town.agency.work(SUBSCRIBE)
    clock.advance(subscriptions.FIRST_PROBE_AFTER)
    town.fake_platform.fail = [MissingPermission("the token may not ask")]
    await town.agency.work(PROBE)
    found = await town.health(a)
    assert (found["subscribed"], found["detail"]) == (None, "the token may not ask")
    assert found["checked_at"] is not None


async def test_a_paused_community_is_left_alone_and_a_closed_hook_forgotten(town: Town, clock: SetClock) -> None:
    a = await town.connect("a")
    await town.open(a)
    await town.agency.work(SUBSCRIBE)
    town.fake_platform.asked = 0
    await town.agency.post(f"/v1/communities/{a}/pause", status=200)
    clock.advance(timedelta(days=2))
    await town.agency.work(PROBE)
    assert town.fake_platform.asked == 0
    await town.agency.http.delete(f"/v1/communities/{a}/hook")
    clock.advance(timedelta(days=2))
    await town.agency.work(PROBE)
    assert await town.rows(
        "SELECT count(*) FROM job WHERE kind = :kind AND workspace_id = :id", kind=PROBE, id=town.agency.workspace_id
    ) == [(0,)]
