"""What a revision says, and what is different from an earlier one: for the API, and as the client is shown it."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from app.clients.subjects import Section, SubjectView, content_hash
from app.goals.baselines import BaselineSource
from app.goals.models import Goal, GoalAgreement, GoalAnswer, GoalKind, GoalRevision
from app.kit.localised import (
    Amount,
    Change,
    Clock,
    DayRange,
    Displayed,
    Listed,
    Measure,
    Phrase,
    Sentence,
)
from app.kpis import all_kpis
from app.kpis.contract import Kpi
from app.kpis.values import Unit
from app.platforms import adapters

SUBJECT: Final = "goal"
"""The kind of subject of client links."""

_TITLES: Final[Mapping[str, Phrase]] = {
    "title": Phrase("Title"),
    "communities": Phrase("Where"),
    "baseline": Phrase("It starts from"),
    "target": Phrase("Target"),
    "period": Phrase("Period"),
    "is_main": Phrase("Main goal"),
}
_ROWS: Final = frozenset({"communities", "baseline", "target", "period"})
"""The fields that are rows of the page in any case; the title stands above them."""
_KINDS: Final[Mapping[str, Phrase]] = {
    GoalKind.SUPPORT.value: Phrase("Your customers are answered"),
    GoalKind.AWARENESS.value: Phrase("More people know you"),
    GoalKind.TRAFFIC.value: Phrase("People come to your site"),
}
"""The client's task, as the client reads it."""
_YES, _NO = Phrase("yes"), Phrase("no")
_ALL: Final = Phrase("All your communities")
_ANSWERS: Final = {
    GoalAnswer.AGREE.value: Phrase("agreed"),
    GoalAnswer.DECLINE.value: Phrase("declined"),
}
_STATED: Final = Phrase("{amount}, as we were told: {reason}")
_MEASURED: Final = Phrase("{amount}, measured {days}")
_MEASURED_FLOW: Final = Phrase("{amount} in as many days; measured: {value}, {days}")
_MEASURED_IN_PART: Final = Phrase("{measured} ({known} of {number} days are known)")
_BY_CLOCK: Final = Phrase("{days} ({clock})")
MEASURES: Final[Mapping[Unit, Measure]] = {
    Unit.COUNT: Measure.NUMBER,
    Unit.RATIO: Measure.SHARE,
    Unit.SECONDS: Measure.DURATION,
    Unit.MONEY: Measure.MONEY,
}
"""How an amount of a unit is written."""


def terms(revision: GoalRevision | Any) -> dict[str, Any]:
    """What a revision promises, by the fields that a change is told by."""
    return {
        "title": revision.title,
        "communities": revision.communities,
        # A whole number comes back from JSON as an integer.
        "baseline": {
            name: float(value) if name in {"level", "value"} and value is not None else value
            for name, value in revision.baseline.items()
        },
        "target": revision.target,
        "period": {"from": revision.first_day, "to": revision.last_day, "timezone": revision.timezone},
        "is_main": revision.is_main,
    }


def changes(before: GoalRevision | Any | None, after: GoalRevision | Any) -> list[dict[str, Any]]:
    """The fields in which two revisions differ; none without an earlier one."""
    if before is None:
        return []
    old, new = terms(before), terms(after)
    return [{"field": name, "before": old[name], "after": new[name]} for name in new if old[name] != new[name]]


