"""The hook of the installation's own application: workspaces share an address, and each gets its own events."""

from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from app.communities.inbound import store, subscriptions
from app.kit.clock import SetClock
from app.platforms.capabilities import Event
from tests.communities.conftest import HOUR, START, World
from tests.communities.inbound.conftest import InboundSetup
from tests.conftest import Agency

OURS = {"secret": "", "client_id": "7"}
"""Each test has another secret: agencies of earlier tests share the hook that is derived from it."""
SET = subscriptions.SUBSCRIBE


@pytest.fixture
def ours(inbound: InboundSetup, monkeypatch: pytest.MonkeyPatch) -> InboundSetup:
    """An agency on an installation with an application in its settings."""
    inbound.allow(hook_manual_secrets=frozenset({"secret"}), app_settings=frozenset({"client_id"}))
    monkeypatch.setitem(OURS, "secret", f"the-apps-{uuid4()}")
    app = {name: SecretStr(value) for name, value in OURS.items()}
    monkeypatch.setitem(inbound.agency.resources.settings.platform_apps, "fake", app)
    inbound.secret = OURS["secret"]
    return inbound


@pytest.fixture
async def theirs(ours: InboundSetup, rival: Agency) -> InboundSetup:
    """Another agency on the same installation."""
    project = (await rival.post("/v1/projects", {"title": "P", "timezone": "UTC"}))["id"]
    return InboundSetup(rival, ours.stranger, project, ours.adapter_class, secret=ours.secret)


async def put_hook(inbound: InboundSetup, community_id: str, **secrets: str) -> Any:
    return await inbound.agency.put(f"/v1/communities/{community_id}/hook", {"secrets": secrets})


async def opened(inbound: InboundSetup, name: str) -> tuple[str, str]:
    """A community with a subscribed hook, and the hook's path."""
    community_id = await inbound.connect(name)
    path = urlsplit((await put_hook(inbound, community_id))["url"]).path
    await inbound.agency.work(SET)
    assert (await inbound.agency.get(f"/v1/communities/{community_id}/hook"))["status"] == "subscribed"
    return community_id, path


def event_about(world: World, number: int, account: str | None) -> Event:
    return Event(f"e{number}", account, messages=(world.message_from("olga", number, START),))


async def test_one_call_delivers_to_each_agency_its_own_events(
    ours: InboundSetup, theirs: InboundSetup, world: World
) -> None:
    (a, path), (b, same), (shared, _) = await opened(ours, "a"), await opened(theirs, "b"), await opened(ours, "both")
    theirs_too = await theirs.connect("both")
    assert path == same
    assert len(set(ours.fake_platform.urls)) == 1, "whoever comes last takes it from nobody"
    events = [event_about(world, number, name) for number, name in enumerate(("a", "b", "both", "nobody"), 1)]
    for _ in range(2):
        answer = await ours.call(path, *events)
        assert (answer.status_code, answer.text) == (200, "EVENT_RECEIVED")
        for inbound in (ours, theirs):
            await inbound.agency.work(store.APPLY)
    assert await ours.messages() == [(a, "m1"), (shared, "m3")]
    assert await theirs.messages() == [(b, "m2"), (theirs_too, "m3")]
    for inbound in (ours, theirs):
        assert await inbound.rows("SELECT count(*) FROM inbound_event") == [(2,)]


async def test_all_workspaces_subscribe_with_the_same_secrets(ours: InboundSetup, theirs: InboundSetup) -> None:
    _, path = await opened(ours, "a")
    await opened(theirs, "b")
    first, second = ours.fake_platform.secrets
    assert first == second
    assert first["secret"] == OURS["secret"]
    assert len(first["verify"]) >= 32
    answer = await ours.stranger.get(path, params={"verify": first["verify"], "challenge": "42"})
    assert answer.text == "42"
    answer = await ours.stranger.get(path, params={"verify": "guessed", "challenge": "42"})
    assert answer.status_code == 403


