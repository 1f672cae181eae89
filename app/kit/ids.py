"""Identifiers that sort by creation time (UUID version 7, RFC 9562)."""

import itertools
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

NIL = UUID(int=0)
"""Stands for "no workspace" where none is known yet: at sign-up."""


def uuid7() -> UUID:
    """A UUID of 48 bits of Unix milliseconds and 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return UUID(int=value & ~(0xF000 << 64) & ~(0xC000 << 48) | 0x7000 << 64 | 0x8000 << 48)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COUNTER: Final = itertools.count()


def uuid7_at(at: datetime) -> UUID:
    """A UUID of this instant: sorts by it to the microsecond; those of one microsecond in the order in which they
    are made in this process, as far as 16 bits count them.
    """
    tail = (next(_COUNTER) & 0xFFFF) << 46 | int.from_bytes(os.urandom(6), "big") >> 2
    return UUID(int=first_uuid7(at).int | tail)


def first_uuid7(at: datetime) -> UUID:
    """The least UUID that `uuid7_at` makes of this instant."""
    milliseconds, rest = divmod(max(timedelta(0), at - _EPOCH), timedelta(milliseconds=1))
    return UUID(int=(milliseconds & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | rest.microseconds << 66 | 0b10 << 62)
