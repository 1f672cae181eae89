"""The records that are written into a repository: posts, under keys derived from idempotency keys."""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

POST: Final = "app.bsky.feed.post"
TID_DIGITS: Final = "234567abcdefghijklmnopqrstuvwxyz"
"""The digits of a TID."""

NAME: Final = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
LINK: Final = re.compile(r"https?://[^\s<>\"]+")
MENTION: Final = re.compile(rf"(?<![\w@/.-])@({NAME})(?![\w-])")
TAG: Final = re.compile(r"(?<![\w#/&])#(\w*[^\W\d_]\w*)")
LONGEST_TAG: Final = 64

Json = dict[str, object]


def rkey(key: str) -> str:
    """The record key for `key`; equal for equal keys.

    It has the form of a TID, as the keys of posts must, and 60 bits of a hash in place of the time. The time that it
    encodes means nothing, but lies before 2007 and so never in the future.
    """
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 4
    return "".join(TID_DIGITS[(number >> shift) & 31] for shift in range(60, -1, -5))


def uri(did: str, key: str) -> str:
    return f"at://{did}/{POST}/{rkey(key)}"


def post(text: str, created_at: datetime, dids: Mapping[str, str]) -> Json:
    """A post written at `created_at`. `dids` are those of the mentioned handles, by handle."""
    moment = created_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"$type": POST, "text": text, "createdAt": moment, **annotated(text, dids)}


def annotated(text: str, dids: Mapping[str, str]) -> Json:
    """The `facets` of a text, where it has any: without them its links, mentions and tags are plain text."""
    facets = [
        {"index": {"byteStart": _byte_offset(text, start), "byteEnd": _byte_offset(text, end)}, "features": [feature]}
        for start, end, feature in sorted(_features(text, dids), key=lambda feature: feature[:2])
    ]
    return {"facets": facets} if facets else {}


def mentioned(text: str) -> tuple[str, ...]:
    """The handles that a text mentions, in lower case."""
    return tuple(dict.fromkeys(match[1].lower() for match in MENTION.finditer(text)))


def images(uploaded: Collection[tuple[Mapping[str, object], str]]) -> Json:
    """The embed of pictures in a post, from the blob and the alternative text of each."""
    return {"$type": "app.bsky.embed.images", "images": [{"image": blob, "alt": alt} for blob, alt in uploaded]}


def _features(text: str, dids: Mapping[str, str]) -> Iterator[tuple[int, int, Json]]:
    for match in LINK.finditer(text):
        link = _trimmed(match[0])
        yield match.start(), match.start() + len(link), {"$type": "app.bsky.richtext.facet#link", "uri": link}
    for match in MENTION.finditer(text):
        if (did := dids.get(match[1].lower())) is not None:
            yield match.start(), match.end(), {"$type": "app.bsky.richtext.facet#mention", "did": did}
    for match in TAG.finditer(text):
        if len(match[1]) <= LONGEST_TAG:
            yield match.start(), match.end(), {"$type": "app.bsky.richtext.facet#tag", "tag": match[1]}


def _trimmed(link: str) -> str:
    """The link without the punctuation of the sentence that follows it."""
    trimmed = link.rstrip(".,;:!?'")
    if trimmed.endswith(")") and trimmed.count(")") > trimmed.count("("):
        trimmed = trimmed[:-1]
    return trimmed if trimmed == link else _trimmed(trimmed)


def _byte_offset(text: str, index: int) -> int:
    return len(text[:index].encode())
