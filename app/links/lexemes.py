"""The words by which links are found."""

import re
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.db import Base, in_workspace, workspace_of
from app.kit.search import WordIndex
from app.links.models import Link, LinkLexeme

LINK_LEXEMES: Final = WordIndex(
    Base.metadata.tables[LinkLexeme.__tablename__], "link_id", Base.metadata.tables[Link.__tablename__]
)
_SEPARATORS: Final = re.compile(r"[\W_]+")


def searched_text(title: str | None, target: str) -> str:
    """What is searched of a link: its title and its target."""
    return separated(f"{title or ''} {target}")


def separated(text: str) -> str:
    """The parts of an address as words: PostgreSQL takes a host, or a path, for one word."""
    return _SEPARATORS.sub(" ", text)


async def texts(session: AsyncSession, after: UUID, limit: int) -> Mapping[UUID, str]:
    """What is searched of the next links by id, locked (`search.Texts`)."""
    rows = await session.execute(
        select(Link.id, Link.title, Link.target)
        .where(in_workspace(Link, workspace_of(session)), Link.id > after)
        .order_by(Link.id)
        .limit(limit)
        .with_for_update(key_share=True)
    )
    return {row.id: searched_text(row.title, row.target) for row in rows}
