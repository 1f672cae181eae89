"""What the service must know of a sandbox community, read off the sandbox's ledger alone.

Nothing here knows the service's code. Where a platform does not show something, it is left out
here for the reason that stands beside it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final
from zoneinfo import ZoneInfo

from sandbox import instants, recount
from sandbox.ledger import Record

_ACCOUNTS: Final = 109_400_000_000_000_000
"""The ids of people's accounts on Mastodon start here."""
_NAMED: Final = re.compile(r"^(?:@\S+\s+)+")


@dataclass(frozen=True, order=True)
class Said:
    """A message, by the names that its platform gives it."""

    thread: str
    external_id: str
    ours: bool
    at: datetime
    text: str


@dataclass(frozen=True, order=True)
class Posted:
    """A post."""

    external_id: str
    at: datetime
    text: str


def instant(record: Record) -> datetime:
    """When it happened, as the platform tells it: VK counts whole seconds."""
    at = datetime.fromisoformat(record["at"])
    return at.replace(microsecond=0) if record["platform"] == "vk" else at


def words(text: str) -> str:
    """A text without the names of those it speaks to, and without the layout."""
    return " ".join(_NAMED.sub("", text.strip()).split())


def posts(records: Iterable[Record], community: str, since: datetime) -> list[Posted]:
    """Those that stand, and are not older than wanted."""
    found: dict[str, Posted] = {}
    for record in records:
        if record.get("community") != community:
            continue
        if record["type"] == "post" and instant(record) >= since:
            found[record["id"]] = Posted(record["id"], instant(record), words(record["text"]))
        elif record["type"] in {"post_deleted", "post_forgotten"}:
            found.pop(record["id"], None)
    return sorted(found.values())


@dataclass(frozen=True)
class Written:
    """A message and what of the ledger decides about it."""

    said: Said
    record: Record


def written(records: Iterable[Record], community: str, since: datetime) -> list[Written]:
    """Every message of customers and of the community that its platform shows to whoever polls it."""
    walls: dict[str, Record] = {}
    posted: dict[str, Record] = {}
    found: list[Written] = []
    for record in records:
        if record.get("community") != community:
            continue
        assert record["type"] != "comment_deleted", "deleted comments are not foreseen here"
        if record["type"] == "post":
            posted[record["id"]] = record
        if record["type"] not in {"comment", "mention", "message", "reply"}:
            continue
        channel = record["via"] if record["type"] == "reply" else record["type"]
        if channel != "message":
            walls[record["id"]] = record
        if instant(record) >= since and _shown(record, channel, posted, since):
            found.append(Written(_said(record, channel, walls), record))
    return found


def _shown(record: Record, channel: str, posted: dict[str, Record], since: datetime) -> bool:
    ours, vk = record["type"] == "reply", record["platform"] == "vk"
    if channel == "comment":
        # Comments are read under the posts that are wanted; Mastodon also notifies of customers' ones under others.
        return instant(posted[record["post"]]) >= since or (not ours and not vk)
    # Mastodon lists no answers of the account's own outside of its posts, except those that a customer answered by
    # name, which people in the sandbox do not do. What was sent through the service it knows by itself.
    return vk or not ours or record["origin"] == "api"


def _said(record: Record, channel: str, walls: dict[str, Record]) -> Said:
    vk = record["platform"] == "vk"
    ours = record["type"] == "reply"
    chain = [record]
    while channel != "message" and (above := walls.get(chain[-1].get("parent", ""))) is not None:
        chain.append(above)
    person = next((one["person"] for one in chain if one["type"] != "reply" or channel == "message"), 0)
    customer = str(person if vk else _ACCOUNTS + person)
    if channel == "message":
        thread = f"message-{customer}" if vk else f"direct:{customer}"
    else:
        mark = "-" if vk else ":"
        thread = mark.join((channel, chain[-1]["id"], customer))
    external_id = f"{'message' if channel == 'message' else 'comment'}-{record['id']}" if vk else record["id"]
    return Said(thread, external_id, ours, instant(record), words(record["text"]))


def threads(said: Iterable[Said]) -> dict[str, list[Said]]:
    """Conversations in which a customer has written, each in order."""
    found: dict[str, list[Said]] = {}
    for one in sorted(said, key=lambda one: (one.at, one.ours, one.external_id)):
        found.setdefault(one.thread, []).append(one)
    return {thread: all_of for thread, all_of in found.items() if any(not one.ours for one in all_of)}


@dataclass(frozen=True, order=True)
class Wait:
    """From a conversation's first question to the next answer."""

    started: datetime
    ended: datetime
    seconds: int
    """Of working time."""


def first_waits(said: Iterable[Said], opens: int, closes: int, zone: ZoneInfo) -> list[Wait]:
    """The first wait of each conversation that was answered; open from hour to hour on all days."""
    found = []
    for conversation in threads(said).values():
        asked = next(one.at for one in conversation if not one.ours)
        answer = next((one.at for one in conversation if one.ours and one.at >= asked), None)
        if answer is not None:
            found.append(Wait(asked, answer, worked(asked, answer, opens, closes, zone)))
    return sorted(found)


def worked(start: datetime, end: datetime, opens: int, closes: int, zone: ZoneInfo) -> int:
    """Working seconds between two instants, a day at a time. Not across daylight saving."""
    start, end = (at.replace(microsecond=0).astimezone(zone) for at in (start, end))
    assert start.utcoffset() == end.utcoffset(), "this simple count knows no daylight saving"
    total = timedelta(0)
    midnight = start.replace(hour=0, minute=0, second=0)
    while midnight <= end:
        since, until = midnight + timedelta(hours=opens), midnight + timedelta(hours=closes)
        total += max(min(end, until) - max(start, since), timedelta(0))
        midnight += timedelta(days=1)
    return int(total.total_seconds())


def middle(waits: Sequence[Wait], first: datetime, last: datetime) -> float | None:
    """The median of the waits that ended from `first` to before `last`."""
    within = [wait.seconds for wait in waits if first <= wait.ended < last]
    return float(median(within)) if within else None


def around(records: Sequence[Record], at: datetime, slack: timedelta) -> list[int]:
    """The instants (ms) at which the world may have been read by a call that was over at `at` and took at most `slack`:
    every one after which it differed."""
    last = int(at.timestamp() * 1000) + 1
    first = last - int(slack.total_seconds() * 1000)
    between = (instants.parse(record["at"]) for record in records)
    return [first, *(moment for moment in between if first < moment <= last)]


def sizes(records: Sequence[Record], community: str, at: datetime, slack: timedelta) -> set[int]:
    """What a community's size was while it was read."""
    own = [one for one in records if one.get("community") == community and one["type"] in _SIZING]
    return {recount.size(own, community, moment) for moment in around(own, at, slack)}


_SIZING: Final = {"community", "follow", "unfollow"}
COUNTERS: Final = ("reactions", "comments", "shares", "views", "reach")


def counters(
    records: Sequence[Record], community: str, post: str, at: datetime, slack: timedelta
) -> dict[str, set[int | None]]:
    """What each counter of a post was while it was read. A post is read in several calls."""
    own = [one for one in records if one.get("community") == community and post in (one.get("id"), one.get("post"))]
    found: dict[str, set[int | None]] = {name: set() for name in COUNTERS}
    for moment in around(own, at, slack):
        tally = recount.counters(own, community, post, moment)
        for name in COUNTERS:
            found[name].add(getattr(tally, name) if tally is not None else None)
    return found


def utc(text: str) -> datetime:
    """An instant as the service writes it."""
    return datetime.fromisoformat(text).astimezone(UTC)
