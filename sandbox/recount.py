"""Compute from the ledger alone what the world must look like: the test oracle.

It does not use the world or its clock; of the platforms it uses only their communities' profiles, which say what is
counted. Instants are milliseconds since 1970; "at an instant" includes records of exactly that millisecond.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from sandbox import instants
from sandbox.entities import Profile
from sandbox.ledger import Record
from sandbox.wire_formats import discover_wire_formats, profiles

CUSTOMERS = ("comment", "mention", "message")
_ENGAGEMENT = frozenset({"reaction", "reaction_removed", "share", "view", "save", "save_removed", "quote"})


@dataclass(slots=True)
class Counters:
    """A post's figures, as its platform counts them."""

    reactions: int = 0
    comments: int = 0
    """Existing comments, at any depth or direct replies only, as the platform counts."""
    shares: int = 0
    views: int | None = None
    """None if the platform does not count views."""
    reach: int | None = None
    saves: int = 0
    quotes: int = 0


@dataclass(slots=True)
class Tally:
    """One community at an instant."""

    size: int = 0
    posts: dict[str, Counters] = field(default_factory=dict)
    """Existing posts, by id."""


@dataclass(slots=True)
class _Folding:
    tally: Tally = field(default_factory=Tally)
    reactors: set[tuple[str, int]] = field(default_factory=set)
    above: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """By comment: its post, and whether it is included in the post's count."""


@cache
def _profiles() -> dict[str, Profile]:
    return {profile.key: profile for profile in profiles(discover_wire_formats())}


def until(records: Iterable[Record], at: int) -> Iterator[Record]:
    """The records up to and including an instant."""
    last = instants.text(at)
    for record in records:
        if record["at"] > last:
            return
        yield record


def tallies(records: Iterable[Record], at: int) -> dict[str, Tally]:
    """Every community's size and posts at an instant, by its key."""
    folding: dict[str, _Folding] = {}
    for record in until(records, at):
        if "community" in record and record["origin"] != "note":
            _fold(folding.setdefault(record["community"], _Folding()), record)
    return {key: one.tally for key, one in folding.items()}


def size(records: Iterable[Record], community: str, at: int) -> int:
    """The community's number of followers at an instant."""
    return tallies(records, at)[community].size


def counters(records: Iterable[Record], community: str, post: str, at: int) -> Counters | None:
    """A post's figures at an instant; None if the post does not exist then."""
    return tallies(records, at)[community].posts.get(post)


def customer_messages(records: Iterable[Record], community: str, start: int, end: int) -> list[Record]:
    """What customers wrote in [`start`, `end`), oldest first, including what was deleted later."""
    return _written(records, community, start, end, CUSTOMERS)


def answers(records: Iterable[Record], community: str, start: int, end: int) -> list[Record]:
    """The community's replies in [`start`, `end`): comments, mentions and messages.

    Direct messages without a recipient (person 0) are left out.
    """
    return [one for one in _written(records, community, start, end, ("reply",)) if one.get("person") != 0]


def answered(records: Iterable[Record], community: str, at: int) -> dict[str, str]:
    """For each customer's message answered by `at`: its id and the time of the first answer.

    A comment or mention is answered by a reply to it; direct messages by the next message to their author.
    """
    first: dict[str, str] = {}
    waiting: dict[int, list[str]] = {}
    for record in until(records, at):
        if record.get("community") != community:
            continue
        if record["type"] == "message":
            waiting.setdefault(record["person"], []).append(record["id"])
        elif record["type"] == "reply" and record["via"] == "message":
            for message in waiting.pop(record["person"], []):
                first[message] = record["at"]
        elif record["type"] == "reply" and "parent" in record:
            first.setdefault(record["parent"], record["at"])
    return first


def _written(records: Iterable[Record], community: str, start: int, end: int, kinds: tuple[str, ...]) -> list[Record]:
    since = instants.text(start)
    return [
        record
        for record in until(records, end - 1)
        if record["at"] >= since and record["type"] in kinds and record.get("community") == community
    ]


def _fold(f: _Folding, record: Record) -> None:
    tally, kind = f.tally, record["type"]
    match kind:
        case "community":
            tally.size = record["count"]
        case "follow":
            tally.size += 1
        case "unfollow":
            tally.size -= 1
        case "post":
            profile = _profiles().get(record["community"])
            views = 0 if profile is not None and "view" in profile.activities else None
            tally.posts[record["id"]] = Counters(views=views, reach=views)
        case "post_deleted" | "post_forgotten":
            tally.posts.pop(record["id"], None)
        case "comment" | "comment_restored":
            _commented(f, record, 1)
        case "reply" if "post" in record:
            _commented(f, record, 1)
        case "comment_deleted":
            post, counts = f.above.pop(record["id"], ("", False))
            if counts and post in tally.posts:
                tally.posts[post].comments -= 1
        case _ if kind in _ENGAGEMENT and record["id"] in tally.posts:
            _engaged(f, record, tally.posts[record["id"]])


def _commented(f: _Folding, record: Record, amount: int) -> None:
    profile = _profiles().get(record["community"])
    counts = profile is None or profile.nested or "parent" not in record
    f.above[record["id"]] = (record["post"], counts)
    if counts and record["post"] in f.tally.posts:
        f.tally.posts[record["post"]].comments += amount


def _engaged(f: _Folding, record: Record, post: Counters) -> None:
    match record["type"]:
        case "share":
            post.shares += 1
        case "save":
            post.saves += 1
        case "save_removed":
            post.saves = max(post.saves - 1, 0)
        case "quote":
            post.quotes += 1
        case "view":
            post.views = (post.views or 0) + record["count"]
            post.reach = (post.reach or 0) + record["unique"]
        case "reaction":
            f.reactors.add((record["id"], record["person"]))
            post.reactions += 1
        case _:
            if (record["id"], record["person"]) in f.reactors:
                f.reactors.discard((record["id"], record["person"]))
                post.reactions -= 1
