"""Tokens: what a caller may do. Stable ones follow from the seed; more are made through control."""

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

from app.sandbox.entities import Community
from app.sandbox.ledger import Record
from app.sandbox.world import World

Kind = Literal["user", "community"]
State = Literal["good", "expired", "revoked"]

KINDS: Final[dict[str, tuple[Kind, ...]]] = {"mastodon": ("community",), "vk": ("user", "community")}
SCOPES: Final[dict[tuple[str, Kind], tuple[str, ...]]] = {
    ("mastodon", "community"): ("read", "write"),
    ("vk", "user"): ("wall", "groups", "stats", "offline"),
    ("vk", "community"): ("manage", "messages", "wall", "photos"),
}


@dataclass(slots=True)
class Grant:
    """One token's rights. On Mastodon a community is an account with one kind of token, its own; VK has
    the community's own and its administrator's, a user token."""

    name: str
    """What it is called in the ledger, where tokens themselves never stand."""
    platform: str
    kind: Kind
    community: str
    scopes: frozenset[str]
    state: State = "good"
    expires_at: int | None = None


class Grants:
    """All tokens there are."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._by_token: dict[str, Grant] = {}
        for community in world.communities.values():
            for kind in KINDS[community.profile.platform]:
                self._add(community, kind, 0, SCOPES[community.profile.platform, kind], None)
        self._made = 0
        world.listeners.append(self._follow)

    def stable(self, community: Community) -> dict[str, str | None]:
        """The tokens every sandbox of this seed has, by kind; None for a kind the platform does not know."""
        kinds = KINDS[community.profile.platform]
        return {kind: self._token(community, kind, 0) if kind in kinds else None for kind in ("user", "community")}

    def find(self, token: str, platform: str) -> Grant | None:
        """The rights of a token; None for one that never was. An expired one is found, and says so."""
        grant = self._by_token.get(token)
        if grant is None or grant.platform != platform:
            return None
        if grant.state == "good" and grant.expires_at is not None and grant.expires_at <= self._world.now:
            grant.state = "expired"
        return grant

    def make(self, community: Community, kind: Kind, scopes: list[str] | None, seconds: float | None) -> str:
        """One more token, good for `seconds` of virtual time. `ValueError` for a kind the platform does not know."""
        if kind not in KINDS[community.profile.platform]:
            raise ValueError(f"{community.profile.platform} has no {kind} tokens")
        number = self._made + 1
        until = None if seconds is None else self._world.now + int(seconds * 1000)
        wanted = list(SCOPES[community.profile.platform, kind]) if scopes is None else scopes
        self._world.emit(
            "token", community, "control", kind=kind, count=number, detail={"scopes": wanted, "expires_at": until}
        )
        return self._token(community, kind, number)

    def end(self, token: str, state: State) -> None:
        """Let a token expire, be revoked, or be good again. `KeyError` for an unknown one."""
        grant = self._by_token[token]
        community = self._world.communities[grant.community]
        self._world.emit("token_state", community, "control", name=grant.name, kind=state)

    def _follow(self, record: Record, community: Community) -> None:
        if record["type"] == "token":
            self._made = record["count"]
            detail = record["detail"]
            scopes, until = detail["scopes"], detail["expires_at"]
            if record["kind"] in ("user", "community") and isinstance(scopes, list):
                kind: Kind = "user" if record["kind"] == "user" else "community"
                self._add(community, kind, self._made, tuple(scopes), until if isinstance(until, int) else None)
        elif record["type"] == "token_state":
            for grant in self._by_token.values():
                if grant.name == record["name"]:
                    state = record["kind"]
                    grant.state = "expired" if state == "expired" else "revoked" if state == "revoked" else "good"

    def _add(self, c: Community, kind: Kind, number: int, scopes: tuple[str, ...], until: int | None) -> None:
        name = f"{c.key}/{kind}/{number}"
        self._by_token[self._token(c, kind, number)] = Grant(
            name, c.profile.platform, kind, c.key, frozenset(scopes), expires_at=until
        )

    def _token(self, c: Community, kind: Kind, number: int) -> str:
        digest = hashlib.sha256(f"{self._world.seed}:{c.key}:{kind}:{number}".encode()).hexdigest()
        return f"vk1.a.{digest}" if c.profile.platform == "vk" else digest[:43]
