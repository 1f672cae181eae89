"""The world: state computed from ledger records, and the queue of scheduled events.

Every change is written as a record and applied from that record alone, so the ledger determines the
state. Nothing here reads a clock: the caller passes the time to `advance`. The same seed, `born` and
accepted effects give the same world, however many requests there are and in what steps it advances.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from itertools import count
from typing import Final, TypeAlias, Unpack

from sandbox import instants
from sandbox.entities import Community, Dialog, Entry, EntryKind, Media, Notice, Profile, attached
from sandbox.ledger import Fields, ForeignLedgerError, Ledger, Origin, Record

MAX_POSTS: Final = 500
"""A community's older posts are removed with their comments, to bound memory."""
MAX_MENTIONS: Final = 2000
MAX_DIALOGS: Final = 1500
MAX_DIALOG: Final = 400
MAX_KEYS: Final = 20_000
MAX_MEDIA: Final = 1000

_CREATES: Final[dict[str, EntryKind]] = {
    "post": "post",
    "comment": "comment",
    "mention": "mention",
    "message": "message",
}

ScheduledAction: TypeAlias = Callable[[], None]
RecordListener: TypeAlias = Callable[[Record, Community], None]


class World:
    """All communities at virtual time `now`."""

    def __init__(
        self,
        *,
        seed: int,
        born: int,
        ledger: Ledger,
        profiles: Iterable[Profile],
        history: int = 60 * instants.DAY,
    ) -> None:
        self.seed = seed
        self.born = born
        self.began = born - history
        self.now = self.began
        self.ledger = ledger
        self.communities = {profile.key: Community(profile) for profile in profiles}
        self.listeners: list[RecordListener] = []
        """Called with every record after it was applied."""
        self.keys: OrderedDict[str, Record] = OrderedDict()
        """Records by idempotency key, oldest first."""
        self._queue: list[tuple[int, int, ScheduledAction]] = []
        self._turn = count()
        self._notice = count(1)
        self._flakes: defaultdict[str, count[int]] = defaultdict(count)
        """By platform, so that adding a platform does not change the ids of others."""

    # ── time ──────────────────────────────────────────────────────────────────────────────────

    def later(self, at: int, happening: ScheduledAction) -> None:
        """Schedule `happening` at `at` (milliseconds), at the earliest one millisecond from now."""
        heapq.heappush(self._queue, (max(at, self.now + 1), next(self._turn), happening))

    def advance(self, to: int) -> None:
        """Run everything scheduled up to and including `to`, in order. No effect if `to` is in the past."""
        queue = self._queue
        while queue and queue[0][0] <= to:
            at, _, happening = heapq.heappop(queue)
            self.now = at
            happening()
        self.now = max(self.now, to)
        self.ledger.flush()

    # ── change ────────────────────────────────────────────────────────────────────────────────

    def write_beginning(self) -> None:
        """Write the first records. Raises `ForeignLedgerError` if the ledger is of another world."""
        self.ledger.append(
            Record(
                n=0, at=instants.text(self.began), type="world", origin="world",
                detail={"seed": self.seed, "born": instants.text(self.born)},
            )
        )  # fmt: skip
        for community in self.communities.values():
            self.emit("community", community, id=community.profile.external_id, count=community.profile.size)

    def note(self, event: str, community: Community | None = None, /, **fields: Unpack[Fields]) -> None:
        """Write a record that changes nothing in the world."""
        self.ledger.append(self._record(event, community, "note", fields))

    def emit(self, event: str, community: Community, /, origin: Origin = "world", **fields: Unpack[Fields]) -> Record:
        """Write a record at `now`, apply it, call the listeners, and return it."""
        record = self._record(event, community, origin, fields)
        made = _CREATES.get(event) or (record["via"] if event == "reply" else None)
        if made is not None:
            record["id"] = str(self._new_id(community, mail=made == "message"))
        elif event == "media":
            record["id"] = str(community.uploads + 1)
        self.ledger.append(record)
        if origin != "world":
            self.ledger.flush()
        self._apply(record, community)
        for listener in self.listeners:
            listener(record, community)
        return record

    def replay(self, record: Record) -> None:
        """Emit a record of an earlier process again. Raises `ForeignLedgerError` for an unknown community."""
        fields: Fields = {}
        for name in Fields.__annotations__:
            if name in record and name != "id":
                fields[name] = record[name]  # type: ignore[literal-required]  # names are the keys
        if record["type"] not in _CREATES and record["type"] != "reply" and "id" in record:
            fields["id"] = record["id"]
        community = self.communities.get(record.get("community", ""))
        if community is None:
            raise ForeignLedgerError(f"line {record['n']} is about a community that this world does not have")
        self.emit(record["type"], community, record["origin"], **fields)

    def entry(self, community: Community, entry_id: int) -> Entry | None:
        """The wall's entry with this id; None if it does not exist or is deleted."""
        entry = community.wall.get(entry_id)
        return None if entry is None or entry.deleted else entry

    def _record(self, event: str, community: Community | None, origin: Origin, fields: Fields) -> Record:
        record = Record(n=0, at=instants.text(self.now), type=event, origin=origin)
        if community is not None:
            record["platform"] = community.profile.platform
            record["community"] = community.key
        record.update(fields)  # type: ignore[typeddict-item]  # a Record is Fields and more
        return record

    def _new_id(self, community: Community, *, mail: bool) -> int:
        if community.profile.snowflakes:
            return (self.now << 16) | (next(self._flakes[community.profile.platform]) & 0xFFFF)
        return (community.last_mail_id if mail else community.last_wall_id) + 1

    # ── state ──────────────────────────────────────────────────────────────────────────────

    def _apply(self, record: Record, c: Community) -> None:
        match record["type"]:
            case "community":
                c.latest_person = record["count"]
                for index in range(1, record["count"] + 1):
                    c.followers.add(c.number_of(index))
            case "follow":
                self._followed(record, c)
            case "unfollow":
                c.followers.remove(record["person"])
            case "post":
                self._posted(record, c)
            case "comment" | "mention":
                self._commented(record, c, record["person"])
            case "message":
                self._mailed(record, c, record["person"])
            case "reply":
                if record["via"] == "message":
                    self._mailed(record, c, None)
                else:
                    self._commented(record, c, None)
            case "reaction":
                if (entry := self._entry(record, c)) is not None:
                    entry.reactors.add(record["person"])
                    self._notify(c, "favourite", record["person"], entry)
            case "reaction_removed":
                if (entry := self._entry(record, c)) is not None:
                    entry.reactors.discard(record["person"])
            case "share":
                if (entry := self._entry(record, c)) is not None:
                    entry.shares += 1
                    self._notify(c, "reblog", record["person"], entry)
            case "view":
                if (entry := self._entry(record, c)) is not None:
                    entry.views += record["count"]
                    entry.reach += record["unique"]
            case "save" | "save_removed":
                if (entry := self._entry(record, c)) is not None:
                    entry.saves = max(entry.saves + (1 if record["type"] == "save" else -1), 0)
            case "quote":
                if (entry := self._entry(record, c)) is not None:
                    entry.quotes += 1
            case "media":
                self._uploaded(record, c)
            case "post_deleted" | "post_forgotten":
                self._drop_post(c, int(record["id"]))
            case "comment_deleted":
                self._drop_comment(c, int(record["id"]))
            case "post_edited" | "comment_edited":
                if (entry := self._entry(record, c)) is not None:
                    entry.text, entry.edited_at = record["text"], self.now
            case "comment_restored":
                self._restore_comment(record, c)
        if "key" in record:
            self.keys[record["key"]] = record
            if len(self.keys) > MAX_KEYS:
                self.keys.popitem(last=False)

    @staticmethod
    def _entry(record: Record, c: Community) -> Entry | None:
        return c.wall.get(int(record["id"]))

    def _followed(self, record: Record, c: Community) -> None:
        person = record["person"]
        c.followers.add(person)
        c.latest_person = max(c.latest_person, person - c.number_of(0))
        c.notices.append(Notice(next(self._notice), self.now, "follow", person))

    def _notify(self, c: Community, kind: str, person: int, entry: Entry) -> None:
        if entry.person is None:
            c.notices.append(
                Notice(next(self._notice), self.now, "favourite" if kind == "favourite" else "reblog", person, entry.id)
            )

    def _uploaded(self, record: Record, c: Community) -> None:
        c.uploads += 1
        media = Media(record["id"], self.now, record["kind"], record["count"], record.get("detail", {}))
        c.media[media.id] = media
        if len(c.media) > MAX_MEDIA:
            c.media.popitem(last=False)

    def _posted(self, record: Record, c: Community) -> None:
        entry = Entry(
            int(record["id"]), "post", self.now, record["text"], None,
            category=record.get("category", ""), topic=record.get("kind", ""), media=tuple(record.get("media", ())),
        )  # fmt: skip
        c.wall[entry.id] = entry
        c.last_wall_id = entry.id
        c.posts.append(entry.id)
        c.authored.append(entry.id)
        if len(c.posts) > MAX_POSTS:
            oldest = str(c.posts[0])
            self.later(self.now, lambda: self._forget(c, oldest))

    def _forget(self, c: Community, post_id: str) -> None:
        if c.wall.get(int(post_id)) is not None:
            self.emit("post_forgotten", c, id=post_id)

    def _commented(self, record: Record, c: Community, person: int | None) -> None:
        post = int(record["post"]) if "post" in record else None
        parent = int(record["parent"]) if "parent" in record else None
        kind: EntryKind = "comment" if record["type"] == "comment" or record.get("via") == "comment" else "mention"
        entry = Entry(
            int(record["id"]), kind, self.now, record["text"], person,
            post=post, parent=parent, topic=record.get("kind", ""), media=tuple(record.get("media", ())),
            claimed=record.get("claimed", ""),
            attachments=attached(record),
        )  # fmt: skip
        c.wall[entry.id] = entry
        c.last_wall_id = entry.id
        if person is None:
            c.authored.append(entry.id)
        else:
            c.mentions.append(Notice(next(self._notice), self.now, "mention", person, entry.id))
        if kind == "mention" and parent is None:
            c.loose.append(entry.id)
            if len(c.loose) > MAX_MENTIONS:
                self._drop_tree(c, c.loose.popleft())
        under = c.wall.get(parent if parent is not None else post or 0)
        if under is not None:
            under.replies.append(entry.id)
        if post is not None and (root_entry := c.wall.get(post)) is not None:
            root_entry.comments += 1

    def _mailed(self, record: Record, c: Community, person: int | None) -> None:
        peer = record["person"]
        dialog = c.dialogs.get(peer)
        if dialog is None:
            c.dialogs_opened += 1
            dialog = c.dialogs[peer] = Dialog(c.dialogs_opened, peer)
        c.dialogs.move_to_end(peer)
        previous = c.mail.get(dialog.messages[-1]) if dialog.messages else None
        entry = Entry(
            int(record["id"]), "message", self.now, record["text"], person, peer=peer,
            number=1 if previous is None else previous.number + 1,
            parent=int(record["parent"]) if "parent" in record else None, topic=record.get("kind", ""),
            media=tuple(record.get("media", ())), attachments=attached(record),
        )  # fmt: skip
        c.mail[entry.id] = entry
        if entry.parent is not None and (above := c.mail.get(entry.parent)) is not None:
            above.replies.append(entry.id)
        c.last_mail_id = entry.id
        dialog.messages.append(entry.id)
        dialog.unread = 0 if person is None else dialog.unread + 1
        if person is not None:
            c.mentions.append(Notice(next(self._notice), self.now, "mention", person, entry.id))
        if len(dialog.messages) > MAX_DIALOG:
            del c.mail[dialog.messages.pop(0)]
        if len(c.dialogs) > MAX_DIALOGS:
            _, oldest = c.dialogs.popitem(last=False)
            for message in oldest.messages:
                del c.mail[message]

    def _drop_post(self, c: Community, post_id: int) -> None:
        if post_id in c.wall:
            _discard(c.posts, post_id)
            self._drop_tree(c, post_id)

    @staticmethod
    def _drop_tree(c: Community, entry_id: int) -> None:
        """Remove an entry and all replies below it."""
        below = [entry_id]
        while below:
            entry = c.wall.pop(below.pop(), None)
            if entry is not None:
                entry.deleted = True
                _discard(c.authored, entry.id)
                below.extend(entry.replies)

    def _drop_comment(self, c: Community, entry_id: int) -> None:
        """Delete a comment; one with replies stays as an empty placeholder until they are gone."""
        entry = c.wall.get(entry_id)
        if entry is None or entry.deleted:
            return
        entry.deleted = True
        entry.text, entry.attachments = "", ()
        _discard(c.authored, entry_id)
        if entry.post is not None and (root_entry := c.wall.get(entry.post)) is not None:
            root_entry.comments -= 1
        gone: Entry | None = entry
        while gone is not None and gone.deleted and not gone.replies:
            del c.wall[gone.id]
            above = c.wall.get(gone.parent if gone.parent is not None else gone.post or 0)
            if above is not None:
                above.replies.remove(gone.id)
            gone = above

    @staticmethod
    def _restore_comment(record: Record, c: Community) -> None:
        """Put a deleted comment back in its place, if its post and parent still exist."""
        post, parent = int(record["post"]), int(record["parent"]) if "parent" in record else None
        root_entry, above = c.wall.get(post), c.wall.get(post if parent is None else parent)
        if root_entry is None or above is None:
            return
        entry = c.wall.get(int(record["id"]))
        if entry is None:
            written = instants.parse(str(record["detail"]["at"]))
            entry = Entry(int(record["id"]), "comment", written, "", record["person"], post=post, parent=parent)
            c.wall[entry.id] = entry
            insort(above.replies, entry.id)
        entry.text, entry.deleted = record["text"], False
        root_entry.comments += 1


def _discard(ordered: list[int], value: int) -> None:
    position = bisect_left(ordered, value)
    if position < len(ordered) and ordered[position] == value:
        del ordered[position]
