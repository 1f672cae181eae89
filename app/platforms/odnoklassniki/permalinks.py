"""Addresses of a group's topics."""

import re
from typing import Final

from app.platforms.addresses import on_domain
from app.platforms.contract import CommunityIdentity

DOMAINS: Final = ("ok.ru", "odnoklassniki.ru")
TOPIC: Final = re.compile(r"/(?:(?:group/?(\d{1,20})|[^/]+)/)?(?:topic|statuses)/(\d{1,20})(?:/.*)?")


def post_key(community: CommunityIdentity, url: str) -> str | None:
    """As in `Adapter.post_key`. A group's number must be its own; topics have ids of their own whatever its name."""
    parts = on_domain(url, DOMAINS)
    topic = TOPIC.fullmatch(parts.path) if parts is not None else None
    if topic is None or (topic[1] and community.external_id and topic[1] != community.external_id):
        return None
    return topic[2]
