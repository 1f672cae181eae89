"""What a revision says, and what is different from an earlier one: for the API, and as the client is shown it."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from app.clients.subjects import Phrase, Section, SubjectView, content_hash
from app.goals.baselines import BaselineSource
from app.goals.models import Goal, GoalAgreement, GoalAnswer, GoalRevision
from app.kpis import all_kpis
from app.kpis.values import Unit

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
_YES, _NO = Phrase("yes"), Phrase("no")
_ALL: Final = Phrase("All your communities")
_ANSWERS: Final = {
    GoalAnswer.AGREE.value: Phrase("agreed"),
    GoalAnswer.DECLINE.value: Phrase("declined"),
}


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
    money = revision.currency
    rows = [(_TITLES[name], _text(name, value, kpi.unit, money)) for name, value in terms(revision).items()]
    sections = [Section(Phrase("What we propose"), rows=[(Phrase("What is counted"), Phrase(kpi.title)), *rows])]
    different = changes(agreed, revision)
    if different:
        rows = [(_TITLES[one["field"]], _text(one["field"], one["before"], kpi.unit, money)) for one in different]
        sections.append(Section(Phrase("What is different from what you agreed to"), [Phrase("Before it was:")], rows))
    if answer is not None:
        said = [] if answer.text is None else [answer.text]
        sections.append(Section(Phrase("Your side's answer"), said, [(answer.name, _ANSWERS[answer.answer])]))
    return SubjectView(
        project_id=goal.project_id,
        revision=str(revision.number),
        title=revision.title,
        content=content,
        sections=sections,
        is_latest=is_latest,
        closed=closed,
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


def _text(name: str, value: Any, unit: Unit, currency: str | None) -> str:
    """A field's value, as the page writes it: in every language the same, but for a `Phrase`."""
    if name == "communities":
        return ", ".join(f"{one['title']} ({one['platform']})" for one in value) or _ALL
    if name == "baseline":
        level = amount_text(value["level"], unit, currency)
        return f"{level}: {value['reason']}" if value["source"] == BaselineSource.STATED else level
    if name == "target":
        return amount_text(value, unit, currency)
    if name == "period":
        return f"{value['from']} – {value['to']}"
    if name == "is_main":
        return _YES if value else _NO
    return str(value)


def amount_text(amount: float, unit: Unit, currency: str | None = None) -> str:
    """An amount for people, in figures: `1200`, `4.5 %`, `1:30:00`, `12.5 RUB`."""
    if currency is not None:
        return f"{amount_text(amount, Unit.COUNT)} {currency}"
    if unit is Unit.RATIO:
        return f"{round(amount * 100, 2):g} %"
    if unit is Unit.SECONDS:
        minutes, seconds = divmod(round(amount), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return f"{round(amount, 2):g}" if amount != int(amount) else str(int(amount))
