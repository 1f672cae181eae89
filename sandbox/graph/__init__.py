"""Meta's Graph API v26.0 for Facebook Pages and Instagram: posts, comments, messages, insights and webhooks.

Two Pages and two Instagram accounts, all managed through one application. An account accepts two kinds of tokens:
that of the Page it is connected to (`community`), and one of Instagram Login (`user`). Unlike Meta it does not
download pictures, accepts plain http webhook URLs, sends the challenge after accepting the URL, and lists all
messages of a conversation with their texts. Comments are never ranked.

Unverified: the order of replies to an Instagram comment; the HTTP status of most errors; which error code a missing
permission gives; that `subscribed_apps` of an account needs only its Page's permissions.
"""

from __future__ import annotations

from typing import Final

from sandbox.entities import Activity, Community, Profile
from sandbox.grants import Kind
from sandbox.graph import ids, oauth
from sandbox.graph.api import routes
from sandbox.graph.call import VERSION, app_secret, verify_token
from sandbox.graph.errors import fault
from sandbox.graph.events import HOOK
from sandbox.graph.limits import LIMITS
from sandbox.graph.state import GraphState
from sandbox.network import Network, WireFormat

_PAGE: Final[frozenset[Activity]] = frozenset({"message", "share", "view"})
_ACCOUNT: Final[frozenset[Activity]] = frozenset({"message", "mention", "share", "view", "save"})

PROFILES: Final = (
    Profile("cornercafe", "facebook", 9, "The Corner Café", "Coffee, cake and a warm stove.",
            "en", "coffee", 2610, True, _PAGE, False, "100000000000009"),
    Profile("veloklub.nord", "facebook", 10, "Велоклуб «Норд»", "Катаемся по выходным.",
            "ru", "bikes", 730, False, _PAGE, False, "100000000000010"),
    Profile("corner.cafe", "instagram", 11, "Corner Café", "Latte art and cinnamon buns.",
            "en", "coffee", 3480, True, _ACCOUNT, False, "17841400000000011"),
    Profile("lingua.school", "instagram", 12, "Lingua Language School", "Six languages, small groups.",
            "en", "school", 890, False, _ACCOUNT, False, "17841400000000012"),
)  # fmt: skip


def _token(profile: Profile, kind: Kind, digest: str) -> str:
    return f"{'IGAA' if kind == 'user' and profile.platform == 'instagram' else 'EAAG'}{digest}"


def _address(_: Network, c: Community) -> str:
    return f"https://www.{c.profile.platform}.com/{c.key}"


def _connection(network: Network, c: Community) -> dict[str, object]:
    world = network.world
    app = {"client_id": ids.APP, "client_secret": app_secret(world)}
    hook = {"app_secret": app_secret(world), "verify_token": verify_token(world)}
    return {"page_id": ids.page(c), "app": {**app, **hook}}


WIRE_FORMAT: Final = WireFormat(
    name="graph",
    profiles=PROFILES,
    tokens={"user": oauth.USER, "community": oauth.PAGE},
    token=_token,
    prefixes=(f"/{VERSION}", "/oauth/access_token", "/debug_token", "/refresh_access_token", "/access_token"),
    routes=routes,
    address=_address,
    connection=_connection,
    limits=LIMITS,
    fault=fault,
    hook=HOOK,
    extra_state=GraphState,
)
