"""The part of Mastodon's REST API (4.4) that a back office uses."""

from typing import Final

from sandbox.entities import Activity, Profile
from sandbox.mastodon.api import routes
from sandbox.mastodon.servers import SERVERS
from sandbox.network import WireFormat

_ACTIVITIES: Final[frozenset[Activity]] = frozenset({"message", "mention", "share", "edit"})

PROFILES: Final = (
    Profile("coffee", "mastodon", 1, "Corner Coffee House", "Coffee, books and a window seat.",
            "en", "coffee", 1280, True, _ACTIVITIES, True, "109300000000000001", nested=False),
    Profile("velodvor", "mastodon", 2, "Велодвор", "Мастерская и прокат велосипедов.",
            "ru", "bikes", 460, False, _ACTIVITIES, True, "109300000000000002", nested=False),
    Profile("lingua", "mastodon", 3, "Lingua School", "Six languages, small groups.",
            "en", "school", 830, False, _ACTIVITIES, True, "109300000000000003", nested=False),
)  # fmt: skip

WIRE_FORMAT: Final = WireFormat(
    name="mastodon",
    profiles=PROFILES,
    tokens={"community": ("read", "write")},
    token=lambda profile, kind, digest: digest[:43],
    prefixes=("/api/v1/", "/api/v2/", "/@", "/nodeinfo/", "/.well-known/"),
    variants=SERVERS,
    routes=routes,
    address=lambda network, c: f"{network.base_url}/@{c.key}",
    limits={
        "calls": 300,
        "seconds": 300,
        "media": 30,
        "media_seconds": 1800,
        "statuses": 300,
        "statuses_seconds": 10_800,
    },
)
