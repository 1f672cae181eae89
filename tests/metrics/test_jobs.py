"""Recounts, on request and nightly."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, select, update

from app.communities.events import PostsMeasured, SizeMeasured
from app.kit import events, jobs, scheduler
from app.kit.db import Database
from app.metrics.jobs import DIFFERENCES
from app.metrics.models import PostLast, RollupDay
from app.projects.events import ProjectZoneChanged
from tests.conftest import Agency
from tests.metrics.conftest import NOON, Client, make_client, measured
from tests.metrics.test_days import check


async def _counted(agency: Agency, db: Database) -> Client:
    """A project with polled counters."""
    events.listen()
    client = await make_client(db, workspace_id=agency.workspace_id)
    posts = await client.publish_many([(NOON, None), (NOON, "sales")])
    for step in range(4):
        at = NOON + timedelta(hours=9 * step)
        async with client.work() as session:
            await events.publish(
                session, PostsMeasured(client.refs[0], at, tuple((post, measured({"views": step})) for post in posts))
            )
            await events.publish(session, SizeMeasured(client.refs[0], at, 100 + step))
        client.snapshots += [(post, at, {"views": step}) for post in posts]
    await check(client)
    return client


async def test_a_changed_zone_recounts(agency: Agency, db: Database) -> None:
    client = await _counted(agency, db)
    await client.rezone("Asia/Tokyo")
    async with client.work() as session:
        await events.publish(session, ProjectZoneChanged(client.project_id, "Europe/Minsk", "Asia/Tokyo"))
    assert await agency.work("metrics.recount") == 1
    await check(client)


async def test_the_nightly_comparison_rebuilds_wrong_rollups(agency: Agency, db: Database) -> None:
    client = await _counted(agency, db)
    async with client.work() as session:
        await session.execute(update(RollupDay).where(RollupDay.category == "sales").values(views=RollupDay.views + 1))
        await session.execute(
            delete(RollupDay).where(RollupDay.category == "", RollupDay.project_id == client.project_id)
        )
        await session.execute(update(PostLast).values(views=None))
    before = {table: DIFFERENCES.labels(table)._value.get() for table in ("rollup_day", "post_last", "community_day")}
    await scheduler.ensure_recurring(agency.resources)
    async with db.read_connection(None) as connection:
        nightly = await connection.scalar(select(jobs.Job.id).where(jobs.Job.kind == "metrics.reconcile"))
    assert isinstance(nightly, UUID)
    assert await jobs.perform(agency.resources, nightly)
    assert await agency.work("metrics.reconcile_workspace", "metrics.reconcile_project") == 2
    await check(client)
    after = {table: DIFFERENCES.labels(table)._value.get() for table in before}
    assert {table: after[table] - before[table] for table in before} == {
        "rollup_day": 4,
        "post_last": 2,
        "community_day": 0,
    }
