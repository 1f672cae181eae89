"""Ids that look like Meta's, numbers of 15 to 19 digits, converted from and to the world's."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable
from typing import Final

from sandbox.entities import PEOPLE_PER_COMMUNITY, Community

APP: Final = "2400350000000001"
"""The id of the application that all tokens belong to."""

STORY: Final = "1221"
PHOTO: Final = "1222"
THREAD: Final = "1223"
MEDIA: Final = "1791"
IG_COMMENT: Final = "1785"
CONTAINER: Final = "1788"
CHILD: Final = "1795"
TAGGED: Final = "1793"
_PSID: Final = 6_000_000_000_000_000
_IGSID: Final = 8_000_000_000_000_000
_NUMBER: Final = re.compile(r"(\d{4})(\d{2,4})(\d{11})")


def is_instagram(c: Community) -> bool:
    return c.profile.platform == "instagram"


def page(c: Community) -> str:
    """The Page's id; for an Instagram account, that of the Page it is connected to."""
    return f"{100_000_000_000_000 + c.profile.number}"


def user(c: Community) -> str:
    """The id of the user who manages the community."""
    return f"{10_220_000_000_000_000 + c.profile.number}"


def app_scoped(c: Community) -> str:
    """An account's app-scoped id, used only with Instagram Login."""
    return f"{27_000_000_000_000_000 + c.profile.number}"


def person(c: Community, number: int) -> str:
    """A customer's id, scoped to this Page or account."""
    return str((_IGSID if is_instagram(c) else _PSID) + number)


def number_of(c: Community, text: str) -> int | None:
    """The inverse of `person`; None for an id that is not of this community."""
    if not text.isascii() or not text.isdecimal():
        return None
    number = int(text) - (_IGSID if is_instagram(c) else _PSID)
    return number if number // PEOPLE_PER_COMMUNITY == c.profile.number else None


def make(kind: str, c: Community, number: int) -> str:
    return f"{kind}{c.profile.number:02d}{number:011d}"


def read(text: str, communities: Iterable[Community]) -> tuple[str, Community, int] | None:
    """The inverse of `make`: kind, community and the world's number; None for anything else."""
    parts = _NUMBER.fullmatch(text) if text.isascii() else None
    if parts is None:
        return None
    kind, owner, number = parts.groups()
    return next(((kind, c, int(number)) for c in communities if c.profile.number == int(owner)), None)


def post(c: Community, number: int) -> str:
    return f"{page(c)}_{make(STORY, c, number)}"


def comment(c: Community, post_number: int, number: int) -> str:
    return f"{make(STORY, c, post_number)}_{make(STORY, c, number)}"


def thread(c: Community, number: int) -> str:
    return coded(f"ig_thread:{c.profile.number}:{number}") if is_instagram(c) else f"t_{make(THREAD, c, number)}"


def message(c: Community, number: int) -> str:
    return coded(f"ig_item:{c.profile.number}:{number}") if is_instagram(c) else f"m_{coded(f'{c.key}:{number}')}"


def shortcode(c: Community, number: int) -> str:
    return "D" + urlsafe_b64encode((c.profile.number << 40 | number).to_bytes(7, "big")).decode().rstrip("=")


def coded(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decoded(text: str) -> str:
    """The inverse of `coded`; empty for invalid text."""
    try:
        return urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)).decode()
    except (Base64Error, ValueError):
        return ""
