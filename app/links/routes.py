"""Tracked links, their clicks, and the public redirect."""

import re
from datetime import date
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Path, Query, Request, status
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import RedirectResponse, Response

from app.access.current import CurrentActor, ListDep, PagerDep, ReadDep, ResourcesDep, SessionDep
from app.access.permissions import Permission
from app.access.routing import Router
from app.kit import audience, days
from app.kit.days import FirstDay, LastDay
from app.kit.db import in_workspace
from app.kit.errors import NotFound
from app.kit.lists import json_page, json_response
from app.kit.paging import Cursor, Keyset, Limit, Page
from app.kit.routing import RawRoute, problems, public_router
from app.kit.schemas import Id, SearchText, Text
from app.links import pages, reads, service
from app.links.lexemes import LINK_LEXEMES, separated
from app.links.models import ClickDay, Link, LinkTarget
from app.links.recording import Visit
from app.links.redirects import Route, redirects
from app.links.schemas import (
    ClickCounts,
    ClickDayRead,
    ClickDays,
    ClickPage,
    LinkCreate,
    LinkInclude,
    LinkRead,
    LinkTargetRead,
    LinkUpdate,
)
from app.projects.models import Project

ROUTER = Router("/v1", tag="links")
PUBLIC = public_router("", tag="links", route_class=RawRoute)

SlugParam = Annotated[str, Path(description="The last part of the short address.", examples=["autumn-sale"])]

_TARGETS: Final = Keyset((LinkTarget.version,))
_SLUG: Final = re.compile(r"[A-Za-z0-9_-]{3,64}")
_HOST: Final = re.compile(r"[a-z0-9._:-]{1,253}")
_MAX_DAYS: Final = 366


Include = Annotated[
    list[LinkInclude] | None,
    Query(description="`clicks`: with the link's clicks since it was made, by people and bots."),
]


@ROUTER.post(
    "/links",
    operation_id="links.create",
    permission=Permission.LINKS_WRITE,
    status_code=status.HTTP_201_CREATED,
    responses=problems(404, 409),
)
async def create(body: LinkCreate, actor: CurrentActor, session: SessionDep, resources: ResourcesDep) -> LinkRead:
    """Make a tracked link.

    It leads to exactly the target given; a query string on the short address is not passed on.
    """
    link = await service.create(session, actor, public_url=resources.settings.public_url, **body.model_dump())
    return LinkRead.model_validate(await reads.changed(session, link, resources.settings))


