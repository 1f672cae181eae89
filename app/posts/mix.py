"""The content formula: the share of the posts that each category has, and should have.

Shares are per cent of the posts that have a category; the others are counted separately. Without any
categorised post there are no shares. By default 40 % engaging, 30 %
user-generated, 25 % educational, 5 % promotional.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func, or_, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.access import audit
from app.communities.models import Publication
from app.kit import days
from app.kit.actors import Actor
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.errors import NotFound
from app.kit.preconditions import require_version
from app.posts import times
from app.posts.models import Category, MixPolicy, MixPolicyVersion, Post, PostStatus
from app.projects.models import Project

DEFAULT: Final[Mapping[Category, int]] = {
    Category.ENGAGING: 40,
    Category.USER_GENERATED: 30,
    Category.EDUCATIONAL: 25,
    Category.PROMOTIONAL: 5,
}
MAX_DAYS: Final = 366
"""Days in a window."""


class MixBasis(StrEnum):
    """Which posts are counted, and by which time."""

    PLANNED = "planned"
    """Planned and published ones, by when they were planned for."""
    PUBLISHED = "published"
    """Published ones not deleted since, by when they were published."""


@dataclass(frozen=True, slots=True)
class DayRange:
    """A window of a project's local days, both ends included."""

    first: date
    last: date
    timezone: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Posts in a window."""

    by_category: Mapping[Category, int]
    uncategorised: int
    gone: int

    @property
    def categorised(self) -> int:
        """Posts that have a category."""
        return sum(self.by_category.values())


@dataclass(frozen=True, slots=True)
class CategoryShare:
    """One category's share; `share` and `deviation` are None without any categorised post."""

    category: Category
    count: int
    share: float | None
    target: int
    deviation: float | None


def category_shares(counts: Counts, policy: Mapping[Category, int]) -> list[CategoryShare]:
    """Each category's share beside its target, in the policy's order."""
    total = counts.categorised
    shares = []
    for category, target in policy.items():
        count = counts.by_category.get(category, 0)
        share = 100 * count / total if total else None
        shares.append(CategoryShare(category, count, share, target, None if share is None else share - target))
    return shares


def deviation(shares: list[CategoryShare]) -> float | None:
    """Per cent of the posts that would need another category: half the sum of absolute deviations."""
    deviations = [abs(part.deviation) for part in shares if part.deviation is not None]
    return sum(deviations) / 2 if deviations else None


def category_lags(counts: Counts, policy: Mapping[Category, int]) -> list[tuple[Category, float]]:
    """How many posts each category lacks if one more is made, the furthest behind first.

    The largest remainder method: following it post by post keeps the mix within about one post of the
    policy. Of two equally far behind, the one with the larger target comes first.
    """
    after = counts.categorised + 1
    lags = [
        (category, target * after / 100 - counts.by_category.get(category, 0)) for category, target in policy.items()
    ]
    return sorted(lags, key=lambda lag: (-lag[1], -policy[lag[0]]))


async def project_zone(connection: AsyncConnection, workspace_id: UUID, project_id: UUID) -> str:
    """The project's zone; `NotFound` for an unknown project."""
    zone: str | None = await connection.scalar(
        select(Project.timezone).where(in_workspace(Project, workspace_id), Project.id == project_id)
    )
    if zone is None:
        raise NotFound
    return zone


def day_range(zone: str, at: datetime, first: date | None, last: date | None, *, max_days: int = MAX_DAYS) -> DayRange:
    """The requested days (`app.kit.days`), at most `max_days`; by default the 30 days up to the one of `at`."""
    today = at.astimezone(ZoneInfo(zone)).date()
    return DayRange(*days.requested_days(first, last, today, longest=max_days), zone)


