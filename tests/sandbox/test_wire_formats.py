"""A platform is a folder: discovered, refused where it collides with another, and part of the replay."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import httpx
import pytest
from starlette.responses import Response
from starlette.routing import Route

import sandbox
from sandbox import recount, texts
from sandbox.entities import Profile
from sandbox.ledger import ForeignLedgerError
from sandbox.limits import Counter
from sandbox.network import WireFormat
from sandbox.server import Sandbox, build
from sandbox.wire_formats import WireFormatError, compatible, discover_wire_formats, profiles
from tests.sandbox.conftest import ManualClock, SandboxClient
from tests.sandbox.example_platform import HOUR, PROFILE, WIRE_FORMAT, CounterView


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is discovered as one of the sandbox's."""
    monkeypatch.setattr(sandbox, "__path__", [*sandbox.__path__, str(tmp_path)])
    discover_wire_formats.cache_clear()
    (tmp_path / "example").mkdir()
    yield tmp_path / "example"
    sys.modules.pop("sandbox.example", None)
    vars(sandbox).pop("example", None)
    discover_wire_formats.cache_clear()


def test_a_wire_format_is_found_by_its_folder(folder: Path) -> None:
    (folder / "__init__.py").write_text("from tests.sandbox.example_platform import WIRE_FORMAT as WIRE_FORMAT\n")
    assert {"mastodon", "vk", "example"} <= {wire.name for wire in discover_wire_formats()}


@pytest.mark.parametrize("source", ["", "WIRE_FORMAT = 3", "from sandbox.vk import WIRE_FORMAT as WIRE_FORMAT"])
def test_a_folder_without_a_wire_format_of_its_own_is_refused(folder: Path, source: str) -> None:
    (folder / "__init__.py").write_text(source)
    with pytest.raises(WireFormatError, match=r"sandbox\.example must declare WIRE_FORMAT"):
        discover_wire_formats()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (replace(WIRE_FORMAT, name="other"), "claim /example/"),
        (replace(WIRE_FORMAT, name="other", prefixes=("/other/", "/example/deeper/")), "claim /example/deeper/"),
        (replace(WIRE_FORMAT, name="other", prefixes=("/ex",)), "claim /example/"),
        (replace(WIRE_FORMAT, name="other", prefixes=("/other/",)), "claim example"),
        (
            replace(WIRE_FORMAT, name="other", prefixes=("/other/",), profiles=(replace(PROFILE, platform="o"),)),
            "number 900",
        ),
        (
            replace(WIRE_FORMAT, name="o", prefixes=("/o/",), profiles=(replace(PROFILE, platform="o", number=901),)),
            "key stall",
        ),
    ],
)
def test_two_wire_formats_cannot_claim_the_same(other: WireFormat, said: str) -> None:
    with pytest.raises(WireFormatError, match=said):
        compatible((WIRE_FORMAT, other))


def test_a_route_outside_of_its_prefixes_is_refused(manual_clock: ManualClock) -> None:
    astray = replace(WIRE_FORMAT, routes=lambda _: [Route("/method/wall.get", lambda _: Response())])
    with pytest.raises(WireFormatError, match="/method/wall"):
        build(seed=7, real=manual_clock, tick=None, wire_formats=[astray])


@pytest.mark.parametrize("profile", profiles(discover_wire_formats()), ids=lambda profile: profile.key)
def test_every_community_has_words(profile: Profile) -> None:
    theme, language = profile.theme, profile.language
    assert texts.customer(Random(1), theme, language, "question")
    assert texts.post(Random(1), theme, language, "educational", "Ann")


# ── a world with it ───────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def _visited(manual_clock: ManualClock, ledger: Path | None = None) -> AsyncIterator[SandboxClient]:
    sandbox = build(seed=7, real=manual_clock, tick=None, ledger=ledger, wire_formats=[WIRE_FORMAT])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app), base_url="http://sandbox.test") as http:
        yield SandboxClient(sandbox, manual_clock, http)
    sandbox.network.world.ledger.close()


async def _refreshed(client: SandboxClient, token: str) -> httpx.Response:
    return await client.http.post(f"/example/{token}/refresh")


async def _posted(client: SandboxClient, token: str) -> httpx.Response:
    return await client.http.get(f"/example/{token}/post", params={"text": "Tea!", "key": "k"})


async def test_refresh_tokens_are_good_once_also_after_a_restart(manual_clock: ManualClock, ledger_path: Path) -> None:
    async with _visited(manual_clock, ledger_path) as client:
        first = client.token("stall", "refresh")
        issued = (await _refreshed(client, first)).json()
        assert (await _refreshed(client, first)).json() == {"error": "InvalidToken"}
        assert (await _refreshed(client, issued["access"])).status_code == 400, "an access token refreshes nothing"
        assert (await _posted(client, issued["refresh"])).status_code == 400, "and a refresh token writes nothing"
    assert issued["access"] not in ledger_path.read_text()
    assert issued["refresh"] not in ledger_path.read_text()

    async with _visited(manual_clock, ledger_path) as client:
        assert (await _refreshed(client, first)).status_code == 400
        assert (await _posted(client, issued["access"])).status_code == 200
        again = (await _refreshed(client, issued["refresh"])).json()
        assert len({first, *issued.values(), *again.values()}) == 5
        manual_clock.at += 2 * HOUR + 1
        assert (await _posted(client, again["access"])).status_code == 400, "its two hours are over"
        assert (await _posted(client, client.token("stall", "community"))).status_code == 200


