"""Which days a flow's value is of. Pure.

A day without a value of its own is not always a day that is missing: what happened on it may be counted on another one.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

from app.campaigns.attribution import NONE_SEEN
from app.kpis.inputs.joins import HOOK_FAILS, JOINS_MISSED, NO_HOOK
from app.kpis.values import Missing, Reason, Value

_LOST: Final[frozenset[str]] = frozenset(
    {
        *(Reason.STALE, Reason.NO_SNAPSHOT, Reason.NOT_MEASURED_YET, Reason.PENDING, Reason.NO_PERMISSION),
        *(Reason.REAUTH_REQUIRED, Reason.PAUSED, Reason.NOT_COMPUTED, Reason.DISCONNECTED),
        *(JOINS_MISSED, NO_HOOK, HOOK_FAILS, NONE_SEEN),
    }
)
"""Why something that was promised is missing, or is not there yet. What a platform never gives was never promised."""


def is_whole(value: Value) -> bool:
    """Whether nothing is missing of a value that could still turn it round."""
    return not _has_lost(value.missing)


def counts_elsewhere(whole: Value, day: date) -> bool:
    """Whether a day without a value of its own is nevertheless in `whole`, the value of a window around it.

    A size is not read on every day: its growth is counted on the next day on which it is. Of the days before a
    connection the totals of posts are known, which count for the days of publication: a day on which nothing was
    published adds nothing to a window.
    """
    there = [one for one in whole.missing if one.first <= day <= one.last]
    return not there or (any(one.reason == Reason.GATHERED_BEFORE_CONNECTION for one in there) and not _has_lost(there))


def _has_lost(missing: Sequence[Missing]) -> bool:
    return any(one.reason in _LOST for one in missing)
