"""The signature of REST requests. Source: apiok.ru, "Request signature"."""

import hashlib
from collections.abc import Mapping
from typing import Final

UNSIGNED: Final = frozenset({"access_token", "session_key", "sig"})
"""Parameters that are sent but not signed."""


def secret_of(token: str, app_secret: str) -> str:
    """The secret of a token's signatures, which OK calls `session_secret_key`."""
    return _md5(token + app_secret)


def sign(parameters: Mapping[str, str], secret: str) -> str:
    """MD5 of `k=v` of all parameters in the order of their names, without separators, and then the secret."""
    return _md5("".join(f"{name}={parameters[name]}" for name in sorted(parameters.keys() - UNSIGNED)) + secret)


def _md5(text: str) -> str:
    # Required by OK; MD5 is no protection by itself.
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
