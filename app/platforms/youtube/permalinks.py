"""Addresses of videos."""

import re
from typing import Final
from urllib.parse import parse_qs

from app.platforms.addresses import on_domain
from app.platforms.contract import CommunityIdentity

DOMAINS: Final = ("youtu.be", "youtube.com", "youtube-nocookie.com")
VIDEO: Final = re.compile(r"[A-Za-z0-9_-]{11}")
PATH: Final = re.compile(r"/(?:watch|shorts|live|embed|v|e)/([^/]+)/?")


def post_key(community: CommunityIdentity, url: str) -> str | None:
    """As in `Adapter.post_key`. An address does not name the channel; ids of videos are unique on YouTube."""
    if (parts := on_domain(url, DOMAINS[:1])) is not None:
        video = parts.path.strip("/")
    elif (parts := on_domain(url, DOMAINS[1:])) is not None:
        path = PATH.fullmatch(parts.path)
        video = path[1] if path is not None else ""
        if parts.path.rstrip("/") == "/watch":
            video = parse_qs(parts.query).get("v", [""])[0]
    else:
        return None
    return video if VIDEO.fullmatch(video) else None