async def test_its_secret_may_be_a_setting_of_another_name(ours: InboundSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hook's secret is a setting of the application, as Meta's `client_secret` is."""
    ours.allow(hook_secret_settings={"secret": "client_secret"})
    renamed = {"client_id": SecretStr("7"), "client_secret": SecretStr(OURS["secret"])}
    monkeypatch.setitem(ours.agency.resources.settings.platform_apps, "fake", renamed)
    _, path = await opened(ours, "a")
    assert (await ours.call(path)).status_code == 200
    assert ours.fake_platform.secrets[0]["secret"] == OURS["secret"]


async def test_the_address_stays_routed_to_hooks_that_stay_open(
    ours: InboundSetup, theirs: InboundSetup, world: World
) -> None:
    (a, path), (b, _) = await opened(ours, "a"), await opened(theirs, "b")
    assert (await ours.agency.http.delete(f"/v1/communities/{a}/hook")).status_code == 204
    await theirs.deliver(path, event_about(world, 1, "a"), event_about(world, 2, "b"))
    await ours.agency.work(store.APPLY)
    assert (await ours.messages(), await theirs.messages()) == ([], [(b, "m2")])
    await ours.agency.work(subscriptions.UNSUBSCRIBE)
    assert ours.fake_platform.unsubscribed_urls == [], "another agency receives events through it"
    assert (await theirs.agency.http.delete(f"/v1/communities/{b}/hook")).status_code == 204
    await theirs.agency.work(subscriptions.UNSUBSCRIBE)
    assert [urlsplit(url).path for url in ours.fake_platform.unsubscribed_urls] == [path]
    assert (await ours.call(path, event_about(world, 3, "b"))).status_code == 404
    assert urlsplit((await put_hook(ours, a))["url"]).path == path


@pytest.mark.parametrize("status", ["reauth_required", "failed", "paused", "healthy"])
async def test_an_agency_without_permission_gets_no_events(
    ours: InboundSetup, theirs: InboundSetup, world: World, status: str
) -> None:
    """A client moved to another agency of this installation: customers' messages go to the new one alone."""
    (a, path), (theirs_now, _) = await opened(ours, "a"), await opened(theirs, "a")
    async with ours.agency.resources.transaction(ours.agency.workspace_id) as session:
        await session.execute(text("UPDATE community SET status = :status WHERE id = :id"), {"status": status, "id": a})
    await theirs.deliver(path, event_about(world, 1, "a"), event_about(world, 2, "a talks"))
    await ours.agency.work(store.APPLY)
    assert await theirs.messages() == [(theirs_now, "m1"), (theirs_now, "m2")]
    assert await ours.messages() == ([(a, "m1"), (a, "m2")] if status == "healthy" else [])
    assert await ours.rows("SELECT count(*) FROM inbound_event") == [(2 if status == "healthy" else 0,)]


async def test_another_application_has_an_address_of_its_own(
    ours: InboundSetup, theirs: InboundSetup, world: World
) -> None:
    """Calls for another application do not use the installation's, or its platform would send its events there."""
    _, path = await opened(ours, "a")
    b = await theirs.connect("b")
    theirs.secret = "another-apps"
    other = urlsplit((await put_hook(theirs, b, secret=theirs.secret))["url"]).path
    await theirs.agency.work(SET)
    assert other != path
    assert ours.fake_platform.apps == [OURS, {}]
    c = await theirs.connect("c")
    assert urlsplit((await put_hook(theirs, c, secret=theirs.secret))["url"]).path == other, (
        "and its communities share it"
    )
    await theirs.deliver(other, event_about(world, 1, "b"), event_about(world, 2, "c"), event_about(world, 3, "a"))
    assert (await theirs.messages(), await ours.messages()) == ([(b, "m1"), (c, "m2")], [])
    assert (await ours.call(other, event_about(world, 4, "b"))).status_code == 403, "ours is not believed there"
    assert (await theirs.call(path, event_about(world, 5, "a"))).status_code == 403, "nor theirs here"


async def test_a_hook_does_not_change_its_application(ours: InboundSetup) -> None:
    a, path = await opened(ours, "a")
    for secrets, status, code in (
        ({"secret": "another-apps"}, 409, "hook-of-installation"),
        ({"verify": "a-word-of-our-own"}, 422, "unexpected-secret"),
    ):
        answer = await ours.agency.http.put(f"/v1/communities/{a}/hook", json={"secrets": secrets})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await ours.call(path)).status_code == 200
    assert urlsplit((await put_hook(ours, a, secret=OURS["secret"]))["url"]).path == path, (
        "what is the same may be said"
    )
    await ours.agency.http.delete(f"/v1/communities/{a}/hook")
    assert urlsplit((await put_hook(ours, a, secret="another-apps"))["url"]).path != path


