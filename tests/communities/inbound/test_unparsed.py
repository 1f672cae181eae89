"""Events that cannot be parsed: stored, shown in health, and parsed after an upgrade."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.communities.inbound import store
from app.kit.clock import SetClock
from app.platforms.capabilities import Event, unparsed_event
from app.platforms.contract import MessageKind, RemoteMessage, RemotePerson
from tests.communities.conftest import HOUR, START, World
from tests.communities.inbound.conftest import EVENTS, InboundSetup

BODY = b'{"a new kind": "Do you deliver?"}'
TAKEN = (200, "EVENT_RECEIVED")
Learn = Callable[..., None]


def said(number: int = 1, account: str | None = "a") -> Event:
    """The event that a later version parses."""
    message = RemoteMessage(
        f"m{number}", "olga", MessageKind.MESSAGE, RemotePerson("olga", "Olga"), "Do you deliver?", START
    )
    return Event(f"e{number}", account, messages=(message,))


@pytest.fixture
def learn(inbound: InboundSetup, monkeypatch: pytest.MonkeyPatch) -> Learn:
    """An upgrade after which `BODY` parses to these events."""

    def learned(*events: Event) -> None:
        before = inbound.adapter_class.parse_event

        def parse_event(body: bytes) -> tuple[Event, ...]:
            return events if body == BODY else before(body)

        monkeypatch.setattr(inbound.adapter_class, "parse_event", staticmethod(parse_event))

    return learned


async def take(inbound: InboundSetup, path: str, body: bytes = BODY) -> None:
    answer = await inbound.send(path, body)
    assert (answer.status_code, answer.text) == TAKEN, answer.text
    await inbound.agency.work(store.APPLY)


async def later(inbound: InboundSetup, clock: SetClock, by: timedelta = 2 * HOUR) -> None:
    """Advance the clock, poll the communities and apply the events."""
    clock.advance(by)
    await inbound.agency.work("communities.poll")
    await inbound.agency.work(store.APPLY)


async def unparsed_events(inbound: InboundSetup, community_id: str) -> Any:
    """The `unparsed_events` of the health."""
    return (await inbound.agency.get(f"/v1/communities/{community_id}/health"))["unparsed_events"]


async def test_it_is_stored_and_shown_and_has_no_effect(inbound: InboundSetup, clock: SetClock) -> None:
    a = await inbound.connect("a")
    path = await inbound.open(a)
    assert await unparsed_events(inbound, a) == {"events": 0, "last_at": None}
    clock.advance(HOUR)
    with capture_logs() as logs:
        await take(inbound, path)
        await take(inbound, path)
    assert await unparsed_events(inbound, a) == {"events": 1, "last_at": f"{START + HOUR:%FT%TZ}"}
    assert await inbound.rows("SELECT status, payload, batch, applied_at FROM inbound_event") == [
        ("unparsed", BODY.decode(), None, None)
    ]
    assert await inbound.messages() == []
    assert (await inbound.health(a))["last_event_at"] is None, "no parsed event was received"
    warnings = [line for line in logs if line["event"] == "inbound.unparsed"]
    assert [line["community_id"] for line in warnings] == [a, a]
    assert "deliver" not in str(logs), "logs are not for what customers say"


async def test_it_is_parsed_after_an_upgrade(inbound: InboundSetup, clock: SetClock, learn: Learn) -> None:
    a = await inbound.connect("a")
    path = await inbound.open(a)
    await take(inbound, path)
    await later(inbound, clock)
    assert await inbound.messages() == [], "the control: without one it stays"
    assert (await unparsed_events(inbound, a))["events"] == 1
    learn(said())
    await later(inbound, clock)
    assert await inbound.messages() == [(a, "m1")]
    assert (await unparsed_events(inbound, a))["events"] == 0
    [inquiry] = (await inbound.agency.get("/v1/inquiries"))["data"]
    assert inquiry["opened_at"] == f"{START:%FT%TZ}", "it was asked when it was asked"
    await take(inbound, path)
    await later(inbound, clock)
    assert await inbound.messages() == [(a, "m1")]
    assert await inbound.rows("SELECT DISTINCT status, payload, applied_at FROM inbound_event") == [
        ("applied", None, START + 4 * HOUR)
    ]


async def test_what_turns_out_to_be_nothing_is_done_with(inbound: InboundSetup, clock: SetClock, learn: Learn) -> None:
    a = await inbound.connect("a")
    await take(inbound, await inbound.open(a))
    learn()
    await later(inbound, clock)
    assert (await unparsed_events(inbound, a), await inbound.messages()) == ({"events": 0, "last_at": None}, [])


async def test_it_holds_up_nothing_beside_it(inbound: InboundSetup, learn: Learn) -> None:
    a = await inbound.connect("a")
    learn(unparsed_event(b"?", "what is this", "a"), said(), unparsed_event(b"!", "and this"))
    await take(inbound, await inbound.open(a))
    assert await inbound.messages() == [(a, "m1")]
    assert (await unparsed_events(inbound, a))["events"] == 2


async def test_one_that_stays_unparsed_delays_no_other(inbound: InboundSetup, clock: SetClock, learn: Learn) -> None:
    a = await inbound.connect("a")
    path = await inbound.open(a)
    for body in (b"before", BODY, b"behind"):
        clock.advance(timedelta(seconds=1))
        await take(inbound, path, body)
    learn(said())
    await later(inbound, clock)
    assert await inbound.messages() == [(a, "m1")]
    assert (await unparsed_events(inbound, a))["events"] == 2


@pytest.mark.parametrize(("of_app", "token", "expected"), [(True, "u", 1), (False, "t", 1), (False, "u", 0)])
async def test_it_is_stored_only_for_communities_of_its_hook(
    inbound: InboundSetup, clock: SetClock, learn: Learn, token: str, expected: int, *, of_app: bool
) -> None:
    """As at its receipt: for a community with another token only where the hook is an application's."""
    inbound.allow(hook_of_app=of_app)
    a, b = await inbound.connect("a", "t"), await inbound.connect("b", token)
    await take(inbound, await inbound.open(a))
    learn(said(1, "b"), said(2, None), said(3, "a talks"), said(4, "nobody"))
    await later(inbound, clock)
    assert sorted(await inbound.messages()) == sorted([(a, "m2"), (a, "m3"), *[(b, "m1")] * expected])
    assert (await unparsed_events(inbound, a))["events"] == 0


