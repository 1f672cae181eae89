"""What the service must show of a Mastodon or Bluesky community, computed from the sandbox's ledger alone.

Nothing here uses the service's code. `VisibleState` is made twice, from the ledger and from the service's answers, and
the two are compared.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, Final

from sandbox import instants, recount
from sandbox.bluesky import ids as bluesky_ids
from sandbox.entities import Profile
from sandbox.ledger import Record
from sandbox.wire_formats import discover_wire_formats, profiles

COUNTERS: Final = {
    "mastodon": ("reactions", "comments", "shares"),
    "bluesky": ("reactions", "comments", "shares", "saves", "quotes"),
}
_WRITTEN: Final = frozenset({"comment", "mention", "message", "reply"})
_MENTIONS: Final = re.compile(r"^(?:@\S+\s+)+")
_PROFILES: Final = {profile.key: profile for profile in profiles(discover_wire_formats())}


@dataclass(frozen=True, slots=True)
class VisibleMessage:
    """A message of an inquiry."""

    external_id: str
    ours: bool
    text: str
    deleted: bool
    at: datetime = field(compare=False)


@dataclass(frozen=True, slots=True)
class Wait:
    """From a customer's question to the answer; `ended` is None while it lasts."""

    started: datetime
    ended: datetime | None


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A conversation with one customer."""

    channel: str
    messages: tuple[VisibleMessage, ...]
    waits: tuple[Wait, ...]
    status: str

    def __str__(self) -> str:
        messages = [
            f"{'us' if one.ours else 'them'}: {one.text!r}{' (deleted)' * one.deleted} {one.at:%H:%M:%S}"
            for one in self.messages
        ]
        waits = [f"{one.started:%H:%M:%S}–{one.ended and f'{one.ended:%H:%M:%S}'}" for one in self.waits]
        return f"{self.channel} {self.status}; {', '.join(messages)}; waits {', '.join(waits)}"


@dataclass(slots=True)
class VisibleState:
    """All of a community that can be compared."""

    size: int | None
    posts: dict[tuple[datetime, str], Mapping[str, int | None]]
    """The counters of each post that exists, by the second in which it was published and its text."""
    inquiries: list[Inquiry]
    first_response: float | None
    """The median of the first waits that have ended, in seconds; None without any."""

    def differences(self, other: "VisibleState", *, within: timedelta = timedelta(0)) -> list[str]:
        """What is in one of the two alone; instants may differ by `within`."""
        differences = [] if self.size == other.size else [f"size: {self.size} here, {other.size} there"]
        differences += [
            f"post {post[1]!r} of {post[0]}: {self.posts.get(post)} here, {other.posts.get(post)} there"
            for post in sorted(self.posts.keys() | other.posts.keys())
            if self.posts.get(post) != other.posts.get(post)
        ]
        by_first = {inquiry.messages[0].external_id: inquiry for inquiry in other.inquiries}
        for inquiry in self.inquiries:
            there_inquiry = by_first.pop(inquiry.messages[0].external_id, None)
            if there_inquiry is None or not _alike(inquiry, there_inquiry, within):
                differences.append(f"inquiry:\n  here  {inquiry}\n  there {there_inquiry}")
        differences += [f"inquiry only there: {one}" for one in by_first.values()]
        here_median, there_median = self.first_response, other.first_response
        both_known = here_median is not None and there_median is not None
        if (here_median is None) != (there_median is None) or (
            both_known and abs((here_median or 0) - (there_median or 0)) > max(within.total_seconds() * 2, 1)
        ):
            differences.append(f"first response: {here_median} s here, {there_median} s there")
        return differences


def _alike(here: Inquiry, there: Inquiry, within: timedelta) -> bool:
    if (here.channel, here.messages, here.status) != (there.channel, there.messages, there.status):
        return False
    ours = [(one.started, one.ended) for one in here.waits]
    others = [(one.started, one.ended) for one in there.waits]
    pairs = [
        (here_at, there_at) for wait in zip(ours, others, strict=False) for here_at, there_at in zip(*wait, strict=True)
    ]
    return len(ours) == len(others) and all(
        here_at == there_at if here_at is None or there_at is None else abs(here_at - there_at) <= within
        for here_at, there_at in pairs
    )


# ── from the ledger ───────────────────────────────────────────────────────────────────────────────


def expected(
    records: Sequence[Record],
    community: str,
    *,
    since: datetime,
    unseen: Collection[str] = (),
    without: Collection[str] = (),
    read_from: int = 0,
) -> VisibleState:
    """What the service must show once it has read everything.

    `since`: what is older is not read. `unseen`: ids of messages that the platform does not show; `without`: kinds
    that it does not. `read_from`: the number of the last record before the service's first poll: what was deleted
    before is unknown to it.
    """
    own = [one for one in records if one.get("community") == community and one["origin"] != "note"]
    tally = recount.tallies(records, instants.parse(records[-1]["at"]))[community]
    posts = _posts(own, since)
    names = COUNTERS[_PROFILES[community].platform]
    inquiries = _inquiries(own, _PROFILES[community], since, posts, {*unseen}, {*without}, read_from)
    return VisibleState(
        size=tally.size,
        posts={
            (_second(_at(one)), _plain(one["text"])): {name: getattr(tally.posts[one["id"]], name) for name in names}
            for one in posts.values()
        },
        inquiries=inquiries,
        first_response=_first_response(inquiries),
    )


def _posts(records: Iterable[Record], since: datetime) -> dict[str, Record]:
    by_id: dict[str, Record] = {}
    for one in records:
        if one["type"] == "post" and _at(one) >= since:
            by_id[one["id"]] = one
        elif one["type"] == "post_edited" and one["id"] in by_id:
            by_id[one["id"]] = {**by_id[one["id"]], "text": one["text"]}
        elif one["type"] in {"post_deleted", "post_forgotten"}:
            by_id.pop(one["id"], None)
    return by_id


def _inquiries(
    records: Sequence[Record],
    profile: Profile,
    since: datetime,
    posts: Mapping[str, Record],
    unseen: set[str],
    without: set[str],
    read_from: int,
) -> list[Inquiry]:
    written = {one["id"]: one for one in records if one["type"] in _WRITTEN}
    texts = {one["id"]: one["text"] for one in records if one["type"] == "comment_edited"}
    deleted = {one["id"]: one["n"] for one in records if one["type"] == "comment_deleted"}
    conversations: dict[tuple[str, ...], list[Record]] = {}
    for one in written.values():
        kind = _kind(one)
        if kind in without or one["id"] in unseen or _at(one) < since or deleted.get(one["id"], read_from) < read_from:
            continue
        if "post" in one and one["post"] not in posts and one["type"] == "reply":
            continue
        conversations.setdefault(_conversation(one, written, profile), []).append(one)
    inquiries = []
    for messages in conversations.values():
        if any(one["type"] != "reply" for one in messages):
            visible_messages = tuple(
                VisibleMessage(
                    _external_id(one, profile),
                    one["type"] == "reply",
                    _plain(texts.get(one["id"], one["text"])),
                    one["id"] in deleted,
                    _at(one),
                )
                for one in messages
            )
            inquiries.append(_inquiry(_kind(messages[0]), visible_messages))
    return sorted(inquiries, key=lambda one: one.messages[0].external_id)


def _kind(record: Record) -> str:
    return record["via"] if record["type"] == "reply" else record["type"]


def _conversation(record: Record, written: Mapping[str, Record], profile: Profile) -> tuple[str, ...]:
    """What distinguishes the conversation of a message from others."""
    if _kind(record) == "message":
        return "message", str(record["person"])
    chain = [record]
    while (above := written.get(chain[-1].get("parent", ""))) is not None:
        chain.append(above)
    customer = next((str(one["person"]) for one in chain if one["type"] != "reply"), "")
    if "post" in record:
        # Mastodon: below each direct comment its own; Bluesky: one below the post.
        return "comment", chain[-1]["id"] if profile.platform == "mastodon" else record["post"], customer
    return "mention", chain[-1]["id"], customer


def _external_id(record: Record, profile: Profile) -> str:
    if profile.platform == "mastodon":
        return record["id"]
    key = bluesky_ids.rkey(int(record["id"]))
    if _kind(record) == "message":
        return f"{bluesky_ids.tid(record['person'])}/{key}"
    author = profile.number if record["type"] == "reply" else record["person"]
    key = str(record.get("detail", {}).get("rkey", key))
    return bluesky_ids.uri(bluesky_ids.did(author), bluesky_ids.POST, key)


def _inquiry(channel: str, messages: Sequence[VisibleMessage]) -> Inquiry:
    """An inquiry with its waits: from a customer's first unanswered message to the next answer.

    What a customer deleted starts no wait, unless an answer comes next; a deleted answer is none.
    """
    messages = sorted(messages, key=_in_order)
    waits: list[Wait] = []
    waiting: datetime | None = None
    withdrawn: datetime | None = None
    customer_wrote = answered = False
    for one in messages:
        if not one.ours:
            customer_wrote = True
            if one.deleted:
                withdrawn = withdrawn or one.at
            else:
                waiting = waiting or one.at
        elif customer_wrote and not one.deleted:
            answered = True
            if (start := waiting or withdrawn) is not None:
                waits.append(Wait(start, one.at))
            waiting = withdrawn = None
    if waiting is not None:
        waits.append(Wait(waiting, None))
    everything_withdrawn = not answered and all(one.deleted for one in messages if not one.ours)
    status = "open" if waiting is not None else "resolved" if everything_withdrawn else "answered"
    return Inquiry(channel, tuple(messages), tuple(waits), status)


def _first_response(inquiries: Iterable[Inquiry]) -> float | None:
    first = [one.waits[0] for one in inquiries if one.waits]
    seconds = [(one.ended - one.started).total_seconds() for one in first if one.ended is not None]
    return median(seconds) if seconds else None


# ── from the service ──────────────────────────────────────────────────────────────────────────────


def visible(
    platform: str,
    *,
    size: int | None,
    posts: Iterable[tuple[Mapping[str, Any], Mapping[str, int | None]]],
    inquiries: Iterable[Mapping[str, Any]],
    first_response: float | None,
) -> VisibleState:
    """The same from the service's answers: each post with its counters, each inquiry with its messages, and a KPI."""
    read = sorted((_read_inquiry(one) for one in inquiries), key=lambda one: one.messages[0].external_id)
    return VisibleState(
        size=size,
        posts={
            (_second(_utc(post["published_at"])), _plain(post["text"])): {
                name: counters[name] for name in COUNTERS[platform]
            }
            for post, counters in posts
            if post["gone_at"] is None
        },
        inquiries=read,
        first_response=first_response,
    )


