"""One call of a VK method: its parameters, its token and what that token may access."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from sandbox.entities import Community, Entry
from sandbox.grants import Grant
from sandbox.network import BadParameterError, Network, Params
from sandbox.vk import wire_models
from sandbox.vk.errors import VkError


@dataclass(frozen=True, slots=True)
class Call:
    """A call with a valid token that may call the method."""

    network: Network
    params: Params
    grant: Grant

    @property
    def own(self) -> Community:
        """The token's community."""
        return self.network.world.communities[self.grant.community]

    def fields(self) -> list[str]:
        return [one.strip() for one in self.params.get("fields").split(",") if one.strip()]

    def required(self, name: str) -> int:
        value = self.params.integer(name)
        if value is None:
            raise BadParameterError(f"{name} is undefined")
        return value

    def between(self, name: str, default: int, low: int, high: int) -> int:
        """An integer parameter, clamped to its bounds as VK does."""
        return max(min(self.params.integer(name, default) or 0, high), low)

    def community(self, name: str | int) -> Community | None:
        """A community by id, `club1` or screen name."""
        text = str(name).lower()
        for prefix in ("club", "public", "event"):
            text = text.removeprefix(prefix) if text.removeprefix(prefix).isdecimal() else text
        for c in self.network.communities("vk"):
            if text in (c.key, str(wire_models.group_id(c))):
                return c
        return None

    def wall(self, owner: str = "owner_id") -> Community:
        """The community on whose wall `owner_id` (negative) or `domain` points."""
        if owner not in self.params and "domain" in self.params:
            c = self.community(self.params.get("domain"))
        else:
            value = self.required(owner)
            if value >= 0:
                raise VkError(15, "this user's wall is closed")
            c = self.community(-value)
        if c is None:
            raise VkError(100, "owner_id is incorrect" if owner in self.params else "domain is incorrect")
        return c

    def own_community(self, group_id: int | None) -> Community:
        """The token's own community; error 203 for another one's id."""
        if group_id is not None and group_id != wire_models.group_id(self.own):
            raise VkError(203 if self.community(group_id) else 125)
        return self.own

    def post(self, c: Community, post_id: int, otherwise: int) -> Entry:
        """An existing post; raises the error `otherwise` if there is none."""
        entry = self.network.world.entry(c, post_id)
        if entry is None or entry.kind != "post":
            raise VkError(otherwise)
        return entry

    def repeated(self, field: str) -> tuple[str, str | None]:
        """The key under which an idempotent effect is stored, and the id it created earlier, if any."""
        value = self.params.get(field)
        if not value or value == "0":
            return "", None
        name = f"{self.grant.name}:{field}:{value}"
        record = self.network.world.keys.get(name)
        return name, None if record is None else record["id"]

    def extended(self, c: Community, entries: Iterable[Entry]) -> dict[str, object]:
        if not self.params.flag("extended"):
            return {}
        return wire_models.people(c, (wire_models.author_id(c, entry) for entry in entries))


Method: TypeAlias = Callable[[Call], object]
