"""Tokens: the application's own, what Meta reports about the others, and the lifetime of new ones."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from app.kit import instants
from app.platforms import wire
from app.platforms.capabilities import IssuedToken, TokenState
from app.platforms.contract import AuthExpired, Credentials, Token
from app.platforms.meta import wire_models as graph
from app.platforms.meta.calls import Calls, GraphAccess

APP_SETTINGS: Final = frozenset({"client_id", "client_secret"})


def app_access(c: Credentials) -> GraphAccess | None:
    """Access with the application's own token; None where its settings are not known."""
    if not c.app.keys() >= APP_SETTINGS:
        return None
    return GraphAccess(c.base_url, f"{c.app['client_id']}|{c.app['client_secret']}", Token.APP)


def issued(response: graph.IssuedToken) -> IssuedToken:
    """A token endpoint's response as the contract's type."""
    lifetime = None if response.expires_in is None else instants.span(response.expires_in)
    return IssuedToken(response.access_token, lifetime)


async def inspect(
    calls: Calls, c: Credentials, kinds: Collection[Token], scopes: Mapping[Token, tuple[str, ...]]
) -> Mapping[Token, TokenState]:
    """The state of the tokens of these kinds; empty where the application's settings are not known, because only
    the application may request it. Raises `AuthExpired` for a token that is no longer valid.

    The token travels in a form: Graph accepts a POST with `method=get`.
    """
    access = app_access(c)
    if access is None:
        return {}
    states: dict[Token, TokenState] = {}
    for kind in kinds:
        response = await calls.repeatable_post_response(
            access, "debug_token", {"method": "get", "input_token": c.tokens[kind]}
        )
        token_info = wire.parse(graph.DEBUGGED, response).data
        if not token_info.is_valid:
            raise AuthExpired("Meta no longer accepts the token", token=kind)
        granted = scopes[kind] if token_info.scopes is None else token_info.scopes
        missing = tuple(scope for scope in scopes[kind] if scope not in granted)
        states[kind] = TokenState(missing, _lifetime(token_info, wire.response_date(response)))
    return states


def _lifetime(token_info: graph.Inspected, now: datetime | None) -> timedelta | None:
    """Until the token expires, or its access to data, which Meta limits to 90 days."""
    ends = [
        end
        for end in (token_info.expires_at, token_info.data_access_expires_at)
        if end is not None and end.timestamp() > 0
    ]
    return max(timedelta(0), min(ends) - now) if ends and now is not None else None
