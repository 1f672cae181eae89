"""A community's address, and what is known of it, in VK's terms."""

import re
from typing import Final

from app.platforms import guards
from app.platforms.addresses import named
from app.platforms.contract import Credentials

HOSTS: Final = frozenset({"vk.com", "vk.ru", "m.vk.com", "m.vk.ru", "www.vk.com", "www.vk.ru", "vkontakte.ru"})
NUMBERED: Final = re.compile(r"(?:club|public|event|-)(\d{1,18})")
SCREEN_NAME: Final = re.compile(r"[a-z0-9_][a-z0-9_.]{1,31}")
PERSON: Final = re.compile(r"id\d+")


def canonical(text: str) -> str:
    """`https://vk.com/club1` or `https://vk.com/name`; `ValueError`, for a person, where it is none."""
    name = named(text, HOSTS)
    if PERSON.fullmatch(name):
        raise ValueError("this is a person's page; a community's looks like https://vk.com/name")
    if (numbered := NUMBERED.fullmatch(name)) is not None and int(numbered[1]) > 0:
        return f"https://vk.com/club{int(numbered[1])}"
    if numbered is not None or SCREEN_NAME.fullmatch(name) is None or name in HOSTS:
        raise ValueError("a VK community's address looks like https://vk.com/name or https://vk.com/club1")
    return f"https://vk.com/{name}"


def name_of(c: Credentials) -> str:
    """What `groups.getById` finds the community by: its number, or the name in its address."""
    name = c.external_id or c.address.rpartition("/")[2]
    numbered = NUMBERED.fullmatch(name)
    return numbered[1] if numbered else name


def group_id(c: Credentials) -> int:
    """The community's id; it owns its wall under the negative of it."""
    return int(guards.community_id(c))
