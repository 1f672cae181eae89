"""Addresses of posts on Facebook and Instagram."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote

from app.platforms.addresses import on_domain
from app.platforms.contract import CommunityIdentity
from app.platforms.meta import pages

FACEBOOK_DOMAINS: Final = ("facebook.com", "fb.com")
INSTAGRAM_DOMAINS: Final = ("instagram.com", "instagr.am")

_ID: Final = r"(\d{1,20}|pfbid[A-Za-z0-9]+)"
ON_PAGE: Final = re.compile(rf"/([^/]+)/(?:posts|videos|photos|activity)/(?:[^/]+/)*{_ID}(?:/.*)?")
GRAPH_ID: Final = re.compile(r"/(\d{1,20})_(\d{1,20})/?")
REEL: Final = re.compile(r"/(?:reel|reels|watch/live|videos)/(\d{1,20})/?")
BY_PARAMETER: Final[Mapping[str, str]] = {
    "/story.php": "story_fbid",
    "/permalink.php": "story_fbid",
    "/photo.php": "fbid",
    "/photo": "fbid",
    "/video.php": "v",
    "/watch": "v",
    "/watch/live": "v",
}
PROFILE_ID: Final = re.compile(r"(?:1000|61)\d{10,13}")
"""Pages have such an id beside that of Graph, and their addresses name either."""
SHORTCODE: Final = re.compile(r"/(?:[\w.]+/)?(?:p|reel|reels|tv)/([A-Za-z0-9_-]+)(?:/.*)?")
SHARED: Final = re.compile(r"/share/")
"""What follows is no shortcode, but a code that only Instagram resolves."""
STORY: Final = re.compile(r"/stories/[\w.]+/(\d{1,20})/?")


def facebook_post_key(community: CommunityIdentity, url: str) -> str | None:
    """As in `Adapter.post_key`. `pfbid…` in place of a number is only known to Facebook, and is a key of its own."""
    parts = on_domain(url, FACEBOOK_DOMAINS)
    if parts is None or community.external_id is None:
        return None
    owner, post = _facebook_ids(parts)
    if not post or (owner and _is_foreign(community, owner)):
        return None
    return f"{community.external_id}_{post}" if post.isdecimal() else post


def _facebook_ids(parts: SplitResult) -> tuple[str, str]:
    """The Page's name or number and the post's id; empty where the address has none."""
    path, query = unquote(parts.path), parse_qs(parts.query)
    if (parameter := BY_PARAMETER.get(path.rstrip("/"))) is not None and parameter in query:
        value = re.fullmatch(_ID, query[parameter][0])
        return query.get("id", [""])[0].lower(), value[1] if value is not None else ""
    if (graph := GRAPH_ID.fullmatch(path)) is not None:
        return graph[1], graph[2]
    if (reel := REEL.fullmatch(path)) is not None:
        return "", reel[1]
    on_page = ON_PAGE.fullmatch(path)
    if on_page is None or on_page[1] == "groups":
        return "", ""
    return on_page[1].lower(), on_page[2]


def _is_foreign(community: CommunityIdentity, owner: str) -> bool:
    """Whether an address certainly names another Page: by another number, or by another name where one is known."""
    if owner.isdecimal():
        own_id = owner == community.external_id or owner in community.aliases
        return not own_id and PROFILE_ID.fullmatch(owner) is None
    names = {name for address in community.addresses if (name := pages.name_in(address)) and not name.isdecimal()}
    return bool(names) and owner.replace(".", "") not in {name.replace(".", "") for name in names}


def instagram_post_key(community: CommunityIdentity, url: str) -> str | None:
    """As in `Adapter.post_key`: the shortcode, which is unique on Instagram; an address need not name the account."""
    parts = on_domain(url, INSTAGRAM_DOMAINS)
    if parts is None or SHARED.match(parts.path):
        return None
    post = SHORTCODE.fullmatch(parts.path) or STORY.fullmatch(parts.path)
    return post[1] if post is not None else None
