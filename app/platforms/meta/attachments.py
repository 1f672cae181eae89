"""Attachments of comments and direct messages.

Sources: Meta's business SDK (`Comment.attachment`, `AttachmentData`), the references of `Message` and of the Messenger
and Instagram webhooks.
"""

from collections.abc import Mapping
from typing import Final

from app.platforms.attachments import Json, attachment, inner, limited, objects
from app.platforms.contract import Attachment, AttachmentKind

_OF_COMMENT: Final[Mapping[str, AttachmentKind]] = {
    "photo": AttachmentKind.PICTURE,
    "animated_image_share": AttachmentKind.PICTURE,
    "animated_image_video": AttachmentKind.PICTURE,
    "sticker": AttachmentKind.STICKER,
    "video_inline": AttachmentKind.VIDEO,
    "video": AttachmentKind.VIDEO,
    "file_upload": AttachmentKind.FILE,
    "map": AttachmentKind.LOCATION,
}
"""By `type`; all others are links to something shared."""
_OF_EVENT: Final[Mapping[str, AttachmentKind]] = {
    "image": AttachmentKind.PICTURE,
    "video": AttachmentKind.VIDEO,
    "audio": AttachmentKind.VOICE,
    "file": AttachmentKind.FILE,
    "location": AttachmentKind.LOCATION,
    "fallback": AttachmentKind.LINK,
    "share": AttachmentKind.POST,
    "story_mention": AttachmentKind.POST,
    "reel": AttachmentKind.POST,
    "ig_reel": AttachmentKind.POST,
    "ig_post": AttachmentKind.POST,
    "ig_story": AttachmentKind.POST,
    "post": AttachmentKind.POST,
}
_BY_MIME: Final[Mapping[str, AttachmentKind]] = {
    "image": AttachmentKind.PICTURE,
    "video": AttachmentKind.VIDEO,
    "audio": AttachmentKind.VOICE,
}
_DATA: Final[Mapping[str, AttachmentKind]] = {
    "image_data": AttachmentKind.PICTURE,
    "video_data": AttachmentKind.VIDEO,
}
MESSAGE_FIELDS: Final = "attachments,shares"
"""Without fields of theirs: Graph refuses the whole list for one that it does not have on one of the two platforms."""


def of_comment(raw: tuple[Json, ...]) -> tuple[Attachment, ...]:
    """The `attachment` of a comment."""
    return limited(_of_comment(one) for one in raw)


def _of_comment(raw: Json) -> Attachment:
    kind = _OF_COMMENT.get(str(raw.get("type")), AttachmentKind.LINK)
    picture = inner(raw, "media", "image", "src")
    shows_picture = kind in {AttachmentKind.PICTURE, AttachmentKind.STICKER}
    url = (picture or raw.get("url")) if shows_picture else raw.get("url")
    return attachment(kind, url, raw.get("title"))


def of_comment_event(photo: object, video: object, link: object) -> tuple[Attachment, ...]:
    """The addresses that a comment's event has in place of `attachment`."""
    named = ((AttachmentKind.PICTURE, photo), (AttachmentKind.VIDEO, video), (AttachmentKind.LINK, link))
    return tuple(attachment(kind, url) for kind, url in named if url)


def of_message(files: object, shares: object) -> tuple[Attachment, ...]:
    """What a message in a list has: files, and shared posts or links."""
    shared = (
        attachment(AttachmentKind.POST, one.get("link"), one.get("name")) for one in objects(inner(shares, "data"))
    )
    return limited((*(_file(one) for one in objects(inner(files, "data"))), *shared))


def _file(raw: Json) -> Attachment:
    for name, kind in _DATA.items():
        if raw.get(name):
            return attachment(kind, inner(raw, name, "url"), raw.get("name"))
    kind = _BY_MIME.get(str(raw.get("mime_type")).partition("/")[0], AttachmentKind.FILE)
    return attachment(kind, raw.get("file_url"), raw.get("name"))


def of_message_event(raw: tuple[Json, ...]) -> tuple[Attachment, ...]:
    """The `attachments` of a message's event."""
    return limited(_of_message_event(one) for one in raw if one.get("type") != "template")


def _of_message_event(raw: Json) -> Attachment:
    kind = _OF_EVENT.get(str(raw.get("type")), AttachmentKind.OTHER)
    payload = raw.get("payload")
    if kind is AttachmentKind.PICTURE and inner(payload, "sticker_id"):
        kind = AttachmentKind.STICKER
    return attachment(kind, inner(payload, "url") or raw.get("url"), inner(payload, "title") or raw.get("title"))
