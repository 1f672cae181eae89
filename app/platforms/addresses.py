"""Communities' addresses as people type them: from the browser's line, with or without `https://`, or a name."""

from collections.abc import Collection
from typing import Final
from urllib.parse import SplitResult, urlsplit

WEB: Final = frozenset({"http", "https"})


def on_site(text: str, hosts: Collection[str]) -> SplitResult | None:
    """A web address on one of these hosts; None where it is somebody else's, or none."""
    try:
        url = urlsplit(text if "://" in text else f"https://{text}")
        ours = url.hostname in hosts
    except ValueError:
        return None
    return url if ours and url.scheme in WEB and url.username is None else None


def named(text: str, hosts: Collection[str]) -> str:
    """`name` of `@name`, `name`, or the path of a web address on one of these hosts; "" where it is another's."""
    text = text.strip()
    if "/" not in text:
        return text.removeprefix("@").lower()
    url = on_site(text, hosts)
    return url.path.strip("/").lower() if url is not None else ""
