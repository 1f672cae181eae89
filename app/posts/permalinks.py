"""Whether two addresses are of one post.

A person pastes the address from wherever the post was open: on a mobile host, with tracking parameters, under the
account's name or number, in another of a platform's spellings. What identifies the post in an address is the
platform's own (`Adapter.post_key`). `canonical` is for the addresses that its adapter does not recognise: it removes
what makes no difference on any platform.
"""

import re
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from app.platforms import adapter as adapter_of
from app.platforms.addresses import on_domain
from app.platforms.contract import CommunityIdentity

_PREFIX: Final = re.compile(r"^(www|m|mobile|touch)\.")
_TRACKING: Final = re.compile(r"utm_.*|fbclid|gclid|yclid|igsh|igshid|si|from|ref|ref_src|s|t|share|mibextid")


def canonical(url: str) -> str:
    """The normalised form of an address: no scheme, no `www.`, no tracking parameters."""
    parts = urlsplit(url)
    host = _PREFIX.sub("", (parts.hostname or "").rstrip("."))
    path = quote(unquote(parts.path), safe="/@:-._~!$&'()*+,;=").rstrip("/")
    kept = sorted((name, value) for name, value in parse_qsl(parts.query) if not _TRACKING.fullmatch(name))
    return f"{host}{path}" + (f"?{urlencode(kept)}" if kept else "")


def post_key(platform: str, community: CommunityIdentity, url: str) -> str | None:
    """What identifies a post of the community in an address; None where its adapter finds no such post in it."""
    return adapter_of(platform).post_key(community, url)


def is_on_another_site(platform: str, community: CommunityIdentity, url: str) -> bool:
    """Whether an address cannot be of a post of the community, as its site is not the platform's.

    An address on the platform's site that its adapter does not recognise may be a new form of one.
    """
    if post_key(platform, community, url) is not None:
        return False
    domains = adapter_of(platform).spec.post_domains
    if domains is None:
        return False
    own = tuple(filter(None, (urlsplit(address).hostname for address in community.addresses)))
    return on_domain(url, domains or tuple(_PREFIX.sub("", host) for host in own)) is None


def is_same_post(platform: str, community: CommunityIdentity, permalink: str, url: str, external_id: str) -> bool:
    """Whether a person's permalink is of the community's publication with this id at `url`."""
    key = post_key(platform, community, permalink)
    if key is not None and key in {external_id, post_key(platform, community, url)}:
        return True
    return canonical(permalink) == canonical(url)
