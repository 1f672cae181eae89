"""A sandbox of one community, an adapter connected to it, and the HTTP transport between them."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, Final, TypeAlias, Unpack

import httpx

from app.kit.http import LOGGERS
from app.platforms.contract import Adapter, Credentials, MessageKind, RemoteMessage, RemotePost, Spec, Token
from sandbox import instants
from sandbox.entities import Community
from sandbox.ledger import Fields, Record
from sandbox.network import WireFormat
from sandbox.recount import Tally, tallies
from sandbox.server import Sandbox, build
from sandbox.wire_formats import discover_wire_formats
from tests.platforms.specimens import Specimen, specimen
from tests.sandbox.conftest import ManualClock, lift_rate_limits

BASE: Final = "http://localhost"
SEED: Final = 7
SIZE: Final = 300
"""The initial followers: few, so that the sandbox's history is generated quickly."""

Item: TypeAlias = RemotePost | RemoteMessage


def wire_of(key: str) -> WireFormat | None:
    """The sandbox's wire format of a platform; None where it has none."""
    return next((wire for wire in discover_wire_formats() if key in wire.platforms), None)


class SandboxTransport(httpx.AsyncBaseTransport):
    """Transports requests from an adapter to the sandbox; can run code before them, and lose or replace responses."""

    def __init__(self, sandbox: Sandbox, real: Callable[[], float]) -> None:
        self._real = real
        self._inner = httpx.ASGITransport(sandbox.app)
        self.requests: list[httpx.Request] = []
        self.responses: list[httpx.Response] = []
        self.before: Callable[[int], None] = lambda _: None
        """Called with the number of each request, from 0, before it is sent."""
        self.loses: Callable[[httpx.Request], bool] = lambda _: False
        """The requests whose responses are lost after the sandbox has processed them."""
        self.instead: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
        """Responses that replace the sandbox's; the request does not reach it."""
        self.spoils: Callable[[bytes], bytes] = lambda body: body
        """Changes the body of a response."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.before(len(self.requests))
        self.requests.append(request)
        await request.aread()
        if (response := self.instead(request)) is None:
            response = await self._inner.handle_async_request(request)
            await response.aread()
            if (spoilt := self.spoils(response.content)) != response.content:
                kept = {name: value for name, value in response.headers.items() if name != "content-length"}
                response = httpx.Response(response.status_code, headers=kept, content=spoilt)
        response.request = request
        response.headers.setdefault("date", formatdate(self._real(), usegmt=True))  # every real server sends it
        if self.loses(request):
            raise httpx.ReadError("the connection broke before its answer")
        self.responses.append(response)
        return response


@dataclass(slots=True)
class Subject:
    """An adapter under test, and the sandbox that it is connected to.

    The sandbox's time advances only by `later`.
    """

    kind: type[Adapter]
    about: Specimen
    sandbox: Sandbox
    clock: ManualClock
    transport: SandboxTransport
    http: httpx.AsyncClient
    community: Community
    connection: Mapping[str, Any]
    c: Credentials = field(init=False)
    stream: str | None = None
    """The cursor of the stream of events, if the platform has one."""
    seen: dict[str, Item] = field(default_factory=dict)
    """Posts and messages read so far, by id."""

    @property
    def spec(self) -> Spec:
        return self.kind.spec

    def adapter(self) -> Adapter:
        """A new one, as after a restart."""
        return self.kind(self.http)

    async def connect(self) -> None:
        """Set `c` as the service does: from the address, the tokens and the application's settings."""
        address = self.kind.address(str(self.connection["address"]))
        credentials = Credentials(
            address.canonical,
            address.base_url or str(self.connection["base_url"]),
            None,
            self.tokens(),
            self.settings(),
        )
        snapshot = await self.adapter().community(credentials)
        self.c = replace(credentials, external_id=snapshot.external_id, aliases=snapshot.aliases)

    def tokens(self) -> dict[Token, str]:
        texts = self.connection["tokens"]
        return {kind: texts[kind.value] for kind in self.spec.tokens if texts.get(kind.value)}

    def settings(self) -> dict[str, str]:
        values = {**self.connection, **self.connection.get("app", {})}
        return {name: str(values[name]) for name in self.spec.app_settings}

    def secrets(self) -> frozenset[str]:
        """The texts that must not be exposed."""
        return replace(self.about, tokens=self.c.tokens, app=self.c.app, derived_secrets=()).secrets

    # ── the sandbox ───────────────────────────────────────────────────────────────────────────

    @property
    def now(self) -> int:
        return self.sandbox.network.world.now

    def later(self, seconds: float = 1) -> None:
        """Advance the sandbox's time by seconds, and process the events that are due."""
        self.sandbox.network.clock.advance(int(seconds * 1000))
        self.sandbox.network.tick()

    def let(self, event: str, **fields: Unpack[Fields]) -> Record:
        """Emit an event, one second after the one before."""
        self.later()
        return self.sandbox.network.world.emit(event, self.community, "control", **fields)

    def post(self, text: str = "Open on Sunday") -> Record:
        return self.let("post", text=text)

    def comment(self, post: str, text: str = "Until when?", *, parent: str | None = None, person: int = 1) -> Record:
        fields = Fields(post=post, text=text, person=self.community.number_of(person), kind="question")
        if parent is not None:
            fields["parent"] = parent
        return self.let("comment", **fields)

    def message(self, text: str = "Is anybody there?", *, person: int = 1) -> Record:
        return self.let("message", text=text, person=self.community.number_of(person), kind="question")

    def mention(self, text: str = "I like it there", *, person: int = 1) -> Record:
        return self.let("mention", text=text, person=self.community.number_of(person), kind="question")

    def delete(self, record: Record) -> None:
        """Delete a post or a comment."""
        world = self.sandbox.network.world
        fields = Fields(id=record["id"])
        if record["type"] != "post":
            fields["post"] = record["post"]
            fields["person"] = record["person"]
        world.emit(
            "post_deleted" if record["type"] == "post" else "comment_deleted", self.community, "control", **fields
        )

    def records(self, *types: str) -> list[Record]:
        """The ledger's records of these types."""
        return [one for one in self.sandbox.network.world.ledger.page(0, 10_000_000) if one["type"] in types]

    def accepted(self, kind: str) -> list[Record]:
        """The ledger's records that were created through the platform's API."""
        return [one for one in self.records(kind) if one["origin"] == "api"]

    def tally(self, at: int | None = None) -> Tally:
        """The totals of the ledger, now or at another instant (in milliseconds)."""
        world = self.sandbox.network.world
        return tallies(world.ledger.page(0, 10_000_000), world.now if at is None else at)[self.community.key]

    def lets(self, kind: MessageKind) -> bool:
        """Whether the community receives messages of this kind."""
        return kind is MessageKind.COMMENT or kind.value in self.community.profile.activities

    async def control(self, path: str, **ask: object) -> Any:
        """Call the sandbox's control API."""
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.sandbox.app), base_url=BASE) as http:
            answer = await http.post(f"/_sandbox/{path}", json=ask)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def changes(self, request: httpx.Request) -> bool:
        """Whether a request is the change itself, not a lookup or upload before it."""
        return request.method != "GET" and self.about.before(request) is None

    def clear_faults(self) -> None:
        self.sandbox.app.rules.clear()


