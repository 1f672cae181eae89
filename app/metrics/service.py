"""Keeping what was counted, and keeping the rollups true to it.

All of it happens in the caller's unit of work, and several workers may do any of it at once. It
holds the communities concerned until the commit (see `rollups`): what concerns several of them
belongs into one call, and publications that the same unit of work changes are changed before.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import compress
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.events import CommunityRef
from app.communities.models import Publication
from app.kit.db import in_workspace, workspace_of
from app.metrics import differences, rollups, sizes
from app.metrics.contributions import CATEGORY, PUBLICATION
from app.metrics.differences import Difference
from app.platforms.contract import Metric, PostMetrics


async def record_posts(
    session: AsyncSession, place: CommunityRef, at: datetime, metrics: Iterable[tuple[UUID, PostMetrics]]
) -> None:
    """Keep the counters of publications as they were at `at`, and add them to their days.

    A look at an instant that is known already changes nothing; one that comes late is put where it
    belongs. Publications of another project, deleted ones and unknown ids are passed over.
    """
    batch = _batch(metrics)
    ids = batch["ids"]
    if not ids:
        return
    connection = await session.connection()
    given = {**_where(place), "instant": at, **batch}
    await connection.execute(rollups.HOLD, given)
    if await connection.scalar(rollups.ADD_NEWER, given):
        added = (await connection.execute(rollups.ADD_ANY, given)).scalars().all()
        if added:
            await connection.execute(rollups.RENEW_LAST, {**given, **_only(batch, set(added))})
            await connection.execute(rollups.MEND_CHAINS, {**given, "ids": added})


def _where(place: CommunityRef) -> dict[str, Any]:
    return {"workspace": place.workspace_id, "project": place.project_id, "community": place.community_id}


def _batch(metrics: Iterable[tuple[UUID, PostMetrics]]) -> dict[str, list[Any]]:
    """The batch as columns; the first of two looks at one publication counts."""
    looks: dict[UUID, PostMetrics] = {}
    for publication_id, found in metrics:
        if not found.gone:
            looks.setdefault(publication_id, found)
    counters = [found.counters for found in looks.values()]
    columns = {f"new_{metric.value}": [counted.get(metric) for counted in counters] for metric in Metric}
    reasons = [orjson.dumps(dict(found.missing), option=orjson.OPT_NON_STR_KEYS).decode() for found in looks.values()]
    return {"ids": list(looks), "reasons": reasons, **columns}


def _only(batch: dict[str, list[Any]], ids: set[UUID]) -> dict[str, list[Any]]:
    chosen = [publication_id in ids for publication_id in batch["ids"]]
    return {name: list(compress(values, chosen)) for name, values in batch.items()}


async def record_size(session: AsyncSession, place: CommunityRef, at: datetime, size: int | None) -> None:
    """Keep a community's size as it was at `at`; None (the platform hides it) leaves no trace."""
    if size is None:
        return
    connection = await session.connection()
    given = {**_where(place), "instant": at, "new_size": size}
    await connection.execute(rollups.HOLD, given)
    if await connection.scalar(sizes.ADD, given):
        await connection.execute(sizes.COUNT, given)


async def set_category(session: AsyncSession, publication_ids: Sequence[UUID], category: str | None) -> None:
    """Give publications a category of the content formula, and move what they added to its rows."""
    workspace_id = workspace_of(session)
    await session.flush()
    changing = (
        await session.execute(
            select(PUBLICATION.c.community_id, PUBLICATION.c.id)
            .where(
                PUBLICATION.c.workspace_id == workspace_id,
                PUBLICATION.c.id.in_(publication_ids),
                CATEGORY.is_distinct_from(category or ""),
            )
            .order_by(PUBLICATION.c.id)
            .with_for_update(key_share=True)
        )
    ).all()
    ids = [row.id for row in changing]
    if not ids:
        return
    connection = await session.connection()
    given = {"workspace": workspace_id, "ids": ids, "new_category": category}
    for community_id in sorted({row.community_id for row in changing}):
        await connection.execute(rollups.HOLD, {"community": community_id})
    await connection.execute(rollups.MOVE_CATEGORY, given)
    # By the session, so that publications it has loaded know it too.
    await session.execute(
        update(Publication)
        .where(in_workspace(Publication, workspace_id), Publication.id.in_(ids))
        .values(category=category)
        .execution_options(synchronize_session="fetch")
    )


async def recount_project(session: AsyncSession, project_id: UUID) -> None:
    """Make a project's rollups anew from its snapshots: its zone has changed, or they were wrong."""
    connection = await session.connection()
    given = {"workspace": workspace_of(session), "project": project_id}
    await connection.execute(rollups.HOLD_ALL, given)
    for statement in (rollups.EMPTY, rollups.FILL, sizes.EMPTY, sizes.FILL, differences.MEND_LAST):
        await connection.execute(statement, given)


async def reconcile(session: AsyncSession, project_id: UUID) -> list[Difference]:
    """Where the stored rollups of a project differ from a recount of its snapshots.

    One statement for each table, each of which sees a single moment: nothing needs to stand still.
    """
    connection = await session.connection()
    given = {"workspace": workspace_of(session), "project": project_id}
    return [
        difference for comparison in differences.COMPARISONS for difference in await comparison.run(connection, given)
    ]
