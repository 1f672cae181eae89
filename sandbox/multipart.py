"""Parser for `multipart/form-data` bodies, used for image uploads."""

from collections.abc import Iterator
from email import policy
from email.parser import BytesParser
from typing import NamedTuple


class Part(NamedTuple):
    """A field or a file of a form."""

    name: str
    filename: str | None
    """None for a field."""
    content_type: str
    content: bytes


def parts(content_type: str, body: bytes) -> Iterator[Part]:
    """The parts of a form; none if the body is not multipart."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = BytesParser(policy=policy.HTTP).parsebytes(head + body)
    for part in message.iter_parts() if message.is_multipart() else ():
        name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            yield Part(name, part.get_filename(), part.get_content_type(), content)
