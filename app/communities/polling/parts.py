"""The parts of a community, each of which is read, fails and backs off by itself.

What keeps a part from being read is one entry of `Community.part_problems`, by the part's name; a part without an
entry has none. The community's status follows from the entries (`derive_status`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from app.communities.models import Community, CommunityStatus
from app.communities.polling import poll_schedule
from app.communities.polling.fair_share import IntervalMultipliers
from app.platforms import poll_intervals
from app.platforms.contract import (
    AuthExpired,
    Gone,
    MissingPermission,
    PlatformError,
    Rejected,
    TokenMissing,
    Transient,
    Unsupported,
)
from app.platforms.poll_intervals import PollSchedule

RATE_LIMITED: Final = "rate-limited"
"""The code of a part that waits for a rate limit."""
RATE_LIMITED_REASON: Final = "The platform's rate limit is used up. It is read when the limit allows it."
UNSUPPORTED_INTERVAL: Final = poll_intervals.DAY
"""How often a part is tried that the server does not have: it may run a new version."""
LATE: Final = timedelta(minutes=10)
"""A part that waits for a rate limit for longer makes the community degraded, even while others are read."""

_ADVICE: Final = {
    AuthExpired: "The platform refuses the token. Reconnect the community with a new one.",
    MissingPermission: "The token may not do all that is needed. Reconnect with the missing permissions.",
    TokenMissing: "Reconnect the community with credentials.",
    Gone: "The platform does not know this community (any more). Check its address.",
    Unsupported: "Nothing is wrong with the community, and nothing has to be done.",
}
_BY_SEVERITY: Final = (AuthExpired.code, TokenMissing.code, MissingPermission.code, Gone.code, Rejected.code)


class Part(StrEnum):
    """What is read of a community."""

    SIZE = "size"
    """With its name and link."""
    POSTS = "posts"
    COUNTERS = "counters"
    """Those of its posts."""
    COMMENTS = "comments"
    """Those below its posts, where they are listed post by post."""
    CONVERSATIONS = "conversations"
    """What the platform lists for the whole community."""
    TOKENS = "tokens"
    """What the platform reports about them."""
    THREADS = "threads"
    """Open threads below its posts, looked at again."""
    REVISIONS = "revisions"
    """Recent posts and their comments, read again."""


class PartStatus(StrEnum):
    """Whether a part is read."""

    OK = "ok"
    PENDING = "pending"
    """It was not read so far."""
    WAITING = "waiting"
    """A rate limit is used up."""
    FAILING = "failing"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class ListProblem:
    """A list of a part that could not be read, while others of the same part may be."""

    failures: int
    next_at: datetime


@dataclass(frozen=True, slots=True)
class ListResults:
    """The result of reading a part that has several lists, where some could not be read."""

    read: Collection[str]
    errors: Mapping[str, PlatformError]
    """Of the lists that failed now; those that failed before and were not tried are in neither."""
    next_read_at: datetime
    """When the lists that were read are due again."""


@dataclass(frozen=True, slots=True)
class PartProblem:
    """What keeps a part from being read."""

    code: str
    """A `PlatformError.code`, or `RATE_LIMITED`."""
    reason: str
    """For people, with what to do."""
    failures: int
    """Reads in a row that failed."""
    since: datetime
    """When the first of them ended."""
    at: datetime
    """When the last of them ended."""
    next_at: datetime
    """When the part is tried again; a request (`Community.request`) after `at` has it tried at once."""
    missing_scopes: tuple[str, ...] = ()
    lists: Mapping[str, ListProblem] = field(default_factory=dict)
    """Of a part that has several lists, those that fail."""

    @property
    def status(self) -> PartStatus:
        match self.code:
            case Unsupported.code:
                return PartStatus.UNSUPPORTED
            case _ if self.code == RATE_LIMITED:
                return PartStatus.WAITING
            case _:
                return PartStatus.FAILING

    def as_json(self) -> dict[str, Any]:
        """For `Community.part_problems`."""
        return {
            "code": self.code,
            "reason": self.reason,
            "failures": self.failures,
            "since": self.since.isoformat(),
            "at": self.at.isoformat(),
            "next_at": self.next_at.isoformat(),
            "missing_scopes": list(self.missing_scopes),
            "lists": {name: [one.failures, one.next_at.isoformat()] for name, one in self.lists.items()},
        }


def problems(community: Community) -> dict[Part, PartProblem]:
    """What keeps parts of a community from being read, by the part's name."""
    return {
        Part(name): PartProblem(
            code=one["code"],
            reason=one["reason"],
            failures=one["failures"],
            since=datetime.fromisoformat(one["since"]),
            at=datetime.fromisoformat(one["at"]),
            next_at=datetime.fromisoformat(one["next_at"]),
            missing_scopes=tuple(one["missing_scopes"]),
            lists={
                list_name: ListProblem(failures, datetime.fromisoformat(next_at))
                for list_name, (failures, next_at) in one["lists"].items()
            },
        )
        for name, one in community.part_problems.items()
    }


