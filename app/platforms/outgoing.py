"""Checks of a post before it is sent: the reasons for which a platform would refuse it."""

from typing import Final

import regex

from app.platforms.capabilities import OutgoingPost
from app.platforms.contract import Rejected, Spec, TextLimit, TextUnit

GRAPHEME: Final = regex.compile(r"\X")
"""A character as readers count it: an emoji of several code points, a letter with its accents."""


def length(text: str, unit: TextUnit) -> int:
    """The length of a text as the platform counts it."""
    match unit:
        case TextUnit.CHARACTERS:
            return len(text)
        case TextUnit.UTF16:
            return len(text.encode("utf-16-le")) // 2
        case TextUnit.GRAPHEMES:
            return len(GRAPHEME.findall(text))
        case TextUnit.BYTES:
            return len(text.encode())


def excess(text: str, limit: TextLimit) -> str | None:
    """What a text has too much of, for people: `at most 300 characters; these are 301`; None where it fits."""
    counts = [(limit.most, "bytes" if limit.unit is TextUnit.BYTES else "characters", length(text, limit.unit))]
    if limit.most_bytes is not None:
        counts.append((limit.most_bytes, "bytes", length(text, TextUnit.BYTES)))
    return next((f"at most {most} {unit}; these are {count}" for most, unit, count in counts if count > most), None)


def problems(draft: OutgoingPost, spec: Spec) -> list[str]:
    """The reasons for which a platform would refuse a post, for people; empty where it can be published."""
    limits = spec.publishing
    if limits is None:
        return [f"nothing can be published on {spec.title} through its API"]
    reasons = []
    limit = limits.caption_limit if draft.pictures and limits.caption_limit is not None else spec.text_limit
    characters = length(draft.text, spec.text_unit)
    if characters > limit:
        reasons.append(f"the text has {characters} characters, {spec.title} takes {limit}")
    size = length(draft.text, TextUnit.BYTES)
    if spec.text_bytes is not None and size > spec.text_bytes:
        reasons.append(f"the text has {size} bytes, {spec.title} takes {spec.text_bytes}")
    if not draft.pictures and not limits.text_alone:
        reasons.append(f"{spec.title} takes no post without a picture")
    if not draft.pictures and not draft.text.strip():
        reasons.append("there is neither text nor picture")
    if len(draft.pictures) > limits.pictures:
        reasons.append(f"there are {len(draft.pictures)} pictures, {spec.title} takes {limits.pictures}")
    for number, picture in enumerate(draft.pictures, 1):
        if limits.by_url and picture.url is None:
            reasons.append(f"picture {number} has no public address, from which {spec.title} would fetch it")
        if picture.media_type not in limits.picture_types:
            types = ", ".join(sorted(limits.picture_types))
            reasons.append(f"picture {number} is {picture.media_type}, {spec.title} takes {types}")
        elif (size := len(picture.content)) > limits.picture_bytes:
            reasons.append(f"picture {number} has {size} bytes, {spec.title} takes {limits.picture_bytes}")
    return reasons


def check(draft: OutgoingPost, spec: Spec) -> None:
    """Raise `Rejected` with all reasons of `problems`, if there are any."""
    if reasons := problems(draft, spec):
        raise Rejected("; ".join(reasons))
