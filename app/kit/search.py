"""Search by words under row-level security: tables of the words of rows, compared by `=`.

PostgreSQL's operators of text search are not leakproof, so no index serves them in a table with row-level security:
every row of the workspace would be compared. Equality of texts is leakproof. So a `WordIndex` is a table with a row
for each word of each row. Words are the lexemes of PostgreSQL's configuration `russian`, which stems Russian and
English words, and leaves out those that say nothing ("и", "the"); ё counts as е.

Each word's row has the project, and bits for what a list of the rows can be filtered by, its facets: the rows that
have some words, in a project, of a status, are found in the primary key alone.

No trigger keeps it, and no foreign key: who changes a text or facets, or deletes a row, says so in the same
transaction. See docs/decisions/0028-search-by-words.md.
"""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeAlias
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    Table,
    Text,
    TextClause,
    any_,
    bindparam,
    func,
    select,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.types import TypeEngine

from app.kit.bulk import equals_any
from app.kit.db import workspace_of
from app.kit.errors import Invalid
from app.kit.lists import WORKSPACE, Filter
from app.kit.statement import Statement

LEXEMES: Final = "tsvector_to_array(to_tsvector('russian', translate({text}, 'ёЁ', 'еЕ')))"
"""SQL for the words of a text, each once, as an array."""
MOST_TEXT: Final = 200_000
"""Characters of a row's text that are searched; PostgreSQL takes up to a megabyte of words."""
FEW: Final = 5_000
"""Up to so many rows are fetched and sorted: more are found sooner by walking the list in its order."""
SOME: Final = 40_000
"""Up to so many of a word's rows are looked through for those that a list has. Their ids are then hashed, and each row
of the walk is compared with them; of a more frequent word each row of the walk is looked up, and soon one has it.
"""
SAMPLE: Final = 2_000
TOGETHER: Final = 0.005
"""The share of a sample of the rows with a frequent word that a list has, from which on a walk finds some soon."""
FIRST, LAST = UUID(int=0), UUID(int=2**128 - 1)
"""Less and more than any id."""

log = structlog.get_logger()

REPAIRED = Counter("instep_search_lexemes_repaired", "Stored words that were other than the texts.", ["table"])
PAGE: Final = 500
"""Rows whose words are compared in one transaction."""
Texts: TypeAlias = Callable[[AsyncSession, UUID, int], Awaitable[Mapping[UUID, str]]]
"""The texts of the first rows, so many, whose ids follow this one; under the lock that changes of them take."""

_TYPES: Final[Mapping[str, TypeEngine[Any]]] = {
    "workspace_id": PG_UUID(as_uuid=True),
    "owners": ARRAY(PG_UUID(as_uuid=True)),
    "texts": ARRAY(Text()),
    "low": PG_UUID(as_uuid=True),
    "high": PG_UUID(as_uuid=True),
    "bits": BigInteger(),
    "word": Text(),
    "second": Text(),
    "others": ARRAY(Text()),
    "q": Text(),
    "after": PG_UUID(as_uuid=True),
    "most": BigInteger(),
}
_REPLACE: Final = """
WITH wanted AS MATERIALIZED (
    SELECT source.id AS owner, source.project_id, {facets} AS facets, word.lexeme
    FROM unnest(:owners, :texts) AS given (owner, content)
    JOIN {source} AS source ON source.workspace_id = :workspace_id AND source.id = given.owner,
         unnest({lexemes of given.content}) AS word (lexeme)
), removed AS (
    DELETE FROM {table} AS stored
    WHERE stored.workspace_id = :workspace_id AND stored.{owner} = ANY(:owners)
      AND NOT EXISTS (
          SELECT FROM wanted WHERE wanted.owner = stored.{owner} AND wanted.lexeme = stored.lexeme
            AND wanted.project_id = stored.project_id
      )
    RETURNING true
), stored AS (
    INSERT INTO {table} AS stored (workspace_id, lexeme, project_id, {owner}, facets)
    SELECT :workspace_id, lexeme, project_id, owner, facets FROM wanted ORDER BY lexeme, project_id, owner
    ON CONFLICT (workspace_id, lexeme, project_id, {owner}) DO UPDATE SET facets = excluded.facets
    WHERE stored.facets <> excluded.facets
    RETURNING true
)
SELECT (SELECT count(*) FROM removed) + (SELECT count(*) FROM stored) AS changed
"""
_OF_WORD: Final = """
stored.workspace_id = :workspace_id AND stored.lexeme = {word} AND stored.project_id BETWEEN :low AND :high
"""
_COUNTS: Final = """
SELECT word.lexeme, (
    SELECT count(*) FROM (SELECT FROM {table} AS stored WHERE {of word.lexeme} LIMIT {most}) AS of_word
) AS rows
FROM unnest({lexemes of :q}) AS word (lexeme)
ORDER BY rows, word.lexeme
"""
_HAS_OTHERS: Final = """(
    SELECT count(*) = cardinality(:others) FROM {table} AS other
    WHERE other.workspace_id = :workspace_id AND other.lexeme = ANY(:others)
      AND other.project_id = stored.project_id AND other.{owner} = stored.{owner}
)"""
_WITH_FACETS: Final = """
SELECT stored.{owner} AS id FROM {table} AS stored
WHERE {of :word} AND stored.facets & :bits = :bits LIMIT {few}
"""
_WITH_SECOND: Final = """
SELECT stored.{owner} AS id FROM {table} AS stored
JOIN {table} AS second ON second.workspace_id = :workspace_id AND second.lexeme = :second
    AND second.project_id = stored.project_id AND second.{owner} = stored.{owner}
WHERE {of :word} AND stored.facets & :bits = :bits LIMIT {few}
"""
_WITH_OTHERS: Final = _WITH_SECOND.replace(" LIMIT", " AND {has others} LIMIT")
_TOGETHER: Final = """
SELECT count(*) FILTER (WHERE stored.facets & :bits = :bits AND {has others}) AS rows
FROM (SELECT * FROM {table} AS stored WHERE {of :word} LIMIT {sample}) AS stored
"""


