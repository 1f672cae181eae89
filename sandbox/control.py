"""The control API at `/_sandbox/…`: inspect and change the simulated platforms. No real platform has it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal, TypeAlias

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import instants
from sandbox.entities import PEOPLE_PER_COMMUNITY, Community
from sandbox.faults import Faults, Rule
from sandbox.grants import Kind
from sandbox.ledger import Fields
from sandbox.network import Network, json_response

Json = dict[str, object]


class ControlRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ClockRequest(ControlRequest):
    """Any of: a new speed, a jump to `at` (ISO 8601 with zone), a jump forward by `advance` virtual seconds."""

    speed: float | None = None
    at: str | None = None
    advance: float | None = Field(default=None, ge=0)


class TokenRequest(ControlRequest):
    community: str
    kind: Kind = "community"
    scopes: list[str] | None = None
    expires_in: float | None = None
    """Virtual seconds."""


class TokenEnd(ControlRequest):
    token: str
    state: Literal["good", "expired", "revoked"] = "revoked"


LimitsRequest = TypeAdapter(dict[str, Annotated[int, Field(ge=1)]])
"""Values by `<wire>_<name>`."""
VariantsRequest = TypeAdapter(dict[str, str])
"""Names of variants by wire format."""


class CallbackRequest(ControlRequest):
    community: str
    url: str
    secret: str | None = None
    verify: str | None = None
    """The verification token, where the subscriber chooses it."""


class MissRequest(ControlRequest):
    """Drop the next `count` webhook events of a community."""

    community: str
    count: int = Field(ge=0)


class ResumeRequest(ControlRequest):
    community: str


class AttachedRequest(BaseModel):
    """A file that a customer attaches."""

    kind: Literal["picture", "video", "file"] = "picture"
    name: str = ""


class ActRequest(ControlRequest):
    """Make a simulated person act now. `post` and `answer` are by the community, in the platform's own app."""

    act: Literal[
        "post", "comment", "mention", "message", "react", "unreact", "share", "view", "save", "quote", "follow",
        "unfollow", "delete_post", "delete_comment", "edit", "answer",
    ]  # fmt: skip
    person: int | None = Field(default=None, ge=1, lt=PEOPLE_PER_COMMUNITY)
    """The person's number within the community's range; default 900000."""
    post: str | None = None
    """Default: the latest post."""
    parent: str | None = None
    """The post, comment, mention or message replied to. An `answer` without it is to `person`'s messages."""
    id: str | None = None
    """The entry that is reacted to, edited or deleted; default: the post."""
    text: str | None = None
    attachments: tuple[AttachedRequest, ...] = ()
    """Of a comment, mention or message; without `text` these are all that it has."""
    kind: Literal["question", "problem", "thanks", "other"] = "question"
    claimed: str | None = None
    """The date that the person's own server writes into a comment or mention, valid or not."""
    category: str = ""
    invite_link: str | None = None
    """The invite link through which the person follows (Telegram)."""
    count: int = Field(default=1, ge=1)
    unique: int | None = None


def _with_attachments(fields: Fields, ask: ActRequest) -> Fields:
    if ask.attachments:
        fields["attachments"] = [one.model_dump() for one in ask.attachments]
    return fields


class ControlError(Exception):
    """The request cannot be carried out; the message says why."""


Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


