"""A platform is a folder: it is found, it cannot take another's place, and the past is replayed with it."""

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
from sandbox.network import Wire
from sandbox.server import Sandbox, build
from sandbox.wire import WireError, compatible, declared, profiles
from tests.sandbox.conftest import Hands, Visitor
from tests.sandbox.stand import HOUR, PROFILE, WIRE, Shown


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that counts as one of the sandbox's."""
    monkeypatch.setattr(sandbox, "__path__", [*sandbox.__path__, str(tmp_path)])
    declared.cache_clear()
    (tmp_path / "stand").mkdir()
    yield tmp_path / "stand"
    sys.modules.pop("sandbox.stand", None)
    vars(sandbox).pop("stand", None)
    declared.cache_clear()


def test_a_wire_format_is_found_by_its_folder(folder: Path) -> None:
    (folder / "__init__.py").write_text("from tests.sandbox.stand import WIRE as WIRE\n")
    assert {"mastodon", "vk", "stand"} <= {wire.name for wire in declared()}


@pytest.mark.parametrize("source", ["", "WIRE = 3", "from sandbox.vk import WIRE as WIRE"])
def test_a_folder_without_a_wire_format_of_its_own_is_refused(folder: Path, source: str) -> None:
    (folder / "__init__.py").write_text(source)
    with pytest.raises(WireError, match=r"sandbox\.stand must declare WIRE"):
        declared()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (replace(WIRE, name="other"), "claim /stand/"),
        (replace(WIRE, name="other", prefixes=("/other/", "/stand/deeper/")), "claim /stand/deeper/"),
        (replace(WIRE, name="other", prefixes=("/st",)), "claim /stand/"),
        (replace(WIRE, name="other", prefixes=("/other/",)), "claim stand"),
        (replace(WIRE, name="other", prefixes=("/other/",), profiles=(replace(PROFILE, platform="o"),)), "number 900"),
        (
            replace(WIRE, name="o", prefixes=("/o/",), profiles=(replace(PROFILE, platform="o", number=901),)),
            "key stall",
        ),
    ],
)
def test_two_wire_formats_cannot_claim_the_same(other: Wire, said: str) -> None:
    with pytest.raises(WireError, match=said):
        compatible((WIRE, other))


def test_a_route_outside_of_its_prefixes_is_refused(hands: Hands) -> None:
    astray = replace(WIRE, routes=lambda _: [Route("/method/wall.get", lambda _: Response())])
    with pytest.raises(WireError, match="/method/wall"):
        build(seed=7, real=hands, tick=None, wires=[astray])


@pytest.mark.parametrize("profile", profiles(declared()), ids=lambda profile: profile.key)
def test_every_community_has_words(profile: Profile) -> None:
    theme, language = profile.theme, profile.language
    assert texts.customer(Random(1), theme, language, "question")
    assert texts.post(Random(1), theme, language, "educational", "Ann")


# ── a world with it ───────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def _visited(hands: Hands, ledger: Path | None = None) -> AsyncIterator[Visitor]:
    sandbox = build(seed=7, real=hands, tick=None, ledger=ledger, wires=[WIRE])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app), base_url="http://sandbox.test") as http:
        yield Visitor(sandbox, hands, http)
    sandbox.network.world.ledger.close()


async def _refreshed(visitor: Visitor, token: str) -> httpx.Response:
    return await visitor.http.post(f"/stand/{token}/refresh")


async def _posted(visitor: Visitor, token: str) -> httpx.Response:
    return await visitor.http.get(f"/stand/{token}/post", params={"text": "Tea!", "key": "k"})


async def test_refresh_tokens_are_good_once_also_after_a_restart(hands: Hands, ledger_path: Path) -> None:
    async with _visited(hands, ledger_path) as visitor:
        first = visitor.token("stall", "refresh")
        issued = (await _refreshed(visitor, first)).json()
        assert (await _refreshed(visitor, first)).json() == {"error": "InvalidToken"}
        assert (await _refreshed(visitor, issued["access"])).status_code == 400, "an access token refreshes nothing"
        assert (await _posted(visitor, issued["refresh"])).status_code == 400, "and a refresh token writes nothing"
    assert issued["access"] not in ledger_path.read_text()
    assert issued["refresh"] not in ledger_path.read_text()

    async with _visited(hands, ledger_path) as visitor:
        assert (await _refreshed(visitor, first)).status_code == 400
        assert (await _posted(visitor, issued["access"])).status_code == 200
        again = (await _refreshed(visitor, issued["refresh"])).json()
        assert len({first, *issued.values(), *again.values()}) == 5
        hands.at += 2 * HOUR + 1
        assert (await _posted(visitor, again["access"])).status_code == 400, "its two hours are over"
        assert (await _posted(visitor, visitor.token("stall", "community"))).status_code == 200


