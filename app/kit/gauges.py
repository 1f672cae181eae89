"""Gauges of the whole installation: a job counts them now and then, and a scrape reads the last count.

Counting at each scrape would cost the more the more rows there are, once for each API process. A value that is
older than `MAX_AGE` is not shown: its job no longer runs, and what is not known is not shown as if it were.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from prometheus_client import Gauge
from sqlalchemy import Select, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.kit import telemetry
from app.kit.db import Base, Database, now

INTERVAL: Final = timedelta(minutes=1)
MAX_AGE: Final = timedelta(minutes=15)


class GaugeValue(Base):
    """The last count of a gauge. Not a workspace's table: it is of the whole installation."""

    __tablename__ = "gauge"

    name: Mapped[str] = mapped_column(primary_key=True)
    labels: Mapped[str] = mapped_column(primary_key=True)
    """The labels' values, as a JSON array."""
    value: Mapped[float]
    at: Mapped[datetime]


class CountedGauge:
    """A gauge that a job counts; declared once, at import. `labels` are their names."""

    def __init__(self, name: str, documentation: str, labels: Iterable[str]) -> None:
        self.name = name
        self.gauge = Gauge(name, documentation, labels, registry=telemetry.INSTALLATION)
        _declared[name] = self

    async def store(self, session: AsyncSession, values: Mapping[tuple[str, ...], float]) -> None:
        """Replace the stored values, by the values of the labels."""
        await session.execute(delete(GaugeValue).where(GaugeValue.name == self.name))
        session.add_all(
            GaugeValue(name=self.name, labels=json.dumps(labels), value=value, at=now(session))
            for labels, value in values.items()
        )
        await session.flush()


async def count(
    db: Database, workspace_ids: Iterable[UUID], query: Select[*tuple[Any, ...]]
) -> Counter[tuple[str, ...]]:
    """The rows' last columns, added up by the columns before them, over all these workspaces.

    `query` has the parameter `workspace`. Each workspace is read for itself, as row-level security has it.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    for workspace_id in workspace_ids:
        async with db.read_connection(workspace_id) as connection:
            for *labels, number in await connection.execute(query, {"workspace": workspace_id}):
                counts[tuple(labels)] += number
    return counts


def next_count(now: datetime, took: float) -> datetime:
    """When to count again: in a minute, or later where counting took so many seconds that it would be much of it."""
    return now + max(INTERVAL, timedelta(seconds=took) * 20)


_declared: Final[dict[str, CountedGauge]] = {}


async def show(connection: AsyncConnection, at: datetime) -> None:
    """Set the gauges to what is stored."""
    rows = (await connection.execute(select(GaugeValue).where(GaugeValue.at > at - MAX_AGE))).all()
    for one in _declared.values():
        one.gauge.clear()
    for row in rows:
        if (counted := _declared.get(row.name)) is not None:
            counted.gauge.labels(*json.loads(row.labels)).set(row.value)
