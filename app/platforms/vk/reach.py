"""How many people a post has reached: known to administrators, asked community by community.

A batch of posts may be of a hundred communities, each a call of its own with three of them a second;
`execute` takes 25 of these calls as one. What fails within it fails apart from the others.
Unverified: that calls within `execute` count as one against the limit of calls a second alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from app.platforms.contract import (
    AuthExpired,
    Credentials,
    MetricStatus,
    MissingPermission,
    PlatformError,
    Throttled,
    Token,
)
from app.platforms.errors import ErrorMeaning
from app.platforms.vk import wire_models as vk
from app.platforms.vk.calls import EXECUTE_BATCH, Calls
from app.platforms.vk.errors import CODES

BATCH: Final = 30
"""Posts of one community in one call."""

PostKey = tuple[int, int]
"""A post's owner and its id."""
Reach = int | MetricStatus


async def reach(calls: Calls, c: Credentials, posts: Iterable[PostKey]) -> Mapping[PostKey, Reach]:
    """Reach by post; where VK does not give it, why. A post of which nothing is told is not among them."""
    by_owner: dict[int, list[int]] = {}
    for owner, post in posts:
        by_owner.setdefault(owner, []).append(post)
    batches = [(owner, ids[n : n + BATCH]) for owner, ids in by_owner.items() for n in range(0, len(ids), BATCH)]
    found: dict[PostKey, Reach] = {}
    for n in range(0, len(batches), EXECUTE_BATCH):
        found |= await _execute(calls, c, batches[n : n + EXECUTE_BATCH])
    return found


async def _execute(calls: Calls, c: Credentials, batches: Sequence[tuple[int, list[int]]]) -> dict[PostKey, Reach]:
    parameters = [{"owner_id": owner, "post_ids": ",".join(map(str, ids))} for owner, ids in batches]
    try:
        answer = await calls.many(c, vk.REACH, "stats.getPostReach", (Token.USER,), parameters)
    except Throttled:  # nothing more is to be asked
        raise
    except (MissingPermission, AuthExpired):
        return {(owner, post): MetricStatus.NO_PERMISSION for owner, ids in batches for post in ids}
    except PlatformError:
        return {(owner, post): MetricStatus.ERROR for owner, ids in batches for post in ids}
    found: dict[PostKey, Reach] = {}
    # A call that failed answers `false`; the errors stand apart, in the order of the calls.
    errors = iter(answer.execute_errors)
    for (owner, ids), rows in zip(batches, answer.response, strict=False):
        if rows is False:
            found |= {(owner, post): _why(next(errors, None)) for post in ids}
        else:
            reach_by_post = {row.post_id: row.reach_total for row in rows}
            found |= {
                (owner, post): total for post, total in reach_by_post.items() if post is not None and total is not None
            }
    return found


def _why(error: vk.Fault | None) -> MetricStatus:
    refused = error is not None and CODES.get(error.error_code) in {ErrorMeaning.FORBIDDEN, ErrorMeaning.AUTH_EXPIRED}
    return MetricStatus.NO_PERMISSION if refused else MetricStatus.ERROR
