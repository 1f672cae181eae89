"""Sessions: how they are opened and renewed, and what their tokens say of themselves.

The tokens are JWTs. Their signatures can be verified by Bluesky alone; here their claims are only read.
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx
from pydantic import ValidationError

from app.platforms import wire
from app.platforms.bluesky import calls, translate
from app.platforms.bluesky import wire_models as bsky
from app.platforms.bluesky.errors import PRIVILEGED, classifier
from app.platforms.capabilities import IssuedToken, TokenState
from app.platforms.contract import AuthExpired, Credentials, Gone, PlatformError, Token

LIFETIMES: Final = {Token.COMMUNITY: timedelta(hours=2), Token.REFRESH: timedelta(days=90)}
"""As observed, for tokens without the claims."""
UNPRIVILEGED: Final = "com.atproto.appPass"
"""The scope of a session that was opened with an ordinary app password."""


class Claims(wire.Model):
    scope: wire.StorableText = ""
    iat: wire.LenientUnixTime = None
    exp: wire.LenientUnixTime = None


def parse_claims(token: str) -> Claims:
    """The claims of a token; empty for a text that is no JWT."""
    try:
        _, body, _ = token.split(".")
        return Claims.model_validate_json(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, binascii.Error, ValidationError):
        return Claims()


async def renew(http: httpx.AsyncClient, c: Credentials) -> Mapping[Token, IssuedToken]:
    """The tokens of a session renewed with the refresh token or, where that has expired, opened with the password."""
    if Token.REFRESH in c.tokens:
        try:
            return await _session(http, c, calls.request(http, c, calls.RENEW, kind=Token.REFRESH), Token.REFRESH)
        except AuthExpired as error:
            if error.token is not Token.REFRESH or Token.PASSWORD not in c.tokens:
                raise
    if Token.PASSWORD not in c.tokens:
        raise AuthExpired("a session is opened with an app password", token=Token.PASSWORD)
    body = {"identifier": c.external_id or translate.actor(c.address), "password": c.tokens[Token.PASSWORD]}
    return await _session(http, c, calls.request(http, c, calls.OPEN, kind=None, json=body), Token.PASSWORD)


async def _session(
    http: httpx.AsyncClient, c: Credentials, request: httpx.Request, kind: Token
) -> Mapping[Token, IssuedToken]:
    """The tokens in the response to a request that is authenticated with a token of `kind`."""

    def classify(response: httpx.Response) -> PlatformError | None:
        error = classifier(c)(response)
        if isinstance(error, AuthExpired):
            error.token = kind
        elif isinstance(error, Gone):  # the account is taken down or deactivated, which a person has to settle
            return AuthExpired(error.message, token=Token.PASSWORD, platform_code=error.platform_code)
        return error

    session = wire.parse_confirmation(bsky.SESSION, await wire.write(http, request, classify))
    if c.external_id not in {None, session.did}:
        raise AuthExpired("these are another account's credentials", token=kind)
    return issued_tokens(session)


def issued_tokens(session: bsky.Session) -> dict[Token, IssuedToken]:
    """The tokens of a session that was just opened or renewed."""
    texts = {Token.COMMUNITY: session.access_jwt, Token.REFRESH: session.refresh_jwt}
    return {kind: IssuedToken(text, _lifetime(kind, parse_claims(text))) for kind, text in texts.items()}


def state(token: str, now: datetime | None) -> TokenState:
    """The permissions that a token lacks, and its remaining lifetime, by its claims."""
    claims = parse_claims(token)
    missing_scopes = (PRIVILEGED,) if claims.scope == UNPRIVILEGED else ()
    expires_in = None if claims.exp is None or now is None else max(claims.exp - now.astimezone(UTC), timedelta(0))
    return TokenState(missing_scopes, expires_in)


def reads_messages(token: str) -> bool:
    """Whether direct messages may be read with a token, by its claims; True where it has none."""
    return parse_claims(token).scope != UNPRIVILEGED


def _lifetime(kind: Token, claims: Claims) -> timedelta:
    if claims.iat is None or claims.exp is None or claims.exp <= claims.iat:
        return LIFETIMES[kind]
    return claims.exp - claims.iat
