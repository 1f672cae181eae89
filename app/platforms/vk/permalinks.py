"""Addresses of posts on a wall."""

import re
from typing import Final
from urllib.parse import parse_qsl

from app.platforms.addresses import on_domain
from app.platforms.contract import CommunityIdentity
from app.platforms.vk.addresses import NUMBERED

DOMAINS: Final = ("vk.com", "vk.ru", "vkontakte.ru")
WALL: Final = re.compile(r"(?:^|/)wall(-?\d{1,18})_(\d{1,18})(?!\d)")


def post_key(community: CommunityIdentity, url: str) -> str | None:
    """As in `Adapter.post_key`. VK shows a post over any page: `vk.com/feed?w=wall-1_2` is `vk.com/wall-1_2`."""
    parts = on_domain(url, DOMAINS)
    if parts is None:
        return None
    places = [parts.path, *(value for name, value in parse_qsl(parts.query) if name in {"w", "z"})]
    wall = next((match for place in places if (match := WALL.search(place))), None)
    return wall[2] if wall is not None and wall[1] in _owners(community) else None


def _owners(community: CommunityIdentity) -> set[str]:
    """The community's id as the owner of its wall."""
    names = (NUMBERED.fullmatch(address.rpartition("/")[2]) for address in community.addresses)
    numbers = {name[1] for name in names if name} | ({community.external_id} if community.external_id else set())
    return {f"-{number}" for number in numbers}
