"""Contacts, client links and statements, for the agency."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Response, status
from sqlalchemy import select

from app.access.current import CurrentActor, ListDep, PagerDep, ReadDep, ResourcesDep, SessionDep, connection_of
from app.access.permissions import Permission
from app.access.routing import Router
from app.clients import contacts, link_routes, reads, service
from app.clients.models import ClientLink, Contact, Purpose
from app.clients.schemas import (
    ClientLinkCreate,
    ClientLinkMade,
    ClientLinkRead,
    ClientLinkStatus,
    ClientStatementRead,
    ContactCreate,
    ContactRead,
    ContactUpdate,
)
from app.kit.db import in_workspace
from app.kit.errors import NotFound
from app.kit.lists import json_page, json_response
from app.kit.paging import Cursor, Keyset, Limit, Page
from app.kit.routing import problems
from app.kit.schemas import Id
from app.projects.models import Project

ROUTER = Router("/v1", tag="clients")
PUBLIC = link_routes.PUBLIC

_CONTACTS: Final = Keyset((Contact.id,), descending=False)


def _contacts(workspace_id: UUID, project_id: UUID) -> Any:
    return select(Contact.__table__).where(
        in_workspace(Contact, workspace_id), Contact.project_id == project_id, Contact.removed_at.is_(None)
    )


@ROUTER.get(
    "/projects/{project_id}/contacts",
    operation_id="contacts.list",
    permission=Permission.CONTACTS_READ,
    responses=problems(404),
)
async def list_contacts(
    project_id: UUID,
    actor: CurrentActor,
    connection: ReadDep,
    pager: PagerDep,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ContactRead]:
    """The people of a project's client, in the order in which they were added.

    Removed ones are left out.
    """
    project = select(Project.id).where(in_workspace(Project, actor.workspace_id), Project.id == project_id)
    if (await connection.execute(project)).one_or_none() is None:
        raise NotFound
    query = _CONTACTS.after(_contacts(actor.workspace_id, project_id), pager.read(cursor, (UUID,)), limit)
    rows, next_cursor = pager.page((await connection.execute(query)).all(), limit, ("id",))
    return Page(data=[ContactRead.model_validate(row) for row in rows], next_cursor=next_cursor)


@ROUTER.post(
    "/projects/{project_id}/contacts",
    operation_id="contacts.create",
    permission=Permission.CONTACTS_WRITE,
    status_code=status.HTTP_201_CREATED,
    responses=problems(404, 409),
)
async def create_contact(
    project_id: UUID, body: ContactCreate, actor: CurrentActor, session: SessionDep
) -> ContactRead:
    """Add somebody of the client to a project.

    They get no account: they read, agree and approve by links (`POST /v1/client-links`).
    """
    contact = await contacts.create(session, actor, project_id=project_id, values=body.model_dump())
    return ContactRead.model_validate(contact)


@ROUTER.get(
    "/projects/{project_id}/contacts/{contact_id}",
    operation_id="contacts.read",
    permission=Permission.CONTACTS_READ,
    responses=problems(404),
)
async def read_contact(project_id: UUID, contact_id: UUID, actor: CurrentActor, connection: ReadDep) -> ContactRead:
    """One of the client's people.

    Where they are reached, and in which language they are written to.
    """
    query = _contacts(actor.workspace_id, project_id).where(Contact.id == contact_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound
    return ContactRead.model_validate(row)


@ROUTER.patch(
    "/projects/{project_id}/contacts/{contact_id}",
    operation_id="contacts.update",
    permission=Permission.CONTACTS_WRITE,
    responses=problems(404, 409),
)
async def update_contact(
    project_id: UUID, contact_id: UUID, body: ContactUpdate, actor: CurrentActor, session: SessionDep
) -> ContactRead:
    """Change what is known of a contact.

    Their links go on. Statements that were made keep the name of then.
    """
    contact = await contacts.change(
        session, actor, project_id=project_id, contact_id=contact_id, changes=body.changes()
    )
    return ContactRead.model_validate(contact)


@ROUTER.delete(
    "/projects/{project_id}/contacts/{contact_id}",
    operation_id="contacts.delete",
    permission=Permission.CONTACTS_WRITE,
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(404),
)
async def delete_contact(project_id: UUID, contact_id: UUID, actor: CurrentActor, session: SessionDep) -> None:
    """Remove a contact.

    Their addresses are erased and their links end; what they stated stays, with their name.
    """
    await contacts.remove(session, actor, project_id=project_id, contact_id=contact_id)


@ROUTER.post(
    "/client-links",
    operation_id="client-links.create",
    permission=Permission.CLIENT_LINKS_WRITE,
    status_code=status.HTTP_201_CREATED,
    responses=problems(404, 409),
)
async def create_link(
    body: ClientLinkCreate, actor: CurrentActor, session: SessionDep, resources: ResourcesDep
) -> ClientLinkMade:
    """Make a link for one contact, one purpose and one subject.

    `link` is its address, which whoever has it can open: it is shown only here, and its token is not stored. It shows
    the latest revision of the subject until it expires or is revoked.
    """
    link, token = await service.create(session, actor, **body.model_dump())
    read = reads.link_of(link, resources.clock.now())
    return ClientLinkMade(**read.model_dump(), link=service.address(resources.settings, token))


@ROUTER.get(
    "/client-links",
    operation_id="client-links.list",
    permission=Permission.CLIENT_LINKS_READ,
    response_model=Page[ClientLinkRead],
)
async def list_links(
    lists: ListDep,
    actor: CurrentActor,
    pager: PagerDep,
    project_id: Annotated[Id | None, Query(description="Only links of this project.")] = None,
    contact_id: Annotated[Id | None, Query(description="Only those of this contact.")] = None,
    purpose: Annotated[Purpose | None, Query(description="Only those for this purpose.")] = None,
    status: Annotated[ClientLinkStatus | None, Query(description="Only those that stand so now.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Client links, latest first, with how often they were opened.

    Filters can be combined. Addresses are not shown: they are not stored.
    """
    now = lists.resources.clock.now()
    async with connection_of(lists.request) as connection:
        rows, next_cursor = await reads.LINKS.page(
            connection,
            pager,
            workspace_id=actor.workspace_id,
            sort="created_at",
            limit=limit,
            cursor=cursor,
            filters={"project_id": project_id, "contact_id": contact_id, "purpose": purpose, "status": status},
            values=reads.at(now),
        )
    return json_page([reads.link_read(row, now) for row in rows], next_cursor)


