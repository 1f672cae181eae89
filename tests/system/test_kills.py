"""Workers that are killed at any moment lose nothing and store nothing twice."""

import random
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from sandbox.ledger import Record
from tests.servers import Servers
from tests.system.sandbox import Sandbox, sandbox
from tests.system.serving import api, process
from tests.system.town import RING, Agency, Store, closing, eventually, expected, stored, surroundings

KILLS = (pytest.param(3, 1, id="few"), pytest.param(8, 5, id="many", marks=pytest.mark.long))
"""How often a worker is killed, fewer times than the ten attempts that a job has; how many kills at least must meet
one at work."""
LONGEST_LIFE = 2.5
"""Seconds that a worker has at most, once it has begun."""
WATCHED = ("coffee", "velo_dvor", "kofe_zerno")


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox."""
    with sandbox(tmp_path) as made:
        yield made


def _something_happens(town: Sandbox, rng: random.Random, turn: int) -> None:
    """People do things in the communities that are watched; in each turn others follow and react."""
    for key in WATCHED:
        town.act(key, "post", text=f"News {uuid4()}")
        comment = town.act(key, "comment", text=f"What is {uuid4()}?", person=rng.randrange(1, 900))
        town.act(key, "comment", text=f"And {uuid4()}?", parent=comment["id"], person=rng.randrange(1, 900))
        writer = rng.randrange(1, 900)
        for _ in range(rng.randrange(1, 4)):
            town.act(key, "message", text=f"Where is {uuid4()}?", person=writer)
        reader = 910_000 + 10_000 * turn + rng.randrange(10_000)
        town.act(key, "react", person=reader)
        if rng.random() < 0.5:
            town.act(key, "unreact", person=reader)
        town.act(key, "follow", person=900_000 + 1_000 * turn + rng.randrange(1_000))


@pytest.mark.parametrize(("kills", "at_work"), KILLS)
def test_a_worker_killed_again_and_again_loses_nothing_and_doubles_nothing(
    servers: Servers, town: Sandbox, tmp_path: Path, kills: int, at_work: int
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    rng = random.Random(seed)
    database = servers.clone()
    store = Store(servers.superuser_url(database))
    around = surroundings(servers, database, town, RING)
    log = tmp_path / "worker.log"
    with api(servers, database, tmp_path, **around) as url, closing(Agency(url)) as agency:
        places = town.places()
        communities = {key: agency.connect(places[key], days=14) for key in WATCHED}
        killed_at_work = 0
        for turn in range(kills):
            with process("app.cli.main", "worker", variables=around, log=log) as worker:
                eventually(lambda: _at_work(store), "the worker takes a job")
                time.sleep(rng.uniform(0, LONGEST_LIFE))
                killed_at_work += _at_work(store)
                worker.kill()
                worker.wait(10)
            store.let_time_pass()
            store.forget_budgets()
            _something_happens(town, rng, turn)
        assert killed_at_work >= at_work, f"seed {seed}: hardly a kill met a worker at work"
        assert store.one("SELECT count(*) FROM message") > 0, f"seed {seed}: none of them lived to store anything"
        with process("app.cli.main", "worker", variables=around, log=log):
            _read_to_the_end(store, town, agency, communities.values(), seed)
        records = town.records()
        for key, community in communities.items():
            platform = places[key]["platform"]
            should, has = expected(store, records, community, key, platform), stored(store, community, platform)
            assert len(should.posts) > 8, "there is something to lose"
            assert len(should.threads) > 8, "there is something to lose"
            assert should.differences(has) == [], f"seed {seed}: {key}: ledger here, database there"
        _see_that_it_can_fail(store, records, communities["velo_dvor"])
        assert store.one("SELECT count(*) FROM job WHERE state = 'dead'") == 0, f"seed {seed}"


def _at_work(store: Store) -> bool:
    """Whether a living worker is polling: the leases of dead ones are over."""
    held = "state = 'running' AND kind = 'communities.poll' AND leased_until > clock_timestamp()"
    return bool(store.one(f"SELECT count(*) FROM job WHERE {held}"))


def _read_to_the_end(store: Store, town: Sandbox, agency: Agency, communities: Iterable[str], seed: int) -> None:
    """Let the worker read all there is of a world that stands still."""
    town.stop_the_world()
    store.make_all_due()
    asked_at = store.one("SELECT clock_timestamp()")
    for community in communities:
        agency.call("POST", f"/v1/communities/{community}/sync")
    unread = (
        "SELECT count(*) FROM community c WHERE polled_at IS NULL OR coalesce(least(polled_at, size_seen_at, "
        "posts_seen_at, conversations_seen_at), '2000-01-01') < $1 OR EXISTS (SELECT FROM publication p WHERE "
        # What a list does not show of a new post (VK's reach) is due from the moment that it was listed.
        "p.community_id = c.id AND (p.measure_at <= greatest($1, clock_timestamp()) "
        "OR p.comments <> coalesce(p.comments_read, 0)))"
    )

    def read() -> bool:
        store.forget_budgets()
        return bool(store.one(unread, asked_at) == 0)

    eventually(read, f"seed {seed}: all is read", 120)


def _see_that_it_can_fail(store: Store, records: list[Record], community: str) -> None:
    """The comparison notices a row that is lost, one that is there twice, and a wrong sum."""
    other = "jsonb_build_object('id', gen_random_uuid(), 'external_id', 'twice')"
    twice = f"jsonb_populate_record(NULL::message, to_jsonb(m) || {other})"
    for change in (
        "DELETE FROM message WHERE id = (SELECT id FROM message WHERE community_id = $1 LIMIT 1)",
        f"INSERT INTO message SELECT ({twice}).* FROM (SELECT * FROM message WHERE community_id = $1 LIMIT 1) m",
        "DELETE FROM inquiry WHERE id = (SELECT id FROM inquiry WHERE community_id = $1 LIMIT 1)",
        "UPDATE rollup_day SET reactions = reactions + 1 WHERE community_id = $1 AND reactions IS NOT NULL",
    ):
        should, before = expected(store, records, community, "velo_dvor", "vk"), stored(store, community, "vk")
        store.all(change, community)
        after = stored(store, community, "vk")
        assert before.differences(after) != []
        assert len(should.differences(after)) > len(should.differences(before)), f"not noticed: {change}"
