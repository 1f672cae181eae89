"""The sandbox of the simulated day: its communities, their past, and their activity."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from app.kit.clock import Clock
from app.platforms import adapters
from app.platforms.contract import LimitScope, RateLimit, Token
from sandbox.bluesky.ids import did as bluesky_did
from sandbox.entities import Community, Profile
from sandbox.network import WireFormat
from sandbox.server import Sandbox, build
from sandbox.wire_formats import discover_wire_formats
from sandbox.youtube.ids import channel as youtube_channel

YEAR: Final = 357 * 24 * 3600
"""Posts are spread evenly over this many seconds."""


SHARED: Final = frozenset({Token.APP})
"""Kinds of token that belong to no account: an agency has one for all its communities."""


def share_app_tokens(communities: Sequence[dict[str, Any]]) -> None:
    """Give all communities of a platform the same application key."""
    first: dict[tuple[str, Token], str] = {}
    for one in communities:
        for kind in SHARED:
            if text := one["tokens"].get(kind.value):
                one["tokens"][kind.value] = first.setdefault((one["platform"], kind), text)


def with_communities(wire: WireFormat, platform: str, count: int, first: int) -> tuple[WireFormat, int]:
    """The wire format with `count` communities of a platform in place of its own; the next free number."""
    model = next(profile for profile in wire.profiles if profile.platform == platform)
    made = tuple(
        replace(
            model,
            key=f"{platform}{n}",
            number=first + n,
            size=20,
            busy=False,
            external_id=external_id(model, first + n),
        )
        for n in range(count)
    )
    others = tuple(profile for profile in wire.profiles if profile.platform != platform)
    return replace(wire, profiles=(*others, *made)), first + count


def external_id(model: Profile, number: int) -> str:
    """The id of a community of this number on the platform of `model`."""
    if model.platform == "youtube":
        return youtube_channel(number)
    if model.external_id.removeprefix("-").isdecimal():
        sign = -1 if model.external_id.startswith("-") else 1
        return str(int(model.external_id) + sign * number)
    return bluesky_did(number)


def build_world(clock: Clock, platforms: Sequence[str], share: int) -> Sandbox:
    """A sandbox without simulated activity, with `share` communities of each of these platforms."""
    wire_formats: list[WireFormat] = []
    number = 100
    for wire in discover_wire_formats():
        if not set(wire.platforms) & set(platforms):
            continue
        for platform in wire.platforms:
            wire, number = with_communities(wire, platform, share if platform in platforms else 0, number)
        wire_formats.append(wire)
    return build(seed=7, real=lambda: clock.now().timestamp(), tick=None, wire_formats=wire_formats, alive=False)


def scale_limits(sandbox: Sandbox, share: float) -> None:
    """Reduce the limits that all communities share to this share, for a sample of communities."""

    def smaller(limit: RateLimit) -> RateLimit:
        is_shared = limit.scope in {LimitScope.ADDRESS, LimitScope.APP} or limit.token in SHARED
        return replace(limit, calls=max(1, round(limit.calls * share))) if is_shared else limit

    for kind in adapters().values():
        kind.spec = replace(kind.spec, rate_limits=tuple(smaller(limit) for limit in kind.spec.rate_limits))
    for name in {"youtube_units", "graph_app_calls"} & sandbox.network.limits.keys():
        sandbox.network.limits[name] = max(1, round(sandbox.network.limits[name] * share))


def fill(sandbox: Sandbox, rng: random.Random, posts: int) -> int:
    """Create this many posts, at random instants of the past year; how many were created.

    Only in communities of platforms whose past can be read.
    """
    world = sandbox.network.world
    with_history = [one for one in world.communities.values() if adapters()[one.profile.platform].spec.history]
    each = posts // max(len(with_history), 1)
    born = world.now
    world.now = born - YEAR * 1000
    moments = sorted((rng.randrange(YEAR * 1000 - 1), n) for n in range(len(with_history)) for _ in range(each))
    for offset, n in moments:
        world.now = born - YEAR * 1000 + offset
        world.emit("post", with_history[n], text=f"Post of {world.now}")
    world.now = born
    return len(moments)


def schedule_activity(sandbox: Sandbox, rng: random.Random, seconds: int) -> None:
    """Schedule posts, reactions, comments and messages over the next seconds."""
    world = sandbox.network.world

    def later(community: Community, event: str) -> None:
        at = world.now + rng.randrange(seconds) * 1000

        def happen() -> None:
            person = community.number_of(rng.randrange(1, 20))
            if event == "post":
                world.emit("post", community, text=f"News of {world.now}")
                return
            if event == "message":
                world.emit("message", community, person=person, text="Are you open?", kind="question")
                return
            if not community.posts:
                return
            post = str(community.posts[-min(len(community.posts), 1 + int(rng.expovariate(0.2)))])
            if event == "comment":
                world.emit("comment", community, post=post, person=person, text="How much is it?", kind="question")
            else:
                world.emit("reaction", community, id=post, person=person)

        world.later(at, happen)

    for community in world.communities.values():
        days = seconds / 86_400
        for event, per_day in (("post", 1.4), ("reaction", 40), ("comment", 4), ("message", 2)):
            if event == "message" and "message" not in community.profile.activities:
                continue
            for _ in range(int(per_day * days) + (rng.random() < per_day * days % 1)):
                later(community, event)
