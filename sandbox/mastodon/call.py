"""One call: parameters, token, and what is visible to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from sandbox.entities import Community, Entry
from sandbox.grants import Grant
from sandbox.mastodon.servers import Server
from sandbox.mastodon.wire_models import EntityRenderer, visibility
from sandbox.network import Network, Params
from sandbox.people import Person


class RefusedError(Exception):
    """An error response."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


MISSING: Final = (404, "Record not found")


@dataclass(frozen=True, slots=True)
class Call:
    """A call of an endpoint."""

    network: Network
    request: Request
    params: Params
    grant: Grant | None
    entities: EntityRenderer
    server: Server

    def community(self, scope: str) -> Community:
        """The community whose token it is; 401 without one, 403 without the scope."""
        if self.grant is None:
            raise RefusedError(*self.server.bad_token)
        if scope not in self.grant.scopes and scope.partition(":")[0] not in self.grant.scopes:
            raise RefusedError(*self.server.bad_scope)
        return self.network.world.communities[self.grant.community]

    def is_listed(self, at: int) -> bool:
        """Whether the server has processed what was written at this instant."""
        return at <= self.network.world.now - self.server.delay

    def limit(self, default: int, most: int) -> int:
        return max(min(self.params.integer("limit", default) or default, most), 1)

    def path_id(self) -> int:
        value = str(self.request.path_params["id"])
        if not value.isascii() or not value.isdecimal() or len(value) > 20:
            raise RefusedError(*MISSING)
        return int(value)

    def status(self, status_id: int) -> tuple[Community, Entry]:
        """A status that this caller may see; 404 otherwise."""
        for c in self.network.communities("mastodon"):
            entry = self.network.world.entry(c, status_id)
            is_own = self.grant is not None and self.grant.community == c.key
            if entry is None and is_own:
                entry = c.mail.get(status_id)
            if entry is not None and (is_own or visibility(entry) != "private"):
                return c, entry
        raise RefusedError(*MISSING)

    def account(self) -> Community | Person:
        account_id = self.path_id()
        actor = self.entities.community(account_id) or self.entities.person_of_account(account_id)
        if actor is None:
            raise RefusedError(*MISSING)
        return actor


Handler: TypeAlias = Callable[[Call], Response]
