"""YouTube's ids, converted from and to the world's numbers."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from sandbox.entities import Community, Entry

_CHANNEL: Final = b"sandbox!"
_PERSON: Final = b"a person"
_COMMENT: Final = "Ugx{}AAAAA4AaABAg"


def text(number: bytes) -> str:
    """base64url without its padding."""
    return urlsafe_b64encode(number).decode().rstrip("=")


def number(said: str) -> bytes | None:
    """The inverse of `text`; None for anything else."""
    try:
        decoded = urlsafe_b64decode(said + "=" * (-len(said) % 4))
    except ValueError:
        return None
    return decoded if text(decoded) == said else None


def _entry(entry_id: int) -> str:
    return text(entry_id.to_bytes(8, "big"))


def video(entry: Entry) -> str:
    """A video id of 11 characters."""
    return _entry(entry.id)


def entry_of(said: str) -> int | None:
    """The number in a video id, or in an 11-character part of a comment id; None if invalid."""
    entry_number = number(said) if len(said) == 11 else None
    return None if entry_number is None else int.from_bytes(entry_number, "big")


def comment(root_comment: Entry, entry: Entry) -> str:
    """A comment id; a reply's is its top-level comment's id, a dot, and its own part."""
    thread = _COMMENT.format(_entry(root_comment.id))
    return thread if entry is root_comment else f"{thread}.{_entry(root_comment.id)}{_entry(entry.id)}"


def comment_of(said: str) -> int | None:
    """The number of a comment or reply id; None if invalid."""
    thread, _, own = said.partition(".")
    if own:
        return entry_of(own[11:])
    entry_id = entry_of(thread[3:14])
    return entry_id if entry_id is not None and thread == _COMMENT.format(thread[3:14]) else None


def channel(community_number: int) -> str:
    """A channel id: `UC` and 22 characters."""
    return f"UC{text(_CHANNEL + community_number.to_bytes(8, 'big'))}"


def person(person_number: int) -> str:
    """The channel id of a person who comments."""
    return f"UC{text(_PERSON + person_number.to_bytes(8, 'big'))}"


def uploads(c: Community) -> str:
    """The id of a channel's uploads playlist."""
    return f"UU{c.profile.external_id[2:]}"
