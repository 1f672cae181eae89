"""Communities' addresses as people type them: a URL, with or without `https://`, or a name."""

from collections.abc import Collection
from typing import Final
from urllib.parse import SplitResult, urlsplit

WEB_SCHEMES: Final = frozenset({"http", "https"})


def on_site(text: str, hosts: Collection[str]) -> SplitResult | None:
    """A URL on one of these hosts; None for any other text."""
    try:
        url = urlsplit(text if "://" in text else f"https://{text}")
        on_host = url.hostname in hosts
    except ValueError:
        return None
    return url if on_host and url.scheme in WEB_SCHEMES and url.username is None else None


def on_domain(text: str, domains: Collection[str]) -> SplitResult | None:
    """A URL on one of these domains, or on any host below one (`m.`, `mobile.`, `de-de.`); None for any other."""
    try:
        url = urlsplit(text)
        host = (url.hostname or "").rstrip(".")
    except ValueError:
        return None
    known_host = any(host == domain or host.endswith(f".{domain}") for domain in domains)
    return url if known_host and url.scheme in WEB_SCHEMES else None


def named(text: str, hosts: Collection[str]) -> str:
    """The name in `@name` or `name`, or the path of a URL on one of these hosts; empty for any other URL."""
    text = text.strip()
    if "/" not in text:
        return text.removeprefix("@").lower()
    url = on_site(text, hosts)
    return url.path.strip("/").lower() if url is not None else ""
