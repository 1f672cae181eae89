"""Attachments of statuses."""

from typing import Final

from app.platforms.attachments import Json, attachment, limited
from app.platforms.contract import Attachment, AttachmentKind

_KINDS: Final = {
    "image": AttachmentKind.PICTURE,
    "gifv": AttachmentKind.VIDEO,
    "video": AttachmentKind.VIDEO,
    "audio": AttachmentKind.AUDIO,
}


def read(media: tuple[Json, ...], poll: object) -> tuple[Attachment, ...]:
    """Files with the descriptions that their author gave, and a poll."""
    files = (_file(one) for one in media)
    return limited((*files, attachment(AttachmentKind.POLL)) if poll else files)


def _file(raw: Json) -> Attachment:
    """`unknown` is a file of another server that this one did not fetch."""
    kind = raw.get("type")
    url = raw.get("url") or raw.get("remote_url")
    return attachment(_KINDS.get(str(kind), AttachmentKind.OTHER), url, raw.get("description"))