async def test_images_keys_and_what_a_wire_format_keeps_survive_a_restart(hands: Hands, ledger_path: Path) -> None:
    async with _visited(hands, ledger_path) as visitor:
        post = (await _posted(visitor, visitor.token("stall", "community"))).json()["id"]
    async with _visited(hands, ledger_path) as visitor:
        assert (await _posted(visitor, visitor.token("stall", "community"))).json()["id"] == post
        c = visitor.world.communities["stall"]
        assert c.wall[int(post)].media == ("1",)
        assert (c.media["1"].type, c.media["1"].size) == ("image/png", 68)
        assert visitor.sandbox.network.part(Shown).posts == [post]


async def test_saves_and_quotes_are_counted(hands: Hands) -> None:
    async with _visited(hands) as visitor:
        c = visitor.world.communities["stall"]
        post = str(c.posts[-1])
        before = c.wall[int(post)].saves, c.wall[int(post)].quotes
        for act in ("save", "save", "quote"):
            await visitor.act("stall", act, post=post)
        assert (c.wall[int(post)].saves, c.wall[int(post)].quotes) == (before[0] + 2, before[1] + 1)
        tally = recount.tallies(visitor.records(), visitor.world.now)["stall"].posts
        assert {(one.saves, one.quotes) for one in tally.values()} != {(0, 0)}, "people do so by themselves"
        found = {key: (c.wall[int(key)].saves, c.wall[int(key)].quotes) for key in tally}
        assert found == {key: (one.saves, one.quotes) for key, one in tally.items()}


async def test_it_is_told_limited_and_fails_in_its_own_form(hands: Hands) -> None:
    async with _visited(hands) as visitor:
        (told,) = (await visitor.http.get("/_sandbox/communities")).json()
        assert (told["address"], told["external_id"]) == ("http://127.0.0.1/stand/stall", "st-900")
        assert (told["app_secret"], list(told["tokens"])) == ("hush", ["user", "community", "refresh", "app"])
        assert (await visitor.http.post("/_sandbox/limits", json={"stand_calls": 3})).json() == {"stand_calls": 3}
        assert visitor.sandbox.network.limits == {"stand_calls": 3}
        token = told["tokens"]["community"]
        for rule in ({"token": token}, {"token": "stall/community/0"}, {"community": "stall"}):
            effect = {"type": "platform_error", "code": "TooSlow"}
            fault = {"platform": "stand", "count": 1, **rule, "effect": effect}
            assert (await visitor.http.post("/_sandbox/faults", json=fault)).status_code == 201
            assert (await _posted(visitor, "nobody")).json() == {"error": "InvalidToken"}, "it is meant for a token"
            failed = await _posted(visitor, token)
            assert (failed.status_code, failed.json(), failed.headers["x-stand"]) == (
                400, {"error": "TooSlow"}, "closed",
            )  # fmt: skip


# ── a world with some of them ─────────────────────────────────────────────────────────────────


def _told(sandbox: Sandbox, platform: str) -> list[dict[str, object]]:
    found = sandbox.network.world.ledger.page(0, 10**7)
    sandbox.network.world.ledger.close()
    return [{**one, "n": 0} for one in found if one.get("platform") == platform]


@pytest.mark.parametrize("platform", ["mastodon", "vk"])
def test_a_further_platform_changes_nothing_for_the_others(hands: Hands, platform: str) -> None:
    alone = build(seed=7, real=hands, tick=None, platforms=[platform])
    assert {c.profile.platform for c in alone.network.world.communities.values()} == {platform}
    shared = build(seed=7, real=hands, tick=None, platforms=["mastodon", "vk"])
    crowded = build(
        seed=7, real=hands, tick=None, platforms=["mastodon", "vk", "stand"],
        wires=[replace(WIRE, profiles=(replace(PROFILE, snowflakes=True),)), *declared()],
    )  # fmt: skip
    assert _told(alone, platform) == _told(shared, platform) == _told(crowded, platform)


def test_a_world_keeps_the_communities_it_began_with(hands: Hands, ledger_path: Path) -> None:
    build(seed=7, real=hands, tick=None, ledger=ledger_path, platforms=["vk"]).network.world.ledger.close()
    again = build(seed=7, real=hands, tick=None, ledger=ledger_path)
    assert {c.profile.platform for c in again.network.world.communities.values()} == {"vk"}
    again.network.world.ledger.close()
    with pytest.raises(ForeignLedgerError):
        build(seed=7, real=hands, tick=None, ledger=ledger_path, wires=[WIRE])


def test_an_unknown_platform_is_refused(hands: Hands) -> None:
    with pytest.raises(ValueError, match="myspace"):
        build(seed=7, real=hands, tick=None, platforms=["myspace"])


def test_points_are_counted_in_windows_that_begin_where_they_are_told(hands: Hands) -> None:
    """A day of points that begins at eight in the morning, UTC; it is six."""
    counter, day = Counter(hands), {"seconds": 86_400, "start": 8 * HOUR}
    assert (counter.window("app", 100, cost=60, **day).remaining, counter.window("app", 100, **day).remaining) == (
        40,
        39,
    )
    assert counter.window("app", 100, cost=50, **day).refused
    hands.at += 2 * HOUR - 1
    allowance = counter.window("app", 100, **day)
    assert (allowance.refused, allowance.reset_at) == (True, hands.at + 1)
    hands.at += 1
    assert counter.window("app", 100, **day).remaining == 99
