"""What people of the agency did, by direction and day: of the project as a whole."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, case, cast, func, literal, null, select
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from app.access.audit.models import AuditEntry
from app.communities.models import Community as CommunityRow
from app.directions.deeds import IS_ANSWER, IS_DEED, WorkDirection, is_of
from app.inquiries.models import Message
from app.kit.db import in_workspace
from app.kpis.contract import DAY, Dataset, EvidenceQuery, LoadRequest, Project, Section, Source, Span, Window
from app.kpis.inputs.clicks import NO_COMMUNITY
from app.kpis.inputs.columns import Counted, DailyCounts
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
from app.kpis.values import Missing

BEFORE_PROJECT: Final = "before-project"
"""The project did not exist yet."""
DIRECTIONS: Final = tuple(WorkDirection)
_ANSWERED: Final = DIRECTIONS.index(WorkDirection.COMMUNITY)
_NO_ID: Final = cast(null(), PG_UUID(as_uuid=True))
_DEED_DAY: Final = local_day(AuditEntry.__table__.c.at, PROJECT.c.timezone)
_ANSWER_DAY: Final = local_day(Message.__table__.c.sent_at, PROJECT.c.timezone)
_OF_COMMUNITY: Final = and_(CommunityRow.workspace_id == Message.workspace_id, CommunityRow.id == Message.community_id)


class Deeds(Source[DailyCounts]):
    """Deeds of people of the agency, by day: a column for each direction."""

    of_project = True

    key = "deeds"
    title = "What people of the agency did, by direction"
    rows = func.json_build_object(
        "deeds",
        columns_by_community(
            select(
                _NO_ID.label("community_id"),
                position(_DEED_DAY),
                *(func.count().filter(is_of(direction)) for direction in DIRECTIONS),
            )
            .where(
                in_workspace(AuditEntry, WORKSPACE),
                AuditEntry.project_id == PROJECT.c.id,
                AuditEntry.at >= START,
                AuditEntry.at < END,
                AuditEntry.at <= AS_OF,
                IS_DEED,
                _DEED_DAY.between(FIRST, LAST),
            )
            .group_by(_DEED_DAY)
        ),
        "answers",
        columns_by_community(
            select(_NO_ID.label("community_id"), position(_ANSWER_DAY), func.count())
            .select_from(CommunityRow)
            .join(Message, _OF_COMMUNITY)
            .where(
                in_workspace(CommunityRow, WORKSPACE),
                CommunityRow.project_id == PROJECT.c.id,
                in_workspace(Message, WORKSPACE),
                Message.sent_at >= START,
                Message.sent_at < END,
                Message.sent_at <= AS_OF,
                IS_ANSWER,
                _ANSWER_DAY.between(FIRST, LAST),
            )
            .group_by(_ANSWER_DAY)
        ),
    )

    def dataset(self, project: Project, rows: Any, request: LoadRequest) -> Dataset[DailyCounts]:
        """The requested days, from the day on which the project was made."""
        columns: list[list[int]] = [list(one) for one in (rows["deeds"] or {}).get("", [[]] * (len(DIRECTIONS) + 1))]
        positions, answers = (rows["answers"] or {}).get("", ([], []))
        columns[0] += positions
        for number, column in enumerate(columns[1:]):
            column += answers if number == _ANSWERED else [0] * len(answers)
        span = Span(project.day_of(project.created_at), project.today, project.now, before=BEFORE_PROJECT)
        return Dataset([DailyCounts(NO_COMMUNITY, span, columns, request)])

    def gaps(self, data: DailyCounts, window: Window) -> Iterable[Missing]:
        """No gaps: on a day without a row nothing was done."""
        return ()


DEEDS: Final = Deeds()
DEEDS_OF_DIRECTIONS: Final = Counted(DEEDS, *range(1, len(DIRECTIONS) + 1))
"""The deeds of each direction, in the order of `DIRECTIONS`."""


def _since(project: Project, first: date) -> datetime:
    """The beginning of the first of these days on which the project existed."""
    return project.start_of(max(first, project.day_of(project.created_at)))


def _recorded(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
    return select(
        AuditEntry.id,
        AuditEntry.at,
        _NO_ID.label("community_id"),
        AuditEntry.action,
        AuditEntry.entity_id,
        case(*((is_of(direction), literal(direction.value)) for direction in DIRECTIONS)).label("work_direction"),
    ).where(
        in_workspace(AuditEntry, workspace_id),
        AuditEntry.project_id == project.id,
        AuditEntry.at >= _since(project, first),
        AuditEntry.at < project.start_of(last + DAY),
        AuditEntry.at <= project.now,
        IS_DEED,
    )


def _answers(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
    return (
        select(Message.id, Message.sent_at.label("at"), Message.community_id, Message.inquiry_id)
        .join(CommunityRow, _OF_COMMUNITY)
        .where(
            in_workspace(Message, workspace_id),
            CommunityRow.project_id == project.id,
            Message.sent_at >= _since(project, first),
            Message.sent_at < project.start_of(last + DAY),
            Message.sent_at <= project.now,
            IS_ANSWER,
        )
    )


RECORDED: Final = Section(
    "deed",
    "An entry of the record of changes that is a deed: `id`, `at`, `action`, `entity_id` (what was changed), "
    "`work_direction`.",
    _recorded,
    {"at": datetime, "id": UUID},
)
ANSWERS: Final = Section(
    "answer",
    "A message that a colleague wrote to a customer, from here or in the platform's own app; a deed of `community`: "
    "`id`, `at`, `community_id`, `inquiry_id` (null: nobody had written in the thread).",
    _answers,
    {"at": datetime, "id": UUID},
)
