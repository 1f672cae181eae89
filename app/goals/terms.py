"""What a goal promises, checked: whether it can be measured, and whether its target leads somewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.models import Community
from app.goals.baselines import Baseline
from app.goals.models import GoalKind
from app.kit.db import in_workspace, workspace_of
from app.kit.errors import NotFound, invalid_field
from app.kpis import all_kpis
from app.kpis.contract import Kpi
from app.kpis.values import Direction, Unit
from app.kpis.windows import LONGEST_DAILY, Days


@dataclass(frozen=True, slots=True)
class Terms:
    """What one revision of a goal promises."""

    title: str
    communities: Sequence[dict[str, Any]]
    """As `GoalRevision.communities`."""
    baseline: Baseline
    target: float
    currency: str | None
    """Of the target and the baseline, where they are money."""
    period: Days
    timezone: str
    is_main: bool


MAX_COMMUNITIES: Final = 100


def goal_kpi(key: str, kind: GoalKind) -> Kpi:
    """The KPI of a goal of this kind.

    Raises `Invalid`: `unknown-kpi`, `kpi-of-another-goal-type`, `kpi-without-direction`.
    """
    kpi = all_kpis().get(key)
    fitting = ", ".join(_fitting(kind))
    if kpi is None:
        raise invalid_field("kpi", "unknown-kpi", f"There is no KPI with this key. For {kind.value}: {fitting}.")
    if kpi.goal.value != kind.value:
        detail = f"{key} is a KPI of {kpi.goal.value}, and the goal is of {kind.value}: take one of {fitting}."
        raise invalid_field("kpi", "kpi-of-another-goal-type", detail)
    if kpi.direction is Direction.NEUTRAL:
        detail = f"More of {key} is neither better nor worse, so it cannot be promised: take one of {fitting}."
        raise invalid_field("kpi", "kpi-without-direction", detail)
    return kpi


def _fitting(kind: GoalKind) -> list[str]:
    return [
        key
        for key, kpi in all_kpis().items()
        if kpi.goal.value == kind.value and kpi.direction is not Direction.NEUTRAL
    ]


def checked_period(first: date, last: date, *, today: date) -> Days:
    """The period. Raises `Invalid`: `period-ends-before-it-begins`, `period-in-the-past`, `period-too-long`."""
    if last < first:
        raise invalid_field(
            "period.to", "period-ends-before-it-begins", f"Give a last day from {first} on, or an earlier first day."
        )
    if last < today:
        raise invalid_field(
            "period.to", "period-in-the-past", f"The period is over already: let it end on {today} or later."
        )
    if (last - first).days >= LONGEST_DAILY:
        raise invalid_field("period.to", "period-too-long", f"A period has {LONGEST_DAILY} days at most.")
    return Days(first, last)


async def selected_communities(session: AsyncSession, project_id: UUID, ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """The communities with these ids, as a revision keeps them.

    Raises `NotFound` for one that is not there, `Invalid`: `community-of-another-project`, `community-disconnected`.
    """
    columns = (
        *(Community.id, Community.project_id, Community.platform, Community.title, Community.address),
        Community.disconnected_at,
    )
    rows = await session.execute(
        select(*columns).where(in_workspace(Community, workspace_of(session)), Community.id.in_(ids))
    )
    by_id = {row.id: row for row in rows}
    if len(by_id) < len(set(ids)):
        raise NotFound("There is no such community: take the ids of GET /v1/communities.")
    for row in by_id.values():
        if row.project_id != project_id:
            raise invalid_field(
                "community_ids",
                "community-of-another-project",
                "A goal is about communities of its own project: leave this one out.",
            )
        if row.disconnected_at is not None:
            detail = f"{row.title or row.address} is disconnected, so nothing of it can be measured: leave it out."
            raise invalid_field("community_ids", "community-disconnected", detail)
    return [
        {"id": str(row.id), "platform": row.platform, "title": row.title or row.address}
        for row in sorted(by_id.values(), key=lambda row: str(row.id))
    ]


def require_communities_fit(kpi: Kpi, ids: Sequence[UUID]) -> None:
    """Raise `Invalid` (`kpi-of-whole-project`) where a KPI that belongs to no community is to be of some."""
    if ids and kpi.is_of_project:
        detail = f"{kpi.key} is of the project as a whole, not of single communities: leave `community_ids` out."
        raise invalid_field("community_ids", "kpi-of-whole-project", detail)


def require_currency(kpi: Kpi, currency: str | None) -> None:
    """Raise `Invalid`: `currency-needed` for money without a currency, `currency-without-money`."""
    is_money = kpi.unit is Unit.MONEY
    if is_money and currency is None:
        detail = f"{kpi.key} is an amount of money: name its `currency`, as RUB, of the target and of the baseline."
        raise invalid_field("currency", "currency-needed", detail)
    if not is_money and currency is not None:
        detail = f"{kpi.key} is no amount of money: leave `currency` out."
        raise invalid_field("currency", "currency-without-money", detail)


def require_possible(kpi: Kpi, amount: float, field: str) -> None:
    """Raise `Invalid` (`kpi-out-of-range`) for an amount that the KPI can never have."""
    if kpi.most is not None and amount > kpi.most:
        detail = f"{kpi.key} is {kpi.most:g} at most"
        hint = ": a share is given as a fraction, 0.9 for 90 %." if kpi.unit is Unit.RATIO else "."
        raise invalid_field(field, "kpi-out-of-range", detail + hint)
    if kpi.least is not None and amount < kpi.least:
        raise invalid_field(field, "kpi-out-of-range", f"{kpi.key} is never below {kpi.least:g}: give that, or more.")


def require_direction(kpi: Kpi, level: float, target: float) -> None:
    """Raise `Invalid` (`target-against-direction`) where the target is worse than where the goal starts."""
    if target != level and (target > level) == (kpi.direction is Direction.LOWER):
        better, way = ("less", "at most") if kpi.direction is Direction.LOWER else ("more", "at least")
        raise invalid_field(
            "target",
            "target-against-direction",
            f"For {kpi.key} {better} is better, and it starts from {level:.6g}: give a target of {way} that.",
        )
