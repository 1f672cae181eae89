"""Who changed what, and what it was before; and the heads that prove that nothing was changed since."""

from datetime import date
from typing import Annotated, Final

from fastapi import Query
from sqlalchemy import select
from starlette.responses import Response

from app.access.audit import reads
from app.access.audit.models import AuditHead
from app.access.audit.schemas import AuditEntryRead, AuditHeadRead
from app.access.current import CurrentActor, ListDep, PagerDep, ReadDep
from app.access.permissions import Permission
from app.access.routing import Router
from app.kit.lists import json_page
from app.kit.paging import Cursor, Keyset, Limit, Page
from app.kit.schemas import Id, Instant, ShortText

ROUTER = Router("/v1", tag="access")

_HEADS: Final = Keyset((AuditHead.day,))


@ROUTER.get("/audit", operation_id="audit.list", permission=Permission.AUDIT_READ, response_model=Page[AuditEntryRead])
async def list_entries(
    lists: ListDep,
    actor: Annotated[
        ShortText | None,
        Query(description="Only what this one did, as `actor` has it: `user:` and an id, say, or `job:posts.match`."),
    ] = None,
    action: Annotated[ShortText | None, Query(description="Only this action: `posts.update`, say.")] = None,
    entity_id: Annotated[Id | None, Query(description="Only changes of this post, link, member, key …")] = None,
    project_id: Annotated[Id | None, Query(description="Only changes in this project.")] = None,
    since: Annotated[Instant | None, Query(description="Only changes at this instant or later.")] = None,
    until: Annotated[Instant | None, Query(description="Only changes before this instant.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Who changed what, latest first: figures, permissions, approvals, tokens, and all else that a person set.

    Entries are never changed or deleted, and hold no secret and no customer's words or names. Members see those of the
    projects in which they may read them; those about the agency as a whole are for owners and admins.
    """
    visible = lists.actor.projects
    if project_id is None and visible is not None and len(visible) == 1:
        (project_id,) = visible  # as row-level security has it, and by an index
    filters = {"actor": actor, "action": action, "entity_id": entity_id, "project_id": project_id}
    rows, next_cursor = await lists.page(
        reads.ENTRIES,
        sort=reads.AuditSort.LATEST,
        limit=limit,
        cursor=cursor,
        filters=filters | reads.between(since, until),
    )
    return json_page([reads.entry(row) for row in rows], next_cursor)


@ROUTER.get("/audit/heads", operation_id="audit.heads", permission=Permission.AUDIT_READ)
async def list_heads(
    actor: CurrentActor, connection: ReadDep, pager: PagerDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[AuditHeadRead]:
    """The ends of the days in the workspace's chain of changes, latest first.

    Keep them outside of this installation. `instep audit verify --heads` compares the chain with them: nobody can then
    have changed, removed or added anything before, not even whoever runs the database.
    """
    query = select(AuditHead.__table__).where(AuditHead.workspace_id == actor.workspace_id)
    rows = (await connection.execute(_HEADS.after(query, pager.read(cursor, (date,)), limit))).all()
    page, next_cursor = pager.page(rows, limit, ("day",))
    return Page(
        data=[
            AuditHeadRead(
                workspace_id=row.workspace_id,
                day=row.day,
                sequence=row.sequence,
                hash=row.hash.hex(),
                made_at=row.made_at,
                key_id=row.key_id,
                signature=row.signature.hex(),
            )
            for row in page
        ],
        next_cursor=next_cursor,
    )
