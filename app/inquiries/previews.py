"""What a list of inquiries shows of a message."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.kit.i18n import ENGLISH, translate, translate_count
from app.platforms.contract import AttachmentKind

KIND_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    AttachmentKind.PICTURE: ("picture", "{count} pictures"),
    AttachmentKind.VIDEO: ("video", "{count} videos"),
    AttachmentKind.AUDIO: ("audio", "{count} audio files"),
    AttachmentKind.VOICE: ("voice message", "{count} voice messages"),
    AttachmentKind.FILE: ("file", "{count} files"),
    AttachmentKind.STICKER: ("sticker", "{count} stickers"),
    AttachmentKind.LINK: ("link", "{count} links"),
    AttachmentKind.LOCATION: ("location", "{count} locations"),
    AttachmentKind.CONTACT: ("contact", "{count} contacts"),
    AttachmentKind.POLL: ("poll", "{count} polls"),
    AttachmentKind.POST: ("shared post", "{count} shared posts"),
    AttachmentKind.OTHER: ("attachment", "{count} attachments"),
}
LONGEST: Final = 200
"""Characters of a preview."""


def preview(text: str, attachments: Sequence[Mapping[str, Any]], language: str = ENGLISH) -> str:
    """The beginning of a message's text; where it has none, its attachments in words: `[picture]`,
    `[2 pictures, file: menu.pdf]`.
    """
    if text or not attachments:
        return text[:LONGEST]
    counts = Counter(attachment["kind"] for attachment in attachments)
    names = {attachment["kind"]: attachment["name"] for attachment in attachments}
    descriptions = (_description(kind, count, names[kind], language) for kind, count in counts.items())
    return f"[{', '.join(descriptions)}]"[:LONGEST]


def _description(kind: str, count: int, name: str, language: str) -> str:
    one, many = KIND_NAMES[kind]
    if count > 1:
        return translate_count(many, count, language)
    word = translate(one, language)
    return f"{word}: {name}" if name else word
