"""YouTube's Data API v3 and Google's token endpoints: reading a channel and replying to comments.

Special values of a post's category: `private`, `public_after:3600` (seconds), `comments_off`, `likes_hidden`.
"""

from typing import Final

from starlette.responses import Response

from sandbox.entities import Activity, Profile
from sandbox.network import WireFormat
from sandbox.youtube import ids, tokens, wire_models
from sandbox.youtube.api import routes
from sandbox.youtube.channels import Channels
from sandbox.youtube.errors import refusal

_ACTIVITIES: Final[frozenset[Activity]] = frozenset({"view"})

PROFILES: Final = (
    Profile("beanlab", "youtube", 13, "Bean Lab", "How coffee is grown, roasted and brewed.",
            "en", "coffee", 3120, True, _ACTIVITIES, True, ids.channel(13)),
    Profile("veloshkola", "youtube", 14, "Велошкола", "Чиним велосипеды перед камерой.",
            "ru", "bikes", 1090, False, _ACTIVITIES, True, ids.channel(14)),
)  # fmt: skip

_TEXTS: Final = {"app": "AIzaSy{:.33}", "community": "ya29.a0{}", "refresh": "1//0g{}"}


def _fault(code: int | str) -> Response:
    return refusal(str(code))


WIRE_FORMAT: Final = WireFormat(
    name="youtube",
    profiles=PROFILES,
    tokens={"app": (), "community": (tokens.FORCE_SSL,), "refresh": (tokens.FORCE_SSL,)},
    token=lambda _, kind, digest: _TEXTS[kind].format(digest),
    prefixes=("/youtube/v3/", "/token"),
    routes=routes,
    address=lambda _, c: f"{wire_models.SITE}/@{c.key}",
    connection=tokens.connection,
    limits={"units": 10_000},
    token_of=tokens.token_of,
    fault=_fault,
    extra_state=Channels,
)
