"""A community's address and its ids, as VK's methods take them."""

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
    """`https://vk.com/club1` or `https://vk.com/name`; `ValueError`, worded for a person, for any other text."""
    name = named(text, HOSTS)
    if PERSON.fullmatch(name):
        raise ValueError("this is a person's page; a community's looks like https://vk.com/name")
    if (numbered := NUMBERED.fullmatch(name)) is not None and int(numbered[1]) > 0:
        return f"https://vk.com/club{int(numbered[1])}"
    if numbered is not None or SCREEN_NAME.fullmatch(name) is None or name in HOSTS:
        raise ValueError("a VK community's address looks like https://vk.com/name or https://vk.com/club1")
    return f"https://vk.com/{name}"


def name_of(c: Credentials) -> str:
    """The community's id or screen name, as `groups.getById` takes it."""
    name = c.external_id or c.address.rpartition("/")[2]
    numbered = NUMBERED.fullmatch(name)
    return numbered[1] if numbered else name


def group_id(c: Credentials) -> int:
    """The community's id; as the owner of a wall it is negative. `ValueError` where it is not known yet."""
    return int(guards.community_id(c))