@asynccontextmanager
async def staged(key: str, kind: type[Adapter]) -> AsyncIterator[Subject]:
    """An adapter of the platform `key`, connected to the least busy of the sandbox's communities."""
    wire = wire_of(key)
    assert wire is not None, f"the sandbox does not speak {key}"
    quiet = min((profile for profile in wire.profiles if profile.platform == key), key=lambda profile: profile.busy)
    one = replace(quiet, size=SIZE)
    clock = ManualClock()
    sandbox = build(seed=SEED, real=clock, tick=None, speed=0, wire_formats=[replace(wire, profiles=(one,))])
    lift_rate_limits(sandbox)
    sandbox.network.base_url = BASE
    transport = SandboxTransport(sandbox, clock)
    for name in LOGGERS:  # as `kit.http` does
        logging.getLogger(name).setLevel(logging.WARNING)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app), base_url=BASE) as http:
        (connection,) = (await http.get("/_sandbox/communities")).json()
    try:
        async with httpx.AsyncClient(transport=transport) as http:
            community = sandbox.network.world.communities[one.key]
            subject = Subject(kind, specimen(key), sandbox, clock, transport, http, community, connection)
            await subject.connect()
            yield subject
    finally:
        sandbox.network.world.ledger.close()


def moment(milliseconds: int) -> datetime:
    """A time of the sandbox in whole seconds, since some platforms return no fractions."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC)


def recorded_at(record: Record) -> datetime:
    return moment(instants.parse(record["at"]))
