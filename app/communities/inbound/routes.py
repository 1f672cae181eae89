"""Hooks over HTTP: for agencies, which open and close them, and for platforms, which call them."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Path, Request, Response, status
from fastapi.responses import PlainTextResponse
from sqlalchemy import and_, select

from app.access.current import CurrentActor, ReadDep, ResourcesDep, SessionDep
from app.access.permissions import Permission
from app.access.routing import Router
from app.communities.inbound import ingest, subscriptions
from app.communities.inbound.models import Hook
from app.communities.models import Community
from app.communities.schemas import HookPut, HookRead
from app.kit.db import in_workspace
from app.kit.errors import NotFound, TooLarge
from app.kit.routing import RawRoute, problems, public_router
from app.kit.schemas import Text
from app.platforms.capabilities import HookRequest

ROUTER = Router("/v1/communities", tag="communities")
PUBLIC = public_router("/hooks", tag="communities", route_class=RawRoute)

MAX_BYTES: Final = 256 * 1024
"""Bytes of one call; an event of VK, with all that is attached to a post, is far below."""

_TEXT: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The body that the platform expects.",
        "content": {"text/plain": {"schema": {"type": "string"}, "example": "ok"}},
    }
}
_EVENT: Final = {
    "requestBody": {
        "required": True,
        "description": "As the platform sends it; at most 256 KiB.",
        "content": {
            "application/json": {
                "schema": {"type": "object", "additionalProperties": True},
                "example": {"type": "confirmation", "group_id": 225000001},
            }
        },
    }
}

Platform = Annotated[Text, Path(max_length=40, description="The `key` of the platform that calls.", examples=["vk"])]


@ROUTER.put(
    "/{community_id}/hook",
    operation_id="communities.open-hook",
    permission=Permission.HOOKS_WRITE,
    responses=problems(404, 409),
)
async def open_hook(
    body: HookPut, actor: CurrentActor, session: SessionDep, resources: ResourcesDep, community_id: UUID
) -> HookRead:
    """Open a community's hook, or give it further secrets.

    Then the platform sends events itself, and polling becomes rarer. Where `status` is not null, the
    service subscribes the hook at the platform, and `status` shows in a moment whether that worked; send
    the same again to have it tried again. Otherwise, and where it is `refused`, enter the `url` at the
    platform, and its secrets on both sides: without them every event is refused. Secrets are stored
    sealed and never shown again; those not named stay as they are.

    409 `hooks-unsupported`: this platform calls no hooks. 422 `unexpected-secret` names the secrets it has.
    """
    community, hook = await subscriptions.open_hook(
        session, actor, resources, community_id=community_id, requested=body.secrets
    )
    ingest.inbound_ingest(resources).clear_after_commit(session)
    return _to_read(resources, community.platform, hook, community.last_event_at)


@ROUTER.get(
    "/{community_id}/hook",
    operation_id="communities.read-hook",
    permission=Permission.HOOKS_READ,
    responses=problems(404, 409),
)
async def read_hook(actor: CurrentActor, connection: ReadDep, resources: ResourcesDep, community_id: UUID) -> HookRead:
    """A community's hook.

    `hook` of `GET /v1/communities/{id}/health` shows whether it works.
    """
    row = (
        await connection.execute(
            select(
                *(Community.platform, Community.last_event_at),
                *(Hook.public_id, Hook.created_at, Hook.status, Hook.reason),
            )
            .outerjoin(Hook, and_(Hook.workspace_id == Community.workspace_id, Hook.community_id == Community.id))
            .where(in_workspace(Community, actor.workspace_id), Community.id == community_id)
        )
    ).one_or_none()
    if row is None:
        raise NotFound
    subscriptions.receiver(row.platform)
    if row.public_id is None:
        raise NotFound("This community has no hook.", code="no-hook")
    return _to_read(resources, row.platform, row, row.last_event_at)


@ROUTER.delete(
    "/{community_id}/hook",
    operation_id="communities.close-hook",
    permission=Permission.HOOKS_WRITE,
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(404, 409),
)
async def close_hook(actor: CurrentActor, session: SessionDep, resources: ResourcesDep, community_id: UUID) -> None:
    """Close a community's hook.

    Its address is gone for good, and a new hook has another; communities of one application, which
    share an address, keep it as long as one of them has its hook. Where the platform cannot be polled
    while it is subscribed, it is unsubscribed there too.
    """
    await subscriptions.close_hook(session, actor, community_id=community_id)
    ingest.inbound_ingest(resources).clear_after_commit(session)


@PUBLIC.get(
    "/{platform}/{hook_id}",
    operation_id="communities.hook-challenge",
    response_class=PlainTextResponse,
    responses=_TEXT | problems(403, 404),
)
async def challenge(platform: Platform, hook_id: UUID, request: Request, resources: ResourcesDep) -> Response:
    """For platforms: answer the challenge by which one verifies the address with GET.

    A platform that verifies an address in this way gets back what it sent, if that carries the hook's secret;
    anything else is refused. Nothing is stored.
    """
    return await _receive(platform, hook_id, request, resources, b"")  # a GET has no body, and none is read


@PUBLIC.post(
    "/{platform}/{hook_id}",
    operation_id="communities.hook-event",
    response_class=PlainTextResponse,
    responses=_TEXT | problems(403, 404, 413),
    openapi_extra=_EVENT,
)
async def event(platform: Platform, hook_id: UUID, request: Request, resources: ResourcesDep) -> Response:
    """For platforms: receive events, which are verified, stored, and only then acknowledged.

    A worker applies them a moment later. An event that is sent again, under the same id, is answered in
    the same way and has no further effect.
    """
    return await _receive(platform, hook_id, request, resources, await _body(request))


async def _receive(platform: str, hook_id: UUID, request: Request, resources: ResourcesDep, body: bytes) -> Response:
    # The caller's address as trusted proxies forward it (`web.client_address`).
    source: str | None = request.scope.get("client_address")
    query = request.query_params if request.scope["query_string"] else {}
    call = HookRequest(body, request.headers, query, source)
    return PlainTextResponse(await ingest.receive_call(resources, platform, hook_id, call))


async def _body(request: Request) -> bytes:
    """The raw bytes; raises `TooLarge` as soon as there are more than `MAX_BYTES`."""
    body_bytes = bytearray()
    async for part in request.stream():
        body_bytes += part
        if len(body_bytes) > MAX_BYTES:
            raise TooLarge(f"A call may have at most {MAX_BYTES} bytes.")
    return bytes(body_bytes)


def _to_read(resources: ResourcesDep, platform: str, hook: Any, last_event_at: Any) -> HookRead:
    return HookRead(
        url=subscriptions.address(resources.settings, platform, hook.public_id),
        platform=platform,
        status=hook.status,
        reason=hook.reason,
        created_at=hook.created_at,
        last_event_at=last_event_at,
    )
