"""Communities over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, status
from starlette.responses import Response

from app.access.current import CurrentActor, ListDep, ResourcesDep, SessionDep
from app.access.permissions import Permission
from app.access.routing import Router
from app.communities import disconnecting, reads, service, syncing
from app.communities.health import health as read_health
from app.communities.inbound.ingest import inbound_ingest
from app.communities.models import Community, CommunityStatus
from app.communities.schemas import CommunityInclude, CommunityRead, Connecting, Health, Reconnect
from app.kit.lists import json_page, json_response
from app.kit.paging import Cursor, Limit, Page
from app.kit.routing import problems
from app.kit.schemas import Search, Text

ROUTER = Router("/v1/communities", tag="communities")

Include = Annotated[list[CommunityInclude] | None, Query(description="`health`: with a summary of each one's health.")]


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
    return await _changed(session, community)


@ROUTER.get(
    "",
    operation_id="communities.list",
    permission=Permission.COMMUNITIES_READ,
    response_model=Page[CommunityRead],
)
async def list_communities(
    lists: ListDep,
    project_id: Annotated[UUID | None, Query(description="Only communities of this project.")] = None,
    platform: Annotated[Text | None, Query(max_length=40, description="Only those of this platform.")] = None,
    status: Annotated[CommunityStatus | None, Query(description="Only those with this status.")] = None,
    q: Annotated[Search, Query(description="Part of the title or of the address.")] = None,
    include: Include = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Communities, newest first; disconnected ones too.

    Filters can be combined. `status` finds what a person has to see to: `reauth_required`, `failed`,
    `degraded`.
    """
    filters = {"project_id": project_id, "platform": platform, "status": status, "q": q}
    rows, next_cursor = await lists.page(
        reads.COMMUNITIES[bool(include)],
        sort=reads.CommunitySort.CREATED,
        limit=limit,
        cursor=cursor,
        filters=filters,
    )
    return json_page([reads.community_read(row) for row in rows], next_cursor)


@ROUTER.get(
    "/{community_id}",
    operation_id="communities.read",
    permission=Permission.COMMUNITIES_READ,
    responses=problems(404),
    response_model=CommunityRead,
)
async def read(lists: ListDep, community_id: UUID, include: Include = None) -> Response:
    """One community.

    What the platform says of it, and whether it is read. `health` says more where it is not.
    """
    return json_response(reads.community_read(await lists.one(reads.COMMUNITIES[bool(include)], community_id)))


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
    return await _changed(session, await syncing.sync(session, actor, community_id=community_id))


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

    For `reauth_required`, for missing permissions, before a token expires, or to bring back one that is
    `disconnected`. Tokens that are not named stay; what was read stays, and reading resumes where it stopped.
    """
    community = await service.reconnect(
        session, actor, resources.keyring, community_id=community_id, tokens=body.credentials
    )
    return await _changed(session, community)


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
    return await _changed(session, await service.pause(session, actor, community_id=community_id))


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
    return await _changed(session, await service.resume(session, actor, community_id=community_id))


@ROUTER.post(
    "/{community_id}/disconnect",
    operation_id="communities.disconnect",
    permission=Permission.COMMUNITIES_CONNECT,
    responses=problems(404),
)
async def disconnect(
    actor: CurrentActor, session: SessionDep, resources: ResourcesDep, community_id: UUID
) -> CommunityRead:
    """Disconnect a community: nothing is read or sent for it any more, and its tokens are destroyed.

    Its hook is closed, and unsubscribed at the platform where that can be done by a call. What was read stays: posts,
    inquiries, and figures up to today; KPIs count it up to now, and say `disconnected` of later days. Its inquiries can
    be resolved, but not answered here. `POST /v1/communities/{id}/reconnect` brings it back.
    """
    community = await disconnecting.disconnect(session, actor, community_id=community_id)
    inbound_ingest(resources).clear_after_commit(session)
    return await _changed(session, community)


async def _changed(session: SessionDep, community: Community) -> CommunityRead:
    return CommunityRead.model_validate(await reads.changed(session, community))
