"""Addresses of Odnoklassniki's groups."""

import re
from typing import Final
from urllib.parse import urlsplit

from app.platforms.addresses import named
from app.platforms.contract import Credentials

HOSTS: Final = frozenset({"ok.ru", "www.ok.ru", "m.ok.ru", "odnoklassniki.ru", "www.odnoklassniki.ru"})
NUMBERED: Final = re.compile(r"group/?(\d{1,20})(?:/.*)?")
NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,63}")
NOT_NAMES: Final = frozenset({"profile", "group", "game", "video", "music", "dk", "feed", "messages", "live", "photo"})
"""Parts of the site, which are never names of groups."""


def canonical(text: str) -> str:
    """The canonical spelling of an address; `ValueError`, worded for a person, where it is not a group's."""
    name = named(text, HOSTS)
    if name.startswith("profile/"):
        raise ValueError("this is a person's page; a group's looks like https://ok.ru/group/57000000000000")
    if (numbered := NUMBERED.fullmatch(name)) is not None and int(numbered[1]) > 0:
        return f"https://ok.ru/group/{int(numbered[1])}"
    if numbered is not None or NAME.fullmatch(name) is None or name in NOT_NAMES | HOSTS:
        raise ValueError(
            "an Odnoklassniki group's address looks like https://ok.ru/name or https://ok.ru/group/57000000000000"
        )
    return f"https://ok.ru/{name}"


def number(c: Credentials) -> str | None:
    """The group's id: as stored, or as in its address; None where neither has it."""
    numbered = NUMBERED.fullmatch(urlsplit(c.address).path.strip("/"))
    return c.external_id or (numbered[1] if numbered else None)
