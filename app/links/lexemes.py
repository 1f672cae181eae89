"""The words by which links are found."""

import re
from typing import Final

from app.kit.db import Base
from app.kit.search import WordIndex
from app.links.models import Link, LinkLexeme

LINK_LEXEMES: Final = WordIndex(
    Base.metadata.tables[LinkLexeme.__tablename__], "link_id", Base.metadata.tables[Link.__tablename__]
)
_NO_WORDS: Final = re.compile(r"[\W_]+")


def searched_text(title: str | None, target: str) -> str:
    """What is searched of a link: its title and its target."""
    return as_words(f"{title or ''} {target}")


def as_words(text: str) -> str:
    """The parts of an address as words: PostgreSQL takes a host, or a path, for one word."""
    return _NO_WORDS.sub(" ", text)
