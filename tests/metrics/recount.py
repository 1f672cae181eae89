"""The rules of the rollups once more, in plain Python, as an oracle: from snapshots to day rows."""

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
class Shown:
    """A publication, as far as the rollups know it."""

    id: UUID
    community_id: UUID
    category: str
    published_at: datetime


def recount(
    publications: Iterable[Shown], looks: Iterable[tuple[UUID, datetime, Counters]], zone: str
) -> dict[Key, dict[str, int | None]]:
    """Each row of the rollup: a sum (None: nothing known) and a count for each metric, and the snapshots."""
    known = {publication.id: publication for publication in publications}
    where = ZoneInfo(zone)
    rows: defaultdict[Key, dict[str, int | None]] = defaultdict(
        lambda: dict.fromkeys(NAMES) | {f"{name}_n": 0 for name in NAMES} | {"snapshots": 0}
    )
    chains: defaultdict[tuple[UUID, str], list[tuple[datetime, int]]] = defaultdict(list)
    first_looks: dict[tuple[UUID, datetime], Counters] = {}
    for publication_id, at, counters in looks:
        first_looks.setdefault((publication_id, at), counters)
    for (publication_id, at), counters in first_looks.items():
        shown = known[publication_id]
        day = at.astimezone(where).date()
        _add(rows[day, shown.community_id, shown.category, "observed"], "snapshots", 1)
        for name, value in counters.items():
            chains[publication_id, name].append((at, value))
    for (publication_id, name), chain in chains.items():
        shown = known[publication_id]
        appeared = shown.published_at.astimezone(where).date()
        chain.sort()
        before: int | None = None
        for at, value in chain:
            day, source = at.astimezone(where).date(), "observed"
            if before is None and day != appeared:
                day, source = appeared, "pre_tracking"
            row = rows[day, shown.community_id, shown.category, source]
            _add(row, name, value - (before or 0))
            _add(row, f"{name}_n", 1)
            before = value
    return dict(rows)


def latest(looks: Iterable[tuple[UUID, datetime, Counters]]) -> dict[tuple[UUID, str], int]:
    """Each publication's last known value of each metric."""
    known: dict[tuple[UUID, str], int] = {}
    for publication_id, _, counters in sorted(looks, key=lambda look: look[1], reverse=True):
        for name, value in counters.items():
            known.setdefault((publication_id, name), value)
    return known


def _add(row: dict[str, int | None], name: str, amount: int) -> None:
    row[name] = (row[name] or 0) + amount
