"""Identifiers that sort by the time they were made (UUID version 7, RFC 9562)."""

import os
import time
from uuid import UUID

NIL = UUID(int=0)
"""Stands for "no workspace" where one is not known yet: sign-up."""


def uuid7() -> UUID:
    """48 bits of milliseconds, then 74 random ones."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return UUID(int=value & ~(0xF000 << 64) & ~(0xC000 << 48) | 0x7000 << 64 | 0x8000 << 48)
