"""Attachments of comments and messages. Source: VK's JSON schema, `wall_comment_attachment`, `messages_message`."""

from app.platforms.attachments import Json, attachment, inner, limited
from app.platforms.contract import Attachment, AttachmentKind

SITE = "https://vk.com"
_DOC_KINDS = {3: AttachmentKind.PICTURE, 4: AttachmentKind.PICTURE, 5: AttachmentKind.AUDIO, 6: AttachmentKind.VIDEO}
"""By `doc.type`: GIFs, pictures, sounds, videos; others are files."""


def read(raw: tuple[Json, ...], geo: object = None, forwarded: tuple[Json, ...] = ()) -> tuple[Attachment, ...]:
    """What is attached, with a place and forwarded messages, which are fields of their own."""
    place = (attachment(AttachmentKind.LOCATION, None, inner(geo, "place", "title")),) if geo else ()
    messages = (attachment(AttachmentKind.POST, None, one.get("text")) for one in forwarded)
    return limited((*(_attachment(one) for one in raw), *place, *messages))


def _attachment(raw: Json) -> Attachment:
    kind = raw.get("type")
    item = raw.get(kind) if isinstance(kind, str) else None
    match kind:
        case "photo":
            return attachment(AttachmentKind.PICTURE, _largest(item), inner(item, "text"))
        case "graffiti":
            return attachment(AttachmentKind.PICTURE, inner(item, "url") or _largest(item))
        case "video" | "video_message" | "clip":
            return attachment(AttachmentKind.VIDEO, _page("video", item), inner(item, "title"))
        case "audio":
            name = " – ".join(filter(None, (str(inner(item, "artist") or ""), str(inner(item, "title") or ""))))
            return attachment(AttachmentKind.AUDIO, inner(item, "url"), name)
        case "audio_message":
            return attachment(AttachmentKind.VOICE, inner(item, "link_mp3") or inner(item, "link_ogg"))
        case "doc":
            doc_type = inner(item, "type")
            doc_kind = _DOC_KINDS.get(doc_type, AttachmentKind.FILE) if type(doc_type) is int else AttachmentKind.FILE
            return attachment(doc_kind, inner(item, "url"), inner(item, "title"))
        case "sticker" | "ugc_sticker":
            return attachment(AttachmentKind.STICKER, inner(item, "images", "-1", "url"))
        case "link":
            return attachment(AttachmentKind.LINK, inner(item, "url"), inner(item, "title"))
        case "market":
            return attachment(AttachmentKind.LINK, _page("market", item), inner(item, "title"))
        case "wall" | "wall_reply" | "story":
            return attachment(AttachmentKind.POST, _page("story" if kind == "story" else "wall", item))
        case "poll":
            return attachment(AttachmentKind.POLL, None, inner(item, "question"))
        case _:
            return attachment(AttachmentKind.OTHER)


def _largest(photo: object) -> object:
    """The address of the largest copy."""
    sizes = inner(photo, "sizes")
    named = [size for size in sizes if isinstance(size, dict)] if isinstance(sizes, list) else []
    largest = max(named, key=lambda size: size["width"] if type(size.get("width")) is int else 0, default=None)
    return inner(largest, "url") or inner(photo, "orig_photo", "url")


def _page(name: str, item: object) -> str | None:
    """The page of something with an owner and an id."""
    owner = next((inner(item, field) for field in ("owner_id", "to_id", "from_id") if inner(item, field)), None)
    number = inner(item, "id")
    return f"{SITE}/{name}{owner}_{number}" if type(owner) is int and type(number) is int else None
