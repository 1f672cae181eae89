"""Inbound gaps: days on which something was sent that was not pushed, and only found by a later poll."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Boolean, DateTime, bindparam, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.communities.inbound.models import InboundGap
from app.communities.inbound.reconcile import GRACE, is_certain
from app.communities.models import Community
from app.kit.db import in_workspace
from app.kit.statement import Statement
from app.kpis.contract import Dataset, LoadRequest, Project
from app.kpis.inputs.parameters import END, PROJECTS, START, WORKSPACE, local_day
from app.projects.models import Project as ProjectRow

_ZONE: Final = ProjectRow.__table__.c.timezone
_STATEMENT: Final = Statement(
    select(InboundGap.community_id, local_day(InboundGap.sent_at, _ZONE), local_day(InboundGap.found_at, _ZONE))
    .join(
        Community,
        (Community.workspace_id == InboundGap.workspace_id) & (Community.id == InboundGap.community_id),
    )
    .join(ProjectRow, (ProjectRow.workspace_id == Community.workspace_id) & (ProjectRow.id == Community.project_id))
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
    .order_by(InboundGap.community_id, literal_column("2"), literal_column("3"))
)


async def add_inbound_gaps(
    connection: AsyncConnection, request: LoadRequest, datasets: Mapping[Project, Dataset[Any]], *, posts: bool
) -> None:
    """Add the inbound gaps, of posts or else of messages, to the data. No query where no community ever had any."""
    communities = {
        data.community.id: data
        for dataset in datasets.values()
        for data in dataset.parts.values()
        if data.community.has_inbound_gaps
    }
    if communities:
        values = {**request.parameters, "post": posts, "sent_by": request.now - GRACE}
        for community_id, sent, found_on in await _STATEMENT.rows(connection, values):
            data = communities[community_id]
            data.inbound_gaps = [*data.inbound_gaps, (sent, found_on)]
