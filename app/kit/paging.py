"""Keyset pagination of lists: a deep page costs as much as the first one.

A cursor is the sort key of a page's last row, signed together with the list it belongs to, so that it can
be neither forged nor used for another list, filter or workspace.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import orjson
from fastapi import Query
from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, Select, literal, tuple_
from sqlalchemy.orm import QueryableAttribute

from app.kit.crypto import Keyring
from app.kit.errors import Invalid
from app.kit.schemas import Text

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=200, description="How many rows, at most 200.")]
Cursor = Annotated[
    Text | None, Query(max_length=1024, description="`next_cursor` of the page before; none for the first page.")
]


NEXT_CURSOR = "Give it as `cursor` for the next page; null on the last one."


class Page(BaseModel, Generic[T]):
    """A page of a list."""

    data: list[T] = Field(description="The rows of this page.")
    next_cursor: str | None = Field(description=NEXT_CURSOR)

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """`PostPage` for a page of `PostRead`: a name that clients can have as a class."""
        return f"{params[0].__name__.removesuffix('Read')}Page"


@dataclass(frozen=True, slots=True)
class Keyset:
    """How a list is sorted: columns that together are unique and never null, all in one direction."""

    columns: Sequence[ColumnElement[Any] | QueryableAttribute[Any]]
    descending: bool = True

    def after(self, query: Select[Any], values: Sequence[Any] | None, limit: int) -> Select[Any]:
        """The query of the page after the sort key `values`, plus one row, which shows whether another page follows."""
        if values is not None:
            sort_key = tuple_(*self.columns)
            last = tuple_(*(literal(value, column.type) for value, column in zip(values, self.columns, strict=True)))
            query = query.where(sort_key < last if self.descending else sort_key > last)
        order = (column.desc() if self.descending else column.asc() for column in self.columns)
        return query.order_by(*order).limit(limit + 1)


@dataclass(frozen=True, slots=True)
class Pager:
    """Writes and reads the cursors of one list: a path with its filters in a workspace."""

    keyring: Keyring
    list_hash: bytes

    @classmethod
    def of(cls, keyring: Keyring, workspace_id: UUID, path: str, filters: Mapping[str, object]) -> "Pager":
        """The pager of the list at this path with these filters, in this workspace."""
        identity = orjson.dumps([workspace_id.hex, path, sorted((k, str(v)) for k, v in filters.items())])
        return cls(keyring, hashlib.sha256(identity).digest())

    def write(self, values: Sequence[Any]) -> str:
        """The cursor of the position after a row with this sort key."""
        body = orjson.dumps([_plain(value) for value in values])
        return base64.urlsafe_b64encode(self.keyring.sign("cursor", self.list_hash + body) + body).decode().rstrip("=")

    def read(self, cursor: str | None, types: Sequence[type]) -> list[Any] | None:
        """The sort key in a cursor, None without one; `Invalid` where the cursor is not of this list."""
        if cursor is None:
            return None
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            signature, body = raw[:16], raw[16:]
        except (binascii.Error, ValueError):
            signature, body = b"", b""
        if not self.keyring.verify("cursor", self.list_hash + body, signature):
            raise Invalid("This cursor does not belong to this list with these filters.", code="invalid-cursor")
        values: list[Any] = orjson.loads(body)
        return [_typed(value, kind) for value, kind in zip(values, types, strict=True)]

    def page(self, rows: Sequence[T], limit: int, key: Sequence[str]) -> tuple[Sequence[T], str | None]:
        """The page without the extra row, and the next page's cursor (None: last page). `key`: the sort key's names."""
        if len(rows) <= limit:
            return rows, None
        page = rows[:limit]
        return page, self.write([getattr(page[-1], name) for name in key])


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _typed(value: Any, kind: type) -> Any:
    if kind is datetime or kind is date:
        return kind.fromisoformat(value)
    return kind(value)
