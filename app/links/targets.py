"""Validation of the target of a tracked link.

Only web pages: a link of ours must not run a script, carry a password, or redirect to itself. The
target is stored as it was given; the `Location` header gets the same address in ASCII (RFC 3986),
so that a Cyrillic domain or path works in every browser.
"""

import re
from ipaddress import IPv6Address
from posixpath import normpath
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from app.kit.hosts import ascii_host

MAX_LENGTH: Final = 2048

_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\<>\"`^{|}\u2028\u2029\ud800-\udfff]")


def location(target: str) -> str:
    """The target in ASCII, for the `Location` header; `ValueError` where it is not allowed."""
    if len(target) > MAX_LENGTH:
        raise ValueError(f"must not be longer than {MAX_LENGTH} characters")
    if _UNSAFE.search(target):
        raise ValueError('must not hold spaces, control characters, backslashes or any of <>"`^{|}')
    try:
        parts = urlsplit(target)
        port = parts.port
    except ValueError:
        raise ValueError("must be a web address") from None
    if parts.scheme not in {"http", "https"} or not target.lower().startswith(f"{parts.scheme}://"):
        raise ValueError("must start with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    host = ascii_host(_raw_host(parts.netloc))
    if host is None or port == 0:
        raise ValueError("must name a host")
    authority = host if port is None else f"{host}:{port}"
    rest = target[target.index("//") + 2 + len(parts.netloc) :]
    result = f"{parts.scheme}://{authority}{quote(rest, safe=_SAFE_CHARACTERS)}"
    if len(result) > 4 * MAX_LENGTH:
        raise ValueError("is too long once it is written in ASCII")
    return result


_SAFE_CHARACTERS: Final = "%/:?#[]@!$&'()*+,;=-._~"


def _raw_host(netloc: str) -> str:
    """The host to the letter: `SplitResult.hostname` is in lower case by other rules than the browsers'."""
    return netloc[: netloc.index("]") + 1] if netloc.startswith("[") else netloc.partition(":")[0]


def is_loop(target: str, public_url: str) -> bool:
    """Whether a checked target is one of our own tracked links.

    Hosts and paths are compared as they arrive here: in ASCII, dot segments resolved, percent-encoding decoded. The
    port makes no difference: `http` redirects to `https` on most servers.
    """
    target_parts, own_parts = urlsplit(location(target)), urlsplit(public_url)
    if _host_key(target_parts.netloc) != _host_key(own_parts.netloc):
        return False
    own_path = _path(f"{own_parts.path}/r")
    return f"{_path(target_parts.path)}/".startswith(f"{own_path}/")


def _host_key(netloc: str) -> str | None:
    host = (ascii_host(_raw_host(netloc)) or "").removesuffix(".")
    if host.startswith("[") and (mapped := IPv6Address(host[1:-1]).ipv4_mapped) is not None:
        return str(mapped)
    return host


_ENCODED_DOT: Final = re.compile("%2e", re.IGNORECASE)


def _path(path: str) -> str:
    """A path as a server routes it. Browsers resolve dot segments before they decode, servers may do so afterwards."""
    resolved = _resolved(_ENCODED_DOT.sub(".", path))
    return _resolved(unquote(resolved))


def _resolved(path: str) -> str:
    return normpath(re.sub(r"/+", "/", f"/{path}"))
