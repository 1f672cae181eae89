"""What the SQL statements on metrics are made of: lists of counters, local days and typed parameters."""

from typing import Any, Final

from sqlalchemy import ARRAY, BigInteger, Boolean, DateTime, LargeBinary, Text, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.types import TypeEngine

from app.platforms.contract import Metric
from app.projects.zones import local_day_sql

METRICS: Final = tuple(metric.value for metric in Metric)
"""The counters' columns, in order."""


def per_metric(template: str, separator: str = ", ") -> str:
    """The template once for each counter, whose column replaces `{m}`."""
    return separator.join(template.replace("{m}", name) for name in METRICS)


def local_day(instant: str) -> str:
    """The local day of an instant, in the time zone of the project `z`."""
    return local_day_sql(instant, "z.timezone")


_TYPES: Final[dict[str, TypeEngine[Any]]] = {
    "workspace": UUID(),
    "project": UUID(),
    "workspace_id": UUID(),
    "project_ids": ARRAY(UUID()),
    "community_ids": ARRAY(UUID()),
    "most": BigInteger(),
    "as_of": DateTime(timezone=True),
    "start": DateTime(timezone=True),
    "end": DateTime(timezone=True),
    "community": UUID(),
    "instant": DateTime(timezone=True),
    "instants": ARRAY(DateTime(timezone=True)),
    "members": ARRAY(LargeBinary()),
    "joined": ARRAY(Boolean()),
    "invite_links": ARRAY(Text()),
    "ids": ARRAY(UUID()),
    "reasons": ARRAY(Text()),
    **{f"new_{name}": ARRAY(BigInteger()) for name in METRICS},
    "new_category": Text(),
    "new_size": BigInteger(),
}
"""The types of the statements' parameters."""


def statement(sql: str) -> TextClause:
    """A statement whose parameters have types: PostgreSQL cannot infer all of them from the text.

    Raises `KeyError` for a parameter that has no type here.
    """
    untyped = text(sql)
    return untyped.bindparams(*(bindparam(name, type_=_TYPES[name]) for name in untyped.compile().params))
