"""Addresses of statuses on the account's own server."""

import re
from typing import Final
from urllib.parse import urlsplit

from app.platforms.contract import CommunityIdentity

PATH: Final = re.compile(
    r"/(?:web/|deck/)?"
    r"(?:@[^/@]+(?:/(?:statuses|posts))?|users/[^/]+/statuses|p/[^/]+|statuses|notice)"
    r"/([A-Za-z0-9]+)(?:/(?:embed|activity|favourites|reblogs|history|quotes))?/?"
)
"""Also the paths of GoToSocial (`/@name/statuses/1`), Takahe (`/@name/posts/1`), Pixelfed and Pleroma."""
PREFIX: Final = re.compile(r"^(?:www|m|mobile)\.")


def post_key(community: CommunityIdentity, url: str) -> str | None:
    """As in `Adapter.post_key`. Each server has ids of its own, so that only addresses on the account's own count."""
    try:
        path, host = PATH.fullmatch(urlsplit(url).path), _host(url)
    except ValueError:
        return None
    return path[1] if path is not None and host in {_host(address) for address in community.addresses} else None


def _host(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    return PREFIX.sub("", (parts.hostname or "").rstrip(".")), 443 if port == 80 else port
