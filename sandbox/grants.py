"""Tokens and their rights. Stable ones are derived from the seed; more are made at run time."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from sandbox.entities import Community, Profile
from sandbox.ledger import Origin, Record
from sandbox.world import World

Kind: TypeAlias = str
"""What a token is for. `community` and `user` act for a community or its administrator; others are
platform-specific: `app` (an API key), `refresh` and `password` (only obtain access tokens)."""

State = Literal["good", "expired", "revoked"]

EVERYWHERE: Final[tuple[Kind, ...]] = ("user", "community")
"""Kinds that `stable` lists even if the platform does not have them."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """The tokens of a wire format."""

    wire: str
    """The wire format's name."""
    kinds: Mapping[Kind, tuple[str, ...]]
    """The default scopes of each kind of token."""
    text: Callable[[Profile, Kind, str], str]
    """Makes a token's text from its 64 hexadecimal digits."""


@dataclass(slots=True)
class Grant:
    """One token's rights."""

    name: str
    """Its name in the ledger, which never contains tokens."""
    platform: str
    kind: Kind
    community: str
    scopes: frozenset[str]
    state: State = "good"
    expires_at: int | None = None


class Grants:
    """All tokens. `rules` are by platform."""

    def __init__(self, world: World, rules: Mapping[str, TokenRules]) -> None:
        self._world = world
        self._rules = rules
        self._by_token: dict[str, Grant] = {}
        for community in world.communities.values():
            for kind, scopes in self._rules_of(community).kinds.items():
                self._add(community, kind, 0, scopes, None)
        self._made = 0
        world.listeners.append(self._follow)

    def stable(self, community: Community) -> dict[str, str | None]:
        """The tokens derived from the seed, by kind; None for a kind in `EVERYWHERE` that the platform lacks."""
        kinds = self._rules_of(community).kinds
        return {
            kind: self._token(community, kind, 0) if kind in kinds else None
            for kind in dict.fromkeys((*EVERYWHERE, *kinds))
        }

    def find(self, token: str, platform: str) -> Grant | None:
        """The grant of a token; None if it is unknown. `platform` is a platform or a wire format's name. Expired and
        revoked tokens are returned too; check `state`."""
        grant = self._by_token.get(token)
        if grant is None or platform not in (grant.platform, self._rules[grant.platform].wire):
            return None
        if grant.state == "good" and grant.expires_at is not None and grant.expires_at <= self._world.now:
            grant.state = "expired"
        return grant

    def make(
        self,
        community: Community,
        kind: Kind,
        scopes: Sequence[str] | None = None,
        seconds: float | None = None,
        *,
        origin: Origin = "control",
    ) -> str:
        """Make a token that is valid for `seconds` of virtual time (None: forever), and return it.

        A wire format passes the origin `api`. Raises `ValueError` for a kind the platform does not have.
        """
        kinds = self._rules_of(community).kinds
        if kind not in kinds:
            raise ValueError(f"{community.profile.platform} has no {kind} tokens")
        number = self._made + 1
        until = None if seconds is None else self._world.now + int(seconds * 1000)
        granted_scopes = list(kinds[kind] if scopes is None else scopes)
        self._world.emit(
            "token", community, origin, kind=kind, count=number, detail={"scopes": granted_scopes, "expires_at": until}
        )
        return self._token(community, kind, number)

    def end(self, token: str, state: State, *, origin: Origin = "control") -> None:
        """Set a token's state: expired, revoked or good again. Raises `KeyError` for an unknown token.

        A wire format revokes a single-use refresh token with the origin `api` once it was used.
        """
        grant = self._by_token[token]
        community = self._world.communities[grant.community]
        self._world.emit("token_state", community, origin, name=grant.name, kind=state)

    def _rules_of(self, community: Community) -> TokenRules:
        return self._rules[community.profile.platform]

    def _follow(self, record: Record, community: Community) -> None:
        if record["type"] == "token":
            self._made = record["count"]
            detail = record["detail"]
            scopes, until = detail["scopes"], detail["expires_at"]
            if isinstance(scopes, list):
                self._add(
                    community, record["kind"], self._made, tuple(scopes), until if isinstance(until, int) else None
                )
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
        return self._rules_of(c).text(c.profile, kind, digest)
