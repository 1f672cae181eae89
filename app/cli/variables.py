"""Environment variables that nothing reads: misspelt ones, which would be ignored without a word."""

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from dotenv import dotenv_values

from app.settings import Settings

PREFIX: Final = "INSTEP_"
PLAIN: Final = ("DATABASE_URL", "REDIS_URL")
"""Settings without the prefix, as hosting providers name them."""
OTHERS: Final = frozenset(
    {
        "INSTEP_DATA",
        "INSTEP_SUPERUSER_DATABASE_URL",
        # of docker-compose.yml
        "INSTEP_LISTEN",
        "INSTEP_OWNER_PASSWORD",
        "INSTEP_APP_PASSWORD",
        # between our own processes
        "INSTEP_TIED",
        "INSTEP_PARENT_PIPE",
        "INSTEP_TEST_SERVERS",
    }
)
"""Variables with the prefix that are no settings."""


def of_settings() -> list[str]:
    """The variables of all settings."""
    plain = {name.lower(): name for name in PLAIN}
    return [plain.get(field, f"{PREFIX}{field.upper()}") for field in Settings.model_fields]


@dataclass(frozen=True)
class Unread:
    """A variable that nothing reads, and the one that is probably meant."""

    name: str
    meant: str | None

    def __str__(self) -> str:
        hint = "" if self.meant is None else f"; {self.meant} is probably meant"
        return f"{self.name} is set, but nothing reads it{hint}"


def unread(variables: Mapping[str, object] | None = None) -> Iterator[Unread]:
    """Variables of the environment and of `.env` that look like settings and are none, by name."""
    names = {**dotenv_values(".env"), **os.environ} if variables is None else variables
    names_read = [*of_settings(), *sorted(OTHERS)]
    for name in sorted(names):
        if name in names_read:
            continue
        bare = name.removeprefix(PREFIX)
        if name.startswith(PREFIX):
            # Without the prefix, which would make everything look alike.
            by_bare = {one.removeprefix(PREFIX): one for one in names_read}
            match = difflib.get_close_matches(bare, by_bare, 1, 0.6)
            yield Unread(name, by_bare[match[0]] if match else None)
        elif f"{PREFIX}{name}" in names_read:
            yield Unread(name, f"{PREFIX}{name}")
        elif match := difflib.get_close_matches(name, PLAIN, 1, 0.85):
            yield Unread(name, match[0])
