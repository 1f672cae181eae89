"""Graph's state besides the world: containers, daily figures, subscriptions, and pending reaction events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from sandbox.entities import Community, Entry
from sandbox.graph import ids
from sandbox.instants import DAY, SECOND, parse
from sandbox.ledger import Record
from sandbox.world import World

FEED: Final = frozenset({"feed", "messages", "message_echoes", "messaging_postbacks", "message_edits"})
"""The fields that a Page can subscribe an application to."""
ACCOUNT: Final = frozenset({"comments", "mentions", "messages", "messaging_postbacks"})
"""The fields of an account."""
LOGIN: Final = ACCOUNT - {"mentions"}
"""Those that Instagram's own login can subscribe an application to: mentions are no field of their own there."""
TOPICS: Final = FEED | ACCOUNT
REACTION_BATCH_DELAY: Final = 20 * SECOND
"""How long reactions are collected before they are sent in one request, in milliseconds."""
CONTAINER_LIFE: Final = DAY
_COUNTED: Final = frozenset({
    "post", "view", "save", "save_removed", "share", "quote", "reaction", "reaction_removed", "comment", "reply",
    "comment_deleted",
})  # fmt: skip
_GONE: Final = frozenset({"post_deleted", "post_forgotten"})


@dataclass(frozen=True, slots=True)
class Figures:
    """A post's figures for insights."""

    views: int = 0
    reach: int = 0
    saves: int = 0
    shares: int = 0
    reposts: int = 0
    reactions: int = 0
    comments: int = 0

    @classmethod
    def of(cls, entry: Entry) -> Figures:
        return cls(
            entry.views, entry.reach, entry.saves, entry.shares, entry.quotes, len(entry.reactors), entry.comments
        )


@dataclass(frozen=True, slots=True)
class Container:
    """An Instagram media container, created before publishing."""

    number: int
    at: int
    caption: str
    pictures: tuple[str, ...]
    """The ids of the images it shows."""
    item: bool
    """It is a carousel item and cannot be published alone."""
    carousel: bool
    published: int | None = None


class GraphState:
    """State computed from ledger records: see the module."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._now: dict[tuple[str, int], Figures] = {}
        self._settled: dict[tuple[str, int], tuple[int, Figures]] = {}
        self._waiting: dict[str, list[dict[str, object]]] = {}
        self.containers: dict[str, dict[int, Container]] = {key: {} for key in world.communities}
        self.hidden: set[tuple[str, int]] = set()
        """Comments that are hidden, by community and id."""
        self.installed: dict[str, frozenset[str]] = {}
        """By community: the fields it has subscribed the application to."""
        self.subscribed: dict[str, tuple[str, str, frozenset[str]]] = {}
        """By community: the application's webhook URL, verify token and fields."""
        world.listeners.append(self._follow)

    def settled(self, c: Community, entry: Entry) -> Figures | None:
        """A post's figures at the last midnight (UTC); None in its first 24 hours."""
        if entry.at > self._world.now - DAY:
            return None
        key = (c.key, entry.id)
        day, before = self._settled.get(key, (0, Figures()))
        return before if day == self._world.now // DAY else self._now.get(key, Figures())

    def published(self, c: Community) -> int:
        """The number of posts published in the last 24 hours."""
        since = self._world.now - DAY
        return sum(one.published is not None and one.published > since for one in self.containers[c.key].values())

    def _follow(self, record: Record, c: Community) -> None:
        kind = record["type"]
        if kind in _COUNTED and (kind != "reply" or "post" in record):
            self._count(record, c)
        if kind in {"reaction", "reaction_removed", "share"}:
            self._gather(record, c)
        elif kind in _GONE:
            self._now.pop((c.key, int(record["id"])), None)
            self._settled.pop((c.key, int(record["id"])), None)
        elif kind == "facebook_reactions":
            self._waiting.pop(c.key, None)
        elif kind == "instagram_container":
            detail = record["detail"]
            one = Container(
                record["count"], parse(record["at"]), record["text"], tuple(record["media"]),
                bool(detail["item"]), bool(detail["carousel"]),
            )  # fmt: skip
            self.containers[c.key][one.number] = one
        elif kind == "instagram_published":
            made = self.containers[c.key][record["count"]]
            self.containers[c.key][made.number] = replace(made, published=parse(record["at"]))
        elif kind == "graph_hidden":
            (self.hidden.add if record["detail"]["hidden"] else self.hidden.discard)((c.key, int(record["id"])))
        elif kind == "graph_edited" and (entry := c.mail.get(int(record["id"]))) is not None:
            entry.text = record["text"]
        elif kind == "graph_installed":
            self.installed[c.key] = _names(record["detail"]["fields"])
        elif kind == "graph_subscribed":
            detail = record["detail"]
            self.subscribed[c.key] = (str(detail["url"]), str(detail["verify"]), _names(detail["fields"]))

    def _count(self, record: Record, c: Community) -> None:
        number = int(record["post"] if "post" in record else record["id"])
        entry = c.wall.get(number)
        if entry is None or entry.kind != "post":
            return
        key, day = (c.key, number), self._world.now // DAY
        if self._settled.get(key, (-1, None))[0] != day:
            self._settled[key] = (day, self._now.get(key, Figures()))
        self._now[key] = Figures.of(entry)

    def _gather(self, record: Record, c: Community) -> None:
        if ids.is_instagram(c) or self._world.now < self._world.born:
            return
        change: dict[str, object] = {
            "id": record["id"], "person": record["person"], "at": self._world.now // 1000,
            "item": "share" if record["type"] == "share" else "reaction",
            "verb": "remove" if record["type"] == "reaction_removed" else "add",
        }  # fmt: skip
        waiting = self._waiting.setdefault(c.key, [])
        waiting.append(change)
        if len(waiting) == 1:
            self._world.later(self._world.now + REACTION_BATCH_DELAY, lambda: self._tell(c))

    def _tell(self, c: Community) -> None:
        self._world.emit("facebook_reactions", c, detail={"changes": self._waiting.get(c.key, [])})


def _names(value: object) -> frozenset[str]:
    return frozenset(str(one) for one in value) if isinstance(value, Iterable) else frozenset()
