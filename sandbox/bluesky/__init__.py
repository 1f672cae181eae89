"""Bluesky's XRPC, as far as a back office reads and writes it: one server for all its hosts.

Two accounts. Unlike Bluesky it keeps posts alone, and refers to nothing outside; nobody reposts for an
account, and quotations are counted, not written.
"""

from typing import Final

from sandbox.bluesky import ids, tokens
from sandbox.bluesky.api import routes
from sandbox.bluesky.call import fault, token_of
from sandbox.bluesky.repos import Repos
from sandbox.entities import Habit, Profile
from sandbox.network import Wire

_HABITS: Final[frozenset[Habit]] = frozenset({"message", "mention", "share", "save", "quote"})

PROFILES: Final = (
    Profile("windowseat", "bluesky", 17, "Window Seat Coffee", "Filter coffee and long talks.",
            "en", "coffee", 1120, True, _HABITS, True, ids.did(17), nested=False),
    Profile("velosreda", "bluesky", 18, "Велосреда", "Катаемся по средам, чиним каждый день.",
            "ru", "bikes", 540, False, _HABITS, True, ids.did(18), nested=False),
)  # fmt: skip

WIRE: Final = Wire(
    name="bluesky",
    profiles=PROFILES,
    tokens={"community": (tokens.CHAT,), "refresh": (tokens.CHAT,), "password": (tokens.CHAT,)},
    token=tokens.token,
    prefixes=("/xrpc/",),
    routes=routes,
    address=lambda _, c: f"https://bsky.app/profile/{ids.handle(c)}",
    limits={"calls": 3000, "seconds": 300, "writes": 5000, "uploads": 1000, "sessions": 30},
    token_of=token_of,
    fault=fault,
    fold=Repos,
)
