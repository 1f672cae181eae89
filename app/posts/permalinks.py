"""Whether two addresses are of one post.

A person pastes the address from wherever the post was open: with `www.` or `m.`, with tracking
parameters, in another of a platform's spellings (VK shows a post over any of its pages:
`vk.com/club1?w=wall-1_2` is `vk.com/wall-1_2`). `canonical` removes what makes no difference
on any platform. `external_ids` are the post ids an address may contain: one of them, on the same host
and in the same community, identifies the post too.
"""

import re
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

_PREFIX: Final = re.compile(r"^(www|m|mobile|touch)\.")
_TRACKING: Final = re.compile(r"utm_.*|fbclid|gclid|yclid|igsh|igshid|si|from|ref|ref_src|s|t|share|mibextid")
_WALL: Final = re.compile(r"(?:^|/)wall(-?\d+)_(\d+)")
_SAME_HOST: Final = {"vk.ru": "vk.com"}


def host(url: str) -> str:
    """The host of an address, without `www.`, `m.` and the like."""
    name = _PREFIX.sub("", (urlsplit(url).hostname or "").rstrip("."))
    return _SAME_HOST.get(name, name)


def canonical(url: str) -> str:
    """The normalised form of an address: no scheme, no `www.`, no tracking parameters."""
    parts = urlsplit(url)
    wall = _wall(url)
    if wall is not None:
        return f"{host(url)}/wall{wall[1]}_{wall[2]}"
    path = quote(unquote(parts.path), safe="/@:-._~!$&'()*+,;=").rstrip("/")
    kept = sorted((name, value) for name, value in parse_qsl(parts.query) if not _TRACKING.fullmatch(name))
    return f"{host(url)}{path}" + (f"?{urlencode(kept)}" if kept else "")


def external_ids(url: str) -> frozenset[str]:
    """The possible post ids in an address: the last part of its path, or VK's `owner_post`."""
    wall = _wall(url)
    if wall is not None:
        return frozenset({f"{wall[1]}_{wall[2]}"})  # never the number alone: each wall has its own 2
    last = unquote(urlsplit(url).path).rstrip("/").rpartition("/")[2]
    return frozenset({last}) if any(c.isdigit() for c in last) else frozenset()


def _wall(url: str) -> re.Match[str] | None:
    parts = urlsplit(url)
    candidates = [parts.path, *(value for name, value in parse_qsl(parts.query) if name in {"w", "z"})]
    return next((match for candidate in candidates if (match := _WALL.search(candidate))), None)


def is_same_post(permalink: str, url: str, external_id: str) -> bool:
    """Whether a person's permalink is of the publication at `url`, in the same community."""
    if canonical(permalink) == canonical(url):
        return True
    return host(permalink) == host(url) and external_id in external_ids(permalink)