@ROUTER.get(
    "/client-links/{client_link_id}",
    operation_id="client-links.read",
    permission=Permission.CLIENT_LINKS_READ,
    responses=problems(404),
    response_model=ClientLinkRead,
)
async def read_link(client_link_id: UUID, lists: ListDep) -> Response:
    """One client link.

    Whether and when it was opened, and where it stands.
    """
    row = await lists.one(reads.LINKS, client_link_id)
    return json_response(reads.link_read(row, lists.resources.clock.now()))


@ROUTER.post(
    "/client-links/{client_link_id}/revoke",
    operation_id="client-links.revoke",
    permission=Permission.CLIENT_LINKS_WRITE,
    responses=problems(404, 409),
)
async def revoke_link(
    client_link_id: UUID, actor: CurrentActor, session: SessionDep, resources: ResourcesDep
) -> ClientLinkRead:
    """Take a client link back, from now on.

    Whoever opens it is told so. What was stated with it stays.
    """
    link = await service.revoke(session, actor, client_link_id=client_link_id)
    return reads.link_of(link, resources.clock.now())


@ROUTER.get(
    "/client-links/{client_link_id}/statements",
    operation_id="client-links.statements",
    permission=Permission.CLIENT_LINKS_READ,
    responses=problems(404),
    response_model=Page[ClientStatementRead],
)
async def list_statements_of_link(
    client_link_id: UUID, lists: ListDep, actor: CurrentActor, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """What was stated with a client link, latest first.

    One statement for each revision of its subject.
    """
    query = select(ClientLink.id).where(in_workspace(ClientLink, actor.workspace_id), ClientLink.id == client_link_id)
    async with connection_of(lists.request) as connection:
        if (await connection.execute(query)).one_or_none() is None:
            raise NotFound
    rows, next_cursor = await lists.page(
        reads.STATEMENTS, sort="stated_at", limit=limit, cursor=cursor, filters={"client_link_id": client_link_id}
    )
    return json_page([dict(row) for row in rows], next_cursor)


@ROUTER.get(
    "/client-statements",
    operation_id="client-statements.list",
    permission=Permission.CLIENT_LINKS_READ,
    response_model=Page[ClientStatementRead],
)
async def list_statements(
    lists: ListDep,
    project_id: Annotated[Id | None, Query(description="Only statements of this project's contacts.")] = None,
    subject_id: Annotated[
        Id | None, Query(description="Only those about this subject; of a brief the project's id.")
    ] = (None),
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """What contacts stated, latest first: about a brief, say.

    Each is about one revision, with the hash of what the contact saw. None is ever changed or deleted.
    """
    rows, next_cursor = await lists.page(
        reads.STATEMENTS,
        sort="stated_at",
        limit=limit,
        cursor=cursor,
        filters={"project_id": project_id, "subject_id": subject_id},
    )
    return json_page([dict(row) for row in rows], next_cursor)
