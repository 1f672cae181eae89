"""What a list of inquiries shows of a message."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.platforms.contract import AttachmentKind

_KIND_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    AttachmentKind.PICTURE: ("picture", "pictures"),
    AttachmentKind.VIDEO: ("video", "videos"),
    AttachmentKind.AUDIO: ("audio", "audio files"),
    AttachmentKind.VOICE: ("voice message", "voice messages"),
    AttachmentKind.FILE: ("file", "files"),
    AttachmentKind.STICKER: ("sticker", "stickers"),
    AttachmentKind.LINK: ("link", "links"),
    AttachmentKind.LOCATION: ("location", "locations"),
    AttachmentKind.CONTACT: ("contact", "contacts"),
    AttachmentKind.POLL: ("poll", "polls"),
    AttachmentKind.POST: ("shared post", "shared posts"),
    AttachmentKind.OTHER: ("attachment", "attachments"),
}


def preview(text: str, attachments: Sequence[Mapping[str, Any]]) -> str:
    """The text of a message; where it has none, its attachments in words: `[picture]`, `[2 pictures, file: menu.pdf]`.

    English, as all that the API says: `attachments` of the message has the kinds for programs.
    """
    if text or not attachments:
        return text
    counts = Counter(attachment["kind"] for attachment in attachments)
    names = {attachment["kind"]: attachment["name"] for attachment in attachments}
    return f"[{', '.join(_description(kind, count, names[kind]) for kind, count in counts.items())}]"


def _description(kind: str, count: int, name: str) -> str:
    one, many = _KIND_NAMES[kind]
    if count > 1:
        return f"{count} {many}"
    return f"{one}: {name}" if name else one
