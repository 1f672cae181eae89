"""What a community's disconnecting does to its hook, and to the tokens that unsubscribing it takes."""

from datetime import timedelta

from app.communities.inbound import subscriptions
from app.kit.clock import SetClock
from app.platforms.capabilities import Event
from app.platforms.contract import Token, Transient
from tests.communities.conftest import START
from tests.communities.inbound.conftest import InboundSetup
from tests.communities.renewing import texts

UNSUBSCRIBE = subscriptions.UNSUBSCRIBE
DAY = timedelta(days=1)


async def test_its_hook_is_unsubscribed_before_its_tokens_are_destroyed(inbound: InboundSetup, clock: SetClock) -> None:
    agency, a = inbound.agency, await inbound.connect("a")
    path = await inbound.open(a)
    await agency.work()
    await agency.post(f"/v1/communities/{a}/disconnect", status=200)
    assert inbound.fake_platform.unsubscribed_urls == [], "a request never calls a platform"
    assert (await inbound.call(path)).status_code == 404
    inbound.fake_platform.fail = [Transient("down for a minute")]
    await agency.work(UNSUBSCRIBE)
    assert list(await texts(agency, {"id": a})) == [Token.COMMUNITY], "kept for the next attempt"
    clock.advance(timedelta(minutes=5))
    await agency.work(UNSUBSCRIBE)
    assert [url.endswith(path) for url in inbound.fake_platform.unsubscribed_urls] == [True]
    assert await texts(agency, {"id": a}) == {}


async def test_tokens_are_destroyed_after_a_day_whatever_the_platform_does(
    inbound: InboundSetup, clock: SetClock
) -> None:
    agency, a = inbound.agency, await inbound.connect("a")
    await inbound.open(a)
    await agency.work()
    await agency.post(f"/v1/communities/{a}/disconnect", status=200)
    clock.advance(DAY)
    await agency.work("communities.destroy-tokens")
    assert await texts(agency, {"id": a}) == {}


async def test_events_about_it_are_not_stored(inbound: InboundSetup) -> None:
    """Where an application has one address, its platform sends the events of all communities to it."""
    agency = inbound.agency
    a, b = await inbound.connect("a"), await inbound.connect("b")
    path = await inbound.open(a)
    assert await inbound.open(b) == path
    await agency.work()
    await agency.post(f"/v1/communities/{b}/disconnect", status=200)
    message = inbound.adapter_class.world.message_from("olga", 1, START)
    await inbound.deliver(path, Event("e1", "b", messages=(message,)))
    assert await inbound.messages() == []
    await inbound.deliver(path, Event("e2", "a", messages=(message,)))
    assert await inbound.messages() == [(a, "m1")], "the others' are"
    assert (await agency.get("/v1/communities?status=disconnected"))["data"][0]["id"] == b
    await agency.put(f"/v1/communities/{b}/hook", {"secrets": {}}, status=409)
