"""An account's address, as people type it."""

import re
from typing import Final
from urllib.parse import urlsplit

HINT: Final = "https://mastodon.social/@name"

NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
HOST = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
HANDLE = re.compile(rf"@?({NAME})@({HOST})(:\d{{1,5}})?")
PATH = re.compile(rf"/(?:@|users/)({NAME})(?:@({HOST}))?/?")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def canonical(text: str) -> tuple[str, str]:
    """The canonical address and that of its server; `ValueError`, worded for a person, for any other text.

    Names are lowered, as servers do. Plain http is accepted for the local machine alone.
    """
    scheme, name, host = split(text.strip())
    hostname = urlsplit(f"//{host}").hostname or ""
    if scheme == "http" and hostname not in LOOPBACK:
        raise ValueError(f"a Mastodon address starts with https://, for example {HINT}")
    base = f"{scheme}://{host.lower()}"
    return f"{base}/@{name.lower()}", base


def split(text: str) -> tuple[str, str, str]:
    """Scheme, name and host of an address as people type it; `ValueError` as `canonical`."""
    if (handle := HANDLE.fullmatch(text)) is not None:
        return "https", handle[1], handle[2] + (handle[3] or "")
    try:
        url = urlsplit(text)
        host = f"{url.hostname or ''}:{url.port}" if url.port else url.hostname or ""
    except ValueError:
        url, host = urlsplit(""), ""
    path = PATH.fullmatch(url.path)
    plain_host = re.fullmatch(HOST, url.hostname or "") is not None or url.hostname in LOOPBACK
    if path is None or not plain_host or url.scheme not in {"http", "https"} or url.username is not None:
        raise ValueError(f"a Mastodon address looks like {HINT} or @name@mastodon.social")
    if ":" in (url.hostname or ""):
        host = f"[{url.hostname}]" + (f":{url.port}" if url.port else "")
    # `https://here/@name@there` is the page on `here` of an account on `there`.
    return ("https", path[1], path[2]) if path[2] else (url.scheme, path[1], host)
