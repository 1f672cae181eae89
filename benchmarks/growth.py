"""What lists, answers and workers' reads take of PostgreSQL as the data grow by decades.

For each size a database is filled by SQL (see `_growth_data`), and kept in the given folder for the next run. Every GET
operation of the OpenAPI is requested through the API as the runtime role, with each filter, sort and pair of filters;
so are the reads that workers repeat. A row of the table shows the slowest request of an operation with a set of
parameters: CPU of PostgreSQL and time on the clock in milliseconds (medians, warm), and the rows that sequential scans
read where they are more than 1,000. `x` is the growth per decade of CPU.
"""

import argparse
import asyncio
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from math import log10
from pathlib import Path

import structlog

from app.cli.database import APP, OWNER, prepare_database
from app.cli.migrate import migrate
from app.cli.servers import Postgres, start_postgres
from benchmarks import _growth_background as background
from benchmarks._growth_calls import calls, samples
from benchmarks._growth_data import World, fill, orphans, stored_world, vacuum, wrong_rows
from benchmarks._growth_measure import Bench, Cost, Plans, bench, explaining
from benchmarks._servers import Urls

Costs = dict[str, tuple[float, Cost]]
"""By row of the table: the limit, and the cost."""


async def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks growth", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000], help="snapshots")
    parser.add_argument("--folder", type=Path, help="keeps the data for the next run; about 2 GB a million")
    parser.add_argument("--only", default="", help="only rows whose name this regular expression finds")
    parser.add_argument("--times", type=int, default=3, help="executions of each, of which the median is taken")
    parser.add_argument("--check", action="store_true", help="recount a sample, and check the foreign keys")
    parser.add_argument("--worst", action="store_true", help="print the slowest request of each row above its limit")
    parser.add_argument("--save", type=Path, help="also write the figures as JSON")
    options = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    by_size: dict[int, Costs] = {}
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="instep-growth-")))
        folder.mkdir(exist_ok=True, parents=True)
        postgres = stack.enter_context(start_postgres(folder))
        for size in options.sizes:
            urls, world = await _world(postgres, size)
            if options.check:
                print(f"{size:,}: {await wrong_rows(urls)} wrong rows, orphans: {await orphans(urls)}")
            by_size[size] = await _measure(urls, world, options.only, options.times)
    _print(by_size, worst=options.worst)
    if options.save:
        saved = {size: {name: asdict(cost) for name, (_, cost) in costs.items()} for size, costs in by_size.items()}
        options.save.write_text(json.dumps(saved, ensure_ascii=False, indent=1))


async def _world(postgres: Postgres, size: int) -> tuple[Urls, World]:
    """A database of this size, migrated; made unless there is one."""
    name = f"growth_{size}"
    await prepare_database(postgres.url(), name)
    urls = Urls(postgres.url(database=name), postgres.url(OWNER, name), postgres.url(APP, name))
    await asyncio.to_thread(migrate, urls.owner)
    world = await stored_world(urls)
    if world is None:
        print(f"filling {size:,} snapshots", flush=True)
        world = await fill(urls, size)
    else:
        await vacuum(urls)  # as autovacuum does after a migration
    return urls, world


async def _measure(urls: Urls, world: World, only: str, times: int) -> Costs:
    costs: Costs = {}
    async with bench(urls, world.key) as one:
        await _collect(one, urls, world, only, times, costs)
    plans = Plans()
    async with explaining(urls, plans), bench(urls, world.key, plans) as one:
        await _collect(one, urls, world, only, 1, costs)
    return costs


async def _collect(one: Bench, urls: Urls, world: World, only: str, times: int, costs: Costs) -> None:
    values = await samples(urls, world)
    for call in calls(one.app.openapi(), values):
        if re.search(only, call.name):
            try:
                cost = await one.get(call.path, times)
            except RuntimeError as error:
                print(error)
                continue
            costs.setdefault(call.name, (call.limit, Cost()))[1].add(cost)
    for name, run in background.reads(one.db, world, values).items():
        if re.search(only, name):
            cost = await one.measure(name, run, times)
            costs.setdefault(name, (background.LIMIT, Cost()))[1].add(cost)


def _print(by_size: Mapping[int, Costs], *, worst: bool) -> None:
    sizes = sorted(by_size)
    columns = "".join(f"{f'{size:,}':>12}{'':>8}" for size in sizes)
    print(f"\n{'PostgreSQL ms, API ms':64}{columns}{'x':>6}  rows of sequential scans")
    above = 0
    for name, (limit, _) in by_size[sizes[-1]].items():
        row = [by_size[size][name][1] for size in sizes]
        growth = (row[-1].cpu / max(row[0].cpu, 1e-6)) ** (1 / log10(sizes[-1] / sizes[0])) if len(sizes) > 1 else 1
        is_above = row[-1].cpu > limit
        above += is_above
        figures = "".join(f"{cost.cpu:12.2f}{cost.clock:8.1f}" for cost in row)
        scans = " ".join(f"{table} {count:,}" for table, count in row[-1].scans.items())
        print(f"{'!' if is_above else ' '} {name:62}{figures}{growth:6.2f}  {scans}")
        if worst and is_above:
            print(f"    {row[-1].slowest}")
    print(f"\n{len(by_size[sizes[-1]])} rows, {above} above their limit at {sizes[-1]:,}")
