"""`If-Match`: a change is made only where the caller has read the current version (RFC 9110, 13.1.1).

Rows with a version number have it as their ETag. A route parses the header with `IfMatch` and passes the versions
to the service, which compares them with the row that it has locked, by `require_version`.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

from fastapi import Depends, Header

from app.kit.errors import PreconditionFailed

_VERSION_TAG: Final = re.compile(r'"v(0|[1-9]\d{0,18})"')

IfMatchHeader = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="The ETag that was read: 412 where it has changed since. Without it, or with `*`: any.",
    ),
]


def version_tag(version: int) -> str:
    """The ETag of a row with this version number."""
    return f'"v{version}"'


def require_version(current: int, expected: Collection[int] | None) -> None:
    """Raise `PreconditionFailed` where `current` is none of the expected versions (None: any version)."""
    if expected is not None and current not in expected:
        raise PreconditionFailed("It was changed meanwhile: read it again, then repeat the change.")


@dataclass(frozen=True, slots=True)
class IfMatch:
    """A dependency: the versions in `If-Match`, None where any version is accepted.

    The header may list several tags, of which one must be current: hence several versions. Weak tags count like
    strong ones, as proxies that compress make them of ours. A tag that is none of ours is never current.
    """

    ignored_suffix: str = ""
    """A part of the resource's tags, after the version, that does not matter to a change."""

    async def __call__(self, header: IfMatchHeader = None) -> frozenset[int] | None:
        return self.versions(header)

    def versions(self, header: str | None) -> frozenset[int] | None:
        """The versions that a header's value names."""
        if header is None or header.strip() == "*":
            return None
        tags = (tag.strip().removeprefix("W/") for tag in header.split(","))
        if self.ignored_suffix:
            tags = (tag.replace(f'{self.ignored_suffix}"', '"') for tag in tags)
        return frozenset(int(match[1]) for tag in tags if (match := _VERSION_TAG.fullmatch(tag)) is not None)


ExpectedVersions: TypeAlias = Annotated[frozenset[int] | None, Depends(IfMatch())]
