"""Identifiers of the AT protocol, converted from the world's numbers and back."""

import base64
import hashlib
import re
from functools import lru_cache
from typing import Final

from sandbox.entities import Community
from sandbox.people import Person

POST: Final = "app.bsky.feed.post"
HOST: Final = "bsky.social"

_SORTABLE: Final = "234567abcdefghijklmnopqrstuvwxyz"
_TID: Final = re.compile(rf"[2-7a-j][{_SORTABLE}]{{12}}")
_DID: Final = re.compile(r"did:plc:([a-z2-7]{24})")
_URI: Final = re.compile(r"at://([^/\s]+)/([^/\s]+)/([^/\s]+)")
RECORD_KEY: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._:~-]{1,512}")


def tid(number: int) -> str:
    """A 64-bit number as a TID, which sorts as text as the number does."""
    return "".join(_SORTABLE[(number >> shift) & 31] for shift in range(60, -1, -5))


def parse_tid(text: str) -> int | None:
    if _TID.fullmatch(text) is None:
        return None
    number = 0
    for digit in text:
        number = number << 5 | _SORTABLE.index(digit)
    return number


def rkey(entry_id: int) -> str:
    """A snowflake (milliseconds and a counter) as a TID (microseconds and a clock id)."""
    at, count = entry_id >> 16, entry_id & 0xFFFF
    return tid((at * 1000 + (count >> 10)) << 10 | count & 0x3FF)


def entry_id(rkey: str) -> int | None:
    """The snowflake of a TID; None for one that was not made from any."""
    number = parse_tid(rkey)
    if number is None:
        return None
    at, high = divmod(number >> 10, 1000)
    return None if high > 63 else at << 16 | high << 10 | number & 0x3FF


@lru_cache(maxsize=4096)
def did(number: int) -> str:
    """The DID of a person, or of a community by its profile's number; the two ranges do not overlap."""
    raw = number.to_bytes(8, "big")
    return "did:plc:" + base64.b32encode(hashlib.sha256(raw).digest()[:7] + raw).decode().lower()


def parse_did(text: str) -> int | None:
    match = _DID.fullmatch(text)
    if match is None:
        return None
    number = int.from_bytes(base64.b32decode(match[1].upper())[7:], "big")
    return number if did(number) == text else None


def handle(account: Community | Person) -> str:
    name = account.key if isinstance(account, Community) else account.username
    return f"{name.replace('_', '-')}.{HOST}"


def cid(content: str | bytes, *, raw: bool = False) -> str:
    """The hash of a record or, `raw`, of a blob, as a CIDv1."""
    data = content.encode() if isinstance(content, str) else content
    multihash = b"\x12\x20" + hashlib.sha256(data).digest()
    return "b" + base64.b32encode((b"\x01\x55" if raw else b"\x01\x71") + multihash).decode().lower().rstrip("=")


def uri(owner: str, collection: str, rkey: str) -> str:
    return f"at://{owner}/{collection}/{rkey}"


def parse_uri(text: str) -> tuple[str, str, str] | None:
    """Owner, collection and key of an at-URI; None for anything else."""
    match = _URI.fullmatch(text)
    return None if match is None else (match[1], match[2], match[3])
