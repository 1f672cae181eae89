"""What a session's tokens tell of themselves. They are JWTs; nobody but Bluesky can verify them."""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import ValidationError

from app.platforms import wire
from app.platforms.bluesky.errors import PRIVILEGED
from app.platforms.bluesky.wire_models import Session
from app.platforms.capabilities import IssuedToken, TokenState
from app.platforms.contract import Token

LIFETIMES: Final = {Token.COMMUNITY: timedelta(hours=2), Token.REFRESH: timedelta(days=90)}
"""As they were seen, for tokens that do not tell."""
UNPRIVILEGED: Final = "com.atproto.appPass"
"""The scope of a session that was opened with an ordinary app password."""


class Claims(wire.Shape):
    scope: wire.StorableText = ""
    iat: wire.LenientUnixTime = None
    exp: wire.LenientUnixTime = None


def claims(token: str) -> Claims:
    """What a token says; nothing where it is none that can be read."""
    try:
        _, body, _ = token.split(".")
        return Claims.model_validate_json(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, binascii.Error, ValidationError):
        return Claims()


def granted(session: Session) -> dict[Token, IssuedToken]:
    """The tokens of a session that was just opened."""
    texts = {Token.COMMUNITY: session.access_jwt, Token.REFRESH: session.refresh_jwt}
    return {kind: IssuedToken(text, _lifetime(kind, claims(text))) for kind, text in texts.items()}


def state(token: str, at: datetime | None) -> TokenState:
    """What a token says of itself at a moment."""
    token_claims = claims(token)
    lacks = (PRIVILEGED,) if token_claims.scope == UNPRIVILEGED else ()
    left = None if token_claims.exp is None or at is None else max(token_claims.exp - at.astimezone(UTC), timedelta(0))
    return TokenState(missing_scopes=lacks, lifetime=left)


def reads_messages(token: str) -> bool:
    """Whether direct messages may be read with it, as far as it tells."""
    return claims(token).scope != UNPRIVILEGED


def _lifetime(kind: Token, token_claims: Claims) -> timedelta:
    if token_claims.iat is None or token_claims.exp is None or token_claims.exp <= token_claims.iat:
        return LIFETIMES[kind]
    return token_claims.exp - token_claims.iat