def view(
    goal: Goal,
    revision: GoalRevision,
    agreed: GoalRevision | None,
    *,
    answer: GoalAgreement | None = None,
    is_latest: bool = True,
    closed: Phrase | None = None,
) -> SubjectView:
    """A revision as contacts are shown it. `agreed`: the one it is compared with; `answer`: the client's to it."""
    kpi = all_kpis()[goal.kpi]
    content = {
        "title": revision.title,
        "type": goal.type,
        "kpi": {
            "key": kpi.key,
            "title": kpi.title,
            "unit": kpi.unit.value,
            "version": revision.kpi_version,
            **({} if revision.currency is None else {"currency": revision.currency}),
        },
        **_without_fractions({name: value for name, value in terms(revision).items() if name != "title"}),
        "changes": _without_fractions(changes(agreed, revision)),
    }
    rows: list[tuple[Displayed, Displayed]] = [
        (_TITLES[name], _text(name, value, kpi, revision.currency))
        for name, value in terms(revision).items()
        if name in _ROWS or value is True
    ]
    head: list[tuple[Displayed, Displayed]] = [
        (Phrase("Task"), _KINDS[goal.type]),
        (Phrase("What is counted"), Phrase(kpi.title)),
    ]
    different: list[tuple[Displayed, Displayed]] = [
        (_TITLES[one["field"]], _change(one, kpi, revision.currency)) for one in changes(agreed, revision)
    ]
    sections = [Section(Phrase("What we propose"), rows=[*head, *rows])]
    if different:
        sections.insert(0, Section(Phrase("What is different from what you agreed to"), rows=different))
    answered = None
    if answer is not None:
        said = [] if answer.text is None else [answer.text]
        answered = Section(Phrase("Your side's answer"), said, [(answer.name, _ANSWERS[answer.answer])])
    return SubjectView(
        project_id=goal.project_id,
        revision=str(revision.number),
        title=revision.title,
        content=content,
        sections=sections,
        is_latest=is_latest,
        closed=closed,
        answered=answered,
    )


def hash_of(goal: Goal, revision: GoalRevision, agreed: GoalRevision | None) -> str:
    """SHA-256 of what a contact is shown of a revision."""
    return content_hash(SUBJECT, goal.id, view(goal, revision, agreed))


def _without_fractions(value: Any) -> Any:
    """The value with numbers and days as text, so that its JSON is the same in every language."""
    if isinstance(value, float):
        return number(value)
    if isinstance(value, date | UUID):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _without_fractions(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_fractions(one) for one in value]
    return value


def number(amount: float) -> str:
    """An amount as exact text, a whole one without a fraction."""
    return str(int(amount)) if amount == int(amount) else repr(amount)


def _change(one: Mapping[str, Any], kpi: Kpi, currency: str | None) -> Displayed:
    """A field's value as it was and as it is."""
    name, before, after = one["field"], one["before"], one["after"]
    if name == "period" and before["timezone"] != after["timezone"]:
        return Change(*(Sentence(_BY_CLOCK, {"days": _days(each), "clock": _zone(each)}) for each in (before, after)))
    return Change(_text(name, before, kpi, currency), _text(name, after, kpi, currency))


def _text(name: str, value: Any, kpi: Kpi, currency: str | None) -> Displayed:
    """A field's value, for the page."""
    match name:
        case "communities":
            return Listed([_community(one) for one in value]) if value else _ALL
        case "baseline":
            return _baseline(value, kpi, currency)
        case "target":
            return _amount(value, kpi, currency)
        case "period":
            return _days(value)
        case "is_main":
            return _YES if value else _NO
        case _:
            return str(value)


def _community(one: Mapping[str, Any]) -> Displayed:
    adapter = adapters().get(one["platform"])
    platform = one["platform"] if adapter is None else Phrase(adapter.spec.title)
    return Sentence(Phrase("{title} ({platform})"), {"title": one["title"], "platform": platform})


def _baseline(value: Mapping[str, Any], kpi: Kpi, currency: str | None) -> Displayed:
    """Where it starts from, and how that is known: measured over which days, or stated with a reason."""
    amount = _amount(value["level"], kpi, currency)
    if value["source"] == BaselineSource.STATED:
        return Sentence(_STATED, {"amount": amount, "reason": value["reason"]})
    first, last = date.fromisoformat(value["from"]), date.fromisoformat(value["to"])
    days = DayRange(first, last)
    measured = Sentence(_MEASURED, {"amount": amount, "days": days})
    if kpi.grows_with_days:
        measured = Sentence(
            _MEASURED_FLOW, {"amount": amount, "value": _amount(value["value"], kpi, currency), "days": days}
        )
    number = (last - first).days + 1
    if value["known_days"] == number:
        return measured
    parts = {"measured": measured, "known": Amount(value["known_days"]), "number": Amount(number)}
    return Sentence(_MEASURED_IN_PART, parts)


def _amount(amount: float, kpi: Kpi, currency: str | None) -> Amount:
    return Amount(amount, MEASURES[kpi.unit], currency)


def _days(period: Mapping[str, Any]) -> DayRange:
    return DayRange(period["from"], period["to"])


def _zone(period: Mapping[str, Any]) -> Clock:
    return Clock(ZoneInfo(period["timezone"]))
