"""A project's mix of content, its policy, its calendar."""

from itertools import groupby
from typing import Annotated, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Query, Response

from app.access.current import CurrentActor, ReadDep, ResourcesDep, SessionDep
from app.access.permissions import Permission
from app.access.routing import Router
from app.kit.days import DayRangeRead, FirstDay, LastDay
from app.kit.errors import Invalid
from app.kit.lists import json_response
from app.kit.preconditions import ExpectedVersions, version_tag
from app.kit.routing import problems
from app.posts import mix, reads, times
from app.posts.schemas import (
    CategoryLag,
    MixPolicyRead,
    MixPolicyUpdate,
    MixRead,
    MixShare,
    MixShares,
    NextCategory,
    PostCalendar,
    PostInclude,
)

ROUTER = Router("/v1/projects/{project_id}", tag="posts")
"""Part of the room's own router."""

CALENDAR_DAYS: Final = 62
CALENDAR_POSTS: Final = 2000


Basis = Annotated[mix.MixBasis, Query(description="Which posts are counted, and by which time.")]


def _day_range_read(days: mix.DayRange) -> DayRangeRead:
    return DayRangeRead(first=days.first, last=days.last, timezone=days.timezone)


@ROUTER.get("/mix", operation_id="mix.read", permission=Permission.MIX_READ, responses=problems(404))
async def read(
    project_id: UUID,
    actor: CurrentActor,
    connection: ReadDep,
    resources: ResourcesDep,
    basis: Basis = mix.MixBasis.PUBLISHED,
    first: FirstDay = None,
    last: LastDay = None,
) -> MixRead:
    """How a project's posts spread over the content formula, beside its policy.

    `basis` says which posts are counted: `planned` ones by when they are planned for, `published` ones by when
    they appeared.
    """
    zone = await mix.project_zone(connection, actor.workspace_id, project_id)
    days = mix.day_range(zone, resources.clock.now(), first, last)
    counts = await mix.count(connection, actor.workspace_id, project_id, days, basis)
    policy = await mix.policy(connection, actor.workspace_id, project_id)
    shares = mix.category_shares(counts, policy.shares)
    any_categorised = counts.categorised > 0
    return MixRead(
        project_id=project_id,
        basis=basis.value,
        window=_day_range_read(days),
        status="ok" if any_categorised else "unknown",
        reason=None if any_categorised else f"No {basis.value} post of this window has a category.",
        total=counts.categorised + counts.uncategorised,
        uncategorised=counts.uncategorised,
        gone=counts.gone,
        categories=[
            MixShare(
                category=share.category,
                count=share.count,
                share=share.share,
                target=share.target,
                deviation=share.deviation,
            )
            for share in shares
        ],
        deviation=mix.deviation(shares),
    )


@ROUTER.get("/mix/next", operation_id="mix.next", permission=Permission.MIX_READ, responses=problems(404))
async def next_category(
    project_id: UUID,
    actor: CurrentActor,
    connection: ReadDep,
    resources: ResourcesDep,
    first: FirstDay = None,
    last: LastDay = None,
) -> NextCategory:
    """Which category to plan next: the one furthest behind the policy.

    Planned and published posts of the window are counted; without `to` also those that are planned for later.
    """
    zone = await mix.project_zone(connection, actor.workspace_id, project_id)
    days = mix.day_range(zone, resources.clock.now(), first, last)
    counts = await mix.count(connection, actor.workspace_id, project_id, days, None, planned_ahead=last is None)
    policy = await mix.policy(connection, actor.workspace_id, project_id)
    lags = mix.category_lags(counts, policy.shares)
    return NextCategory(
        project_id=project_id,
        window=_day_range_read(days),
        category=lags[0][0],
        counted=counts.categorised,
        candidates=[
            CategoryLag(
                category=category, count=counts.by_category[category], target=policy.shares[category], behind=lag
            )
            for category, lag in lags
        ],
    )


def _policy(project_id: UUID, policy: mix.Policy, response: Response) -> MixPolicyRead:
    response.headers["ETag"] = version_tag(policy.version)
    return MixPolicyRead(
        project_id=project_id,
        shares=MixShares(**{category.value: share for category, share in policy.shares.items()}),
        is_default=policy.version == 0,
        version=policy.version,
        updated_at=policy.updated_at,
    )


@ROUTER.get("/mix-policy", operation_id="mix-policies.read", permission=Permission.MIX_READ, responses=problems(404))
async def read_policy(project_id: UUID, actor: CurrentActor, connection: ReadDep, response: Response) -> MixPolicyRead:
    """The shares a project aims at; 40/30/25/5 unless others are set.

    Its ETag is what `If-Match` takes. `is_default` says whether anybody has set it.
    """
    await mix.project_zone(connection, actor.workspace_id, project_id)
    return _policy(project_id, await mix.policy(connection, actor.workspace_id, project_id), response)


@ROUTER.put(
    "/mix-policy", operation_id="mix-policies.replace", permission=Permission.MIX_WRITE, responses=problems(404, 412)
)
async def replace_policy(
    project_id: UUID,
    body: MixPolicyUpdate,
    actor: CurrentActor,
    session: SessionDep,
    expected_versions: ExpectedVersions,
    response: Response,
) -> MixPolicyRead:
    """Set the shares a project aims at; they add up to 100.

    `GET …/mix` compares with it at once, also days before. The KPI `mix_deviation` compares a window with the policy
    that was in force at its end.
    """
    policy = await mix.set_policy(
        session, actor, project_id=project_id, shares=body.shares.model_dump(), expected_versions=expected_versions
    )
    return _policy(project_id, policy, response)


@ROUTER.get(
    "/calendar",
    operation_id="posts.calendar",
    permission=Permission.POSTS_READ,
    responses=problems(404),
    response_model=PostCalendar,
)
async def calendar(
    project_id: UUID,
    actor: CurrentActor,
    connection: ReadDep,
    resources: ResourcesDep,
    first: FirstDay = None,
    last: LastDay = None,
    include: Annotated[
        list[PostInclude] | None,
        Query(description="`metrics`: with the posts' counters at the last poll, each with its status."),
    ] = None,
) -> Response:
    """A project's posts by local day, at most 62 days: when each was published, or else is planned for.

    At most 62 days. A post that was published stands on that day, another one on the day that it is planned
    for; drafts without a time are left out.
    """
    zone = await mix.project_zone(connection, actor.workspace_id, project_id)
    days = mix.day_range(zone, resources.clock.now(), first, last, max_days=CALENDAR_DAYS)
    begin, end = times.bounds(days.first, days.last, zone)
    rows = await reads.calendar(
        connection,
        actor.workspace_id,
        project_id,
        begin=begin,
        end=end,
        limit=CALENDAR_POSTS + 1,
        with_metrics=bool(include),
    )
    if len(rows) > CALENDAR_POSTS:
        raise Invalid(f"More than {CALENDAR_POSTS} posts: ask for fewer days.", code="window-too-large")
    by_day = groupby(rows, key=lambda row: (row["published_at"] or row["planned_at"]).astimezone(ZoneInfo(zone)).date())
    return json_response(
        {
            "window": _day_range_read(days).model_dump(by_alias=True),
            "data": [{"day": day, "posts": [reads.post_read(row) for row in day_rows]} for day, day_rows in by_day],
        }
    )
