"""The part of Odnoklassniki's REST and Graph APIs that a back office uses.

There is no schema: the shapes follow apiok.ru, github.com/apiok/documentation and public clients, and
`tests/sandbox/odnoklassniki_shapes.py` says of each where it was seen. Unlike there, a token's life is
not prolonged by its calls.
"""

from typing import Final

from sandbox.entities import Activity, Profile
from sandbox.network import WireFormat
from sandbox.odnoklassniki.api import routes
from sandbox.odnoklassniki.call import connection
from sandbox.odnoklassniki.errors import fault
from sandbox.odnoklassniki.events import HOOK
from sandbox.odnoklassniki.photos import PATH
from sandbox.odnoklassniki.removed_comments import RemovedComments

_ACTIVITIES: Final[frozenset[Activity]] = frozenset({"message", "share", "view"})

PROFILES: Final = (
    Profile("pekarnya", "odnoklassniki", 15, "Пекарня «Тёплый хлеб»", "Хлеб, булочки и кофе с собой.",
            "ru", "coffee", 2630, True, _ACTIVITIES, True, "57000000000015"),
    Profile("shkola_yazykov", "odnoklassniki", 16, "Школа языков «Полиглот»", "Языки для взрослых и детей.",
            "ru", "school", 710, False, _ACTIVITIES, True, "57000000000016"),
)  # fmt: skip

SCOPES: Final = ("VALUABLE_ACCESS", "LONG_ACCESS_TOKEN", "GROUP_CONTENT", "PHOTO_CONTENT")
_TEXTS: Final = {"user": "-s-{:.48}", "community": "tkn1{:.40}:CBOKSANDBOX", "refresh": "{:.11}_{:.32}"}


def _token(_: Profile, kind: str, digest: str) -> str:
    return _TEXTS[kind].format(digest, digest[11:])


WIRE_FORMAT: Final = WireFormat(
    name="odnoklassniki",
    profiles=PROFILES,
    tokens={"user": SCOPES, "community": (), "refresh": SCOPES},
    token=_token,
    prefixes=("/fb.do", "/graph/me/", "/oauth/token.do", PATH),
    routes=routes,
    address=lambda _, c: f"https://ok.ru/{c.key}",
    connection=connection,
    limits={"user_rps": 5, "community_rps": 5},
    fault=fault,
    hook=HOOK,
    extra_state=RemovedComments,
)
