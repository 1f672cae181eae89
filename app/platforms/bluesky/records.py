"""What we write into a repository: posts, under keys of our own."""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

POST: Final = "app.bsky.feed.post"
SORTABLE: Final = "234567abcdefghijklmnopqrstuvwxyz"
"""The digits of a TID."""

NAME: Final = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
LINK: Final = re.compile(r"https?://[^\s<>\"]+")
MENTION: Final = re.compile(rf"(?<![\w@/.-])@({NAME})(?![\w-])")
TAG: Final = re.compile(r"(?<![\w#/&])#(\w*[^\W\d_]\w*)")
LONGEST_TAG: Final = 64

Json = dict[str, object]


def rkey(key: str) -> str:
    """The key of the record that is written for `key`: the same for the same.

    It has the form of a TID, as posts' must, and 60 bits of its own; so its moment, which nobody relies
    on, lies before 2007, and never in the future.
    """
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 4
    return "".join(SORTABLE[(number >> shift) & 31] for shift in range(60, -1, -5))


def uri(did: str, key: str) -> str:
    return f"at://{did}/{POST}/{rkey(key)}"


def post(text: str, at: datetime, dids: Mapping[str, str]) -> Json:
    """A post that was written at `at`; `dids` are those of the handles that it mentions."""
    moment = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"$type": POST, "text": text, "createdAt": moment, **annotated(text, dids)}


def annotated(text: str, dids: Mapping[str, str]) -> Json:
    """The `facets` of a text, where it has any: without them its links cannot be followed."""
    facets = [
        {"index": {"byteStart": _bytes(text, start), "byteEnd": _bytes(text, end)}, "features": [feature]}
        for start, end, feature in sorted(_features(text, dids), key=lambda found: found[:2])
    ]
    return {"facets": facets} if facets else {}


def mentioned(text: str) -> tuple[str, ...]:
    """The handles that a text mentions."""
    return tuple(dict.fromkeys(match[1].lower() for match in MENTION.finditer(text)))


def images(uploaded: Collection[tuple[Mapping[str, object], str]]) -> Json:
    """Pictures as they go into a post: each one's blob, and what it shows."""
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
    """Without the punctuation of the sentence in which it stands."""
    trimmed = link.rstrip(".,;:!?'")
    if trimmed.endswith(")") and trimmed.count(")") > trimmed.count("("):
        trimmed = trimmed[:-1]
    return trimmed if trimmed == link else _trimmed(trimmed)


def _bytes(text: str, place: int) -> int:
    return len(text[:place].encode())
