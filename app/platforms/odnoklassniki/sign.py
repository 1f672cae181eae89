"""The signature that every REST call carries. Source: apiok.ru, "Request signature"."""

import hashlib
from collections.abc import Mapping
from typing import Final

SESSION: Final = frozenset({"access_token", "session_key", "sig"})
"""Parameters that are sent and not signed."""


def secret_of(token: str, app_secret: str) -> str:
    """What OK calls `session_secret_key`."""
    return _md5(token + app_secret)


def sign(parameters: Mapping[str, str], secret: str) -> str:
    """`k=v` of all parameters in the order of their names, without any separator, then the secret."""
    return _md5("".join(f"{name}={parameters[name]}" for name in sorted(parameters.keys() - SESSION)) + secret)


def _md5(text: str) -> str:
    # What OK asks for; it keeps nobody from anything by itself.
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
