"""Attachments of messages and comments.

Source for messages: apiok.ru, `graph.chat.messages`. Unverified: that comments have the same form, under `attachments`.
"""

from app.platforms.attachments import Json, attachment, inner, limited
from app.platforms.contract import Attachment, AttachmentKind

_KINDS = {
    "IMAGE": AttachmentKind.PICTURE,
    "PHOTO": AttachmentKind.PICTURE,
    "VIDEO": AttachmentKind.VIDEO,
    "MOVIE": AttachmentKind.VIDEO,
    "AUDIO": AttachmentKind.VOICE,
    "MUSIC": AttachmentKind.AUDIO,
    "SHARE": AttachmentKind.LINK,
    "LINK": AttachmentKind.LINK,
    "FILE": AttachmentKind.FILE,
    "CONTACT": AttachmentKind.CONTACT,
    "LOCATION": AttachmentKind.LOCATION,
    "STICKER": AttachmentKind.STICKER,
    "PRESENT": AttachmentKind.STICKER,
    "POLL": AttachmentKind.POLL,
    "TOPIC": AttachmentKind.POST,
}
_NO_ATTACHMENTS = frozenset({"INLINE_KEYBOARD"})


def read(several: tuple[Json, ...], single: tuple[Json, ...] = ()) -> tuple[Attachment, ...]:
    """What is attached: a list, or in messages with one attachment that one alone."""
    return limited(_attachment(raw) for raw in several or single if raw.get("type") not in _NO_ATTACHMENTS)


def _attachment(raw: Json) -> Attachment:
    kind = raw.get("type")
    payload = raw.get("payload") or raw
    name = inner(payload, "name") or inner(payload, "title") or inner(payload, "filename")
    return attachment(
        _KINDS.get(kind, AttachmentKind.OTHER) if isinstance(kind, str) else AttachmentKind.OTHER,
        inner(payload, "url") or inner(payload, "link"),
        name,
    )
