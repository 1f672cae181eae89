"""Resolved inquiries: how long each took from the customer's opening message to the resolution."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, cast, func, select

from app.inquiries.models import ResolvedEpisode
from app.kit.db import in_workspace
from app.kpis.contract import (
    DAY,
    CommunityData,
    Dataset,
    EvidenceQuery,
    LoadRequest,
    Measure,
    Project,
    Section,
    Span,
    Window,
)
from app.kpis.inputs.columns import Columns
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
from app.kpis.inputs.waits import ByDay
from app.kpis.values import Community

_DAY: Final = local_day(ResolvedEpisode.__table__.c.resolved_at, PROJECT.c.timezone)
BY_CLOCK: Final = cast(
    func.extract("epoch", ResolvedEpisode.resolved_at - ResolvedEpisode.started_at), BigInteger
).label("seconds")
"""The duration of an episode by the clock."""

Episode = tuple[int, int, int | None]
"""Working seconds, seconds by the clock, and the target in working seconds (None: there was none)."""


class EpisodeDays(CommunityData):
    """The episodes of one community, by the day of their resolution."""

    __slots__ = ("_automatic", "_by_people")

    def __init__(self, community: Community, span: Span, columns: Columns, request: LoadRequest) -> None:
        super().__init__(community, span, request)
        # Sorted by day already.
        rows = list(zip(*columns, strict=True)) if columns else []
        self._by_people: ByDay[Episode] = ByDay([(row[0], row[2:5]) for row in rows if not row[1]])
        self._automatic: ByDay[int] = ByDay([(row[0], row[2]) for row in rows if row[1]])

    def by_people(self, window: Window) -> Sequence[Episode]:
        """Those that a person resolved in the window."""
        return self._by_people.between(window.start, window.stop)

    def automatic(self, window: Window) -> int:
        """The number of those that were resolved automatically in the window."""
        return len(self._automatic.between(window.start, window.stop))


class Episodes(Conversations[EpisodeDays]):
    """Episodes that were resolved in the requested days."""

    key = "episodes"
    title = "Inquiries from the opening message to the resolution"
    rows = columns_by_community(
        select(
            ResolvedEpisode.community_id,
            position(_DAY),
            ResolvedEpisode.automatic,
            ResolvedEpisode.working_seconds,
            BY_CLOCK,
            ResolvedEpisode.target_seconds,
        ).where(
            in_workspace(ResolvedEpisode, WORKSPACE),
            ResolvedEpisode.project_id == PROJECT.c.id,
            ResolvedEpisode.resolved_at >= START,
            ResolvedEpisode.resolved_at < END,
            ResolvedEpisode.resolved_at <= AS_OF,
            _DAY.between(FIRST, LAST),
        )
    )

    def dataset(self, project: Project, rows: Any, request: LoadRequest) -> Dataset[EpisodeDays]:
        """The episodes by community."""
        return by_conversations(project, rows, EpisodeDays, request)


EPISODES: Final = Episodes()


class ResolvedEpisodes(Measure[EpisodeDays]):
    """The episodes that people resolved in the window, and the number of those resolved automatically."""

    source = EPISODES
    nothing = ((), 0)

    def amounts(self, data: EpisodeDays, windows: Sequence[Window]) -> list[list[Any]]:
        """Both, by window."""
        return [[data.by_people(window) for window in windows], [data.automatic(window) for window in windows]]

    def totals(self, columns: Iterable[Sequence[Any]]) -> list[Any]:
        """The episodes of all communities together, or the sum of the numbers, by window."""
        return [
            sum(parts) if isinstance(parts[0], int) else [episode for part in parts for episode in part]
            for parts in zip(*columns, strict=True)
        ]


def _rows(workspace_id: UUID, project: Project, first: date, last: date) -> EvidenceQuery:
    return select(
        ResolvedEpisode.id,
        ResolvedEpisode.inquiry_id,
        ResolvedEpisode.community_id,
        ResolvedEpisode.started_at,
        ResolvedEpisode.resolved_at,
        ResolvedEpisode.working_seconds,
        ResolvedEpisode.target_seconds,
        BY_CLOCK,
    ).where(
        in_workspace(ResolvedEpisode, workspace_id),
        ResolvedEpisode.project_id == project.id,
        ResolvedEpisode.resolved_at >= project.start_of(first),
        ResolvedEpisode.resolved_at < project.start_of(last + DAY),
        ResolvedEpisode.resolved_at <= project.now,
        ResolvedEpisode.automatic.is_(False),
    )


RESOLVED: Final = Section(
    "episode",
    "An inquiry that a person resolved in the window, from its opening message or its reopening on: `id`, "
    "`inquiry_id`, `community_id`, `started_at`, `resolved_at`, `working_seconds`, `target_seconds` (null: no target), "
    "`seconds` (by the clock).",
    _rows,
    {"resolved_at": datetime, "id": UUID},
    "working_seconds",
)
