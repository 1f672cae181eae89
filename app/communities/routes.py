"""Communities over HTTP."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query, status
from sqlalchemy import select

from app.access.current import CurrentActor, PagerDep, ReadDep, ResourcesDep, SessionDep
from app.access.permissions import Permission
from app.access.routing import Router
from app.communities import service
from app.communities.health import health as read_health
from app.communities.models import Community, CommunityStatus
from app.communities.schemas import CommunityRead, Connecting, Health, Reconnect
from app.kit.db import in_workspace
from app.kit.errors import NotFound
from app.kit.paging import Cursor, Keyset, Limit, Page
from app.kit.routing import problems
from app.kit.schemas import Text

ROUTER = Router("/v1/communities", tag="communities")

_BY_CREATED_AT = Keyset((Community.created_at, Community.id))


@ROUTER.post(
    "",
    operation_id="communities.connect",
    permission=Permission.COMMUNITIES_CONNECT,
    status_code=status.HTTP_201_CREATED,
    responses=problems(404, 409),
)
async def connect(body: Connecting, actor: CurrentActor, session: SessionDep, resources: ResourcesDep) -> CommunityRead:
    """Connect a community to a project.

    It is polled at once: the response says `connecting`, and a moment later
    `GET /v1/communities/{id}/health` says whether the platform answers, which permissions its tokens
    lack, and how far back its posts are read. `GET /v1/platforms` lists how addresses are written and
    which tokens exist; docs/platforms.md says where to get them. Public data is read without a token.

    422 with the `code` `unknown-platform`, `invalid-address`, `credentials-needed` or
    `unexpected-token` says what to correct; 409 `already-connected`: this workspace has it.
    """
    community = await service.connect(
        session,
        actor,
        resources.settings,
        resources.keyring,
        project_id=body.project_id,
        platform=body.platform,
        address=body.address,
        tokens=body.credentials,
        backfill_days=body.backfill_days,
    )
    return CommunityRead.model_validate(community)


@ROUTER.get("", operation_id="communities.list", permission=Permission.COMMUNITIES_READ)
async def list_communities(
    actor: CurrentActor,
    connection: ReadDep,
    pager: PagerDep,
    project_id: UUID | None = None,
    platform: Annotated[Text | None, Query(max_length=40, description="Only those of this platform.")] = None,
    status: Annotated[CommunityStatus | None, Query(description="Only those of this status.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[CommunityRead]:
    """Connected communities, newest first.

    Filters can be combined. `status` finds what a person has to see to: `reauth_required`, `failed`,
    `degraded`.
    """
    query = select(Community.__table__).where(in_workspace(Community, actor.workspace_id))
    if project_id is not None:
        query = query.where(Community.project_id == project_id)
    if platform is not None:
        query = query.where(Community.platform == platform)
    if status is not None:
        query = query.where(Community.status == status.value)
    query = _BY_CREATED_AT.after(query, pager.read(cursor, (datetime, UUID)), limit)
    rows, next_cursor = pager.page((await connection.execute(query)).all(), limit, ("created_at", "id"))
    return Page(data=[CommunityRead.model_validate(row) for row in rows], next_cursor=next_cursor)


@ROUTER.get(
    "/{community_id}", operation_id="communities.read", permission=Permission.COMMUNITIES_READ, responses=problems(404)
)
async def read(actor: CurrentActor, connection: ReadDep, community_id: UUID) -> CommunityRead:
    """One community.

    What the platform says of it, and whether it is read. `health` says more where it is not.
    """
    query = select(Community.__table__).where(in_workspace(Community, actor.workspace_id), Community.id == community_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound
    return CommunityRead.model_validate(row)


@ROUTER.get(
    "/{community_id}/health",
    operation_id="communities.health",
    permission=Permission.COMMUNITIES_READ,
    responses=problems(404),
)
async def health(session: SessionDep, resources: ResourcesDep, community_id: UUID) -> Health:
    """A community's health: what was read when, what is missing, and what to do about it.

    For a person: `status` and `reason`. For a script: act on `status` `reauth_required` (reconnect)
    and `code`; `degraded` needs no action. Figures are as fresh as `seen_at`; `lag` says how
    late that is; if `lag.interval_multiplier` is above 1, the cause is the platform's limits (`rate_limits`).
    `backfill` is the progress of the first reading of the past, `hook` the status of the platform's
    events and the gaps in them.
    """
    return await read_health(session, resources.settings, resources.keyring, community_id=community_id)


@ROUTER.post(
    "/{community_id}/sync",
    operation_id="communities.sync",
    permission=Permission.COMMUNITIES_WRITE,
    status_code=status.HTTP_202_ACCEPTED,
    responses=problems(404, 409),
)
async def sync(actor: CurrentActor, session: SessionDep, community_id: UUID) -> CommunityRead:
    """Read everything of a community again, as soon as a worker is free.

    This keeps to the platform's limits, so it may take a while; meanwhile figures stay as they are. Nothing is
    counted twice.
    """
    return CommunityRead.model_validate(await service.sync(session, actor, community_id=community_id))


@ROUTER.post(
    "/{community_id}/reconnect",
    operation_id="communities.reconnect",
    permission=Permission.COMMUNITIES_CONNECT,
    responses=problems(404, 409),
)
async def reconnect(
    body: Reconnect, actor: CurrentActor, session: SessionDep, resources: ResourcesDep, community_id: UUID
) -> CommunityRead:
    """Reconnect a community with new tokens.

    For `reauth_required`, for missing permissions, or before a token expires. Tokens that are not
    named stay; what was read stays, and reading resumes where it stopped.
    """
    community = await service.reconnect(
        session, actor, resources.keyring, community_id=community_id, tokens=body.credentials
    )
    return CommunityRead.model_validate(community)


@ROUTER.post(
    "/{community_id}/pause",
    operation_id="communities.pause",
    permission=Permission.COMMUNITIES_WRITE,
    responses=problems(404, 409),
)
async def pause(actor: CurrentActor, session: SessionDep, community_id: UUID) -> CommunityRead:
    """Pause a community: it is not polled until it is resumed.

    What was read stays, and its figures are marked as partial from now on. Events of its hook are stored and
    applied later.
    """
    return CommunityRead.model_validate(await service.pause(session, actor, community_id=community_id))


@ROUTER.post(
    "/{community_id}/resume",
    operation_id="communities.resume",
    permission=Permission.COMMUNITIES_WRITE,
    responses=problems(404, 409),
)
async def resume(actor: CurrentActor, session: SessionDep, community_id: UUID) -> CommunityRead:
    """Poll a paused community again.

    What was missed meanwhile is read, as far back as the platform lists it.
    """
    return CommunityRead.model_validate(await service.resume(session, actor, community_id=community_id))
