"""What the service must have stored of a sandbox community, computed from the sandbox's ledger alone.

Nothing here uses the service's code. What a platform does not show is left out, with the reason beside it.
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
class ExpectedMessage:
    """A message, with the platform's ids."""

    thread: str
    external_id: str
    ours: bool
    at: datetime
    text: str


@dataclass(frozen=True, order=True)
class ExpectedPost:
    """A post."""

    external_id: str
    at: datetime
    text: str


def instant(record: Record) -> datetime:
    """When it happened, as the platform reports it: VK gives whole seconds."""
    at = datetime.fromisoformat(record["at"])
    return at.replace(microsecond=0) if record["platform"] == "vk" else at


def normalised(text: str) -> str:
    """A text without leading mentions, its whitespace normalised."""
    return " ".join(_NAMED.sub("", text.strip()).split())


def posts(records: Iterable[Record], community: str, since: datetime) -> list[ExpectedPost]:
    """The posts that were not deleted, from `since` on."""
    by_id: dict[str, ExpectedPost] = {}
    for record in records:
        if record.get("community") != community:
            continue
        if record["type"] == "post" and instant(record) >= since:
            by_id[record["id"]] = ExpectedPost(record["id"], instant(record), normalised(record["text"]))
        elif record["type"] in {"post_deleted", "post_forgotten"}:
            by_id.pop(record["id"], None)
    return sorted(by_id.values())


@dataclass(frozen=True)
class LedgerMessage:
    """A message with its ledger record."""

    message: ExpectedMessage
    record: Record


def messages(records: Iterable[Record], community: str, since: datetime) -> list[LedgerMessage]:
    """Every message of customers and of the community that the platform shows to polls."""
    comments: dict[str, Record] = {}
    posts_by_id: dict[str, Record] = {}
    messages: list[LedgerMessage] = []
    for record in records:
        if record.get("community") != community:
            continue
        assert record["type"] != "comment_deleted", "deleted comments are not supported here"
        if record["type"] == "post":
            posts_by_id[record["id"]] = record
        if record["type"] not in {"comment", "mention", "message", "reply"}:
            continue
        channel = record["via"] if record["type"] == "reply" else record["type"]
        if channel != "message":
            comments[record["id"]] = record
        if instant(record) >= since and _is_visible(record, channel, posts_by_id, since):
            messages.append(LedgerMessage(_message(record, channel, comments, since), record))
    return messages


def _is_visible(record: Record, channel: str, posts_by_id: dict[str, Record], since: datetime) -> bool:
    # VK: comments are read under posts from `since` on. Mastodon also notifies of customers' comments under others, and
    # an account's own list has all of its answers (Takahe's lacks direct ones; no test here uses that server).
    return channel != "comment" or record["platform"] != "vk" or instant(posts_by_id[record["post"]]) >= since


def _message(record: Record, channel: str, comments: dict[str, Record], since: datetime) -> ExpectedMessage:
    vk = record["platform"] == "vk"
    ours = record["type"] == "reply"
    chain = [record]
    while channel != "message" and (above := comments.get(chain[-1].get("parent", ""))) is not None:
        chain.append(above)
    person = next((one["person"] for one in chain if one["type"] != "reply" or channel == "message"), 0)
    customer = str(person if vk else _ACCOUNTS + person)
    if channel == "message":
        thread = f"message-{customer}" if vk else f"direct:{customer}"
    else:
        mark = "-" if vk else ":"
        early = _answered_before(chain, since) if ours and not vk else None
        thread = mark.join((channel, chain[-1]["id"], customer)) if early is None else f"answers:{early}"
    external_id = f"{'message' if channel == 'message' else 'comment'}-{record['id']}" if vk else record["id"]
    return ExpectedMessage(thread, external_id, ours, instant(record), normalised(record["text"]))


def _answered_before(chain: Sequence[Record], since: datetime) -> str | None:
    """The id of what an answer is to, if that was written before `since`; None otherwise.

    The account's own list on Mastodon does not tell the conversation: it is that of what is answered, if that is known.
    """
    answered = next((one for one in chain[1:] if one["type"] != "reply" or instant(one) < since), None)
    return None if answered is None or instant(answered) >= since else str(answered["id"])


def threads(message: Iterable[ExpectedMessage]) -> dict[str, list[ExpectedMessage]]:
    """The conversations in which a customer has written, each in order."""
    by_thread: dict[str, list[ExpectedMessage]] = {}
    for one in sorted(message, key=lambda one: (one.at, one.ours, one.external_id)):
        by_thread.setdefault(one.thread, []).append(one)
    return {
        thread: conversation for thread, conversation in by_thread.items() if any(not one.ours for one in conversation)
    }


@dataclass(frozen=True, order=True)
class Wait:
    """From a conversation's first question to the next answer."""

    started: datetime
    ended: datetime
    seconds: int
    """Of working time."""


def first_waits(message: Iterable[ExpectedMessage], opens: int, closes: int, zone: ZoneInfo) -> list[Wait]:
    """The first wait of each conversation that was answered; open from hour to hour on all days."""
    waits = []
    for conversation in threads(message).values():
        question_at = next(one.at for one in conversation if not one.ours)
        answer = next((one.at for one in conversation if one.ours and one.at >= question_at), None)
        if answer is not None:
            waits.append(Wait(question_at, answer, worked(question_at, answer, opens, closes, zone)))
    return sorted(waits)


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


def median_wait(waits: Sequence[Wait], first: datetime, last: datetime) -> float | None:
    """The median of the waits that ended from `first` to before `last`."""
    within = [wait.seconds for wait in waits if first <= wait.ended < last]
    return float(median(within)) if within else None


def possible_instants(records: Sequence[Record], at: datetime, call_duration: timedelta) -> list[int]:
    """The instants (ms) at which a call that ended at `at` and took at most `call_duration` may have read the sandbox.

    Only those after which its state differed.
    """
    last = int(at.timestamp() * 1000) + 1
    first = last - int(call_duration.total_seconds() * 1000)
    between = (instants.parse(record["at"]) for record in records)
    return [first, *(moment for moment in between if first < moment <= last)]


def sizes(records: Sequence[Record], community: str, at: datetime, call_duration: timedelta) -> set[int]:
    """The sizes that a community had while it was read."""
    own = [one for one in records if one.get("community") == community and one["type"] in _SIZE_EVENTS]
    return {recount.size(own, community, moment) for moment in possible_instants(own, at, call_duration)}


_SIZE_EVENTS: Final = {"community", "follow", "unfollow"}
COUNTERS: Final = ("reactions", "comments", "shares", "views", "reach")


def counters(
    records: Sequence[Record], community: str, post: str, at: datetime, call_duration: timedelta
) -> dict[str, set[int | None]]:
    """The values that each counter of a post had while it was read, by several calls."""
    own = [one for one in records if one.get("community") == community and post in (one.get("id"), one.get("post"))]
    values: dict[str, set[int | None]] = {name: set() for name in COUNTERS}
    for moment in possible_instants(own, at, call_duration):
        tally = recount.counters(own, community, post, moment)
        for name in COUNTERS:
            values[name].add(getattr(tally, name) if tally is not None else None)
    return values


def utc(text: str) -> datetime:
    """Parse an instant as the service writes it."""
    return datetime.fromisoformat(text).astimezone(UTC)