class Control:
    """The control API of one sandbox."""

    def __init__(self, network: Network, faults: Faults) -> None:
        self._network, self._faults = network, faults

    def routes(self) -> list[Route]:
        table: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "/state", self.state),
            ("GET", "/communities", self.communities),
            ("POST", "/communities/{key}", self.act),
            ("GET", "/clock", self.clock),
            ("POST", "/clock", self.set_clock),
            ("GET", "/faults", self.faults),
            ("POST", "/faults", self.add_fault),
            ("DELETE", "/faults", self.clear_faults),
            ("DELETE", "/faults/{id:int}", self.clear_faults),
            ("GET", "/ledger", self.ledger),
            ("POST", "/tokens", self.make_token),
            ("POST", "/tokens/state", self.end_token),
            ("POST", "/limits", self.limits),
            ("POST", "/variants", self.variants),
            ("POST", "/callbacks", self.add_callback),
            ("POST", "/callbacks/miss", self.miss_callbacks),
            ("POST", "/callbacks/resume", self.resume_callbacks),
        )
        return [Route(f"/_sandbox{path}", self._guarded(handler), methods=[method]) for method, path, handler in table]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            self._network.tick()
            try:
                return await handler(request)
            except ValidationError as problem:
                first = problem.errors()[0]
                where = ".".join(str(part) for part in first["loc"])
                return json_response({"error": f"{where}: {first['msg']}" if where else first["msg"]}, 400)
            except (ControlError, ValueError) as problem:
                return json_response({"error": str(problem)}, 400)

        return guarded

    # ── reading ───────────────────────────────────────────────────────────────────────────────

    async def state(self, _: Request) -> Response:
        world = self._network.world
        return json_response({
            "now": instants.text(world.now), "speed": self._network.clock.speed, "seed": world.seed,
            "born": instants.text(world.born), "ledger": len(world.ledger),
            "communities": [self._community(c) for c in world.communities.values()],
        })  # fmt: skip

    async def communities(self, _: Request) -> Response:
        """The address, tokens and webhook settings needed to connect each community."""
        return json_response([self._connection(c) for c in self._network.world.communities.values()])

    def _connection(self, c: Community) -> Json:
        world, hooks = self._network.world, self._network.hooks
        wire = next(wire for wire in self._network.wire_formats if c.profile.platform in wire.platforms)
        overview: Json = {
            "key": c.key,
            "platform": c.profile.platform,
            "title": c.profile.title,
            "external_id": c.profile.external_id,
            "address": wire.address(self._network, c),
            "base_url": self._network.base_url,
            "busy": c.profile.busy,
            "tokens": self._network.grants.stable(c),
            **wire.connection(self._network, c),
        }
        if wire.hook is not None:
            overview["callback"] = {
                **wire.hook.control_info(world, c), "confirmation": hooks.code(c), "secret": hooks.secret(c),
                "servers": [{"id": one.id, "url": one.url, "status": one.status, "pending": len(one.pending)}
                            for one in hooks.of(c)],
            }  # fmt: skip
        return overview

    @staticmethod
    def _community(c: Community) -> Json:
        return {
            "key": c.key, "platform": c.profile.platform, "size": len(c.followers), "posts": len(c.posts),
            "conversations": len(c.dialogs), "latest_post": str(c.posts[-1]) if c.posts else None,
        }  # fmt: skip

    async def ledger(self, request: Request) -> Response:
        """The ledger as JSON Lines, after line `after`, at most `limit` (10000); filters `type`, `community`."""
        query = request.query_params
        records = self._network.world.ledger.page(
            int(query.get("after", 0)), min(int(query.get("limit", 1000)), 10_000)
        )
        selected_records = [
            one
            for one in records
            if query.get("type") in (None, one["type"]) and query.get("community") in (None, one.get("community"))
        ]
        return Response(
            b"".join(orjson.dumps(one) + b"\n" for one in selected_records),
            media_type="application/x-ndjson",
            headers={"X-Last": str(records[-1]["n"] if records else query.get("after", 0))},
        )

    # ── clock, faults, limits ─────────────────────────────────────────────────────────────────

    async def clock(self, _: Request) -> Response:
        clock = self._network.clock
        return json_response({"now": instants.text(clock.now()), "speed": clock.speed})

    async def set_clock(self, request: Request) -> Response:
        ask, clock = ClockRequest.model_validate_json(await request.body()), self._network.clock
        if ask.at is not None:
            clock.set(instants.parse(ask.at))
        if ask.advance is not None:
            clock.advance(int(ask.advance * 1000))
        if ask.speed is not None:
            clock.set_speed(ask.speed)
        self._network.tick()
        self._network.world.note("clock", detail=dict(ask.model_dump(exclude_none=True)))
        return await self.clock(request)

    async def faults(self, _: Request) -> Response:
        return json_response([rule.model_dump() for rule in self._faults.rules.values()])

    async def add_fault(self, request: Request) -> Response:
        return json_response(self._faults.add(Rule.model_validate_json(await request.body())).model_dump(), 201)

    async def clear_faults(self, request: Request) -> Response:
        rule_id = request.path_params.get("id")
        if rule_id is None:
            self._faults.rules.clear()
        elif self._faults.rules.pop(rule_id, None) is None:
            raise ControlError("there is no such fault (any more)")
        return Response(status_code=204)

    async def limits(self, request: Request) -> Response:
        ask, limits = LimitsRequest.validate_json(await request.body()), self._network.limits
        if unknown := ask.keys() - limits.keys():
            raise ControlError(f"there is no limit {min(unknown)}; there are {', '.join(limits)}")
        limits.update(ask)
        return json_response(limits)

    async def variants(self, request: Request) -> Response:
        self._network.choose(VariantsRequest.validate_json(await request.body()))
        return json_response(self._network.variants)

    # ── tokens and callbacks ──────────────────────────────────────────────────────────────────

    async def make_token(self, request: Request) -> Response:
        ask = TokenRequest.model_validate_json(await request.body())
        token = self._network.grants.make(self._named(ask.community), ask.kind, ask.scopes, ask.expires_in)
        return json_response({"token": token}, 201)

    async def end_token(self, request: Request) -> Response:
        ask = TokenEnd.model_validate_json(await request.body())
        try:
            self._network.grants.end(ask.token, ask.state)
        except KeyError:
            raise ControlError("there is no such token") from None
        return Response(status_code=204)

    async def add_callback(self, request: Request) -> Response:
        ask = CallbackRequest.model_validate_json(await request.body())
        c, hooks = self._named(ask.community), self._network.hooks
        if hooks.hook(c) is None:
            raise ControlError(f"{c.profile.platform} sends no webhook events")
        secret = hooks.secret(c) if ask.secret is None else ask.secret
        made = hooks.configure(c, ask.url, secret, verify=ask.verify, origin="control")
        return json_response({"server_id": made.id, "confirmation": made.verify, "secret": secret}, 201)

    async def miss_callbacks(self, request: Request) -> Response:
        ask = MissRequest.model_validate_json(await request.body())
        self._network.hooks.miss(self._named(ask.community), ask.count)
        return Response(status_code=204)

    async def resume_callbacks(self, request: Request) -> Response:
        self._network.hooks.resume(self._named(ResumeRequest.model_validate_json(await request.body()).community))
        return Response(status_code=204)

    # ── people ────────────────────────────────────────────────────────────────────────────────

    async def act(self, request: Request) -> Response:
        """Make a simulated person act now; responds with the ledger record."""
        c = self._named(str(request.path_params["key"]))
        ask = ActRequest.model_validate_json(await request.body())
        event, fields = self._event(c, ask)
        return json_response(self._network.world.emit(event, c, "control", **fields), 201)

    def _named(self, key: str) -> Community:
        c = self._network.world.communities.get(key)
        if c is None:
            raise ControlError(f"there is no community {key}; GET /_sandbox/communities lists them")
        return c

    def _event(self, c: Community, ask: ActRequest) -> tuple[str, Fields]:
        person = c.number_of(900_000 if ask.person is None else ask.person)
        text = ask.text or ("" if ask.attachments else "Hello, are you open today?")
        match ask.act:
            case "post":
                return "post", Fields(text=text, category=ask.category)
            case "message":
                fields = _with_attachments(Fields(person=person, text=text, kind=ask.kind), ask)
                if ask.parent is not None:
                    if not ask.parent.isdecimal() or int(ask.parent) not in c.mail:
                        raise ControlError(f"no message has the id {ask.parent}")
                    fields["parent"] = ask.parent
                return "message", fields
            case "mention":
                fields = _with_attachments(Fields(person=person, text=text, kind=ask.kind), ask)
            case "comment":
                fields = Fields(person=person, text=text, kind=ask.kind, post=self._standing(c, ask.post, "post"))
                fields = _with_attachments(fields, ask)
            case "follow" | "unfollow":
                if (person in c.followers) == (ask.act == "follow"):
                    raise ControlError(
                        f"person {person} {'follows already' if ask.act == 'follow' else 'does not follow'}"
                    )
                if ask.invite_link is None:
                    return ask.act, Fields(person=person)
                return ask.act, Fields(person=person, detail={"invite_link": ask.invite_link})
            case "delete_post":
                return "post_deleted", Fields(id=self._standing(c, ask.id or ask.post, "post"))
            case "delete_comment":
                gone = c.wall[int(self._standing(c, ask.id, "comment"))]
                deleted = Fields(id=str(gone.id), person=gone.person or 0)
                if gone.post is not None:
                    deleted["post"] = str(gone.post)
                return "comment_deleted", deleted
            case "edit":
                return self._edit(c, ask, text)
            case "answer":
                return "reply", self._answer(c, ask, person, text)
            case _:
                return self._engagement(c, ask, person)
        if ask.parent is not None:
            fields["parent"] = self._standing(c, ask.parent, "")
        if ask.claimed is not None:
            fields["claimed"] = ask.claimed
        return ask.act, fields

    def _edit(self, c: Community, ask: ActRequest, text: str) -> tuple[str, Fields]:
        """The author of an entry replaces its text."""
        if "edit" not in c.profile.activities:
            raise ControlError(f"nothing is edited on {c.profile.platform} here")
        entry = c.wall[int(self._standing(c, ask.id or ask.post, ""))]
        return "post_edited" if entry.kind == "post" else "comment_edited", Fields(id=str(entry.id), text=text)

    def _answer(self, c: Community, ask: ActRequest, person: int, text: str) -> Fields:
        """What the community answers by hand to a post, a comment, a mention or a message."""
        if ask.parent is None:
            dialog = c.dialogs.get(person)
            if dialog is None:
                raise ControlError(f"person {person} has sent no message")
            return Fields(via="message", person=person, parent=str(dialog.messages[-1]), text=text)
        mail = c.mail.get(int(ask.parent)) if ask.parent.isdecimal() else None
        if mail is not None:
            return Fields(via="message", person=mail.peer or 0, parent=str(mail.id), text=text)
        above = c.wall[int(self._standing(c, ask.parent, ""))]
        if above.kind == "post":
            return Fields(via="comment", post=str(above.id), text=text)
        fields = Fields(via=above.kind, parent=str(above.id), text=text)
        if above.post is not None:
            fields["post"] = str(above.post)
        return fields

    def _engagement(self, c: Community, ask: ActRequest, person: int) -> tuple[str, Fields]:
        target = self._standing(c, ask.id or ask.post, "" if ask.id else "post")
        reacted = person in c.wall[int(target)].reactors
        if ask.act == "view":
            if "view" not in c.profile.activities:
                raise ControlError(f"{c.profile.platform} counts no views")
            return "view", Fields(id=target, count=ask.count, unique=ask.count if ask.unique is None else ask.unique)
        if ask.act in ("share", "save", "quote"):
            return ask.act, Fields(id=target, person=person)
        if reacted == (ask.act == "react"):
            raise ControlError(f"person {person} has {'already' if reacted else 'not'} reacted")
        return "reaction" if ask.act == "react" else "reaction_removed", Fields(id=target, person=person)

    def _standing(self, c: Community, entry_id: str | None, kind: str) -> str:
        """The id of an entry that exists on the wall; without one given, the latest post's."""
        if entry_id is None and kind != "comment" and c.posts:
            return str(c.posts[-1])
        entry = self._network.world.entry(c, int(entry_id)) if entry_id is not None and entry_id.isdecimal() else None
        if entry is None or (kind == "post" and entry.kind != "post") or (kind == "comment" and entry.kind == "post"):
            raise ControlError(f"no entry has the id {entry_id}")
        return str(entry.id)
