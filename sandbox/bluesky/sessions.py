"""com.atproto.server.*: sessions, created with an app password and renewed by refresh tokens."""

from __future__ import annotations

from sandbox.bluesky import ids, tokens
from sandbox.bluesky.call import Call, XrpcError
from sandbox.bluesky.wire_models import Json
from sandbox.entities import Community
from sandbox.grants import Grant
from sandbox.instants import HOUR
from sandbox.network import bearer

GRACE = 2 * HOUR
"""How long a used refresh token is still accepted; it returns the same successor."""
FIVE_MINUTES = 300


class Sessions:
    """The successor of each used refresh token, in memory only."""

    def __init__(self) -> None:
        self._followed: dict[str, tuple[int, str]] = {}

    def create(self, call: Call) -> Json:
        identifier, password = call.field("identifier"), call.field("password")
        client = call.request.client
        call.charge("sessions", f"{identifier.lower()}-{client.host if client else ''}", FIVE_MINUTES)
        actor = call.views.actor(identifier)
        grant = call.network.grants.find(password, "bluesky")
        is_valid = grant is not None and grant.kind == "password" and grant.state == "good"
        if not isinstance(actor, Community) or grant is None or not is_valid or grant.community != actor.key:
            raise XrpcError("AuthenticationRequired", "Invalid identifier or password")
        return self._opened(call, actor, grant.scopes, self._next(call, actor, grant.scopes))

    def refresh(self, call: Call) -> Json:
        """Two new tokens for a refresh token, which is valid once, and for `GRACE` after that."""
        text = tokens.without_expiry(bearer(call.request))
        if not text:
            raise XrpcError("AuthMissing")
        network, grant = call.network, call.network.grants.find(text, "bluesky")
        if grant is None or grant.kind != "refresh":
            raise XrpcError("InvalidToken")
        c = network.world.communities[grant.community]
        until, next_token = self._followed.get(text, (0, ""))
        if grant.state == "revoked" and network.world.now < until:
            return self._opened(call, c, grant.scopes, next_token)
        if grant.state != "good":
            raise XrpcError("ExpiredToken", "Token has been revoked" if grant.state == "revoked" else None)
        next_token = self._next(call, c, grant.scopes)
        network.grants.end(text, "revoked", origin="api")
        self._followed[text] = (network.world.now + GRACE, next_token)
        return self._opened(call, c, grant.scopes, next_token)

    @staticmethod
    def _next(call: Call, c: Community, scopes: frozenset[str]) -> str:
        made = call.network.grants.make(c, "refresh", sorted(scopes), tokens.REFRESH_SECONDS, origin="api")
        return tokens.with_expiry(made, scopes, call.network.world.now, tokens.REFRESH_SECONDS)

    @staticmethod
    def _opened(call: Call, c: Community, scopes: frozenset[str], refresh_token: str) -> Json:
        made = call.network.grants.make(c, "community", sorted(scopes), tokens.ACCESS_SECONDS, origin="api")
        access = tokens.with_expiry(made, scopes, call.network.world.now, tokens.ACCESS_SECONDS)
        return {"accessJwt": access, "refreshJwt": refresh_token, **_account(call, c)}


def session(call: Call) -> Json:
    return _account(call, call.own())


def server(call: Call) -> Json:
    return {"did": "did:web:bsky.social", "availableUserDomains": [f".{ids.HOST}"], "inviteCodeRequired": False}


def resolve_handle(call: Call) -> Json:
    actor = call.views.actor(call.text("handle"))
    if actor is None:
        raise XrpcError("InvalidRequest", "Unable to resolve handle")
    return {"did": call.views.did(actor)}


def require_valid(grant: Grant | None) -> None:
    """Refuse an access token that is invalid, expired or lacks the method's scope."""
    if grant is None or grant.kind != "community":
        raise XrpcError("InvalidToken", "Bad token scope" if grant is not None else None)
    if grant.state != "good":
        raise XrpcError("ExpiredToken" if grant.state == "expired" else "InvalidToken")


def _account(call: Call, c: Community) -> Json:
    return {"handle": ids.handle(c), "did": call.views.did(c), "active": True, "emailConfirmed": True}
