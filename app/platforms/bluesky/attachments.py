"""Attachments of posts and direct messages, from the embed in a post's record.

The record is the same in feeds, threads and notifications, and names files by their hash; the addresses are those of
Bluesky's own servers of pictures and videos, which have the files of all accounts of the network.
"""

import re
from typing import Final

from app.platforms.attachments import attachment, inner, limited, objects
from app.platforms.contract import Attachment, AttachmentKind

PICTURE: Final = "https://cdn.bsky.app/img/feed_fullsize/plain/{did}/{cid}@jpeg"
VIDEO: Final = "https://video.bsky.app/watch/{did}/{cid}/playlist.m3u8"
POST_PAGE: Final = "https://bsky.app/profile/{did}/post/{rkey}"
_CID: Final = re.compile(r"[a-z0-9]{30,120}")
_POST: Final = re.compile(r"at://(did:[a-z]+:[A-Za-z0-9._:%-]+)/app\.bsky\.feed\.post/([A-Za-z0-9._~:-]+)")


def read(embed: object, did: str) -> tuple[Attachment, ...]:
    """What the record of a post by `did` embeds. The view of a message's embed is of the form of a quoted post."""
    kind = str(inner(embed, "$type") or "").partition("#")[0].rpartition(".")[2]
    match kind:
        case "images":
            return limited(_picture(one, did) for one in objects(inner(embed, "images")))
        case "video":
            return (attachment(AttachmentKind.VIDEO, _file(VIDEO, inner(embed, "video"), did), inner(embed, "alt")),)
        case "external":
            link = inner(embed, "external")
            return (attachment(AttachmentKind.LINK, inner(link, "uri"), inner(link, "title")),)
        case "record":
            uri = inner(embed, "record", "uri")
            post = _POST.fullmatch(uri) if isinstance(uri, str) else None
            page = POST_PAGE.format(did=post[1], rkey=post[2]) if post is not None else None
            return (attachment(AttachmentKind.POST, page),)
        case "recordWithMedia":
            return limited((*read(inner(embed, "media"), did), *read(inner(embed, "record"), did)))
        case "":
            return ()
        case _:
            return (attachment(AttachmentKind.OTHER),)


def _picture(raw: object, did: str) -> Attachment:
    return attachment(AttachmentKind.PICTURE, _file(PICTURE, inner(raw, "image"), did), inner(raw, "alt"))


def _file(address: str, blob: object, did: str) -> str | None:
    cid = inner(blob, "ref", "$link") or inner(blob, "cid")
    return address.format(did=did, cid=cid) if isinstance(cid, str) and _CID.fullmatch(cid) else None
