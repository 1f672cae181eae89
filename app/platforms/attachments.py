"""Attachments of messages, which platforms describe in many forms and extend without notice.

A description that is not understood must not hide its message: whatever is missing or of another type is left out.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

from pydantic import PlainValidator

from app.platforms.contract import Attachment, AttachmentKind

MOST_ATTACHMENTS: Final = 20
"""The most attachments of one message that are kept."""
LONGEST_NAME: Final = 255
LONGEST_URL: Final = 4096
_URL: Final = re.compile(r"https?://[^\s\x00-\x1f\ud800-\udfff]+")
_UNSTORABLE: Final = re.compile(r"[\x00\ud800-\udfff]")

Json = Mapping[str, Any]


def _objects(value: object) -> tuple[Json, ...]:
    """The objects of a list; a single object as a list of one."""
    if isinstance(value, Mapping):
        return (value,)
    return tuple(one for one in value if isinstance(one, Mapping)) if isinstance(value, list | tuple) else ()


Objects = Annotated[tuple[Json, ...], PlainValidator(_objects)]
"""The type of a wire model's field: the descriptions of attachments as they came."""


def attachment(kind: AttachmentKind, url: object = None, name: object = "") -> Attachment:
    """An attachment, with what of its address and name can be stored and shown."""
    address = url if isinstance(url, str) and len(url) <= LONGEST_URL and _URL.fullmatch(url) else None
    text = " ".join(_UNSTORABLE.sub("", name).split()) if isinstance(name, str) else ""
    return Attachment(kind, address, text[:LONGEST_NAME])


def limited(attachments: Iterable[Attachment]) -> tuple[Attachment, ...]:
    """The first `MOST_ATTACHMENTS` of them."""
    return tuple(attachments)[:MOST_ATTACHMENTS]


def inner(value: object, *names: str) -> Any:
    """What is below these names in an object; None where there is nothing. A number takes an item of a list."""
    for name in names:
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list | tuple) and name.lstrip("-").isdecimal() and value:
            value = value[max(-len(value), min(int(name), len(value) - 1))]
        else:
            return None
    return value


def objects(value: object) -> tuple[Json, ...]:
    """The objects in a list, or the object itself; empty for anything else."""
    return _objects(value)