async def count(
    connection: AsyncConnection,
    workspace_id: UUID,
    project_id: UUID,
    within: DayRange,
    basis: MixBasis | None,
    *,
    planned_ahead: bool = False,
) -> Counts:
    """Posts of a window by category; without a `basis`, planned and published ones together, each
    when it was published or else is planned for. `planned_ahead`: also those that are planned for later.
    """
    begin, end = times.bounds(within.first, within.last, within.timezone)
    published, planned = Post.status == PostStatus.PUBLISHED.value, Post.status == PostStatus.PLANNED.value
    condition: ColumnElement[bool]
    if basis is MixBasis.PUBLISHED:
        condition = published & (Post.published_at >= begin) & (Post.published_at < end)
    elif basis is MixBasis.PLANNED:
        condition = or_(published, planned) & (Post.planned_at >= begin) & (Post.planned_at < end)
    else:
        condition = or_(
            published & (Post.published_at >= begin) & (Post.published_at < end),
            planned & (Post.planned_at >= begin) & (true() if planned_ahead else Post.planned_at < end),
        )
    gone = Publication.gone_at.is_not(None)
    rows = await connection.execute(
        select(Post.category, gone.label("gone"), func.count().label("posts"))
        .outerjoin(
            Publication, (Publication.workspace_id == Post.workspace_id) & (Publication.id == Post.publication_id)
        )
        .where(in_workspace(Post, workspace_id), Post.project_id == project_id, condition)
        .group_by(Post.category, gone)
    )
    by_category, uncategorised, gone_posts = dict.fromkeys(Category, 0), 0, 0
    for category, is_gone, posts in rows:
        if is_gone and basis is not MixBasis.PLANNED:
            gone_posts += posts
        elif category is None:
            uncategorised += posts
        else:
            by_category[Category(category)] += posts
    return Counts(by_category, uncategorised, gone_posts)


@dataclass(frozen=True, slots=True)
class Policy:
    """The shares a project aims at, in per cent. Version 0: the default."""

    shares: Mapping[Category, int]
    version: int
    updated_at: datetime | None


async def policy(connection: AsyncConnection, workspace_id: UUID, project_id: UUID) -> Policy:
    """A project's own policy, or the default."""
    row = (
        await connection.execute(
            select(MixPolicy.shares, MixPolicy.version, MixPolicy.updated_at).where(
                MixPolicy.workspace_id == workspace_id, MixPolicy.project_id == project_id
            )
        )
    ).one_or_none()
    if row is None:
        return Policy(DEFAULT, 0, None)
    return Policy({category: row.shares[category.value] for category in DEFAULT}, row.version, row.updated_at)


async def set_policy(
    session: AsyncSession,
    actor: Actor,
    *,
    project_id: UUID,
    shares: Mapping[str, int],
    expected_versions: Collection[int] | None = None,
) -> Policy:
    """Set a project's shares. The version is 0 where there are none yet; `PreconditionFailed` if not expected."""
    await fetch(session, Project, project_id)
    workspace_id = workspace_of(session)
    # Inserted first, so that two requests that set the first policy at once serialise on its row.
    await session.execute(
        insert(MixPolicy)
        .values(
            workspace_id=workspace_id,
            project_id=project_id,
            shares={category.value: share for category, share in DEFAULT.items()},
            version=0,
            updated_at=now(session),
        )
        .on_conflict_do_nothing()
    )
    stored = await session.get_one(MixPolicy, (workspace_id, project_id), with_for_update=True)
    require_version(stored.version, expected_versions)
    before = audit.snapshot(stored)
    stored.shares, stored.version, stored.updated_at = dict(shares), stored.version + 1, now(session)
    session.add(
        MixPolicyVersion(
            workspace_id=workspace_id,
            project_id=project_id,
            version=stored.version,
            shares=dict(shares),
            since=stored.updated_at,
        )
    )
    await session.flush()
    audit.record(
        session, actor, "mix-policies.replace", project_id=project_id, before=before, after=audit.snapshot(stored)
    )
    return await policy(await session.connection(), workspace_id, project_id)
