"""Workers that are killed at any moment lose nothing and store nothing twice."""

import random
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from sandbox.ledger import Record
from tests.servers import Servers
from tests.system.installation import (
    VALKEY_DATABASE,
    Agency,
    InstalledDatabase,
    closing,
    eventually,
    expected,
    service_environment,
    stored,
)
from tests.system.sandbox import Sandbox, sandbox
from tests.system.serving import api, process

KILLS = (pytest.param(3, 1, id="few"), pytest.param(8, 5, id="many", marks=pytest.mark.long))
"""How often a worker is killed, fewer times than the ten attempts that a job has; how many kills at least must meet
one at work."""
MAX_LIFETIME = 2.5
"""Seconds after its first claim within which a worker is killed."""
WATCHED = ("coffee", "velo_dvor", "kofe_zerno")


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox."""
    with sandbox(tmp_path) as made:
        yield made


def _act(network: Sandbox, rng: random.Random, turn: int) -> None:
    """Let people act in the watched communities; in each turn others follow and react."""
    for key in WATCHED:
        network.act(key, "post", text=f"News {uuid4()}")
        comment = network.act(key, "comment", text=f"What is {uuid4()}?", person=rng.randrange(1, 900))
        network.act(key, "comment", text=f"And {uuid4()}?", parent=comment["id"], person=rng.randrange(1, 900))
        writer = rng.randrange(1, 900)
        for _ in range(rng.randrange(1, 4)):
            network.act(key, "message", text=f"Where is {uuid4()}?", person=writer)
        reader = 910_000 + 10_000 * turn + rng.randrange(10_000)
        network.act(key, "react", person=reader)
        if rng.random() < 0.5:
            network.act(key, "unreact", person=reader)
        network.act(key, "follow", person=900_000 + 1_000 * turn + rng.randrange(1_000))


@pytest.mark.parametrize(("kills", "while_polling"), KILLS)
def test_killed_workers_lose_nothing_and_store_nothing_twice(
    servers: Servers, network: Sandbox, tmp_path: Path, kills: int, while_polling: int
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    rng = random.Random(seed)
    database = servers.clone()
    db = InstalledDatabase(servers.superuser_url(database))
    variables = service_environment(servers, database, network, VALKEY_DATABASE)
    log = tmp_path / "worker.log"
    with api(servers, database, tmp_path, **variables) as url, closing(Agency(url)) as agency:
        listed = network.communities()
        communities = {key: agency.connect(listed[key], days=14) for key in WATCHED}
        killed_while_polling = 0
        for turn in range(kills):
            with process("app.cli.main", "worker", variables=variables, log=log) as worker:
                eventually(lambda: _is_polling(db), "the worker claims a job")
                time.sleep(rng.uniform(0, MAX_LIFETIME))
                killed_while_polling += _is_polling(db)
                worker.kill()
                worker.wait(10)
            db.expire_leases()
            db.clear_rate_limits()
            _act(network, rng, turn)
        assert killed_while_polling >= while_polling, f"seed {seed}: hardly a kill met a worker at work"
        with process("app.cli.main", "worker", variables=variables, log=log):
            _read_to_the_end(db, network, agency, communities.values(), seed)
        records = network.records()
        for key, community in communities.items():
            platform = listed[key]["platform"]
            expected_state, stored_state = (
                expected(db, records, community, key, platform),
                stored(db, community, platform),
            )
            assert len(expected_state.posts) > 8, "there is something to lose"
            assert len(expected_state.threads) > 8, "there is something to lose"
            assert expected_state.differences(stored_state) == [], f"seed {seed}: {key}: ledger here, database there"
        _check_the_comparison(db, records, communities["velo_dvor"])
        assert db.one("SELECT count(*) FROM job WHERE state = 'dead'") == 0, f"seed {seed}"


def _is_polling(db: InstalledDatabase) -> bool:
    """Whether a worker is polling; the leases of killed ones have expired."""
    running = "state = 'running' AND kind = 'communities.poll' AND leased_until > clock_timestamp()"
    return bool(db.one(f"SELECT count(*) FROM job WHERE {running}"))


def _has_messages(db: InstalledDatabase) -> bool:
    return bool(db.one("SELECT count(*) FROM message"))


def _read_to_the_end(
    db: InstalledDatabase, network: Sandbox, agency: Agency, communities: Iterable[str], seed: int
) -> None:
    """Stop the sandbox's clock, and wait until the worker has read everything."""
    network.stop_the_world()
    db.make_all_due()
    synced_at = db.one("SELECT clock_timestamp()")
    for community in communities:
        agency.call("POST", f"/v1/communities/{community}/sync")
    unread = (
        "SELECT count(*) FROM community c WHERE polled_at IS NULL OR coalesce(least(polled_at, size_seen_at, "
        "posts_seen_at, conversations_seen_at), '2000-01-01') < $1 OR EXISTS (SELECT FROM publication p WHERE "
        # Metrics that a list does not contain (VK's reach) are due from the moment a new post was listed.
        "p.community_id = c.id AND (p.measure_at <= greatest($1, clock_timestamp()) "
        "OR p.comments <> coalesce(p.comments_read, 0)))"
    )

    def read() -> bool:
        db.clear_rate_limits()
        return bool(db.one(unread, synced_at) == 0)

    eventually(read, f"seed {seed}: all is read", 120)


def _check_the_comparison(db: InstalledDatabase, records: list[Record], community: str) -> None:
    """The comparison notices a lost row, a duplicate and a wrong sum."""
    other = "jsonb_build_object('id', gen_random_uuid(), 'external_id', 'twice')"
    twice = f"jsonb_populate_record(NULL::message, to_jsonb(m) || {other})"
    for change in (
        "DELETE FROM message WHERE id = (SELECT id FROM message WHERE community_id = $1 LIMIT 1)",
        f"INSERT INTO message SELECT ({twice}).* FROM (SELECT * FROM message WHERE community_id = $1 LIMIT 1) m",
        "DELETE FROM inquiry WHERE id = (SELECT id FROM inquiry WHERE community_id = $1 LIMIT 1)",
        "UPDATE rollup_day SET reactions = reactions + 1 WHERE community_id = $1 AND reactions IS NOT NULL",
    ):
        expected_state, before = expected(db, records, community, "velo_dvor", "vk"), stored(db, community, "vk")
        db.all(change, community)
        after = stored(db, community, "vk")
        assert before.differences(after) != []
        assert len(expected_state.differences(after)) > len(expected_state.differences(before)), (
            f"not noticed: {change}"
        )
