"""One call of a REST method: application, signature, token and parameters."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from sandbox.entities import Community, Entry
from sandbox.grants import Grant
from sandbox.network import BadParameterError, Network, Params
from sandbox.odnoklassniki.errors import OkError

UNSIGNED: Final = frozenset({"access_token", "session_key", "sig"})


def application(network: Network) -> dict[str, str]:
    """The application that all administrators use."""
    digest = hashlib.sha256(f"{network.world.seed}:odnoklassniki:application".encode()).hexdigest().upper()
    return {
        "application_id": "512000000015",
        "application_key": f"CB{digest[:15]}",
        "application_secret": digest[16:40],
    }


def connection(network: Network, _: Community) -> dict[str, object]:
    return {"app": application(network)}


def signature(sent: Iterable[tuple[str, str]], secret: str) -> str:
    """MD5 of all `name=value`, sorted by name and without session parameters, followed by the secret."""
    signed = sorted((name, value) for name, value in sent if name not in UNSIGNED)
    return _md5("".join(f"{name}={value}" for name, value in signed) + secret)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def authenticate(network: Network, parameters: Params) -> Grant:
    """The grant of a REST call; raises the error OK would return."""
    app, token = application(network), parameters.get("access_token")
    if parameters.get("application_key") != app["application_key"]:
        raise OkError(101)
    if not token:
        raise OkError(453)
    if parameters.get("sig") != signature(parameters.pairs(), _md5(token + app["application_secret"])):
        raise OkError(104)
    return valid_grant(network, token, "user")


def valid_grant(network: Network, token: str, kind: str) -> Grant:
    """The grant of a token of this kind; counts the call."""
    grant = network.grants.find(token, "odnoklassniki")
    if grant is None or grant.kind != kind or grant.state == "revoked":
        raise OkError(103)
    if grant.state == "expired":
        raise OkError(102)
    if not network.counter.second(f"odnoklassniki/{grant.name}", network.limits[f"odnoklassniki_{kind}_rps"]):
        raise OkError(11)
    return grant


@dataclass(frozen=True, slots=True)
class Call:
    """A REST call with a valid signature and token."""

    network: Network
    params: Params
    grant: Grant

    @property
    def own(self) -> Community:
        """The group that the token's owner administers."""
        return self.network.world.communities[self.grant.community]

    def required(self, name: str) -> str:
        value = self.params.get(name)
        if not value:
            raise BadParameterError(f"{name} is not specified")
        return value

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        value = self.params.integer(name, default) or 0
        if not low <= value <= high:
            raise BadParameterError(f"{name} must be from {low} to {high}")
        return value

    def needs(self, right: str) -> None:
        if right not in self.grant.scopes:
            raise OkError(10, f"requires {right}")

    def group(self, name: str = "gid") -> Community:
        """The group named by a parameter; error 160 if there is none, 50 if it is another one."""
        c = self.find_group(self.required(name))
        if c is None:
            raise OkError(160)
        if c is not self.own:
            raise OkError(50)
        return c

    def find_group(self, group_id: str) -> Community | None:
        groups = self.network.communities("odnoklassniki")
        return next((c for c in groups if c.profile.external_id == group_id), None)

    def topic(self, topic_id: str) -> tuple[Community, Entry] | None:
        """An existing topic, of any group."""
        for c in self.network.communities("odnoklassniki"):
            entry = self.network.world.entry(c, int(topic_id)) if topic_id.isdecimal() else None
            if entry is not None and entry.kind == "post":
                return c, entry
        return None

    def fields(self, bean: str, supported: Iterable[str]) -> None:
        """The requested fields; as in OK, an unknown one is an error."""
        for name in self.params.get("fields").split(","):
            own = name.strip().upper().rpartition(".")[2]
            if own and own != "*" and own not in supported:
                raise BadParameterError(f"Field '{own}' does not exist in type {bean}")


def anchor(entry_id: int) -> str:
    """The anchor of a page's last item; it stays valid when other items are added or deleted."""
    return base64.urlsafe_b64encode(f"-{entry_id}:-{entry_id}".encode()).decode()


def anchor_entry_id(text: str) -> int:
    """The entry id in an anchor; raises `BadParameterError` for anything else."""
    try:
        return -int(base64.urlsafe_b64decode(text.encode()).decode().partition(":")[0])
    except ValueError:
        raise BadParameterError("anchor is invalid") from None


Method: TypeAlias = Callable[[Call], object]
Methods: TypeAlias = Mapping[str, Method]
