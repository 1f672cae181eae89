"""Identifiers that sort by creation time (UUID version 7, RFC 9562)."""

import os
import time
from uuid import UUID

NIL = UUID(int=0)
"""Stands for "no workspace" where none is known yet: at sign-up."""


def uuid7() -> UUID:
    """A UUID of 48 bits of Unix milliseconds and 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return UUID(int=value & ~(0xF000 << 64) & ~(0xC000 << 48) | 0x7000 << 64 | 0x8000 << 48)
