"""The texts of API keys, sessions and single-use links. Only their hashes are stored.

A key or session is `isk_` or `iss_`, 12 characters by which it is found, `_`, and a secret of 43 characters. The
secrets are random, of 256 bits, so a hash without salt and without delay protects them.
"""

import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass
from datetime import datetime
from typing import Final

API_KEY: Final = "isk"
SESSION: Final = "iss"

_ALPHABET: Final = string.ascii_letters + string.digits
_TOKEN: Final = re.compile(r"(isk|iss)_([A-Za-z0-9]{12})_([A-Za-z0-9]{43})")
_PREFIX_LENGTH: Final = 12
_SECRET_LENGTH: Final = 43


@dataclass(frozen=True, slots=True)
class Token:
    """A credential as its holder sends it."""

    kind: str
    """`API_KEY` or `SESSION`."""
    prefix: str
    secret: str

    @classmethod
    def new(cls, kind: str) -> "Token":
        """A random token."""
        return cls(kind, _random(_PREFIX_LENGTH), _random(_SECRET_LENGTH))

    @classmethod
    def parse(cls, text: str) -> "Token | None":
        """The token that a text is; None where it is none."""
        matched = _TOKEN.fullmatch(text)
        return None if matched is None else cls(*matched.groups())

    def renewed(self) -> "Token":
        """A token that is found by the same prefix, with another secret."""
        return Token(self.kind, self.prefix, _random(_SECRET_LENGTH))

    @property
    def hash(self) -> bytes:
        """What is stored."""
        return hashed(self.secret)

    def __str__(self) -> str:
        return f"{self.kind}_{self.prefix}_{self.secret}"

    def __repr__(self) -> str:
        return f"Token({self.kind}_{self.prefix}_…)"


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """The hash of a token's secret, and of the secret before its last rotation."""

    current: bytes
    previous: bytes | None
    previous_until: datetime | None

    def fits(self, token: Token, at: datetime) -> bool:
        """Whether this is the secret, or the one before while that is still accepted. In constant time."""
        is_current = hmac.compare_digest(self.current, token.hash)
        if self.previous is None or self.previous_until is None or at >= self.previous_until:
            return is_current
        return hmac.compare_digest(self.previous, token.hash) or is_current


def new_link_token() -> str:
    """A token of 256 random bits for an address."""
    return secrets.token_urlsafe(32)


def hashed(secret: str) -> bytes:
    """The hash of a random secret."""
    return hashlib.sha256(secret.encode()).digest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