async def test_it_is_kept_as_long_as_any_event(inbound: InboundSetup, clock: SetClock) -> None:
    a = await inbound.connect("a")
    path = await inbound.open(a)
    await take(inbound, path)
    await later(inbound, clock, timedelta(days=29))
    assert (await unparsed_events(inbound, a))["events"] == 1
    await later(inbound, clock, timedelta(days=2))
    assert (await unparsed_events(inbound, a))["events"] == 0
    assert await inbound.rows("SELECT count(*) FROM inbound_event") == [(0,)]


async def test_payloads_of_the_previous_version_are_applied(inbound: InboundSetup) -> None:
    """An event that was stored by the version before is applied by this one."""
    a = await inbound.connect("a")
    path = await inbound.open(a)
    answer = await inbound.call(path, said())
    assert (answer.status_code, answer.text) == TAKEN
    [(payload,)] = await inbound.rows("SELECT payload FROM inbound_event")
    older = str(payload).replace(',"unparsed":null', "")
    assert older != payload
    assert EVENTS.validate_json(f"[{older}]") == (said(),)
    await inbound.agency.work(store.APPLY)
    assert await inbound.messages() == [(a, "m1")]


async def test_it_says_nothing_of_what_a_hook_has_missed(inbound: InboundSetup, clock: SetClock, world: World) -> None:
    """Gaps are found by comparing polls with delivered items; an unparsed event has no known items."""
    a = await inbound.connect("a")
    path = await inbound.open(a)
    await inbound.deliver(path, said())
    await take(inbound, path)
    clock.advance(HOUR)
    world.messages.append(world.message_from("boris", 2, START + timedelta(minutes=30)))
    await later(inbound, clock)
    assert await inbound.messages() == [(a, "m1"), (a, "m2")]
    assert (await inbound.health(a))["gaps"] == 1
    assert (await inbound.agency.get(f"/v1/communities/{a}/health"))["status"] == "healthy"