@dataclass(frozen=True, slots=True)
class Facets:
    """What rows are filtered by, as bits: a row has the bit of each filter's value that selects it."""

    bits: Mapping[tuple[str, Hashable], int] = field(default_factory=dict)
    """By filter (`sort` is one: not all rows have each order) and value."""
    sql: str = "0"
    """The bits of the row `source`."""

    def required(self, filters: Mapping[str, Any]) -> int:
        """The bits that a row must have, to be selected by all filters that are facets."""
        bits = 0
        for name, value in filters.items():
            bits |= self.bits.get((name, value.value if isinstance(value, Enum) else value), 0)
        return bits


class WordIndex:
    """The words of the rows of one table."""

    def __init__(self, table: Table, owner: str, source: Table, facets: Facets | None = None) -> None:
        """`table` has the columns `workspace_id`, `lexeme`, `project_id`, `facets`, and `owner`: the id of the row of
        `source` with that word.
        """
        self._table, self._columns, self._owner, self._source = table, table.c, table.c[owner], source
        self._facets = facets or Facets()

        def statement(sql: str) -> TextClause:
            parts = {
                "{has others}": _HAS_OTHERS,
                "{of word.lexeme}": _OF_WORD.format(word="word.lexeme"),
                "{of :word}": _OF_WORD.format(word=":word"),
                "{table}": table.name,
                "{source}": source.name,
                "{facets}": self._facets.sql,
                "{owner}": owner,
                "{few}": str(FEW + 1),
                "{most}": str(SOME + 1),
                "{sample}": str(SAMPLE),
                "{lexemes of given.content}": LEXEMES.format(text="given.content"),
                "{lexemes of :q}": LEXEMES.format(text=":q"),
            }
            for name, part in parts.items():
                sql = sql.replace(name, part)
            clause = text(sql)
            return clause.bindparams(*(bindparam(name, type_=_TYPES[name]) for name in clause.compile().params))

        self._replace = statement(_REPLACE)
        self._counts = Statement(statement(_COUNTS))
        self._together = Statement(statement(_TOGETHER))
        self._matching = [Statement(statement(sql)) for sql in (_WITH_FACETS, _WITH_SECOND, _WITH_OTHERS)]
        """By the number of other words, up to two."""

    async def replace(self, session: AsyncSession, texts: Mapping[UUID, str]) -> int:
        """Store the words and facets of rows whose texts are these now, under a lock that keeps others from changing
        them. The rows are stored already. Returns how many words were other.
        """
        if not texts:
            return 0
        contents = [content[:MOST_TEXT] for content in texts.values()]
        parameters = {"workspace_id": workspace_of(session), "owners": list(texts), "texts": contents}
        changed: int = (await session.execute(self._replace, parameters)).scalar_one()
        return changed

    async def remove(self, session: AsyncSession, row_id: UUID) -> None:
        """Remove the words of a row that is deleted."""
        await self.replace(session, {row_id: ""})

    async def reconcile(self, session: AsyncSession, texts: Texts, after: UUID) -> tuple[int, UUID | None]:
        """Store anew the words of the next `PAGE` rows after this id: how many were other, and the last id (None: no
        row follows). Words of rows that are not there any more are removed.
        """
        page = await texts(session, after, PAGE)
        last = max(page) if len(page) == PAGE else None
        stored = self._owner
        owners = select(stored).distinct().where(self._columns.workspace_id == workspace_of(session), stored > after)
        if last is not None:
            owners = owners.where(stored <= last)
        others = [one for one in await session.scalars(owners) if one not in page]
        orphans = dict.fromkeys(await self._absent(session, others), "")
        changed = await self.replace(session, {**page, **orphans})
        return changed, last

    async def _absent(self, session: AsyncSession, row_ids: Sequence[UUID]) -> set[UUID]:
        """Those of the ids that no row has.

        A row that is stored meanwhile brings its words: who has read the words before has to look for the row again.
        """
        if not row_ids:
            return set()
        row_id = self._source.c.id
        of_workspace = self._source.c.workspace_id == workspace_of(session)
        present = await session.scalars(select(row_id).where(of_workspace, equals_any(row_id, row_ids)))
        return set(row_ids).difference(present)

    def report(self, changed: int, workspace_id: UUID | None) -> None:
        """Log that words were other than the texts, and count them: after the commit."""
        REPAIRED.labels(self._table.name).inc(changed)
        if changed:
            log.error("search.words_repaired", table=self._table.name, words=changed, workspace_id=str(workspace_id))

    def filters(self, row_id: ColumnElement[UUID]) -> dict[str, Filter]:
        """The filters of a `Listing` of the searched rows, whose values `find` returns."""
        ids = PG_UUID(as_uuid=True)

        def with_word(name: str) -> Select[tuple[UUID]]:
            low, high = bindparam("low", type_=ids), bindparam("high", type_=ids)
            has_word = self._columns.lexeme == bindparam(name, type_=Text)
            of_projects = self._columns.project_id.between(low, high)
            return select(self._owner).where(self._columns.workspace_id == WORKSPACE, has_word, of_projects)

        bits = bindparam("bits", type_=BigInteger)
        has_facets = self._columns.facets.op("&")(bits) == bits
        few = with_word("few").where(has_facets)
        few_with_all = with_word("few_with_all").where(has_facets, self._has_all("others", self._owner))
        some = with_word("some")
        return {
            "few": row_id == any_(func.array(few.scalar_subquery())),
            "few_with_all": row_id == any_(func.array(few_with_all.scalar_subquery())),
            "found": row_id == any_(bindparam("found", type_=ARRAY(ids))),
            # `IS TRUE` makes it a condition that only a walk of the list can use.
            "some": row_id.in_(some).is_(true()),
            "each_with_all": self._has_all("each_with_all", row_id),
            **dict.fromkeys(("low", "high", "bits", "others"), true()),  # parameters of the ones before
        }

    def _has_all(self, name: str, row_id: ColumnElement[UUID]) -> ColumnElement[bool]:
        """Whether a row has all words: a subquery of one value, which PostgreSQL does not turn into a join."""
        lexemes: ColumnElement[Any] = bindparam(name, type_=ARRAY(Text))
        other = self._table.alias()
        has_all = select(func.count() == func.cardinality(lexemes)).where(
            other.c.workspace_id == WORKSPACE,
            other.c.project_id == row_id.table.c.project_id,
            other.c[self._owner.key] == row_id,
            other.c.lexeme == any_(lexemes),
        )
        return has_all.scalar_subquery()

    async def find(
        self,
        connection: AsyncConnection,
        workspace_id: UUID,
        q: str | None,
        filters: Mapping[str, Any],
        is_short: Callable[[int], Awaitable[bool]],
    ) -> dict[str, Any]:
        """The values of the filters that find the rows with all words of `q`; none where it is None.

        `filters`: the list's other filters, and its `sort`; `is_short`: whether it has at most so many rows, with any
        words. How rows are found depends on how many have the words,
        and are selected by those filters that are facets. Raises `Invalid` (`no-word`) where `q` has no word.
        """
        if q is None:
            return {}
        project_id, bits = filters.get("project_id"), self._facets.required(filters)
        projects = {"low": project_id or FIRST, "high": project_id or LAST}
        counts = await self._counts.rows(connection, {"workspace_id": workspace_id, "q": q, **projects})
        if not counts:
            detail = "It has no word that can be searched: such as `the` and `и` stand almost everywhere."
            raise Invalid(
                f"q: {detail}",
                code="no-word",
                errors=[{"in": "query", "field": "q", "code": "no-word", "detail": detail}],
            )
        rarest, rows = counts[0]["lexeme"], counts[0]["rows"]
        others: Sequence[str] = [row["lexeme"] for row in counts[1:]]
        parameters = {"workspace_id": workspace_id, "word": rarest, "bits": bits, **projects}
        if rows <= FEW:
            few = {"bits": bits, **projects}
            return {"few_with_all": rarest, "others": others, **few} if others else {"few": rarest, **few}
        if rows > SOME and bits and await is_short(FEW):
            return {"each_with_all": [rarest, *others]}
        if (bits or others) and (rows <= SOME or await self._seldom(connection, {**parameters, "others": others})):
            matching = await self._matching[min(len(others), 2)].rows(
                connection, {**parameters, "second": (others or [""])[0], "others": others[1:]}
            )
            if len(matching) <= FEW:
                return {"found": [row["id"] for row in matching]}
        if rows > SOME:
            return {"each_with_all": [rarest, *others]}
        return {"some": rarest, **projects} | ({"each_with_all": others} if others else {})

    async def _seldom(self, connection: AsyncConnection, parameters: Mapping[str, Any]) -> bool:
        """Whether few of the rows with a frequent word have the other words and the facets too."""
        (sample,) = await self._together.rows(connection, parameters)
        return bool(sample["rows"] < SAMPLE * TOGETHER)
