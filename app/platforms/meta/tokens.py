"""What Meta says about tokens, and with what the application speaks for itself."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from app.platforms import wire
from app.platforms.capabilities import TokenState
from app.platforms.contract import AuthExpired, Credentials, Token
from app.platforms.meta import wire_models as graph
from app.platforms.meta.calls import Calls, GraphAccess

APP_SETTINGS: Final = frozenset({"client_id", "client_secret"})


def app_access(c: Credentials) -> GraphAccess | None:
    """The application's own way in; None where its settings are not known."""
    if not c.app.keys() >= APP_SETTINGS:
        return None
    return GraphAccess(c.base_url, f"{c.app['client_id']}|{c.app['client_secret']}", Token.APP)


async def inspect(
    calls: Calls, c: Credentials, kinds: Collection[Token], scopes: Mapping[Token, tuple[str, ...]]
) -> Mapping[Token, TokenState]:
    """The state of the tokens of these kinds; nothing where the application is not known, which asks for it.

    The token goes into a form, for which Graph takes a POST that says `method=get`.
    """
    access = app_access(c)
    found: dict[Token, TokenState] = {}
    for kind in kinds if access is not None else ():
        assert access is not None
        response = await calls.prepared(access, "debug_token", {"method": "get", "input_token": c.tokens[kind]})
        token_info = wire.parse(graph.DEBUGGED, response).data
        if not token_info.is_valid:
            raise AuthExpired("Meta no longer accepts the token", token=kind)
        granted = scopes[kind] if token_info.scopes is None else token_info.scopes
        missing = tuple(scope for scope in scopes[kind] if scope not in granted)
        found[kind] = TokenState(missing, _lifetime(token_info, wire.response_date(response)))
    return found


def _lifetime(token_info: graph.Inspected, now: datetime | None) -> timedelta | None:
    """Until the token ends, or what it may see does, which Meta limits to 90 days by itself."""
    ends = [
        end
        for end in (token_info.expires_at, token_info.data_access_expires_at)
        if end is not None and end.timestamp() > 0
    ]
    return max(timedelta(0), min(ends) - now) if ends and now is not None else None