def reason(error: PlatformError) -> str:
    """What is wrong, and what to do about it, for people."""
    return f"{error.message} {_ADVICE.get(type(error), 'It is tried again by itself.')}"


def severity(code: str) -> int:
    """Sorting key of error codes: the lower, the more it needs a person."""
    return _BY_SEVERITY.index(code) if code in _BY_SEVERITY else len(_BY_SEVERITY)


def record(
    community: Community,
    *,
    read: Collection[Part],
    failures: Mapping[Part, PlatformError],
    blocked_until: Mapping[Part, datetime],
    lists: ListResults | None = None,
    at: datetime,
) -> None:
    """Store the result of a poll that ended at `at`: parts that were read, that failed, and that wait for a limit."""
    by_part = problems(community)
    for name in read:
        by_part.pop(name, None)
    if lists is not None:
        by_part[Part.CONVERSATIONS] = _with_lists(by_part.get(Part.CONVERSATIONS), lists, at)
    for name, error in failures.items():
        if lists is not None and name is Part.CONVERSATIONS:
            continue
        before = by_part.get(name)
        again = before is not None and before.status is not PartStatus.WAITING
        count = before.failures + 1 if before is not None and again else 1
        wait = UNSUPPORTED_INTERVAL if isinstance(error, Unsupported) else poll_schedule.back_off(count)
        scopes = error.scopes if isinstance(error, MissingPermission) else ()
        since = before.since if before is not None and again else at
        by_part[name] = PartProblem(error.code, reason(error), count, since, at, at + wait, scopes)
    for name, until in blocked_until.items():
        before = by_part.get(name)
        if name in read or (before is not None and before.status is not PartStatus.WAITING):
            continue
        by_part[name] = PartProblem(
            RATE_LIMITED, RATE_LIMITED_REASON, 0, at if before is None else before.since, at, until
        )
    community.part_problems = {name.value: by_part[name].as_json() for name in sorted(by_part)}


def _with_lists(before: PartProblem | None, results: ListResults, at: datetime) -> PartProblem:
    """The problem of a part of whose lists some fail."""
    lists = dict(before.lists) if before is not None else {}
    for name in results.read:
        lists.pop(name, None)
    for name, error in results.errors.items():
        failures = lists[name].failures + 1 if name in lists else 1
        wait = UNSUPPORTED_INTERVAL if isinstance(error, Unsupported) else poll_schedule.back_off(failures)
        lists[name] = ListProblem(failures, at + wait)
    errors = sorted(results.errors.values(), key=lambda one: severity(one.code))
    due = [one.next_at for one in lists.values()] + ([results.next_read_at] if results.read else [])
    if errors or before is None:
        code, text = (errors[0].code, reason(errors[0])) if errors else (Transient.code, "A list could not be read.")
        scopes = {scope for one in errors if isinstance(one, MissingPermission) for scope in one.scopes}
    else:
        code, text, scopes = before.code, before.reason, set(before.missing_scopes)
    return PartProblem(
        code=code,
        reason=text,
        failures=max((one.failures for one in lists.values()), default=0),
        since=at if before is None else before.since,
        at=at,
        next_at=min(due, default=at),
        missing_scopes=tuple(sorted(scopes)),
        lists=lists,
    )


