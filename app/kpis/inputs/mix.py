"""Published posts by category, and the shares that the project aims at."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from operator import add
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from app.communities.models import Publication
from app.kit.db import in_workspace
from app.kpis.contract import DAY, Dataset, EvidenceQuery, LoadRequest, Measure, Project, Section, Source, Window
from app.kpis.inputs.columns import DailyCounts
from app.kpis.inputs.engagement import by_posts
from app.kpis.inputs.parameters import (
    AS_OF,
    END,
    FIRST,
    LAST,
    PROJECT,
    START,
    WORKSPACE,
    columns_by_community,
    local_day,
    position,
)
from app.posts.mix import DEFAULT
from app.posts.models import Category, MixPolicyVersion, Post, PostStatus

CATEGORIES: Final = tuple(Category)
Shares = tuple[int, ...]
"""Per cent, in the order of `CATEGORIES`."""
_DEFAULT: Final[Shares] = tuple(DEFAULT[category] for category in CATEGORIES)


class Mix(NamedTuple):
    """Posts of a window."""

    counts: tuple[int, ...]
    """Of each category, in the order of `CATEGORIES`."""
    without: int
    """Posts without a category."""
    policy: Shares
    """What was aimed at when the window ended."""


_DAY: Final = local_day(Post.__table__.c.published_at, PROJECT.c.timezone)


def _is_there(workspace_id: UUID, project_id: Any, as_of: Any) -> ColumnElement[bool]:
    """The post was not deleted on the platform by then.

    By the project's few deleted ones, which are read once: looking up each post's publication costs more than the rest.
    """
    deleted = (
        select(Publication.id)
        .where(in_workspace(Publication, workspace_id), Publication.project_id == project_id)
        .where(Publication.gone_at <= as_of)
        .correlate(PROJECT)
    )
    return or_(Post.publication_id.is_(None), Post.publication_id.not_in(deleted))


class MixDays(DailyCounts):
    """Posts of one community by day and category, with the project's policies."""

    __slots__ = ("policies",)
    policies: Sequence[tuple[date, Shares]]
    """By the local day from which each holds."""


class PublishedMix(Source[MixDays]):
    """Published posts by day and category."""

    key = "mix"
    title = "Published posts with their categories, and the project's policy"
    rows = func.json_build_object(
        "rows",
        columns_by_community(
            select(
                Post.community_id,
                position(_DAY),
                *(func.count().filter(Post.category == category.value) for category in CATEGORIES),
                func.count().filter(Post.category.is_(None)),
            )
            .where(
                in_workspace(Post, WORKSPACE),
                Post.project_id == PROJECT.c.id,
                Post.status == PostStatus.PUBLISHED.value,
                Post.published_at >= START,
                Post.published_at < END,
                Post.published_at <= AS_OF,
                _is_there(WORKSPACE, PROJECT.c.id, AS_OF),
                _DAY.between(FIRST, LAST),
            )
            .group_by(Post.community_id, _DAY)
        ),
        "policies",
        select(
            func.json_agg(
                aggregate_order_by(
                    func.json_build_array(MixPolicyVersion.since, MixPolicyVersion.shares), MixPolicyVersion.version
                )
            )
        )
        .where(
            MixPolicyVersion.workspace_id == WORKSPACE,
            MixPolicyVersion.project_id == PROJECT.c.id,
            MixPolicyVersion.since <= AS_OF,
        )
        .correlate(PROJECT)
        .scalar_subquery(),
    )

    def dataset(self, project: Project, rows: Any, request: LoadRequest) -> Dataset[MixDays]:
        """The requested days, by community."""
        dataset = by_posts(project, rows["rows"], MixDays, request)
        policies = [
            (datetime.fromisoformat(since), tuple(shares[category.value] for category in CATEGORIES))
            for since, shares in rows["policies"] or ()
        ]
        days = [(project.day_of(since), shares) for since, shares in policies]
        for data in dataset.parts.values():
            data.policies = days
        return dataset


MIX: Final = PublishedMix()


class MixOfPosts(Measure[MixDays]):
    """The published posts of a window by category, with the policy in force at its end."""

    source = MIX
    nothing = (None,)

    def amounts(self, data: MixDays, windows: Sequence[Window]) -> list[list[Any]]:
        """One `Mix` for each window."""
        *by_category, without = (data.sums(number + 1) for number in range(len(CATEGORIES) + 1))
        days = [day for day, _ in data.policies]
        made = []
        for _, last, _, start, stop in windows:
            number = bisect_left(days, last + DAY) if days else 0
            policy = data.policies[number - 1][1] if number else _DEFAULT
            counts = tuple([sums[stop] - sums[start] for sums in by_category])
            made.append(Mix(counts, without[stop] - without[start], policy))
        return [made]

    def totals(self, columns: Iterable[Sequence[Mix | None]]) -> list[Mix | None]:
        """The posts of all communities together, by window."""
        totals: list[Mix | None] = []
        for parts in zip(*columns, strict=True):
            total: Mix | None = None
            for part in parts:
                if part is not None:
                    total = part if total is None else _sum(total, part)
            totals.append(total)
        return totals


def _sum(one: Mix, other: Mix) -> Mix:
    return Mix(tuple(map(add, one.counts, other.counts)), one.without + other.without, one.policy)


def _rows(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
    return select(Post.id, Post.published_at, Post.community_id, Post.category, Post.publication_id).where(
        in_workspace(Post, workspace_id),
        Post.project_id == project.id,
        Post.status == PostStatus.PUBLISHED.value,
        Post.category.is_not(None),
        Post.published_at >= project.start_of(first),
        Post.published_at < project.start_of(last + DAY),
        Post.published_at <= project.now,
        _is_there(workspace_id, project.id, project.now),
    )


CATEGORISED: Final = Section(
    "post",
    "A published post with a category, not deleted since: `id`, `published_at`, `community_id`, `category`, "
    "`publication_id`.",
    _rows,
    {"published_at": datetime, "id": UUID},
)
