"""Records written through the API, under the keys of their authors."""

from dataclasses import dataclass
from typing import cast

from sandbox.entities import Community
from sandbox.ledger import Record
from sandbox.world import World

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Written:
    """A record as sent."""

    rkey: str
    value: Json


class Repos:
    """What the world does not store of the communities' own posts."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._written: dict[tuple[str, int], Written] = {}
        self._ids: dict[tuple[str, str], int] = {}
        world.listeners.append(self._follow)

    def written(self, c: Community, entry_id: int) -> Written | None:
        """The record of an entry; None for one that was not written through the API."""
        return self._written.get((c.key, entry_id))

    def find(self, c: Community, rkey: str) -> int | None:
        """The entry of a record that was written and still exists."""
        entry_id = self._ids.get((c.key, rkey))
        return None if entry_id is None or self._world.entry(c, entry_id) is None else entry_id

    def _follow(self, record: Record, c: Community) -> None:
        detail = record.get("detail", {})
        if record["type"] in ("post", "reply") and "rkey" in detail:
            written = Written(str(detail["rkey"]), cast("Json", detail["record"]))
            self._written[c.key, int(record["id"])] = written
            self._ids[c.key, written.rkey] = int(record["id"])
        elif record["type"] == "bluesky_put":
            previous = self._written[c.key, int(record["id"])]
            self._written[c.key, int(record["id"])] = Written(previous.rkey, cast("Json", detail["record"]))
        elif record["type"] in ("post_deleted", "post_forgotten", "comment_deleted"):
            removed = self._written.pop((c.key, int(record["id"])), None)
            if removed is not None:
                self._ids.pop((c.key, removed.rkey), None)
