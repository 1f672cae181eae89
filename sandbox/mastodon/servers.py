"""The kinds of server that speak Mastodon's API, as data: what each of them has, wants and reports of itself.

Sources: Mastodon 4.4; GoToSocial 0.17 and Takahe 0.11, as they ran and as their code has it (`internal/api/client`;
`api/urls.py`, `api/decorators.py`, `activities/services/post.py`); GoToSocial edits since 0.18
(superseriousbusiness/gotosocial#3628).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.instants import SECOND

Refused = tuple[int, str]
"""The status and the error of a response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One kind of server."""

    software: str
    """Its name in nodeinfo."""
    version: str
    source: str
    lacks: frozenset[str] = frozenset()
    """Paths of endpoints that it does not have."""
    batch: bool = True
    """`GET /api/v1/statuses` returns several statuses."""
    idempotency: bool = True
    """A repeated `Idempotency-Key` creates nothing."""
    no_token: Refused | None = None
    """Its refusal of a call without a token, where all calls need one."""
    bad_token: Refused = (401, "The access token is invalid")
    bad_scope: Refused = (403, "This action is outside the authorized scopes")
    ancestors: int | None = None
    """The most ancestors in a context; None: all."""
    descendants: int = 4096
    """The most descendants in a context that is read with a token."""
    edits: bool = True
    """Statuses can be edited, and say when they were. Without it, those of other servers are replaced silently."""
    own_list_is_whole: bool = True
    """An account's list has its direct statuses and those for followers, when read with its own token."""
    conversations: bool = True
    """`GET /api/v1/conversations` returns them; else it is always empty."""
    delay: int = 0
    """Milliseconds until a new status is in lists, contexts and notifications."""


SERVERS: Final[Mapping[str, Server]] = {
    "mastodon": Server(software="mastodon", version="4.4.3", source="https://github.com/mastodon/mastodon"),
    "gotosocial": Server(
        software="gotosocial",
        version="0.17.3 git-8ddfc6d",
        source="https://github.com/superseriousbusiness/gotosocial",
        lacks=frozenset({"/api/v1/apps/verify_credentials"}),
        batch=False,
        idempotency=False,
        edits=False,
        no_token=(401, "Unauthorized: token not supplied"),
        bad_token=(401, "Unauthorized: token not supplied"),
        bad_scope=(403, "Forbidden: token has insufficient scope permission"),
    ),
    "takahe": Server(
        software="takahe",
        version="0.11.0",
        source="https://github.com/jointakahe/takahe",
        lacks=frozenset({"/api/v1/apps/verify_credentials"}),
        batch=False,
        idempotency=False,
        no_token=(401, "identity_token_required"),
        bad_token=(401, "identity_token_required"),
        bad_scope=(403, "out_of_scope_for_token"),
        ancestors=10,
        descendants=50,
        own_list_is_whole=False,
        conversations=False,
        delay=60 * SECOND,
    ),
}
OPEN: Final = frozenset({"/api/v1/instance", "/api/v2/instance"})
"""Endpoints that never need a token."""
