"""The states of the network that callers have to cope with, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What does not work at the moment."""

    chat: bool = True
    """Whether the chat service answers its proxy."""
    suspended: frozenset[str] = frozenset()
    """Communities whose accounts are suspended: their profiles, feeds and posts are not shown."""


CONDITIONS: Final[Mapping[str, Conditions]] = {
    "usual": Conditions(),
    "chat_down": Conditions(chat=False),
    "suspended_account": Conditions(suspended=frozenset({"velosreda"})),
    "chat_down_and_suspended_account": Conditions(chat=False, suspended=frozenset({"velosreda"})),
}
