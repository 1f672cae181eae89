"""An account's address, as people type it."""

import re
from typing import Final
from urllib.parse import unquote, urlsplit

from app.kit.hosts import ascii_host

HINT: Final = "https://mastodon.social/@name"

NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*")
HANDLE = re.compile(rf"@?({NAME})@([^@/:\s]+)(:\d{{1,5}})?")
PATH = re.compile(rf"/(?:@|users/)({NAME})(?:@([^@/:\s]+))?/?")
EXPLANATION: Final = f"a Mastodon address looks like {HINT} or @name@mastodon.social"
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
        return "https", handle[1], _host(handle[2]) + (handle[3] or "")
    try:
        url = urlsplit(text)
        port = f":{url.port}" if url.port else ""
    except ValueError:
        url, port = urlsplit(""), ""
    path = PATH.fullmatch(unquote(url.path))
    if path is None or url.scheme not in {"http", "https"} or url.username is not None:
        raise ValueError(EXPLANATION)
    hostname = url.hostname or ""
    host = (f"[{hostname}]" if ":" in hostname else hostname) if hostname in LOOPBACK else _host(hostname)
    # `https://here/@name@there` is the page on `here` of an account on `there`.
    return ("https", path[1], _host(path[2])) if path[2] else (url.scheme, path[1], f"{host}{port}")


def _host(name: str) -> str:
    host = ascii_host(name)
    if host is None or HOST.fullmatch(host) is None:
        raise ValueError(EXPLANATION)
    return host


def server(href: str, *, plain: bool) -> str | None:
    """The address of the server of a URL, https unless `plain` http is accepted too; None for any other text."""
    try:
        url = urlsplit(href)
        port = f":{url.port}" if url.port else ""
        host = url.hostname or ""
        name = (f"[{host}]" if ":" in host else host) if host in LOOPBACK else _host(host)
    except ValueError:
        return None
    schemes = {"http", "https"} if plain else {"https"}
    return f"{url.scheme}://{name}{port}" if url.scheme in schemes and url.username is None else None
