"""Storing snapshots, and keeping the rollups consistent with them.

All in the caller's transaction; several workers may run any of it at once. It locks the communities
concerned until the commit (see `rollups`): changes of several communities belong in one call, and
publications that the same transaction changes must be changed before.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import compress
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import audit
from app.communities.events import CommunityRef, SeenMember
from app.communities.models import Publication
from app.kit.actors import Actor
from app.kit.db import in_workspace, now, workspace_of
from app.metrics import differences, rollups, sizes
from app.metrics import members as members_of_days
from app.metrics.differences import Difference
from app.platforms.contract import Metric, PostMetrics


async def record_posts(
    session: AsyncSession, community: CommunityRef, at: datetime, metrics: Iterable[tuple[UUID, PostMetrics]]
) -> None:
    """Store the counters of publications at the instant `at`, and add the differences to their days.

    A snapshot of an instant that is stored already changes nothing; a late one is inserted into its
    chain. Publications of another project, deleted ones and unknown ids are ignored.
    """
    batch = _batch(metrics)
    ids = batch["ids"]
    if not ids:
        return
    connection = await session.connection()
    params = {**_community_params(community), "instant": at, **batch}
    await connection.execute(rollups.LOCK_COMMUNITY, params)
    if await connection.scalar(rollups.ADD_NEWER, params):
        added = (await connection.execute(rollups.ADD_ANY, params)).scalars().all()
        if added:
            await connection.execute(rollups.UPDATE_LAST, {**params, **_filter_batch(batch, set(added))})
            await connection.execute(rollups.UPDATE_CHAINS, {**params, "ids": added})


def _community_params(community: CommunityRef) -> dict[str, Any]:
    return {"workspace": community.workspace_id, "project": community.project_id, "community": community.community_id}


def _batch(metrics: Iterable[tuple[UUID, PostMetrics]]) -> dict[str, list[Any]]:
    """The batch as columns; of two entries of one publication the first counts."""
    polled: dict[UUID, PostMetrics] = {}
    for publication_id, metrics_of_post in metrics:
        if not metrics_of_post.gone:
            polled.setdefault(publication_id, metrics_of_post)
    counters = [metrics_of_post.counters for metrics_of_post in polled.values()]
    columns = {
        f"new_{metric.value}": [counters_of_post.get(metric) for counters_of_post in counters] for metric in Metric
    }
    reasons = [
        orjson.dumps(dict(metrics_of_post.missing), option=orjson.OPT_NON_STR_KEYS).decode()
        for metrics_of_post in polled.values()
    ]
    return {"ids": list(polled), "reasons": reasons, **columns}


def _filter_batch(batch: dict[str, list[Any]], ids: set[UUID]) -> dict[str, list[Any]]:
    selected = [publication_id in ids for publication_id in batch["ids"]]
    return {name: list(compress(values, selected)) for name, values in batch.items()}


async def record_size(session: AsyncSession, community: CommunityRef, at: datetime, size: int | None) -> None:
    """Store a community's size at the instant `at`; None (the platform hides it) stores nothing."""
    if size is None:
        return
    connection = await session.connection()
    params = {**_community_params(community), "instant": at, "new_size": size}
    await connection.execute(rollups.LOCK_COMMUNITY, params)
    if await connection.scalar(sizes.ADD, params):
        await connection.execute(sizes.COUNT, params)
        await connection.execute(sizes.COMPARE, params)


async def record_members(session: AsyncSession, community: CommunityRef, members: Sequence[SeenMember]) -> None:
    """Store who joined a community and who left it; what is stored already changes nothing."""
    links = {(one.member, one.at, one.joined): one.invite_link for one in members}
    keys = list(links)
    connection = await session.connection()
    await connection.execute(rollups.LOCK_COMMUNITY, _community_params(community))
    params = {
        "members": [member for member, _, _ in keys],
        "instants": [at for _, at, _ in keys],
        "joined": [joined for _, _, joined in keys],
        "invite_links": [links[key] for key in keys],
        "instant": now(session),
    }
    await connection.execute(members_of_days.ADD, {**_community_params(community), **params})


async def set_category(
    session: AsyncSession, actor: Actor, publication_ids: Sequence[UUID], category: str | None
) -> None:
    """Set the category of publications, and move their contributions to its rollup rows."""
    workspace_id = workspace_of(session)
    await session.flush()
    affected = (
        await session.execute(
            select(Publication.community_id, Publication.id, Publication.project_id, Publication.category)
            .where(
                in_workspace(Publication, workspace_id),
                Publication.id.in_(publication_ids),
                func.coalesce(Publication.category, "") != (category or ""),
            )
            .order_by(Publication.id)
            .with_for_update(key_share=True)
        )
    ).all()
    ids = [row.id for row in affected]
    if not ids:
        return
    connection = await session.connection()
    params = {"workspace": workspace_id, "ids": ids, "new_category": category}
    for community_id in sorted({row.community_id for row in affected}):
        await connection.execute(rollups.LOCK_COMMUNITY, {"community": community_id})
    await connection.execute(rollups.MOVE_CATEGORY, params)
    # Through the session, so that loaded publications are updated too.
    await session.execute(
        update(Publication)
        .where(in_workspace(Publication, workspace_id), Publication.id.in_(ids))
        .values(category=category)
        .execution_options(synchronize_session="fetch")
    )
    for row in affected:
        audit.record(
            session,
            actor,
            "metrics.set-category",
            publication_id=row.id,
            project_id=row.project_id,
            before={"category": row.category},
            after={"category": category},
        )


async def recount_project(
    session: AsyncSession, actor: Actor, project_id: UUID, *, wrong_rows: int | None = None
) -> None:
    """Rebuild a project's rollups from its snapshots: its zone has changed, or rows of them were wrong."""
    connection = await session.connection()
    params = {"workspace": workspace_of(session), "project": project_id}
    await connection.execute(rollups.LOCK_PROJECT, params)
    for statement in (
        rollups.DELETE_ALL,
        rollups.INSERT_ALL,
        sizes.DELETE_ALL,
        sizes.INSERT_ALL,
        sizes.COMPARE_ALL,
        members_of_days.DELETE_ALL,
        members_of_days.INSERT_ALL,
        differences.REBUILD_LAST,
    ):
        await connection.execute(statement, params)
    audit.record(session, actor, "metrics.recount", project_id=project_id, wrong_rows=wrong_rows)


async def reconcile(session: AsyncSession, project_id: UUID) -> list[Difference]:
    """Where the stored rollups of a project differ from a recount of its snapshots.

    One statement for each table, each on one snapshot of the database: no lock is needed.
    """
    connection = await session.connection()
    params = {"workspace": workspace_of(session), "project": project_id}
    return [
        difference for comparison in differences.COMPARISONS for difference in await comparison.run(connection, params)
    ]
