"""Inbound gaps: days of which something was not pushed, and only found by a later poll."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from typing import Final
from uuid import UUID

from sqlalchemy import Boolean, DateTime, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.communities.inbound.reconcile import GRACE, is_certain
from app.communities.models import Community, InboundGap
from app.kit.db import in_workspace
from app.kpis.contract import LoadRequest
from app.kpis.inputs.parameters import END, PROJECTS, START, WORKSPACE, local_day
from app.kpis.statement import Statement
from app.projects.models import Project

InboundGapDays = Mapping[UUID | None, list[tuple[date, date]]]
"""By community: the day on which something was sent that was not pushed, and the day on which a poll found it."""

_ZONE: Final = Project.__table__.c.timezone
_STATEMENT: Final = Statement(
    select(InboundGap.community_id, local_day(InboundGap.sent_at, _ZONE), local_day(InboundGap.found_at, _ZONE))
    .join(
        Community,
        (Community.workspace_id == InboundGap.workspace_id) & (Community.id == InboundGap.community_id),
    )
    .join(Project, (Project.workspace_id == Community.workspace_id) & (Project.id == Community.project_id))
    .where(
        in_workspace(Community, WORKSPACE),
        InboundGap.workspace_id == WORKSPACE,
        Community.project_id == PROJECTS,
        InboundGap.post == bindparam("post", type_=Boolean()),
        InboundGap.found_at >= START,
        InboundGap.sent_at < END,
        is_certain(bindparam("sent_by", type_=DateTime(timezone=True))),
    )
    .distinct()
    .order_by(InboundGap.community_id)
)


async def inbound_gaps(connection: AsyncConnection, request: LoadRequest, *, posts: bool) -> InboundGapDays:
    """The inbound gaps of posts, or of messages; no query where no community ever had any."""
    gaps: defaultdict[UUID | None, list[tuple[date, date]]] = defaultdict(list)
    if any(community.has_inbound_gaps for project in request.projects for community in project.communities):
        sent_by = max(project.now for project in request.projects) - GRACE
        for community_id, sent, found in await _STATEMENT.rows(
            connection, {**request.parameters, "post": posts, "sent_by": sent_by}
        ):
            gaps[community_id].append((sent, found))
    return gaps
