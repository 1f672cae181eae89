"""A bot's updates: each delivered once, by webhook or `getUpdates`, within 24 hours."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from sandbox.entities import Community
from sandbox.hooks import Delivery, Hook, Subscription
from sandbox.instants import DAY, SECOND
from sandbox.ledger import Record
from sandbox.telegram import wire_models
from sandbox.telegram.wire_models import Json
from sandbox.world import World

REACTION_COUNTS: Final = "message_reaction_count"
MEMBERS: Final = "chat_member"
KINDS: Final = (
    "message", "edited_message", "channel_post", "edited_channel_post", REACTION_COUNTS, "my_chat_member", MEMBERS
)  # fmt: skip
DEFAULT_KINDS: Final = frozenset(KINDS) - {REACTION_COUNTS, MEMBERS}
"""The update types of a bot that has set none."""
REACTION_DELAY: Final = 90 * SECOND
"""How long changes of a post's reactions are collected into one update."""
MAX_PENDING: Final = 10_000


@dataclass(frozen=True, slots=True)
class Update:
    """One update; `at` in milliseconds."""

    id: int
    at: int
    kind: str
    chat: int
    body: Json

    @property
    def whole(self) -> Json:
        return {"update_id": self.id, self.kind: self.body}


def updates_of(world: World, c: Community, record: Record) -> list[Update]:
    """The updates of a record that has just been applied; none for the bot's own actions."""
    events = _update_bodies(world, c, record)
    first = record["n"] * 2 * wire_models.PARTS
    return [
        Update(first + index, world.now, kind, chat, body) for index, (kind, chat, body) in enumerate(events)
    ]  # fmt: skip


def _update_bodies(world: World, c: Community, record: Record) -> list[tuple[str, int, Json]]:
    kind, by_bot = record["type"], record["origin"] == "api"
    if kind == "post":
        entry = c.wall[int(record["id"])]
        here = wire_models.channel_id(c), wire_models.group_id(c)
        posts = [
            ("channel_post", here[0], wire_models.post(c, entry, part))
            for part in wire_models.parts(entry)
            if not by_bot
        ]
        return posts + [("message", here[1], wire_models.forward(c, entry, part)) for part in wire_models.parts(entry)]
    if kind == "comment" or (kind == "reply" and record["via"] == "comment" and not by_bot):
        return [("message", wire_models.group_id(c), wire_models.comment(c, c.wall[int(record["id"])], world.born))]
    if kind == "message":
        return [("message", record["person"], wire_models.direct(c, c.mail[int(record["id"])]))]
    if kind in {"follow", "unfollow"}:
        link = str(record.get("detail", {}).get("invite_link", ""))
        changed = wire_models.member_changed(c, record["person"], world.now, joined=kind == "follow", link=link)
        return [(MEMBERS, wire_models.channel_id(c), changed)]
    if kind == "telegram_reactions":
        return [
            (REACTION_COUNTS, wire_models.channel_id(c), wire_models.reactions(c, c.wall[int(record["id"])], world.now))
        ]
    return []


class Updates:
    """The updates waiting for `getUpdates`, by bot; none are added while a webhook is set."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: dict[str, deque[Update]] = {}
        self._allowed_kinds: dict[str, frozenset[str]] = {}
        self._hooks: dict[str, set[str]] = {}
        self._scheduled: set[tuple[str, str]] = set()
        world.listeners.append(self._follow)

    def unconfirmed(self, c: Community) -> Sequence[Update]:
        """Unconfirmed updates not older than a day, oldest first."""
        queue = self._waiting.setdefault(c.key, deque(maxlen=MAX_PENDING))
        while queue and queue[0].at <= self._world.now - DAY:
            queue.popleft()
        return tuple(queue)

    def allowed_kinds(self, c: Community) -> frozenset[str]:
        return self._allowed_kinds.get(c.key, DEFAULT_KINDS)

    def confirm(self, c: Community, before: int) -> None:
        """Drop the updates with smaller ids."""
        if any(update.id < before for update in self.unconfirmed(c)):
            self._world.emit("telegram_read", c, "api", count=before)

    def allow(self, c: Community, kinds: Iterable[str]) -> None:
        """Deliver only these update types from now on; for an empty list the default ones."""
        allowed = frozenset(kinds) & set(KINDS) or DEFAULT_KINDS
        if allowed != self.allowed_kinds(c):
            self._world.emit("telegram_wanted", c, "api", detail={"kinds": sorted(allowed)})

    def give_back(self, c: Community, deliveries: Iterable[Delivery]) -> None:
        """Queue updates again that a webhook did not accept; in memory only."""
        for one in deliveries:
            whole = orjson.loads(one.body)
            body = whole[one.kind]
            self._waiting[c.key].append(
                Update(whole["update_id"], self._world.now, one.kind, body["chat"]["id"], body)
            )  # fmt: skip

    def _follow(self, record: Record, c: Community) -> None:
        if c.profile.platform != "telegram" or self._world.now < self._world.born - DAY:
            return
        match record["type"]:
            case "telegram_read":
                queue = self._waiting.get(c.key, deque())
                while queue and queue[0].id < record["count"]:
                    queue.popleft()
            case "telegram_wanted":
                kinds = record["detail"]["kinds"]
                self._allowed_kinds[c.key] = frozenset(kinds) if isinstance(kinds, list) else DEFAULT_KINDS
            case "callback_set":
                hooks = self._hooks.setdefault(c.key, set())
                server = str(record["detail"]["server"])
                (hooks.add if record["detail"]["url"] else hooks.discard)(server)
            case "reaction" | "reaction_removed":
                self._schedule_counts(c, record["id"])
            case _ if not self._hooks.get(c.key):
                updates = (
                    update for update in updates_of(self._world, c, record) if update.kind in self.allowed_kinds(c)
                )
                self._waiting.setdefault(c.key, deque(maxlen=MAX_PENDING)).extend(updates)

    def _schedule_counts(self, c: Community, post_id: str) -> None:
        entry = c.wall.get(int(post_id))
        if entry is None or entry.kind != "post" or (c.key, post_id) in self._scheduled:
            return
        self._scheduled.add((c.key, post_id))

        def emit_counts() -> None:
            self._scheduled.discard((c.key, post_id))
            if int(post_id) in c.wall:
                self._world.emit("telegram_reactions", c, id=post_id)

        self._world.later(self._world.now + REACTION_DELAY, emit_counts)


def delivery(one: Subscription, update: Update) -> Delivery:
    headers = {"Content-Type": "application/json"}
    if one.secret:
        headers["X-Telegram-Bot-Api-Secret-Token"] = one.secret
    return Delivery(name=str(update.id), kind=update.kind, body=orjson.dumps(update.whole), headers=headers)


def _events(world: World, one: Subscription, c: Community, record: Record) -> Iterable[Delivery]:
    return (delivery(one, update) for update in updates_of(world, c, record))


HOOK: Final = Hook(
    events=_events, topics=frozenset(KINDS), control_info=lambda _, c: {"bot": wire_models.bot_id(c.profile)}
)
