"""What customers want: inquiries by kind, by the day on which they came."""

from typing import Any, Final

from sqlalchemy import func, select

from app.inquiries.models import Inquiry, InquiryKind
from app.kit.db import in_workspace
from app.kpis.contract import Dataset, LoadRequest, Project
from app.kpis.inputs.columns import Counted, DailyCounts
from app.kpis.inputs.inquiries import Conversations, by_conversations
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

_DAY: Final = local_day(Inquiry.__table__.c.opened_at, PROJECT.c.timezone)


class Kinds(Conversations[DailyCounts]):
    """Inquiries by the day on which they came: all of them, and those of thanks."""

    key = "kinds"
    title = "Inquiries found on the platforms, by kind"
    rows = columns_by_community(
        select(
            Inquiry.community_id,
            position(_DAY),
            func.count(),
            func.count().filter(Inquiry.kind == InquiryKind.THANKS.value),
        )
        .where(
            in_workspace(Inquiry, WORKSPACE),
            Inquiry.project_id == PROJECT.c.id,
            Inquiry.opened_at >= START,
            Inquiry.opened_at < END,
            Inquiry.opened_at <= AS_OF,
            _DAY.between(FIRST, LAST),
        )
        .group_by(Inquiry.community_id, _DAY)
    )

    def dataset(self, project: Project, rows: Any, request: LoadRequest) -> Dataset[DailyCounts]:
        """The requested days, by community."""
        return by_conversations(project, rows, DailyCounts, request)


THANKS_AND_RECEIVED: Final = Counted(Kinds(), 2, 1)
"""How many inquiries of thanks came in the window, and how many in all."""