def derive_status(community: Community, *, any_read: bool, at: datetime) -> bool:
    """Set a connected community's status by its parts, and whether all that the server has is read.

    A part that the server does not have changes nothing. Nor does `TOKENS` where a person can do nothing about it:
    tokens that cannot be inspected can be used. `any_read`: the last poll read a part.
    """
    by_part = problems(community)
    community.missing_scopes = sorted({scope for one in by_part.values() for scope in one.missing_scopes})
    failing = {
        name: one
        for name, one in by_part.items()
        if one.status is PartStatus.FAILING
        and (name != Part.TOKENS or one.code in {AuthExpired.code, MissingPermission.code})
    }
    waiting = {name: one for name, one in by_part.items() if one.status is PartStatus.WAITING}
    late = {name: one for name, one in waiting.items() if not any_read or at - one.since >= LATE}
    community.failures = max((one.failures for one in failing.values()), default=0)
    unread = failing or late
    if unread:
        worst = min(unread.values(), key=lambda one: severity(one.code))
        community.status = CommunityStatus.DEGRADED.value
        community.status_code = worst.code
        names = ", ".join(_title(name, one) for name, one in unread.items())
        community.status_reason = f"{worst.reason} Not read: {names}."
        return False
    # A failure of the metrics group stays: polls do not read its counters.
    unmeasured = community.metrics_poll_code is not None
    community.status = (CommunityStatus.DEGRADED if unmeasured else CommunityStatus.HEALTHY).value
    community.status_code, community.status_reason = community.metrics_poll_code, community.metrics_poll_reason
    return not waiting


def _title(name: Part, problem: PartProblem) -> str:
    return f"{name} ({', '.join(sorted(problem.lists))})" if problem.lists else name


def due_times(community: Community, factor: float, multipliers: IntervalMultipliers) -> dict[Part, datetime]:
    """When each part is due: at once where it was never read, else by its interval or by request.

    What keeps it from being read is left out (`retry_times`).
    """
    push_is_active, interval_factor = community.push_is_active, factor * multipliers.content

    def due(name: Part, one: PollSchedule, *, idle: int = 0, push_is_active: bool = False) -> datetime:
        seen_at: datetime | None = getattr(community, f"{name}_seen_at")
        if seen_at is None:
            return community.created_at
        at = seen_at + one.interval(interval_factor, idle=idle, push_is_active=push_is_active)
        return min(at, community.requested(name) or at)

    due_at = {
        Part.SIZE: due(Part.SIZE, poll_intervals.SIZE),
        Part.TOKENS: due(Part.TOKENS, poll_intervals.TOKENS),
        Part.POSTS: due(
            Part.POSTS, poll_intervals.POSTS, idle=community.posts_idle_polls, push_is_active=push_is_active
        ),
        Part.CONVERSATIONS: due(
            Part.CONVERSATIONS,
            poll_intervals.CONVERSATIONS,
            idle=community.conversations_idle_polls,
            push_is_active=push_is_active,
        ),
    }
    if community.backfilled_at is not None:  # until then everything is new
        for name, one in ((Part.THREADS, poll_intervals.THREADS), (Part.REVISIONS, poll_intervals.REVISIONS)):
            seen_at: datetime = community.seen_at(name) or community.backfilled_at
            at = seen_at + one.interval(interval_factor, push_is_active=push_is_active)
            due_at[name] = min(at, community.requested(name) or at)
    return due_at


def retry_times(community: Community) -> dict[Part, datetime]:
    """When each part that fails is tried again: by its own back-off, or at once where a read was requested since."""
    retries: dict[Part, datetime] = {}
    for name, one in problems(community).items():
        if one.status is PartStatus.WAITING:
            continue  # tried at each poll: other parts of the limit may be free again
        # Whoever requests a community's size requests all of it.
        request = name if name in {Part.POSTS, Part.CONVERSATIONS, Part.TOKENS} else Part.SIZE
        requested_at: datetime | None = getattr(community, f"{request}_requested_at")
        retries[name] = requested_at if requested_at is not None and requested_at > one.at else one.next_at
    return retries


def to_request(community: Community, *names: Part) -> list[Part]:
    """Those of these parts that no request is under way for: one that has failed since it was requested is not."""
    by_part = problems(community)

    def under_way(name: Part) -> bool:
        requested_at = community.requested(name)
        problem = by_part.get(name)
        if requested_at is None:
            return False
        return problem is None or problem.status is PartStatus.WAITING or problem.at < requested_at

    return [name for name in names if not under_way(name)]


def list_retry_times(community: Community) -> dict[str, datetime]:
    """When each list of conversations that fails is tried again; a request has it tried at once."""
    problem = problems(community).get(Part.CONVERSATIONS)
    if problem is None:
        return {}
    requested_at = community.conversations_requested_at
    if requested_at is not None and requested_at > problem.at:
        return {}
    return {name: one.next_at for name, one in problem.lists.items()}
