"""The rules of the rollups in plain Python, as an oracle: from snapshots to day rows."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

NAMES = ("views", "reach", "reactions", "comments", "shares", "quotes", "saves")

Counters = Mapping[str, int]
Key = tuple[date, UUID, str, str]
"""Day, community, category, source."""


@dataclass(frozen=True)
class PublicationFacts:
    """The columns of a publication that the rollups use."""

    id: UUID
    community_id: UUID
    category: str
    published_at: datetime


def recount(
    publications: Iterable[PublicationFacts], snapshots: Iterable[tuple[UUID, datetime, Counters]], zone: str
) -> dict[Key, dict[str, int | None]]:
    """Each row of the rollup: a sum (None: nothing known) and a count for each metric, and the snapshots."""
    by_id = {publication.id: publication for publication in publications}
    where = ZoneInfo(zone)
    rows: defaultdict[Key, dict[str, int | None]] = defaultdict(
        lambda: dict.fromkeys(NAMES) | {f"{name}_n": 0 for name in NAMES} | {"snapshots": 0}
    )
    chains: defaultdict[tuple[UUID, str], list[tuple[datetime, int]]] = defaultdict(list)
    first_snapshots: dict[tuple[UUID, datetime], Counters] = {}
    for publication_id, at, counters in snapshots:
        first_snapshots.setdefault((publication_id, at), counters)
    for (publication_id, at), counters in first_snapshots.items():
        publication = by_id[publication_id]
        day = at.astimezone(where).date()
        _add(rows[day, publication.community_id, publication.category, "observed"], "snapshots", 1)
        for name, value in counters.items():
            chains[publication_id, name].append((at, value))
    for (publication_id, name), chain in chains.items():
        publication = by_id[publication_id]
        appeared = publication.published_at.astimezone(where).date()
        chain.sort()
        before: int | None = None
        for at, value in chain:
            day, source = at.astimezone(where).date(), "observed"
            if before is None and day != appeared:
                day, source = appeared, "pre_tracking"
            row = rows[day, publication.community_id, publication.category, source]
            _add(row, name, value - (before or 0))
            _add(row, f"{name}_n", 1)
            before = value
    return dict(rows)


def latest(snapshots: Iterable[tuple[UUID, datetime, Counters]]) -> dict[tuple[UUID, str], int]:
    """Each publication's last known value of each metric."""
    last_values: dict[tuple[UUID, str], int] = {}
    for publication_id, _, counters in sorted(snapshots, key=lambda snapshot: snapshot[1], reverse=True):
        for name, value in counters.items():
            last_values.setdefault((publication_id, name), value)
    return last_values


def _add(row: dict[str, int | None], name: str, amount: int) -> None:
    row[name] = (row[name] or 0) + amount