async def test_images_keys_and_what_a_wire_format_keeps_survive_a_restart(
    manual_clock: ManualClock, ledger_path: Path
) -> None:
    async with _visited(manual_clock, ledger_path) as client:
        post = (await _posted(client, client.token("stall", "community"))).json()["id"]
    async with _visited(manual_clock, ledger_path) as client:
        assert (await _posted(client, client.token("stall", "community"))).json()["id"] == post
        c = client.world.communities["stall"]
        assert c.wall[int(post)].media == ("1",)
        assert (c.media["1"].type, c.media["1"].size) == ("image/png", 68)
        assert client.sandbox.network.extra_state(CounterView).posts == [post]


async def test_saves_and_quotes_are_counted(manual_clock: ManualClock) -> None:
    async with _visited(manual_clock) as client:
        c = client.world.communities["stall"]
        post = str(c.posts[-1])
        before = c.wall[int(post)].saves, c.wall[int(post)].quotes
        for act in ("save", "save", "quote"):
            await client.act("stall", act, post=post)
        assert (c.wall[int(post)].saves, c.wall[int(post)].quotes) == (before[0] + 2, before[1] + 1)
        tally = recount.tallies(client.records(), client.world.now)["stall"].posts
        assert {(one.saves, one.quotes) for one in tally.values()} != {(0, 0)}, "people do so by themselves"
        counts = {key: (c.wall[int(key)].saves, c.wall[int(key)].quotes) for key in tally}
        assert counts == {key: (one.saves, one.quotes) for key, one in tally.items()}


async def test_it_is_told_limited_and_fails_in_its_own_form(manual_clock: ManualClock) -> None:
    async with _visited(manual_clock) as client:
        (community,) = (await client.http.get("/_sandbox/communities")).json()
        assert (community["address"], community["external_id"]) == ("http://127.0.0.1/example/stall", "st-900")
        assert (community["app_secret"], list(community["tokens"])) == ("hush", ["user", "community", "refresh", "app"])
        assert (await client.http.post("/_sandbox/limits", json={"example_calls": 3})).json() == {"example_calls": 3}
        assert client.sandbox.network.limits == {"example_calls": 3}
        token = community["tokens"]["community"]
        for rule in ({"token": token}, {"token": "stall/community/0"}, {"community": "stall"}):
            effect = {"type": "platform_error", "code": "TooSlow"}
            fault = {"platform": "example", "count": 1, **rule, "effect": effect}
            assert (await client.http.post("/_sandbox/faults", json=fault)).status_code == 201
            assert (await _posted(client, "nobody")).json() == {"error": "InvalidToken"}, "it is meant for a token"
            failed = await _posted(client, token)
            assert (failed.status_code, failed.json(), failed.headers["x-example"]) == (
                400, {"error": "TooSlow"}, "closed",
            )  # fmt: skip


# ── a world with some of them ─────────────────────────────────────────────────────────────────


def _records_of(sandbox: Sandbox, platform: str) -> list[dict[str, object]]:
    records = sandbox.network.world.ledger.page(0, 10**7)
    sandbox.network.world.ledger.close()
    return [{**one, "n": 0} for one in records if one.get("platform") == platform]


@pytest.mark.parametrize("platform", ["mastodon", "vk"])
def test_a_further_platform_changes_nothing_for_the_others(manual_clock: ManualClock, platform: str) -> None:
    alone = build(seed=7, real=manual_clock, tick=None, platforms=[platform])
    assert {c.profile.platform for c in alone.network.world.communities.values()} == {platform}
    shared = build(seed=7, real=manual_clock, tick=None, platforms=["mastodon", "vk"])
    crowded = build(
        seed=7, real=manual_clock, tick=None, platforms=["mastodon", "vk", "example"],
        wire_formats=[replace(WIRE_FORMAT, profiles=(replace(PROFILE, snowflakes=True),)), *discover_wire_formats()],
    )  # fmt: skip
    assert _records_of(alone, platform) == _records_of(shared, platform) == _records_of(crowded, platform)


def test_a_world_keeps_the_communities_it_began_with(manual_clock: ManualClock, ledger_path: Path) -> None:
    build(seed=7, real=manual_clock, tick=None, ledger=ledger_path, platforms=["vk"]).network.world.ledger.close()
    again = build(seed=7, real=manual_clock, tick=None, ledger=ledger_path)
    assert {c.profile.platform for c in again.network.world.communities.values()} == {"vk"}
    again.network.world.ledger.close()
    with pytest.raises(ForeignLedgerError):
        build(seed=7, real=manual_clock, tick=None, ledger=ledger_path, wire_formats=[WIRE_FORMAT])


def test_an_unknown_platform_is_refused(manual_clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="myspace"):
        build(seed=7, real=manual_clock, tick=None, platforms=["myspace"])


def test_points_are_counted_in_windows_that_begin_where_they_are_told(manual_clock: ManualClock) -> None:
    """A limit by day whose day begins at 08:00 UTC; it is 06:00."""
    counter, day = Counter(manual_clock), {"seconds": 86_400, "start": 8 * HOUR}
    assert (counter.window("app", 100, cost=60, **day).remaining, counter.window("app", 100, **day).remaining) == (
        40,
        39,
    )
    assert counter.window("app", 100, cost=50, **day).refused
    manual_clock.at += 2 * HOUR - 1
    allowance = counter.window("app", 100, **day)
    assert (allowance.refused, allowance.reset_at) == (True, manual_clock.at + 1)
    manual_clock.at += 1
    assert counter.window("app", 100, **day).remaining == 99
