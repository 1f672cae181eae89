"""Validation of the target of a tracked link.

Only web pages: a link of ours must not run a script, carry a password, or redirect to itself. The
target is stored as it was given; the `Location` header gets the same address in ASCII (RFC 3986),
so that a Cyrillic domain or path works in every browser.
"""

import re
from typing import Final
from urllib.parse import quote, urlsplit

MAX_LENGTH: Final = 2048

_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\<>\"`^{|}\u2028\u2029\ud800-\udfff]")
_HOST: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?")
_IPV6: Final = re.compile(r"[0-9a-f:.]{2,45}")


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
    host = _host(parts.hostname or "")
    if host is None or port == 0:
        raise ValueError("must name a host")
    authority = host if port is None else f"{host}:{port}"
    rest = target[target.index("//") + 2 + len(parts.netloc) :]
    result = f"{parts.scheme}://{authority}{quote(rest, safe=_SAFE_CHARACTERS)}"
    if len(result) > 4 * MAX_LENGTH:
        raise ValueError("is too long once it is written in ASCII")
    return result


_SAFE_CHARACTERS: Final = "%/:?#[]@!$&'()*+,;=-._~"


def _host(name: str) -> str | None:
    """A host in ASCII; None where it cannot be one."""
    if ":" in name:
        return f"[{name}]" if _IPV6.fullmatch(name) else None
    try:
        ascii_name = name.encode("idna").decode().lower()
    except UnicodeError:
        return None
    return ascii_name if _HOST.fullmatch(ascii_name) else None


def is_loop(target: str, public_url: str) -> bool:
    """Whether a checked target is one of our own tracked links."""
    target_url, own_url = urlsplit(location(target)), urlsplit(public_url)
    path = re.sub(r"/+", "/", f"{target_url.path}/")
    return target_url.hostname == own_url.hostname and path.startswith(re.sub(r"/+", "/", f"{own_url.path}/r/"))