def _read_inquiry(inquiry: Mapping[str, Any]) -> Inquiry:
    messages = tuple(
        VisibleMessage(
            str(one["external_id"]),
            one["direction"] == "agency",
            _plain(one["text"]),
            one["deleted_at"] is not None,
            _utc(one["sent_at"]),
        )
        for one in inquiry["messages"]
        if one["delivery"] in {None, "sent"}  # else it is not on the platform
    )
    waits = (Wait(_utc(one["started_at"]), one["ended_at"] and _utc(one["ended_at"])) for one in inquiry["waits"])
    return Inquiry(inquiry["channel"], tuple(sorted(messages, key=_in_order)), tuple(waits), inquiry["status"])


def _at(record: Record) -> datetime:
    """When something was written, as the platform says: Bluesky, by the record's own date if it is not later."""
    at = datetime.fromisoformat(record["at"])
    written = record.get("detail", {}).get("record")
    return min(at, datetime.fromisoformat(str(written["createdAt"]))) if isinstance(written, dict) else at


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _in_order(message: VisibleMessage) -> tuple[datetime, bool, str]:
    return _second(message.at), message.ours, message.external_id


def _second(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def _plain(text: str) -> str:
    """A text without leading mentions, its whitespace normalised."""
    return " ".join(_MENTIONS.sub("", text.strip()).split())
