"""The words by which posts are found."""

from typing import Final

from app.kit.db import Base
from app.kit.search import WordIndex
from app.posts.models import PostLexeme

POST_LEXEMES: Final = WordIndex(Base.metadata.tables[PostLexeme.__tablename__], "post_id")
