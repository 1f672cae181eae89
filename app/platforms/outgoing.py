"""What of a draft a platform would not take, told before anything is sent."""

from typing import Final

import regex

from app.platforms.capabilities import OutgoingPost
from app.platforms.contract import Rejected, Spec, TextUnit

GRAPHEME: Final = regex.compile(r"\X")
"""What a reader takes for one character: an emoji of several code points, a letter with its accents."""


def length(text: str, unit: TextUnit) -> int:
    """How long a platform says a text is."""
    match unit:
        case TextUnit.CHARACTERS:
            return len(text)
        case TextUnit.UTF16:
            return len(text.encode("utf-16-le")) // 2
        case TextUnit.GRAPHEMES:
            return len(GRAPHEME.findall(text))


def problems(draft: OutgoingPost, spec: Spec) -> list[str]:
    """Everything that speaks against it, in words; empty where it can be published."""
    may = spec.publishing
    if may is None:
        return [f"nothing can be published on {spec.title} through its API"]
    found = []
    limit = may.caption_limit if draft.pictures and may.caption_limit is not None else spec.text_limit
    long = length(draft.text, spec.text_unit)
    if long > limit:
        found.append(f"the text has {long} characters, {spec.title} takes {limit}")
    if not draft.pictures and not may.text_alone:
        found.append(f"{spec.title} takes no post without a picture")
    if not draft.pictures and not draft.text.strip():
        found.append("there is neither text nor picture")
    if len(draft.pictures) > may.pictures:
        found.append(f"there are {len(draft.pictures)} pictures, {spec.title} takes {may.pictures}")
    for number, picture in enumerate(draft.pictures, 1):
        if may.by_url:
            if picture.url is None:
                found.append(f"picture {number} has no public address, from which {spec.title} would fetch it")
        elif picture.media_type not in may.picture_types:
            found.append(f"picture {number} is {picture.media_type}, {spec.title} takes {_listed(may.picture_types)}")
        elif len(picture.content) > may.picture_bytes:
            found.append(f"picture {number} has {len(picture.content)} bytes, {spec.title} takes {may.picture_bytes}")
    return found


def check(draft: OutgoingPost, spec: Spec) -> None:
    """`Rejected`, with all that speaks against it, where a draft cannot be published."""
    if found := problems(draft, spec):
        raise Rejected("; ".join(found))


def _listed(types: frozenset[str]) -> str:
    return ", ".join(sorted(types))
