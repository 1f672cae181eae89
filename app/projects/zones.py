"""Time zones: which names there are, and one set of rules for Python and PostgreSQL.

The rules are those of the package `tzdata`, which is pinned: `app` makes Python read no other. PostgreSQL has a time
zone database of its own, its own or the system's, of another edition maybe, and without old names (`Asia/Calcutta`)
where it is Debian's. So SQL computes local days by `local_day_sql`: by PostgreSQL's rules, except for the zones in
`zone_rule`, which `instep migrate` fills with tzdata's rules of the zones that differ (`renew_rules`).
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Connection, delete, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.kit.db import Database
from app.projects.hours import changes, offset
from app.projects.models import ZoneRule

log = structlog.get_logger()

_EXCLUDED: Final = frozenset({"Factory"})
"""The value of an unconfigured system; it is in the time zone database, but is no zone."""

_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The rules that are stored begin here; before it the first one applies."""
_LAST: Final = datetime(2101, 1, 1, tzinfo=UTC)
_COMPARED_FROM: Final = datetime(2010, 1, 1, tzinfo=UTC)
"""Social media have few figures of earlier years."""
_COMPARED_UNTIL: Final = datetime(2035, 1, 1, tzinfo=UTC)
"""Beyond, almost all zones repeat their last year."""
_STEP: Final = timedelta(days=25)
"""Zones that suspend summer time in Ramadan, for about 30 days, change their offset most often."""


@lru_cache(maxsize=1)
def named() -> frozenset[str]:
    """The IANA names, old ones included, as `tzdata` lists them."""
    return frozenset(files("tzdata").joinpath("zones").read_text().split()) - _EXCLUDED


_LOCAL_DAY: Final = """coalesce(
    (SELECT CAST({at} AT TIME ZONE 'UTC' + rule.utc_offset AS date) FROM zone_rule rule
     WHERE rule.zone = {zone} AND rule.since <= {at} ORDER BY rule.since DESC LIMIT 1),
    CAST({at} AT TIME ZONE {zone} AS date))"""


def local_day_sql(instant: str, zone: str) -> str:
    """SQL for the local day of an instant in a zone, each given as SQL."""
    return _LOCAL_DAY.replace("{at}", instant).replace("{zone}", zone)


def renew_rules(connection: Connection) -> frozenset[str]:
    """Store tzdata's rules of the zones for which PostgreSQL has others, or none; the names of these zones."""
    names = _differing(connection, named(), _COMPARED_FROM, _COMPARED_UNTIL)
    connection.execute(delete(ZoneRule))
    rules = [
        {"zone": name, "since": since, "utc_offset": utc_offset}
        for name in sorted(names)
        for since, utc_offset in changes(ZoneInfo(name), _FIRST, _LAST, _STEP)
    ]
    if rules:
        connection.execute(insert(ZoneRule), rules)
    return names


async def unexpected(connection: AsyncConnection, now: datetime) -> frozenset[str]:
    """The zones without a `zone_rule` for which PostgreSQL has other rules from last year to the next one.

    Empty unless PostgreSQL or tzdata was renewed without a migration afterwards.
    """
    covered = set((await connection.scalars(text("SELECT DISTINCT zone FROM zone_rule"))).all())
    year = timedelta(days=365)
    return await connection.run_sync(_differing, named() - covered, now - year, now + year)


async def warn(db: Database) -> None:
    """Log a warning where SQL would not compute local days by tzdata's rules."""
    async with db.read_connection(None) as connection:
        names = await unexpected(connection, db.clock.now())
    if names:
        log.warning("zones.differ", zones=sorted(names), remedy="run `instep migrate`")


def _differing(connection: Connection, names: Collection[str], first: datetime, last: datetime) -> frozenset[str]:
    """Those of the zones for which PostgreSQL has other rules than tzdata within this time, or which it lacks."""
    grid = [first + step * _STEP for step in range((last - first) // _STEP + 1)]
    by_rules: dict[bytes, list[str]] = {}
    for name in names:
        by_rules.setdefault(_file(name), []).append(name)
    digests: dict[str, str] = {}
    edges: dict[str, Sequence[datetime]] = {}
    for aliases in by_rules.values():
        zone = ZoneInfo(aliases[0])
        digest = _digest(offset(at, zone) for at in grid)
        at_changes = [since for since, _ in changes(zone, first, last, _STEP)][1:]
        for name in aliases:
            digests[name], edges[name] = digest, at_changes
    return frozenset(names) - (_same_on_grid(connection, digests, grid) - _other_edges(connection, edges))


def _file(name: str) -> bytes:
    path = files("tzdata").joinpath("zoneinfo")
    for part in name.split("/"):
        path = path.joinpath(part)
    return path.read_bytes()


def _digest(offsets: Iterable[timedelta]) -> str:
    """The digest that `_GRID` computes in SQL."""
    return hashlib.md5(",".join(str(int(one.total_seconds())) for one in offsets).encode()).hexdigest()  # noqa: S324 - compares, protects nothing


_GRID: Final = text("""
SELECT zone.name, md5(string_agg(
    CAST(CAST(extract(epoch FROM timezone(zone.name, at) - timezone('UTC', at)) AS integer) AS text), ',' ORDER BY at))
FROM unnest(CAST(:names AS text[])) AS zone (name) JOIN pg_timezone_names known ON known.name = zone.name,
     unnest(CAST(:instants AS timestamptz[])) AS at
GROUP BY zone.name
""")
_EDGES: Final = text("""
SELECT DISTINCT change.zone
FROM unnest(CAST(:zones AS text[]), CAST(:instants AS timestamptz[])) AS change (zone, at)
JOIN pg_timezone_names known ON known.name = change.zone
WHERE timezone(change.zone, at) - timezone('UTC', at)
    = timezone(change.zone, at - interval '1 second') - timezone('UTC', at - interval '1 second')
""")


def _same_on_grid(connection: Connection, digests: Mapping[str, str], grid: Sequence[datetime]) -> frozenset[str]:
    """The zones that have the same offsets at these instants."""
    rows = connection.execute(_GRID, {"names": list(digests), "instants": grid})
    return frozenset(name for name, digest in rows if digests[name] == digest)


def _other_edges(connection: Connection, edges: Mapping[str, Sequence[datetime]]) -> frozenset[str]:
    """The zones whose offset does not change in PostgreSQL at one of these instants."""
    flat = [(name, at) for name, instants in edges.items() for at in instants]
    parameters = {"zones": [name for name, _ in flat], "instants": [at for _, at in flat]}
    return frozenset(connection.scalars(_EDGES, parameters))
