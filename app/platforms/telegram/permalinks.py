"""Addresses of posts in a channel."""

import re
from typing import Final
from urllib.parse import urlsplit

from app.platforms.addresses import on_domain
from app.platforms.contract import CommunityIdentity
from app.platforms.telegram.translate import CHANNEL_ID_BASE

DOMAINS: Final = ("t.me", "telegram.me", "telegram.dog")
NAMED: Final = re.compile(r"/(?:s/)?([a-z][a-z0-9_]*)/(\d{1,12})/?", re.IGNORECASE)
NUMBERED: Final = re.compile(r"/c/(\d{1,12})/(\d{1,12})/?")
BY_HOST: Final = re.compile(r"/(?:s/)?(\d{1,12})/?")
"""The path below `name.t.me`."""
IN_WEB_CLIENT: Final = re.compile(r"(-100\d{1,12})_(\d{1,12})")


def post_key(community: CommunityIdentity, url: str) -> str | None:
    """As in `Adapter.post_key`. Posts are numbered within a channel, so that its name or number must be right."""
    if (parts := on_domain(url, ("web.telegram.org",))) is not None:
        match = IN_WEB_CLIENT.fullmatch(parts.fragment)
        return match[2] if match is not None and match[1] in _numbers(community) else None
    parts = on_domain(url, DOMAINS)
    if parts is None:
        return None
    if (match := NUMBERED.fullmatch(parts.path)) is not None:
        return match[2] if f"{-int(match[1]) - CHANNEL_ID_BASE}" in _numbers(community) else None
    if (match := BY_HOST.fullmatch(parts.path)) is not None:
        return match[1] if (parts.hostname or "").partition(".")[0] in _names(community) else None
    match = NAMED.fullmatch(parts.path)
    return match[2] if match is not None and match[1].lower() in _names(community) else None


def _names(community: CommunityIdentity) -> set[str]:
    return {urlsplit(address).path.strip("/").lower() for address in community.addresses}


def _numbers(community: CommunityIdentity) -> set[str]:
    paths = (urlsplit(address).path for address in community.addresses)
    from_paths = {f"{-int(path[3:]) - CHANNEL_ID_BASE}" for path in paths if re.fullmatch(r"/c/\d{1,12}", path)}
    return from_paths | ({community.external_id} if community.external_id else set())
