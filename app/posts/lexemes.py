"""The words by which posts are found, and what a list of found ones can be filtered by."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.db import Base, in_workspace, workspace_of
from app.kit.search import Facets, WordIndex
from app.posts.models import Category, Post, PostLexeme, PostOrigin, PostStatus

_VALUES: Final = (
    *((("status", one.value), f"source.status = '{one}'") for one in PostStatus),
    *((("origin", one.value), f"source.origin = '{one}'") for one in PostOrigin),
    *((("category", one.value), f"source.category = '{one}'") for one in Category),
    (("categorised", True), "source.category IS NOT NULL"),
    (("categorised", False), "source.category IS NULL"),
    (("sort", "planned_at"), "source.planned_at IS NOT NULL"),
    (("sort", "published_at"), "source.published_at IS NOT NULL"),
)
"""Values of filters, and which posts they select. Their order is that of the stored bits: add at the end only."""
FACETS: Final = Facets(
    {value: 1 << number for number, (value, _) in enumerate(_VALUES)},
    " | ".join(f"CASE WHEN {condition} THEN {1 << number} ELSE 0 END" for number, (_, condition) in enumerate(_VALUES)),
)
POST_LEXEMES: Final = WordIndex(
    Base.metadata.tables[PostLexeme.__tablename__], "post_id", Base.metadata.tables[Post.__tablename__], FACETS
)


async def texts(session: AsyncSession, after: UUID, limit: int) -> Mapping[UUID, str]:
    """The texts of the next posts by id, locked (`search.Texts`)."""
    rows = await session.execute(
        select(Post.id, Post.text)
        .where(in_workspace(Post, workspace_of(session)), Post.id > after)
        .order_by(Post.id)
        .limit(limit)
        .with_for_update(key_share=True)
    )
    return {row.id: row.text for row in rows}
