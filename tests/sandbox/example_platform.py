"""An example platform for tests; it declares everything that a platform folder can."""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.entities import Activity, Community, Profile
from sandbox.hooks import Delivery, Hook, Subscription
from sandbox.ledger import Fields, Record
from sandbox.network import Network, WireFormat, json_response, params
from sandbox.world import World

HOUR: Final = 3600
_ACTIVITIES: Final[frozenset[Activity]] = frozenset({"save", "quote"})

PROFILE: Final = Profile(
    "stall", "example", 900, "The Stall", "Tea.", "en", "coffee", 60, False, _ACTIVITIES, False, "st-900"
)  # fmt: skip


class CounterView:
    """Stores the posts created through the API, which the world does not."""

    def __init__(self, world: World) -> None:
        self.posts: list[str] = []
        world.listeners.append(self._follow)

    def _follow(self, record: Record, _: Community) -> None:
        if record["type"] == "post" and record["origin"] == "api":
            self.posts.append(record["id"])


def routes(network: Network) -> list[Route]:
    async def refresh(request: Request) -> Response:
        """Two new tokens for a refresh token, which is valid once."""
        network.tick()
        token = str(request.path_params["token"])
        grant = network.grants.find(token, "example")
        if grant is None or grant.state != "good" or grant.kind != "refresh":
            return fault("InvalidToken")
        c = network.world.communities[grant.community]
        network.grants.end(token, "revoked", origin="api")
        return json_response({
            "access": network.grants.make(c, "community", seconds=2 * HOUR, origin="api"),
            "refresh": network.grants.make(c, "refresh", origin="api"),
        })  # fmt: skip

    async def post(request: Request) -> Response:
        """Create a post with an image; a repeated `key` creates nothing."""
        network.tick()
        token, query = str(request.path_params["token"]), await params(request)
        grant = network.grants.find(token, "example")
        if grant is None or grant.state != "good" or "write" not in grant.scopes:
            return fault("InvalidToken")
        c, world, key = network.world.communities[grant.community], network.world, query.get("key")
        if (community := world.keys.get(key)) is not None:
            return json_response({"id": community["id"]})
        image = world.emit("media", c, "api", kind="image/png", count=68)["id"]
        fields = Fields(text=query.get("text"), media=[image], key=key)
        return json_response({"id": world.emit("post", c, "api", **fields)["id"]})

    return [Route("/example/{token}/refresh", refresh, methods=["POST"]), Route("/example/{token}/post", post)]


def fault(code: int | str) -> Response:
    if str(code).isdecimal():
        raise ValueError(f"{code} is no error of the example platform")
    return json_response({"error": code}, 400, {"X-Example": "closed"})


def _confirmation(_: World, one: Subscription, __: Community) -> Delivery:
    return Delivery(
        name="challenge", kind="challenge", method="GET", query={"challenge": "17", "verify": one.verify},
        is_accepted=lambda status, said: status == 200 and said == "17",
    )  # fmt: skip


def _events(_: World, one: Subscription, __: Community, record: Record) -> Iterable[Delivery]:
    if record["type"] == "comment":
        body = orjson.dumps({"said": record["text"]})
        signature = hmac.new(one.secret.encode(), body, hashlib.sha256).hexdigest()
        yield Delivery(name=f"example-{record['n']}", kind="said", body=body, headers={"X-Signature": signature})


WIRE_FORMAT: Final = WireFormat(
    name="example",
    profiles=(PROFILE,),
    tokens={"community": ("write",), "refresh": (), "app": ("read",)},
    token=lambda profile, kind, digest: f"{profile.number}:{kind[0]}{digest[:20]}",
    prefixes=("/example/",),
    routes=routes,
    address=lambda network, c: f"{network.base_url}/example/{c.key}",
    connection=lambda _, __: {"app_secret": "hush"},
    limits={"calls": 10},
    token_of=lambda request, _: request.url.path.split("/")[2],
    fault=fault,
    hook=Hook(events=_events, confirmation=_confirmation),
    extra_state=CounterView,
)
