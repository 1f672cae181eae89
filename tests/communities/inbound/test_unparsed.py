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
from tests.communities.inbound.conftest import EVENTS, Town

BODY = b'{"a new kind": "Do you deliver?"}'
TAKEN = (200, "EVENT_RECEIVED")
Learn = Callable[..., None]


def said(number: int = 1, account: str | None = "a") -> Event:
    """What it turns out to be."""
    message = RemoteMessage(
        f"m{number}", "olga", MessageKind.MESSAGE, RemotePerson("olga", "Olga"), "Do you deliver?", START
    )
    return Event(f"e{number}", account, messages=(message,))


@pytest.fixture
def learn(town: Town, monkeypatch: pytest.MonkeyPatch) -> Learn:
    """An upgrade: from now on `BODY` means these events."""

    def learned(*events: Event) -> None:
        before = town.kind.parse_event

        def parse_event(told: bytes) -> tuple[Event, ...]:
            return events if told == BODY else before(told)

        monkeypatch.setattr(town.kind, "parse_event", staticmethod(parse_event))

    return learned


async def take(town: Town, path: str, body: bytes = BODY) -> None:
    answer = await town.send(path, body)
    assert (answer.status_code, answer.text) == TAKEN, answer.text
    await town.agency.work(store.APPLY)


async def later(town: Town, clock: SetClock, by: timedelta = 2 * HOUR) -> None:
    """Time passes, and communities are looked at."""
    clock.advance(by)
    await town.agency.work("communities.poll")
    await town.agency.work(store.APPLY)


async def unparsed_events(town: Town, community_id: str) -> Any:
    """What health says of it."""
    return (await town.agency.get(f"/v1/communities/{community_id}/health"))["unparsed_events"]


async def test_it_is_stored_and_shown_and_has_no_effect(town: Town, clock: SetClock) -> None:
    a = await town.connect("a")
    path = await town.open(a)
    assert await unparsed_events(town, a) == {"events": 0, "last_at": None}
    clock.advance(HOUR)
    with capture_logs() as logs:
        await take(town, path)
        await take(town, path)
    assert await unparsed_events(town, a) == {"events": 1, "last_at": f"{START + HOUR:%FT%T.%fZ}"}
    assert await town.rows("SELECT status, payload, batch, applied_at FROM inbound_event") == [
        ("unparsed", BODY.decode(), None, None)
    ]
    assert await town.messages() == []
    assert (await town.health(a))["last_event_at"] is None, "nothing is known to be told"
    found = [line for line in logs if line["event"] == "inbound.unparsed"]
    assert [line["community_id"] for line in found] == [a, a]
    assert "deliver" not in str(logs), "logs are not for what customers say"


async def test_it_is_parsed_after_an_upgrade(town: Town, clock: SetClock, learn: Learn) -> None:
    a = await town.connect("a")
    path = await town.open(a)
    await take(town, path)
    await later(town, clock)
    assert await town.messages() == [], "the control: without one it stays"
    assert (await unparsed_events(town, a))["events"] == 1
    learn(said())
    await later(town, clock)
    assert await town.messages() == [(a, "m1")]
    assert (await unparsed_events(town, a))["events"] == 0
    [inquiry] = (await town.agency.get("/v1/inquiries"))["data"]
    assert inquiry["opened_at"] == f"{START:%FT%T.%fZ}", "it was asked when it was asked"
    await take(town, path)
    await later(town, clock)
    assert await town.messages() == [(a, "m1")]
    assert await town.rows("SELECT DISTINCT status, payload, applied_at FROM inbound_event") == [
        ("applied", None, START + 4 * HOUR)
    ]


async def test_what_turns_out_to_be_nothing_is_done_with(town: Town, clock: SetClock, learn: Learn) -> None:
    a = await town.connect("a")
    await take(town, await town.open(a))
    learn()
    await later(town, clock)
    assert (await unparsed_events(town, a), await town.messages()) == ({"events": 0, "last_at": None}, [])


async def test_it_holds_up_nothing_beside_it(town: Town, learn: Learn) -> None:
    a = await town.connect("a")
    learn(unparsed_event(b"?", "what is this", "a"), said(), unparsed_event(b"!", "and this"))
    await take(town, await town.open(a))
    assert await town.messages() == [(a, "m1")]
    assert (await unparsed_events(town, a))["events"] == 2


async def test_one_that_stays_unparsed_delays_no_other(town: Town, clock: SetClock, learn: Learn) -> None:
    a = await town.connect("a")
    path = await town.open(a)
    for body in (b"before", BODY, b"behind"):
        clock.advance(timedelta(seconds=1))
        await take(town, path, body)
    learn(said())
    await later(town, clock)
    assert await town.messages() == [(a, "m1")]
    assert (await unparsed_events(town, a))["events"] == 2


@pytest.mark.parametrize(("of_app", "token", "told"), [(True, "u", 1), (False, "t", 1), (False, "u", 0)])
async def test_it_is_stored_only_for_communities_of_its_hook(
    town: Town, clock: SetClock, learn: Learn, token: str, told: int, *, of_app: bool
) -> None:
    """As when it came: of a community with another token only where the hook is an application's."""
    town.allow(hook_of_app=of_app)
    a, b = await town.connect("a", "t"), await town.connect("b", token)
    await take(town, await town.open(a))
    learn(said(1, "b"), said(2, None), said(3, "a talks"), said(4, "nobody"))
    await later(town, clock)
    assert sorted(await town.messages()) == sorted([(a, "m2"), (a, "m3"), *[(b, "m1")] * told])
    assert (await unparsed_events(town, a))["events"] == 0


async def test_it_is_kept_as_long_as_any_event(town: Town, clock: SetClock) -> None:
    a = await town.connect("a")
    path = await town.open(a)
    await take(town, path)
    await later(town, clock, timedelta(days=29))
    assert (await unparsed_events(town, a))["events"] == 1
    await later(town, clock, timedelta(days=2))
    assert (await unparsed_events(town, a))["events"] == 0
    assert await town.rows("SELECT count(*) FROM inbound_event") == [(0,)]


async def test_payloads_of_the_previous_version_are_applied(town: Town) -> None:
    """An event that was stored by the version before is applied by this one."""
    a = await town.connect("a")
    path = await town.open(a)
    answer = await town.call(path, said())
    assert (answer.status_code, answer.text) == TAKEN
    [(told,)] = await town.rows("SELECT payload FROM inbound_event")
    older = str(told).replace(',"unparsed":null', "")
    assert older != told
    assert EVENTS.validate_json(f"[{older}]") == (said(),)
    await town.agency.work(store.APPLY)
    assert await town.messages() == [(a, "m1")]


async def test_it_says_nothing_of_what_a_hook_has_missed(town: Town, clock: SetClock, world: World) -> None:
    """What polls find is held against what was told, and this tells of nothing that we know."""
    a = await town.connect("a")
    path = await town.open(a)
    await town.deliver(path, said())
    await take(town, path)
    clock.advance(HOUR)
    world.messages.append(world.says("boris", 2, START + timedelta(minutes=30)))
    await later(town, clock)
    assert await town.messages() == [(a, "m1"), (a, "m2")]
    assert (await town.health(a))["gaps"] == 1
    assert (await town.agency.get(f"/v1/communities/{a}/health"))["state"] == "healthy"