async def test_a_hook_from_before_moves_when_it_is_opened_again(
    ours: InboundSetup, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hook was opened with its secret before the application was configured."""
    with monkeypatch.context() as then:
        then.setitem(ours.agency.resources.settings.platform_apps, "fake", {})
        (a, old), (b, same) = [
            (one, await ours.open(one)) for one in (await ours.connect("a"), await ours.connect("b"))
        ]
        other = await ours.connect("c")
    assert old == same
    path = urlsplit((await put_hook(ours, a))["url"]).path
    assert path == urlsplit((await put_hook(ours, other))["url"]).path != old
    for where, name, number in ((old, "b", 1), (path, "a", 2), (path, "c", 3)):
        await ours.deliver(where, event_about(world, number, name))
    assert await ours.messages() == [(b, "m1"), (a, "m2"), (other, "m3")]
    assert urlsplit((await put_hook(ours, b))["url"]).path == path
    assert (await ours.call(old, event_about(world, 4, "b"))).status_code == 404


async def test_a_hook_of_another_application_stays_what_it_is(ours: InboundSetup) -> None:
    a = await ours.connect("a")
    other = urlsplit((await put_hook(ours, a, secret="another-apps"))["url"]).path
    assert urlsplit((await put_hook(ours, a))["url"]).path == other
    ours.secret = "another-apps"
    assert (await ours.call(other)).status_code == 200


async def test_a_call_that_one_workspace_cannot_store_is_not_acknowledged(
    ours: InboundSetup, theirs: InboundSetup, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (a, path), (b, _) = await opened(ours, "a"), await opened(theirs, "b")
    kept = store.store

    async def fails(executor: Any, workspace_id: Any, *rest: Any) -> Any:
        if workspace_id == theirs.agency.workspace_id:
            raise ConnectionError("the database went away")
        return await kept(executor, workspace_id, *rest)

    events = (event_about(world, 1, "a"), event_about(world, 2, "b"))
    with monkeypatch.context() as broken:
        broken.setattr(store, "store", fails)
        assert (await ours.call(path, *events)).status_code >= 500
    await ours.deliver(path, *events)
    await theirs.agency.work(store.APPLY)
    assert (await ours.messages(), await theirs.messages()) == ([(a, "m1")], [(b, "m2")])


async def test_unparsed_events_without_an_account_go_to_all_workspaces(
    ours: InboundSetup, theirs: InboundSetup, world: World, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (a, path), (b, _) = await opened(ours, "a"), await opened(theirs, "b")
    assert (await ours.send(path, b"?")).status_code == 200
    monkeypatch.setattr(ours.adapter_class, "parse_event", staticmethod(lambda body: (event_about(world, 1, "b"),)))
    clock.advance(2 * HOUR)
    for inbound in (ours, theirs):
        await inbound.agency.work("communities.poll")
        await inbound.agency.work(store.APPLY)
    assert (await ours.messages(), await theirs.messages()) == ([], [(b, "m1")])
    for inbound, community_id in ((ours, a), (theirs, b)):
        health = await inbound.agency.get(f"/v1/communities/{community_id}/health")
        assert health["unparsed_events"]["events"] == 0
