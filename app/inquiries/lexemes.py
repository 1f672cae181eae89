"""The words by which inquiries are found."""

from collections.abc import Iterable
from typing import Any, Final

from app.inquiries.models import Inquiry, InquiryLexeme
from app.kit.db import Base
from app.kit.search import WordIndex

INQUIRY_LEXEMES: Final = WordIndex(
    Base.metadata.tables[InquiryLexeme.__tablename__], "inquiry_id", Base.metadata.tables[Inquiry.__tablename__]
)


def searched_text(customer_name: str, messages: Iterable[Any]) -> str:
    """What is searched of an inquiry: its customer's name, and the rows `messages` that are not deleted.

    Newest first: of a thread that is too long the oldest messages are left out.
    """
    texts = [message.text for message in messages if message.deleted_at is None]
    return "\n".join((customer_name, *reversed(texts)))
