"""Which time zones a project may have: those that Python and PostgreSQL both know.

Each has a time zone database of its own, and computes local days by it. They need not agree: a system's folder holds
files that are no zones (`localtime`), and Debian's leaves out old names (`Asia/Calcutta`). A zone that one of them
does not know is refused as input, rather than break every value of its project later.
"""

from collections.abc import Collection
from functools import lru_cache
from importlib.resources import files
from typing import Final

from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.cache import OnePer
from app.kit.errors import Invalid

UNKNOWN: Final = "unknown-zone"
_EXCLUDED: Final = frozenset({"Factory"})
"""The zone of an unconfigured system: in the time zone database, but no place's."""
_QUERY: Final = text("SELECT name FROM pg_timezone_names")


@lru_cache(maxsize=1)
def named() -> frozenset[str]:
    """The IANA names, old ones included, as the package `tzdata` lists them: `ZoneInfo` falls back on its files."""
    return frozenset(files("tzdata").joinpath("zones").read_text().split()) - _EXCLUDED


_supported: Final = OnePer[Engine, list[frozenset[str]]](lambda _: [])
"""What each database supports, once it has been read."""


async def supported(session: AsyncSession) -> frozenset[str]:
    """The IANA names that this session's PostgreSQL supports too; cached, because the query takes about 50 ms."""
    cached = _supported(session.get_bind().engine)
    if not cached:
        cached.append(named() & frozenset(await session.scalars(_QUERY)))
    return cached[0]


def require(zone: str, supported: Collection[str]) -> None:
    """Raise `Invalid` (`unknown-zone`) for a zone that is not among those `supported`."""
    if zone not in supported:
        detail = f"This installation's database does not know the time zone {zone}: give its present IANA name."
        problem = {"in": "body", "field": "timezone", "code": UNKNOWN, "detail": detail}
        raise Invalid(f"timezone: {detail}", code=UNKNOWN, errors=[problem])
