"""The part of Bluesky's XRPC that a back office uses: one server in place of all hosts.

Two accounts. Unlike Bluesky it keeps posts alone, and refers to nothing outside; nobody reposts for an
account, and quotations are counted, not written.
"""

from typing import Final

from sandbox.bluesky import ids, tokens
from sandbox.bluesky.api import routes
from sandbox.bluesky.call import fault, token_of
from sandbox.bluesky.repos import Repos
from sandbox.bluesky.servers import CONDITIONS
from sandbox.entities import Activity, Profile
from sandbox.network import WireFormat

_ACTIVITIES: Final[frozenset[Activity]] = frozenset({"message", "mention", "share", "save", "quote"})

PROFILES: Final = (
    Profile("windowseat", "bluesky", 17, "Window Seat Coffee", "Filter coffee and long talks.",
            "en", "coffee", 1120, True, _ACTIVITIES, True, ids.did(17), nested=False),
    Profile("velosreda", "bluesky", 18, "Велосреда", "Катаемся по средам, чиним каждый день.",
            "ru", "bikes", 540, False, _ACTIVITIES, True, ids.did(18), nested=False),
)  # fmt: skip

WIRE_FORMAT: Final = WireFormat(
    name="bluesky",
    profiles=PROFILES,
    tokens={"community": (tokens.CHAT,), "refresh": (tokens.CHAT,), "password": (tokens.CHAT,)},
    token=tokens.token,
    prefixes=("/xrpc/",),
    variants=CONDITIONS,
    routes=routes,
    address=lambda _, c: f"https://bsky.app/profile/{ids.handle(c)}",
    limits={"calls": 3000, "seconds": 300, "writes": 5000, "uploads": 1000, "sessions": 30},
    token_of=token_of,
    fault=fault,
    extra_state=Repos,
)
