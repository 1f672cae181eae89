"""A host of a URL in the spelling that browsers send: the host parser of the WHATWG URL Standard.

Names are mapped by UTS #46 without its transitional processing, so that `faß.de` is `xn--fa-hia.de` (Python's own
codec makes `fass.de` of it, a domain of somebody else). IPv4 addresses may have fewer than four parts, in octal and
hexadecimal too: `127.1` and `0x7f000001` are `127.0.0.1`.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final
from urllib.parse import unquote_to_bytes

import idna

_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?")
_MAX_LABEL: Final = 63
_IPV6: Final = re.compile(r"[0-9a-fA-F:.]{2,45}")
_NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+")


def ascii_host(host: str) -> str | None:
    """A host, as it stands in a URL, in ASCII; None where it cannot be one. An IPv6 address is in brackets."""
    if host.startswith("["):
        return _ipv6(host[1:-1]) if host.endswith("]") else None
    try:
        name = idna.uts46_remap(unquote_to_bytes(host).decode(), std3_rules=False)
        ascii_name = ".".join(_label(label) for label in name.split("."))
    except (UnicodeError, ValueError):
        return None
    if _NAME.fullmatch(ascii_name) is None:
        return None
    parts = ascii_name.removesuffix(".").split(".")
    return _ipv4(parts) if _NUMBER.fullmatch(parts[-1]) else ascii_name


def _label(label: str) -> str:
    """One label of a mapped name in ASCII; `ValueError` (`idna.IDNAError` is one) where browsers refuse it."""
    text = label
    if label.startswith("xn--"):
        text = label.removeprefix("xn--").encode("ascii").decode("punycode")
        if text.isascii() or idna.uts46_remap(text, std3_rules=False) != text:
            raise ValueError("not the form of any name")
    if not text.isascii():
        idna.check_nfc(text)
        idna.check_initial_combiner(text)
        idna.check_bidi(text)
        if not all(idna.valid_contextj(text, at) for at, letter in enumerate(text) if letter in "\u200c\u200d"):
            raise ValueError("joiners stand between letters that they join")
        label = f"xn--{text.encode('punycode').decode()}"
    if len(label) > _MAX_LABEL:
        raise ValueError("too long")
    return label


def _ipv4(parts: list[str]) -> str | None:
    """The address that a name whose last part is a number must be. The last part fills the bytes that are left."""
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    try:
        *leading, last = [_number(part) for part in parts]
    except ValueError:
        return None
    if any(number > 255 for number in leading) or last >= 256 ** (4 - len(leading)):
        return None
    return str(IPv4Address(last + sum(number << 8 * (3 - at) for at, number in enumerate(leading))))


def _number(part: str) -> int:
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8) if part.startswith("0") else int(part)


def _ipv6(text: str) -> str | None:
    if _IPV6.fullmatch(text) is None:
        return None
    try:
        address = IPv6Address(text)
    except AddressValueError:
        return None
    if (mapped := address.ipv4_mapped) is not None:  # Python's spelling of these depends on its version
        return f"[::ffff:{int(mapped) >> 16:x}:{int(mapped) & 0xFFFF:x}]"
    return f"[{address.compressed}]"
