"""The text of a message with alerts, in the reader's language."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from app.alerts.kinds import TEST, kinds
from app.alerts.models import Alert
from app.kit.i18n import translate, translate_count
from app.kit.localised import Instant

MOST_NAMED: Final = 20
"""The most alerts that a message names; of others it has the number."""
LONGEST: Final = 120
"""Of a fact: titles are cut."""

TEST_TITLE: Final = "A test alert"
TEST_TEXT: Final = "This is how alerts reach you here."
NUMBER: Final = "{count} alerts"
MORE: Final = "{count} alerts more"
WHERE: Final = "Project: {project}"
WHY: Final = (
    "You get this because of your seat or role in {workspace}. Change how you are told with PATCH /v1/me/alerts."
)


@dataclass(frozen=True, slots=True)
class Item:
    """An alert in a message."""

    alert: Alert
    project: str | None
    zone: str
    """IANA; of its project."""


@dataclass(frozen=True, slots=True)
class Text:
    """A message's subject and text."""

    subject: str
    body: str


def text(items: Sequence[Item], *, workspace: str, language: str, longest: int | None = None) -> Text:
    """A message with these alerts: equal for equal ones. `longest`: of subject and text, in UTF-16 code units."""
    visible = min(len(items), MOST_NAMED)
    while True:
        made = _text(items, visible, _cut(workspace), language)
        if longest is None or visible == 1 or len(f"{made.subject}\n\n{made.body}".encode("utf-16-le")) // 2 <= longest:
            return made
        visible -= 1


def _text(items: Sequence[Item], visible: int, workspace: str, language: str) -> Text:
    titles = [_title(item, language) for item in items]
    subject = titles[0] if len(items) == 1 else translate_count(NUMBER, len(items), language)
    paragraphs = [_paragraph(item, title, language) for item, title in zip(items[:visible], titles, strict=False)]
    if len(items) > visible:
        paragraphs.append(translate_count(MORE, len(items) - visible, language))
    paragraphs.append(translate(WHY, language).format(workspace=workspace))
    return Text(f"{subject} · {workspace}", "\n\n".join(paragraphs))


def _title(item: Item, language: str) -> str:
    kind = kinds().get(item.alert.kind)
    # A kind that this version does not have was declared by another one.
    title = TEST_TITLE if item.alert.kind == TEST else item.alert.kind if kind is None else kind.title
    return translate(title, language)


def _paragraph(item: Item, title: str, language: str) -> str:
    kind = kinds().get(item.alert.kind)
    template = TEST_TEXT if item.alert.kind == TEST else "" if kind is None else kind.text
    zone = ZoneInfo(item.zone)
    facts = {name: _fact(str(value), zone, language) for name, value in item.alert.facts.items()}
    for name in () if kind is None else kind.translated:
        facts[name] = translate(facts[name], language)
    facts["since"] = Instant(item.alert.since, zone).text(language)
    sentence = translate(template, language).format(**facts) if template else ""
    project = "" if item.project is None else translate(WHERE, language).format(project=_cut(item.project))
    return "\n".join(line for line in (title, sentence, project) if line)


def _fact(value: str, zone: ZoneInfo, language: str) -> str:
    """A fact: instants by the project's clock."""
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return _cut(value)
    return _cut(value) if at.tzinfo is None else Instant(at, zone).text(language)


def _cut(value: str) -> str:
    value = " ".join(value.split())
    return value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…"
