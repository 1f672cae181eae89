"""Odnoklassniki's ids, converted from the world's numbers and back."""

from __future__ import annotations

from sandbox.entities import Community, Entry

_PEOPLE = 570_000_000_000


def person(number: int) -> str:
    """A person's id: twelve digits."""
    return str(_PEOPLE + number)


def number(person_id: str) -> int | None:
    """The person of an id, with or without `user:`; None for anything else."""
    text = person_id.removeprefix("user:")
    return int(text) - _PEOPLE if text.isascii() and text.isdecimal() and int(text) > _PEOPLE else None


def admin(c: Community) -> int:
    """The person id of the community's administrator, whose user token it has."""
    return c.number_of(999_999)


def chat(c: Community, peer: int) -> str:
    return f"chat:C{c.profile.number:x}{peer:08x}"


def peer(c: Community, chat_id: str) -> int | None:
    """The person of a chat; None for another community's chat or an invalid id."""
    prefix = f"chat:C{c.profile.number:x}"
    text = chat_id.removeprefix(prefix)
    if not chat_id.startswith(prefix) or len(text) != 8 or any(one not in "0123456789abcdef" for one in text):
        return None
    return int(text, 16)


def message(c: Community, entry: Entry) -> str:
    """The chat's id and the message's running number."""
    return f"mid:{chat(c, entry.peer or 0).removeprefix('chat:')}.{entry.id:x}"
