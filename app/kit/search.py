"""Search by words under row-level security: tables of the words of rows, compared by `=`.

PostgreSQL's operators of text search are not leakproof, so no index serves them in a table with row-level security:
every row of the workspace would be compared. Equality of texts is leakproof. So a `WordIndex` is a table with a row
for each word of each row. Words are the lexemes of PostgreSQL's configuration `russian`, which stems Russian and
English words, and leaves out those that say nothing ("и", "the"); ё counts as е.

No trigger keeps it, and no foreign key: who changes a text or deletes a row says so in the same transaction. See
docs/decisions/0028-search-by-words.md.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Select, Table, Text, TextClause, any_, bindparam, func, select, text, true
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.types import TypeEngine

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
SOME: Final = 15_000
"""Up to so many ids of rows with a word are read into a hash table, with which each row of the walk is compared; of
a more frequent word each row of the walk is looked up, and soon one has it.
"""
SAMPLE: Final = 1_000
TOGETHER: Final = 0.1
"""The share of a sample of the rows with a word that have the others too, from which on a walk finds some soon."""

_TYPES: Final[Mapping[str, TypeEngine[Any]]] = {
    "workspace_id": PG_UUID(as_uuid=True),
    "owners": ARRAY(PG_UUID(as_uuid=True)),
    "texts": ARRAY(Text()),
    "words": ARRAY(Text()),
    "word": Text(),
    "q": Text(),
}
_REPLACE: Final = """
WITH wanted AS MATERIALIZED (
    SELECT given.owner, word.lexeme
    FROM unnest(:owners, :texts) AS given (owner, content), unnest({lexemes of given.content}) AS word (lexeme)
), removed AS (
    DELETE FROM {table} AS stored
    WHERE stored.workspace_id = :workspace_id AND stored.{owner} = ANY(:owners)
      AND NOT EXISTS (SELECT FROM wanted WHERE wanted.owner = stored.{owner} AND wanted.lexeme = stored.lexeme)
)
INSERT INTO {table} (workspace_id, lexeme, {owner})
SELECT :workspace_id, lexeme, owner FROM wanted ORDER BY lexeme, owner
ON CONFLICT DO NOTHING
"""
_COUNTS: Final = """
SELECT word.lexeme, (
    SELECT count(*) FROM (
        SELECT FROM {table} AS stored
        WHERE stored.workspace_id = :workspace_id AND stored.lexeme = word.lexeme LIMIT {most}
    ) AS of_word
) AS rows
FROM unnest({lexemes of :q}) AS word (lexeme)
ORDER BY rows, word.lexeme
"""
_TOGETHER: Final = """
SELECT count(*) FILTER (WHERE (
    SELECT count(*) = cardinality(:words) FROM {table} AS other
    WHERE other.workspace_id = :workspace_id AND other.{owner} = sample.{owner} AND other.lexeme = ANY(:words)
)) AS rows
FROM (
    SELECT stored.{owner} FROM {table} AS stored
    WHERE stored.workspace_id = :workspace_id AND stored.lexeme = :word LIMIT {sample}
) AS sample
"""


class WordIndex:
    """The words of the rows of one table."""

    def __init__(self, table: Table, owner: str) -> None:
        """`table` has the columns `workspace_id`, `lexeme`, and `owner` for the id of the row with that word."""
        self._table, self._columns, self._owner = table, table.c, table.c[owner]

        def statement(sql: str) -> TextClause:
            parts = {
                "{table}": table.name,
                "{owner}": owner,
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

    async def replace(self, session: AsyncSession, texts: Mapping[UUID, str]) -> None:
        """Store the words of rows whose texts are these now, under a lock that keeps others from changing them."""
        if texts:
            contents = [content[:MOST_TEXT] for content in texts.values()]
            parameters = {"workspace_id": workspace_of(session), "owners": list(texts), "texts": contents}
            await session.execute(self._replace, parameters)

    async def remove(self, session: AsyncSession, row_id: UUID) -> None:
        """Remove the words of a row that is deleted."""
        await self.replace(session, {row_id: ""})

    def filters(self, row_id: ColumnElement[UUID]) -> dict[str, Filter]:
        """The filters of a `Listing` of the searched rows, whose values `find` returns."""
        few = self._with("few_with")
        few_with_all = self._with("rarest").where(self._has_all("rest", self._owner))
        return {
            "few_with": row_id == any_(func.array(few.scalar_subquery())),
            "rarest": row_id == any_(func.array(few_with_all.scalar_subquery())),
            "rest": true(),  # a parameter of the one before
            # `IS TRUE` makes it a condition that only a walk of the list can use.
            "some_with": row_id.in_(self._with("some_with")).is_(true()),
            "each_with_all": self._has_all("each_with_all", row_id),
        }

    def _with(self, name: str) -> Select[tuple[UUID]]:
        return select(self._owner).where(
            self._columns.workspace_id == WORKSPACE, self._columns.lexeme == bindparam(name, type_=Text)
        )

    def _has_all(self, name: str, row_id: ColumnElement[UUID]) -> ColumnElement[bool]:
        """Whether a row has all words: a subquery of one value, which PostgreSQL does not turn into a join."""
        lexemes: ColumnElement[Any] = bindparam(name, type_=ARRAY(Text))
        other = self._table.alias()
        has_all = select(func.count() == func.cardinality(lexemes)).where(
            other.c.workspace_id == WORKSPACE, other.c[self._owner.key] == row_id, other.c.lexeme == any_(lexemes)
        )
        return has_all.scalar_subquery()

    async def find(self, connection: AsyncConnection, workspace_id: UUID, q: str | None) -> dict[str, Any]:
        """The values of the filters that find the rows with all words of `q`; none where it is None.

        How they are found depends on how frequent the words are, together and alone. Raises `Invalid` (`no-word`)
        where `q` has no word.
        """
        if q is None:
            return {}
        counts = await self._counts.rows(connection, {"workspace_id": workspace_id, "q": q})
        if not counts:
            detail = "It has no word that can be searched: such as `the` and `и` stand almost everywhere."
            raise Invalid(
                f"q: {detail}",
                code="no-word",
                errors=[{"in": "query", "field": "q", "code": "no-word", "detail": detail}],
            )
        rarest, rows = counts[0]["lexeme"], counts[0]["rows"]
        others = [row["lexeme"] for row in counts[1:]]
        if others:
            if rows <= FEW or await self._seldom_together(connection, workspace_id, rarest, others):
                return {"rarest": rarest, "rest": others}
            if rows <= SOME:
                return {"some_with": rarest, "each_with_all": others}
            return {"each_with_all": [rarest, *others]}
        if rows <= FEW:
            return {"few_with": rarest}
        return {"some_with": rarest} if rows <= SOME else {"each_with_all": [rarest]}

    async def _seldom_together(
        self, connection: AsyncConnection, workspace_id: UUID, word: str, others: Sequence[str]
    ) -> bool:
        parameters = {"workspace_id": workspace_id, "word": word, "words": list(others)}
        (sample,) = await self._together.rows(connection, parameters)
        return bool(sample["rows"] < SAMPLE * TOGETHER)
