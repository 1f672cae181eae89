"""Where a tracked link may lead.

Only to a web page: a link that we vouch for must not run a script, carry a password, or lead back
to ourselves for ever. The target is kept as it was given; the `Location` header gets the same
address in ASCII (RFC 3986), so that a Cyrillic domain or path works in every browser.
"""

import re
from typing import Final
from urllib.parse import quote, urlsplit

LONGEST: Final = 2048

_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\<>\"`^{|}\u2028\u2029\ud800-\udfff]")
_HOST: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?")
_IPV6: Final = re.compile(r"[0-9a-f:.]{2,45}")


def location(target: str) -> str:
    """The target as the `Location` header says it; `ValueError` where it may not be one."""
    if len(target) > LONGEST:
        raise ValueError(f"must not be longer than {LONGEST} characters")
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
    written = f"{parts.scheme}://{authority}{quote(rest, safe=_AS_IT_IS)}"
    if len(written) > 4 * LONGEST:
        raise ValueError("is too long once it is written in ASCII")
    return written


_AS_IT_IS: Final = "%/:?#[]@!$&'()*+,;=-._~"


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
    there, here = urlsplit(location(target)), urlsplit(public_url)
    path = re.sub(r"/+", "/", f"{there.path}/")
    return there.hostname == here.hostname and path.startswith(re.sub(r"/+", "/", f"{here.path}/r/"))