@ROUTER.get("/links", operation_id="links.list", permission=Permission.LINKS_READ, response_model=Page[LinkRead])
async def list_links(
    lists: ListDep,
    project_id: Annotated[Id | None, Query(description="Only links of this project.")] = None,
    community_id: Annotated[Id | None, Query(description="Only those of this community.")] = None,
    post_id: Annotated[Id | None, Query(description="Only those of this post.")] = None,
    slug: Annotated[
        Text | None, Query(max_length=64, description="The one with this slug, in upper and lower case as it is.")
    ] = None,
    q: Annotated[
        SearchText,
        Query(
            description="Words that stand in its title or its target: all of them, in any form and any order. Whole "
            "words, not parts of words; an address is split into words at its punctuation. 422 `no-word` where it has "
            "only words that are not searched, such as `the`."
        ),
    ] = None,
    archived: Annotated[bool | None, Query(description="Only archived ones, or none of them; both when left out.")] = (
        None
    ),
    include: Include = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The tracked links, newest first.

    Filters can be combined. Archived links are among them, unless `archived` says otherwise.
    """
    filters = {
        "project_id": project_id,
        "community_id": community_id,
        "post_id": post_id,
        "slug": slug,
        "archived": archived,
    }
    rows, next_cursor = await lists.page(
        reads.LINKS[bool(include)],
        sort=reads.LinkSort.CREATED,
        limit=limit,
        cursor=cursor,
        filters=filters,
        search=(LINK_LEXEMES, q and separated(q)),
    )
    return json_page([reads.link_read(row, lists.resources.settings) for row in rows], next_cursor)


@ROUTER.get(
    "/links/{link_id}",
    operation_id="links.read",
    permission=Permission.LINKS_READ,
    responses=problems(404),
    response_model=LinkRead,
)
async def read(link_id: UUID, lists: ListDep, include: Include = None) -> Response:
    """One tracked link.

    What it leads to, and where it is posted. `/clicks` has what was counted.
    """
    row = await lists.one(reads.LINKS[bool(include)], link_id)
    return json_response(reads.link_read(row, lists.resources.settings))


@ROUTER.patch(
    "/links/{link_id}", operation_id="links.update", permission=Permission.LINKS_WRITE, responses=problems(404)
)
async def update(
    link_id: UUID, body: LinkUpdate, actor: CurrentActor, session: SessionDep, resources: ResourcesDep
) -> LinkRead:
    """Change where a link leads, or its title; archive it, or open it again.

    A new target, and archiving, take up to 10 s to reach all processes. While the database is out of reach, redirects
    go on by what was known, for up to an hour. Earlier targets are kept (`GET /v1/links/{id}/targets`).
    """
    link = await service.change(
        session, actor, public_url=resources.settings.public_url, link_id=link_id, changes=body.changes()
    )
    redirects(resources).routes.forget_after_commit(session, link.slug)
    return LinkRead.model_validate(await reads.changed(session, link, resources.settings))


@ROUTER.get(
    "/links/{link_id}/targets",
    operation_id="links.targets",
    permission=Permission.LINKS_READ,
    responses=problems(404),
)
async def list_targets(
    link_id: UUID,
    actor: CurrentActor,
    connection: ReadDep,
    pager: PagerDep,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[LinkTargetRead]:
    """Where a link leads and has led, newest first: since when, and who set it.

    Clicks have the version of the target that they led to.
    """
    await _zone(connection, actor.workspace_id, link_id)
    query = select(LinkTarget.__table__).where(
        LinkTarget.workspace_id == actor.workspace_id, LinkTarget.link_id == link_id
    )
    query = _TARGETS.after(query, pager.read(cursor, (int,)), limit)
    rows, next_cursor = pager.page((await connection.execute(query)).all(), limit, ("version",))
    return Page(data=[LinkTargetRead.model_validate(row) for row in rows], next_cursor=next_cursor)


async def _zone(connection: AsyncConnection, workspace_id: UUID, link_id: UUID) -> str:
    """The zone of a link's project; `NotFound` where there is no such link."""
    zone: str | None = await connection.scalar(
        select(Project.timezone)
        .join(Link, (Link.workspace_id == Project.workspace_id) & (Link.project_id == Project.id))
        .where(in_workspace(Link, workspace_id), Link.id == link_id)
    )
    if zone is None:
        raise NotFound
    return zone


@ROUTER.get(
    "/links/{link_id}/clicks",
    operation_id="links.clicks",
    permission=Permission.LINKS_READ,
    responses=problems(404),
    response_model=ClickPage,
)
async def clicks(
    link_id: UUID,
    actor: CurrentActor,
    connection: ReadDep,
    pager: PagerDep,
    people: Annotated[bool | None, Query(description="Only people's clicks that count, or only the others.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """A link's clicks one by one, newest first, and its totals.

    No address and no name is stored: `visitor` tells apart the visitors of this workspace and nothing else.
    """
    zone = await _zone(connection, actor.workspace_id, link_id)
    rows, next_cursor = await reads.CLICKS.page(
        connection,
        pager,
        workspace_id=actor.workspace_id,
        sort="at",
        limit=limit,
        cursor=cursor,
        filters={"link_id": link_id, "people": people},
    )
    link = await reads.LINKS[True].one(connection, actor.workspace_id, link_id)
    totals = {name: link[name] for name in ClickCounts.model_fields}
    return json_page([dict(row) for row in rows], next_cursor, timezone=zone, totals=totals)


@ROUTER.get(
    "/links/{link_id}/clicks/days",
    operation_id="links.click-days",
    permission=Permission.LINKS_READ,
    responses=problems(404),
)
async def click_days(
    link_id: UUID,
    actor: CurrentActor,
    connection: ReadDep,
    resources: ResourcesDep,
    first: FirstDay = None,
    last: LastDay = None,
) -> ClickDays:
    """A link's clicks day by day, people and bots apart.

    Days are those of the project's zone; a day without clicks is a row of zeros.
    """
    zone = await _zone(connection, actor.workspace_id, link_id)
    today = resources.clock.now().astimezone(ZoneInfo(zone)).date()
    first, last = days.requested_days(first, last, today, longest=_MAX_DAYS)
    rows = await connection.execute(
        select(ClickDay.day, ClickDay.people, ClickDay.bots, ClickDay.repeats).where(
            ClickDay.workspace_id == actor.workspace_id, ClickDay.link_id == link_id, ClickDay.day.between(first, last)
        )
    )
    stored = {row.day: row for row in rows}
    return ClickDays(
        link_id=link_id,
        window=days.DayRangeRead(first=first, last=last, timezone=zone),
        data=[_click_day(day, stored.get(day)) for day in _days(first, last)],
    )


def _days(first: date, last: date) -> list[date]:
    return [date.fromordinal(day) for day in range(first.toordinal(), last.toordinal() + 1)]


def _click_day(day: date, row: Any) -> ClickDayRead:
    if row is None:
        return ClickDayRead(day=day, people=0, bots=0, repeats=0)
    return ClickDayRead(day=day, people=row.people, bots=row.bots, repeats=row.repeats)


async def _follow(slug: str, request: Request, resources: ResourcesDep) -> Response:
    if not _SLUG.fullmatch(slug):
        return pages.dead_link_response(request, status.HTTP_404_NOT_FOUND)
    links = redirects(resources)
    try:
        route = await links.find(slug)
    except NotFound:
        return pages.dead_link_response(request, status.HTTP_404_NOT_FOUND)
    if route.archived:
        return pages.dead_link_response(request, status.HTTP_410_GONE)
    await links.recorder.record(_visit(request, route, resources))
    return Response(status_code=status.HTTP_302_FOUND, headers={**pages.HEADERS, "Location": route.location})


def _visit(request: Request, route: Route, resources: ResourcesDep) -> Visit:
    at = resources.clock.now()
    address = str(request.scope.get("client_address") or (request.client.host if request.client else ""))
    agent = request.headers.get("user-agent", "")
    identity = b"\0".join((route.workspace_id.bytes, address.encode(), agent.encode()))
    return Visit(
        workspace_id=route.workspace_id,
        link_id=route.link_id,
        at=at,
        day=at.astimezone(route.timezone).date(),
        visitor=resources.keyring.sign("visitor", identity),
        bot=audience.bot(request.method, request.headers),
        referrer=_referrer(request.headers.get("referer", "")),
        target_version=route.target_version,
    )


def _referrer(header: str) -> str | None:
    """The host of a Referer; the rest of it may hold personal data."""
    try:
        host = (urlsplit(header).hostname or "").lower()
    except ValueError:
        return None
    return host if _HOST.fullmatch(host) else None


@PUBLIC.get(
    "/r/{slug}",
    operation_id="links.follow",
    status_code=status.HTTP_302_FOUND,
    response_class=RedirectResponse,
    responses=pages.RESPONSES,
)
async def follow(slug: SlugParam, request: Request, resources: ResourcesDep) -> Response:
    """Follow a tracked link: counted, then on to its target.

    The target is used as it is: a query string on the short address is not passed on. The response
    must not be cached, so that every visit is counted.
    """
    return await _follow(slug, request, resources)


@PUBLIC.head(
    "/r/{slug}",
    operation_id="links.follow-head",
    status_code=status.HTTP_302_FOUND,
    response_class=RedirectResponse,
    responses=pages.RESPONSES,
)
async def follow_head(slug: SlugParam, request: Request, resources: ResourcesDep) -> Response:
    """The redirect without its body; counted as a bot's visit.

    Programs that look at a link without following it send this; people's clicks are not touched.
    """
    return await _follow(slug, request, resources)
