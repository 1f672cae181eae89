"""The people who followed tracked links, each once a day."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import func, literal, select

from app.kit.db import in_workspace
from app.kpis.contract import CommunityData, Dataset, LoadRequest, Measure, Project, Source, Span, Window
from app.kpis.inputs.clicks import by_links, with_first_links
from app.kpis.inputs.columns import Columns, running_sums
from app.kpis.inputs.parameters import AS_OF, FIRST, LAST, PROJECT, WORKSPACE, columns_by_community, position
from app.kpis.values import Community, Missing
from app.links.models import Click


class VisitorDays(CommunityData):
    """The visitors of one community's links by day, as keyed hashes."""

    __slots__ = ("_before", "_visitors")

    def __init__(self, community: Community, span: Span, columns: Columns, request: LoadRequest) -> None:
        super().__init__(community, span, request)
        positions, self._visitors = columns or ((), ())
        self._before = running_sums(self.length, positions, [1] * len(positions))

    def visitors(self, window: Window) -> Sequence[str]:
        """The visitors of the window, each once for every day on which they came."""
        return self._visitors[self._before[window.start] : self._before[window.stop]]


class Visitors(Source[VisitorDays]):
    """Visitors of the client's site who came by tracked links."""

    key = "visitors"
    title = "Visitors who followed the project's tracked links"
    rows = with_first_links(
        columns_by_community(
            select(Click.community_id, position(Click.__table__.c.day), func.encode(Click.visitor, literal("hex")))
            .where(
                in_workspace(Click, WORKSPACE),
                Click.project_id == PROJECT.c.id,
                Click.day.between(FIRST, LAST),
                Click.bot.is_(None),
                Click.at <= AS_OF,
            )
            .distinct()
        )
    )

    def dataset(self, project: Project, rows: Any, request: LoadRequest) -> Dataset[VisitorDays]:
        """The visitors of the requested days, by community."""
        return by_links(project, rows, VisitorDays, request)

    def gaps(self, data: VisitorDays, window: Window) -> Iterable[Missing]:
        """No gaps: a day without a row had no visitors."""
        return ()


VISITORS: Final = Visitors()


class DifferentVisitors(Measure[VisitorDays]):
    """The distinct visitors of the window."""

    source = VISITORS
    nothing = (frozenset(),)

    def amounts(self, data: VisitorDays, windows: Sequence[Window]) -> list[list[frozenset[str]]]:
        """The set of visitors, by window."""
        return [[frozenset(data.visitors(window)) for window in windows]]

    def totals(self, columns: Iterable[Sequence[frozenset[str]]]) -> list[frozenset[str]]:
        """The union of the communities' visitors, by window."""
        return [frozenset().union(*parts) for parts in zip(*columns, strict=True)]
