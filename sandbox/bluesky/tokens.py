"""Tokens in the form of JWTs. Callers cannot verify the signature; here it is the token itself."""

import base64
from typing import Final

import orjson

from sandbox.bluesky import ids
from sandbox.entities import Profile
from sandbox.grants import Kind

CHAT: Final = "chat"
"""The scope of an app password that may read direct messages."""
ACCESS_SECONDS: Final = 7200
REFRESH_SECONDS: Final = 90 * 24 * 3600

_PLAIN: Final = "com.atproto.appPass"
_PRIVILEGED: Final = "com.atproto.appPassPrivileged"
_REFRESH: Final = "com.atproto.refresh"


def token(profile: Profile, kind: Kind, digest: str) -> str:
    """A token as a JWT without expiry."""
    if kind == "password":
        word = base64.b32encode(bytes.fromhex(digest)[:10]).decode().lower()
        return "-".join(word[start : start + 4] for start in range(0, 16, 4))
    return _jwt(_REFRESH if kind == "refresh" else _PRIVILEGED, ids.did(profile.number), {}, digest)


def with_expiry(text: str, scopes: frozenset[str], now: int, seconds: int) -> str:
    """The same token with its expiry and scope. `now` is in milliseconds."""
    claims, signature = _read(text)
    scope = _REFRESH if claims["scope"] == _REFRESH else _PRIVILEGED if CHAT in scopes else _PLAIN
    return _jwt(scope, str(claims["sub"]), {"iat": now // 1000, "exp": now // 1000 + seconds}, signature)


def without_expiry(text: str) -> str:
    """The token without expiry, under which it is stored; unchanged where it is not one of ours."""
    try:
        claims, signature = _read(text)
        scope = _REFRESH if claims["scope"] == _REFRESH else _PRIVILEGED
        return _jwt(scope, str(claims["sub"]), {}, signature)
    except (ValueError, KeyError, TypeError):
        return text


def _jwt(scope: str, subject: str, more: dict[str, int], signature: str) -> str:
    head = {"typ": "refresh+jwt" if scope == _REFRESH else "at+jwt", "alg": "HS256"}
    parts = (head, {"scope": scope, "sub": subject, **more})
    return ".".join([*(base64.urlsafe_b64encode(orjson.dumps(one)).decode().rstrip("=") for one in parts), signature])


def _read(text: str) -> tuple[dict[str, object], str]:
    _, payload, signature = text.split(".")
    claims: dict[str, object] = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims, signature
