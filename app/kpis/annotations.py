"""What rooms above have to say about days of a KPI. Each declares its sources in its own `kpi_annotations.py`.

They are shown beside the KPI's series and in its explanation. They change no figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, func

from app.kit.registry import rooms
from app.kpis.contract import Annotation
from app.kpis.windows import Days


@dataclass(frozen=True, slots=True)
class AnnotationSource:
    """A kind of annotations."""

    kind: str
    """In the API: `correction`."""
    rows: ColumnElement[Any]
    """Expression for the annotations of the enclosing statement's project, as JSON: a list of lists of an id, the KPI's
    key, the first and the last day, and a text. Takes `LoadRequest.parameters`."""


@cache
def annotation_sources() -> Sequence[AnnotationSource]:
    """All sources."""
    return tuple(source for module in rooms("kpi_annotations") for source in module.ANNOTATIONS)


def rows() -> ColumnElement[Any]:
    """Expression for the annotations of the enclosing statement's project, as JSON: a list for each source."""
    return func.json_build_array(*(source.rows for source in annotation_sources()))


_NONE: Final = "[]"


def parsed(text: str | None) -> tuple[Annotation, ...]:
    """The annotations that `rows` has given."""
    lists = orjson.loads(text or _NONE)
    return tuple(
        Annotation(source.kind, UUID(row[0]), row[1], date.fromisoformat(row[2]), date.fromisoformat(row[3]), row[4])
        for source, of_source in zip(annotation_sources(), lists, strict=False)
        for row in of_source or ()
    )


def within(annotations: Sequence[Annotation], key: str, days: Days) -> list[dict[str, Any]]:
    """Those of a KPI that touch these days, as answers have them."""
    return [
        {"kind": one.kind, "id": one.id, "from": one.first, "to": one.last, "text": one.text}
        for one in annotations
        if one.kpi == key and one.first <= days.last and days.first <= one.last
    ]
