"""The rollups do not depend on order, batches, repeats and writers."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.kit.actors import SYSTEM
from app.kit.clock import SetClock
from app.kit.db import Database
from app.metrics import service
from tests.metrics.conftest import NOON, Client, make_client, measured
from tests.metrics.recount import NAMES, Counters
from tests.metrics.test_days import check

START = datetime(2026, 10, 23, 20, 0, tzinfo=UTC)
"""The night to the 25th is an hour longer in Berlin."""

counters = st.dictionaries(st.sampled_from(("views", "reactions", "saves")), st.integers(0, 9))
snapshots = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 17), counters),  # publication, how many times 5 hours, counters
    max_size=30,
)


@dataclass(frozen=True)
class Batch:
    """The counters of one poll."""

    community: int
    at: datetime
    counters: list[tuple[UUID, Counters]]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)
@given(snapshots=snapshots, seed=st.integers(0, 10**6), writers=st.integers(1, 3), moves=st.booleans())
async def test_the_rollup_equals_a_recount_of_the_snapshots(
    db: Database,
    clock: SetClock,
    snapshots: list[tuple[int, int, Counters]],
    seed: int,
    writers: int,
    moves: bool,
) -> None:
    dice = random.Random(seed)
    client = await make_client(db, "Europe/Berlin")
    posts = [
        await client.publish(START + timedelta(hours=dice.randrange(-40, 40)), dice.choice([None, "sales"]), number % 2)
        for number in range(4)
    ]
    # One value for each instant, so that a repeat is a true repeat.
    truth = {(number, START + timedelta(hours=5 * step)): seen for number, step, seen in snapshots}
    client.snapshots = [(posts[number], at, seen) for (number, at), seen in truth.items()]
    deliveries = list(truth.items()) + dice.sample(list(truth.items()), len(truth) // 4)
    dice.shuffle(deliveries)
    batches = list(_batches([(posts[number], number % 2, at, seen) for (number, at), seen in deliveries], dice))
    work = [_write(client, batches[turn::writers], dice) for turn in range(writers)]
    if moves:
        work.append(client.move(posts[:2], "advice"))
    await asyncio.gather(*work)
    await check(client)


def _batches(deliveries: Iterable[tuple[UUID, int, datetime, Counters]], dice: random.Random) -> Iterator[Batch]:
    """Group some counters of the same instant into one batch, as a poll would."""
    open_batches: defaultdict[tuple[int, datetime], list[tuple[UUID, Counters]]] = defaultdict(list)
    for publication_id, community, at, seen in deliveries:
        open_batches[community, at].append((publication_id, seen))
        if dice.random() < 0.4:
            yield Batch(community, at, open_batches.pop((community, at)))
    for (community, at), rest in open_batches.items():
        yield Batch(community, at, rest)


async def _write(client: Client, batches: Iterable[Batch], dice: random.Random) -> None:
    for batch in batches:
        async with client.work() as session:
            await service.record_posts(
                session,
                client.refs[batch.community],
                batch.at,
                [(publication_id, measured(seen)) for publication_id, seen in batch.counters],
            )
        if dice.random() < 0.2:
            await asyncio.sleep(0)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
async def test_four_writers_with_shuffled_batches(db: Database, clock: SetClock, seed: int) -> None:
    """60 publications, 25 snapshots of each, a tenth of them twice, half of them shuffled: no wrong row, no deadlock.

    A deadlock would be an exception here: nothing is tried again.
    """
    dice = random.Random(seed)
    client = await make_client(db, "America/New_York", communities=2)
    posts = [
        await client.publish(NOON - timedelta(hours=dice.randrange(60)), dice.choice([None, "sales", "advice"]))
        for _ in range(60)
    ]
    totals = {post: dict.fromkeys(NAMES, 0) for post in posts}
    batches = []
    for step in range(25):
        measured_posts: list[tuple[UUID, Counters]] = []
        for post in posts:
            for name in NAMES:
                totals[post][name] += dice.randrange(-2, 20)
            measured_posts.append((post, {name: total for name, total in totals[post].items() if dice.random() < 0.8}))
        at = NOON + timedelta(hours=5 * step)
        client.snapshots += [(post, at, seen) for post, seen in measured_posts]
        dice.shuffle(measured_posts)
        cuts = sorted(dice.sample(range(1, 60), 2))
        batches += [
            Batch(0, at, part)
            for part in (measured_posts[: cuts[0]], measured_posts[cuts[0] : cuts[1]], measured_posts[cuts[1] :])
        ]
        if step % 10 == 0:
            batches.append(Batch(0, at, measured_posts[::2]))
    tail = batches[len(batches) // 2 :]
    dice.shuffle(tail)
    batches[len(batches) // 2 :] = tail
    await asyncio.gather(
        *(_write(client, batches[turn::4], dice) for turn in range(4)),
        *(client.move([post], "teaching") for post in posts[:3]),
    )
    await check(client)


async def test_a_recount_amid_writing_loses_nothing(client: Client) -> None:
    posts = await client.publish_many([(NOON, None)] * 20)
    batches = [
        Batch(0, NOON + timedelta(hours=7 * step), [(post, {"views": step * step}) for post in posts])
        for step in range(20)
    ]
    client.snapshots = [(post, batch.at, seen) for batch in batches for post, seen in batch.counters]
    dice = random.Random(7)

    async def recounting() -> None:
        for zone in ("Asia/Tokyo", "America/New_York", "Europe/Minsk"):
            await client.rezone(zone)
            async with client.work() as session:
                await service.recount_project(session, SYSTEM, client.project_id)

    await asyncio.gather(_write(client, batches[::2], dice), _write(client, batches[1::2], dice), recounting())
    await check(client)
