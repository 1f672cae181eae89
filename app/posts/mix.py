"""The content formula: which part of the posts each category has, and should have.

Shares are per cent of the posts that have a category; the others are counted apart, for nobody
knows where they belong. Without any there are no shares. By default 40 % engaging, 30 %
user-generated, 25 % educational, 5 % promotional.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.communities.models import Publication
from app.kit.db import fetch, in_workspace, now, workspace_of
from app.kit.errors import Invalid, NotFound
from app.posts import times
from app.posts.models import Category, MixPolicy, Post, Status
from app.posts.service import Check
from app.projects.models import Project

DEFAULT: Final[Mapping[Category, int]] = {
    Category.ENGAGING: 40,
    Category.USER_GENERATED: 30,
    Category.EDUCATIONAL: 25,
    Category.PROMOTIONAL: 5,
}
LONGEST: Final = 366
"""Days in a window."""


class Basis(StrEnum):
    """Which posts are counted, and when."""

    PLANNED = "planned"
    """Planned and published ones, when they were planned for."""
    PUBLISHED = "published"
    """Published ones that still stand, when they were published."""


@dataclass(frozen=True, slots=True)
class Days:
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
class Part:
    """One category's part; `share` and `deviation` are None without any categorised post."""

    category: Category
    count: int
    share: float | None
    target: int
    deviation: float | None


def parts(counts: Counts, policy: Mapping[Category, int]) -> list[Part]:
    """Each category's share beside its target, in the policy's order."""
    whole = counts.categorised
    found = []
    for category, target in policy.items():
        count = counts.by_category.get(category, 0)
        share = 100 * count / whole if whole else None
        found.append(Part(category, count, share, target, None if share is None else share - target))
    return found


def deviation(shares: list[Part]) -> float | None:
    """Per cent of the posts that would need another category: half the sum of absolute deviations."""
    known = [abs(part.deviation) for part in shares if part.deviation is not None]
    return sum(known) / 2 if known else None


def behind(counts: Counts, policy: Mapping[Category, int]) -> list[tuple[Category, float]]:
    """How many posts each category lacks if one more is made, the furthest behind first.

    The largest remainder: whoever follows it post by post never strays a whole post from the policy
    for long. Of two equally far behind, the one with the larger target comes first.
    """
    after = counts.categorised + 1
    lacks = [
        (category, target * after / 100 - counts.by_category.get(category, 0)) for category, target in policy.items()
    ]
    return sorted(lacks, key=lambda lack: (-lack[1], -policy[lack[0]]))


async def project_zone(connection: AsyncConnection, workspace_id: UUID, project_id: UUID) -> str:
    """The project's zone; `NotFound` for an unknown project."""
    zone: str | None = await connection.scalar(
        select(Project.timezone).where(in_workspace(Project, workspace_id), Project.id == project_id)
    )
    if zone is None:
        raise NotFound
    return zone


def window(zone: str, at: datetime, first: date | None, last: date | None, *, most: int = LONGEST) -> Days:
    """The days asked for; those of the month that `at` is in, where none are. `Invalid` where they make no sense."""
    if (first is None) != (last is None):
        raise Invalid("Give both `from` and `to`, or neither.", code="invalid-window")
    found = Days(first, last, zone) if first and last else Days(*times.month_of(at, zone), zone)
    if not 2000 <= found.first.year <= found.last.year < 2100:
        raise Invalid("`from` and `to` must be within the years 2000 to 2099, in this order.", code="invalid-window")
    if found.last < found.first or (found.last - found.first).days >= most:
        raise Invalid(f"`to` must not be before `from`, and at most {most} days are shown.", code="invalid-window")
    return found


async def count(
    connection: AsyncConnection, workspace_id: UUID, project_id: UUID, within: Days, basis: Basis | None
) -> Counts:
    """Posts of a window by category; without a `basis`, planned and published ones together, each
    when it was published or else is planned for.
    """
    begin, end = times.bounds(within.first, within.last, within.timezone)
    published, planned = Post.status == Status.PUBLISHED.value, Post.status == Status.PLANNED.value
    chosen: ColumnElement[bool]
    if basis is Basis.PUBLISHED:
        chosen = published & (Post.published_at >= begin) & (Post.published_at < end)
    elif basis is Basis.PLANNED:
        chosen = or_(published, planned) & (Post.planned_at >= begin) & (Post.planned_at < end)
    else:
        chosen = or_(
            published & (Post.published_at >= begin) & (Post.published_at < end),
            planned & (Post.planned_at >= begin) & (Post.planned_at < end),
        )
    gone = Publication.gone_at.is_not(None)
    rows = await connection.execute(
        select(Post.category, gone.label("gone"), func.count().label("posts"))
        .outerjoin(
            Publication, (Publication.workspace_id == Post.workspace_id) & (Publication.id == Post.publication_id)
        )
        .where(in_workspace(Post, workspace_id), Post.project_id == project_id, chosen)
        .group_by(Post.category, gone)
    )
    by_category, uncategorised, vanished = dict.fromkeys(Category, 0), 0, 0
    for category, is_gone, posts in rows:
        if is_gone and basis is not Basis.PLANNED:
            vanished += posts
        elif category is None:
            uncategorised += posts
        else:
            by_category[Category(category)] += posts
    return Counts(by_category, uncategorised, vanished)


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


async def set_policy(session: AsyncSession, *, project_id: UUID, shares: Mapping[str, int], check: Check) -> Policy:
    """Set a project's shares. `check` sees version 0 where there are none yet."""
    await fetch(session, Project, project_id)
    workspace_id = workspace_of(session)
    # Made first, so that two who set the first policy at once take turns at its row.
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
    kept = await session.get_one(MixPolicy, (workspace_id, project_id), with_for_update=True)
    check(kept.version)
    kept.shares, kept.version, kept.updated_at = dict(shares), kept.version + 1, now(session)
    await session.flush()
    return await policy(await session.connection(), workspace_id, project_id)
