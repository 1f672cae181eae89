"""How many people a post has reached. VK reports it to administrators, in one call for each community.

A batch may hold posts of a hundred communities, and VK allows three calls a second, so `execute` makes 25 of these
calls in one request. One of them that fails does not fail the others.
Unverified: that an `execute` counts as a single call against the limit of calls a second, and only there.
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
"""The most posts of one community in one call."""

PostKey = tuple[int, int]
"""The id of a post's owner, and the post's own."""
ReachOrStatus = int | MetricStatus


async def read_reach(calls: Calls, c: Credentials, posts: Iterable[PostKey]) -> Mapping[PostKey, ReachOrStatus]:
    """Reach by post, or the reason why it is missing. A post that VK does not mention is left out."""
    ids_by_owner: dict[int, list[int]] = {}
    for owner_id, post_id in posts:
        ids_by_owner.setdefault(owner_id, []).append(post_id)
    batches = [
        (owner_id, ids[n : n + BATCH]) for owner_id, ids in ids_by_owner.items() for n in range(0, len(ids), BATCH)
    ]
    reach_by_key: dict[PostKey, ReachOrStatus] = {}
    for n in range(0, len(batches), EXECUTE_BATCH):
        reach_by_key |= await _execute(calls, c, batches[n : n + EXECUTE_BATCH])
    return reach_by_key


async def _execute(
    calls: Calls, c: Credentials, batches: Sequence[tuple[int, list[int]]]
) -> dict[PostKey, ReachOrStatus]:
    parameters = [{"owner_id": owner_id, "post_ids": ",".join(map(str, ids))} for owner_id, ids in batches]
    try:
        result = await calls.many(c, vk.REACH, "stats.getPostReach", (Token.USER,), parameters)
    except Throttled:  # no further call may be made
        raise
    except (MissingPermission, AuthExpired):
        return {(owner_id, post_id): MetricStatus.NO_PERMISSION for owner_id, ids in batches for post_id in ids}
    except PlatformError:
        return {(owner_id, post_id): MetricStatus.ERROR for owner_id, ids in batches for post_id in ids}
    reach_by_key: dict[PostKey, ReachOrStatus] = {}
    # A call that failed returns `false`; the errors are listed separately, in the order of the calls.
    errors = iter(result.execute_errors)
    for (owner_id, ids), rows in zip(batches, result.response, strict=False):
        if rows is False:
            reach_by_key |= {(owner_id, post_id): _failure_status(next(errors, None)) for post_id in ids}
        else:
            total_by_id = {row.post_id: row.reach_total for row in rows}
            reach_by_key |= {
                (owner_id, post_id): total
                for post_id, total in total_by_id.items()
                if post_id is not None and total is not None
            }
    return reach_by_key


def _failure_status(error: vk.Fault | None) -> MetricStatus:
    refused = error is not None and CODES.get(error.error_code) in {ErrorMeaning.FORBIDDEN, ErrorMeaning.AUTH_EXPIRED}
    return MetricStatus.NO_PERMISSION if refused else MetricStatus.ERROR
