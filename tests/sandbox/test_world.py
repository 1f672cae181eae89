"""The same seed, birth and effects make the same world; a restart continues it."""

from functools import cache
from pathlib import Path

import httpx
import pytest

from sandbox import recount
from sandbox import world as worlds
from sandbox.clock import Clock
from sandbox.ledger import ForeignLedgerError, Ledger, Record, read
from sandbox.server import Sandbox, build
from sandbox.simulation import Simulation
from sandbox.wire_formats import discover_wire_formats, profiles
from sandbox.world import World
from tests.sandbox.conftest import ManualClock

BORN = 1_795_413_600_000
TWO = ("mastodon", "vk")
"""Two platforms suffice where the number of communities does not matter."""


@cache
def _world(seed: int, steps: tuple[int, ...]) -> list[Record]:
    ledger = Ledger()
    world = World(seed=seed, born=BORN, ledger=ledger, profiles=profiles(discover_wire_formats())[::4])
    Simulation(world).begin()
    for at in steps:
        world.advance(at)
    records = ledger.page(0, 10_000_000)
    ledger.close()
    return records


def test_the_world_does_not_depend_on_how_often_it_is_asked() -> None:
    end = BORN + 3_600_000
    once = _world(7, (end,))
    assert _world(7, (*range(BORN, end, 60_000), end)) == once
    assert _world(8, (end,)) != once


def test_nothing_happens_out_of_order() -> None:
    records = _world(7, (BORN + 3_600_000,))
    moments = [one["at"] for one in records]
    assert moments == sorted(moments)
    assert [one["n"] for one in records] == list(range(1, len(records) + 1))


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old posts are dropped with everything below them, and so are old conversations."""
    monkeypatch.setattr(worlds, "MAX_POSTS", 70)
    monkeypatch.setattr(worlds, "MAX_DIALOGS", 20)
    monkeypatch.setattr(worlds, "MAX_DIALOG", 3)
    monkeypatch.setattr(worlds, "MAX_MENTIONS", 5)
    ledger = Ledger()
    world = World(seed=7, born=BORN, ledger=ledger, profiles=profiles(discover_wire_formats())[:1])
    Simulation(world).begin()
    world.advance(BORN + 12 * 3_600_000)
    (c,) = world.communities.values()
    assert len(c.posts) == 70
    assert (len(c.dialogs), len(c.loose)) == (20, 5)
    assert len(c.mail) == sum(len(dialog.messages) for dialog in c.dialogs.values()) <= 60
    kept = set(c.posts) | set(c.loose)
    assert {entry.post or entry.parent or entry.id for entry in c.wall.values()} <= kept
    assert recount.tallies(ledger.page(0, 10**7), world.now)["coffee"].posts.keys() == {str(one) for one in c.posts}
    ledger.close()


async def _effects(sandbox: Sandbox, manual_clock: ManualClock) -> None:
    transport = httpx.ASGITransport(sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.test") as http:
        token = sandbox.network.grants.stable(sandbox.network.world.communities["coffee"])["community"]
        manual_clock.at += 60
        comment = (await http.post("/_sandbox/communities/coffee", json={"act": "comment", "text": "Open?"})).json()
        manual_clock.at += 60
        await http.post(
            "/api/v1/statuses",
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "k"},
            data={"status": "Yes", "in_reply_to_id": comment["id"]},
        )
        await http.post("/_sandbox/tokens", json={"community": "velo_dvor", "kind": "user"})
        manual_clock.at += 600
        await http.get("/_sandbox/state")


async def test_a_restart_takes_the_world_up_again(ledger_path: Path, manual_clock: ManualClock) -> None:
    first = build(seed=7, real=manual_clock, ledger=ledger_path, tick=None, platforms=TWO)
    await _effects(first, manual_clock)
    first.network.world.ledger.close()
    before = list(read(ledger_path))

    manual_clock.at += 30
    again = build(seed=7, real=manual_clock, ledger=ledger_path, tick=None, platforms=TWO)
    again.network.world.ledger.flush()
    after = list(read(ledger_path))
    assert after[: len(before)] == before
    assert [one["n"] for one in after] == list(range(1, len(after) + 1))
    assert "k" in {name.rpartition(":")[2] for name in again.network.world.keys}
    manual_clock.at += 3600
    again.network.tick()
    again.network.world.ledger.close()

    # The events after the restart are those that would have followed without it.
    manual_clock.at -= 4350
    straight_path = ledger_path.with_name("straight.jsonl")
    straight = build(seed=7, real=manual_clock, ledger=straight_path, tick=None, platforms=TWO)
    await _effects(straight, manual_clock)
    manual_clock.at += 3630
    straight.network.tick()
    straight.network.world.ledger.close()
    assert list(read(straight_path)) == list(read(ledger_path))


async def test_a_line_cut_off_by_a_crash_is_dropped(ledger_path: Path, manual_clock: ManualClock) -> None:
    first = build(seed=7, real=manual_clock, ledger=ledger_path, tick=None, platforms=TWO)
    await _effects(first, manual_clock)
    first.network.world.ledger.close()
    whole = ledger_path.read_bytes()
    ledger_path.write_bytes(whole[:-10])
    again = build(seed=7, real=manual_clock, ledger=ledger_path, tick=None, platforms=TWO)
    again.network.world.ledger.close()
    assert ledger_path.read_bytes() == whole


def test_another_worlds_ledger_is_refused(ledger_path: Path, manual_clock: ManualClock) -> None:
    build(seed=7, real=manual_clock, ledger=ledger_path, tick=None, platforms=TWO).network.world.ledger.close()
    with pytest.raises(ForeignLedgerError, match="seed"):
        build(seed=8, real=manual_clock, ledger=ledger_path, tick=None, platforms=TWO)
    lines = ledger_path.read_bytes().splitlines(keepends=True)
    lines[2000] = lines[2000].replace(b'"type":"', b'"type":"un')
    ledger_path.write_bytes(b"".join(lines))
    with pytest.raises(ForeignLedgerError, match="line 2001"):
        build(seed=7, real=manual_clock, ledger=ledger_path, tick=None, platforms=TWO)


def test_virtual_time() -> None:
    manual_clock = ManualClock()
    clock = Clock(manual_clock, epoch=1000, speed=60)
    manual_clock.at += 2
    assert clock.now() == 121_000
    clock.set_speed(0)
    manual_clock.at += 50
    assert clock.now() == 121_000
    clock.advance(500)
    assert clock.now() == 121_500
    clock.set_speed(1)
    manual_clock.at += 1
    assert clock.now() == 122_500
    manual_clock.at -= 100
    assert clock.now() == 122_500, "time does not go back with the real clock"
    with pytest.raises(ValueError, match="back"):
        clock.set(122_000)
    with pytest.raises(ValueError, match="speed"):
        clock.set_speed(-1)
