"""The Callback API: events are sent, one after another, to the servers a community has named.

A server first has to answer `confirmation` with the community's code. Then it gets every event in
order and answers `ok`; anything else, and the same event (same `event_id`) comes again, later and
later; after several failures in a row delivery pauses until it is resumed or the pause is over.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

import aiohttp
import orjson

from app.sandbox.entities import Community
from app.sandbox.ledger import Origin, Record
from app.sandbox.vk import shapes
from app.sandbox.vk.shapes import Json
from app.sandbox.world import World

VERSION: Final = "5.199"
EVENTS: Final = frozenset({
    "wall_post_new", "wall_reply_new", "wall_reply_delete", "message_new", "message_reply", "group_join",
    "group_leave", "like_add", "like_remove",
})  # fmt: skip
PENDING: Final = 10_000
FAILURES: Final = 5
"""So many failures in a row, and delivery pauses."""


@dataclass(slots=True)
class Server:
    """Where a community's events go."""

    id: int
    community: str
    url: str
    secret: str = field(repr=False)
    title: str = ""
    status: Literal["wait", "ok", "failed"] = "wait"
    events: set[str] = field(default_factory=lambda: set(EVENTS))
    pending: deque[Json] = field(default_factory=lambda: deque(maxlen=PENDING))
    failures: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Callbacks:
    """All callback servers, and the tasks that serve them."""

    def __init__(self, world: World, *, retry: float = 1.0, pause: float = 60.0) -> None:
        self._world = world
        self.retry, self.pause = retry, pause
        """Real seconds before the first repeat (then twice as long each time), and of a pause."""
        self._servers: dict[str, dict[int, Server]] = {c.key: {} for c in world.communities.values()}
        self._made = 0
        self._http: aiohttp.ClientSession | None = None
        world.listeners.append(self._follow)

    def code(self, c: Community) -> str:
        """What the community's servers must answer to `confirmation`."""
        return hashlib.sha256(f"{self._world.seed}:{c.key}:confirmation".encode()).hexdigest()[:8]

    def secret(self, c: Community) -> str:
        """The secret used where none is given."""
        return hashlib.sha256(f"{self._world.seed}:{c.key}:callback".encode()).hexdigest()[:32]

    def of(self, c: Community) -> list[Server]:
        return list(self._servers[c.key].values())

    def configure(self, c: Community, url: str, secret: str, *, title: str = "", origin: Origin) -> Server:
        """One more server. It is confirmed and served from now on."""
        self._made += 1
        detail: dict[str, object] = {"server": self._made, "url": url, "secret": secret, "title": title}
        self._world.emit("callback_set", c, origin, detail=detail)
        return self._servers[c.key][self._made]

    def remove(self, c: Community, server_id: int, *, origin: Origin) -> bool:
        if server_id not in self._servers[c.key]:
            return False
        self._world.emit("callback_set", c, origin, detail={"server": server_id, "url": ""})
        return True

    def choose(self, c: Community, server_id: int, chosen: dict[str, bool]) -> bool:
        server = self._servers[c.key].get(server_id)
        if server is None:
            return False
        server.events = {name for name in EVENTS if chosen.get(name, name in server.events)}
        return True

    def resume(self, c: Community) -> None:
        """End the pause of the community's servers."""
        for server in self.of(c):
            server.failures = 0
            server.wake.set()

    # ── from records to events ────────────────────────────────────────────────────────────────

    def _follow(self, record: Record, c: Community) -> None:
        if record["type"] == "callback_set":
            self._set(record, c)
        elif self._http is not None and self._servers[c.key]:
            event = _event(record, c)
            if event is not None:
                for server in self.of(c):
                    if event[0] in server.events and server.status != "wait":
                        server.pending.append(self._envelope(server, c, *event, about=record))
                        server.wake.set()

    def _set(self, record: Record, c: Community) -> None:
        detail = record["detail"]
        server_id = int(str(detail["server"]))
        self._made = max(self._made, server_id)
        old = self._servers[c.key].pop(server_id, None)
        if old is not None and old.task is not None:
            old.task.cancel()
        if detail["url"]:
            server = Server(server_id, c.key, str(detail["url"]), str(detail["secret"]), str(detail["title"]))
            self._servers[c.key][server_id] = server
            if self._http is not None:
                self._serve(server, self._http)

    def _envelope(self, server: Server, c: Community, kind: str, thing: Json | None, about: Record | None) -> Json:
        parts = (
            ("confirmation",) if about is None else (about["type"], about["at"], about.get("id"), about.get("person"))
        )
        name = ":".join(str(part) for part in (self._world.seed, c.key, server.id, *parts))
        found: Json = {
            "group_id": shapes.group_id(c),
            "type": kind,
            "event_id": hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest(),
            "v": VERSION,
        }
        if thing is not None:
            found["object"] = thing
        return found | ({"secret": server.secret} if server.secret else {})

    # ── delivery ──────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """From here on the world's events are sent; those of the past are not."""
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10), trust_env=False)
        for servers in self._servers.values():
            for server in servers.values():
                self._serve(server, self._http)

    async def stop(self) -> None:
        tasks = [s.task for servers in self._servers.values() for s in servers.values() if s.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.close()
            self._http = None

    def _serve(self, server: Server, http: aiohttp.ClientSession) -> None:
        server.task = asyncio.get_running_loop().create_task(self._deliver(server, http))

    async def _deliver(self, server: Server, http: aiohttp.ClientSession) -> None:
        c = self._world.communities[server.community]
        await self._until(server, http, self._envelope(server, c, "confirmation", None, None), self.code(c))
        server.status = "ok"
        while True:
            while server.pending:
                event = server.pending[0]
                await self._until(server, http, event, "ok")
                # A full queue drops its oldest, which may have been this one.
                if server.pending and server.pending[0] is event:
                    server.pending.popleft()
            server.wake.clear()
            await server.wake.wait()

    async def _until(self, server: Server, http: aiohttp.ClientSession, event: Json, expected: str) -> None:
        """Send one event until it is answered as expected."""
        attempt = 0
        while True:
            attempt += 1
            said = await self._post(server, http, event)
            good = said == expected
            self._world.note(
                "callback",
                self._world.communities[server.community],
                name=str(event["event_id"]),
                kind=str(event["type"]),
                count=attempt,
                detail={"server": server.id, "ok": good, "said": said[:80]},
            )
            if good:
                server.failures = 0
                server.status = "ok"
                return
            server.failures += 1
            paused = server.failures % FAILURES == 0
            if paused and server.status == "ok":
                server.status = "failed"
            wait = self.pause if paused else min(self.retry * 2 ** (server.failures % FAILURES - 1), self.pause)
            server.wake.clear()
            try:
                async with asyncio.timeout(wait):
                    while not (server.wake.is_set() and server.failures == 0):
                        server.wake.clear()
                        await server.wake.wait()
            except TimeoutError:
                continue

    @staticmethod
    async def _post(server: Server, http: aiohttp.ClientSession, event: Json) -> str:
        """What the server answered; a failure as text that is no answer."""
        try:
            async with http.post(
                server.url,
                data=orjson.dumps(event),
                headers={"Content-Type": "application/json"},
                allow_redirects=False,
            ) as response:
                body = (await response.content.read(4096)).decode(errors="replace").strip()
                return body if response.status == 200 else f"(HTTP {response.status})"
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            return f"({type(problem).__name__})"


def _event(record: Record, c: Community) -> tuple[str, Json] | None:
    """The event a record is to the platform's subscribers."""
    kind = record["type"]
    if kind == "post":
        return "wall_post_new", shapes.post(c, c.wall[int(record["id"])])
    if kind == "comment" or (kind == "reply" and record["via"] == "comment"):
        return "wall_reply_new", {**shapes.comment(c, c.wall[int(record["id"])]), "post_owner_id": -shapes.group_id(c)}
    if kind == "comment_deleted":
        author = record.get("person") or -shapes.group_id(c)
        return "wall_reply_delete", {
            "owner_id": -shapes.group_id(c), "id": int(record["id"]), "deleter_id": author, "user_id": max(author, 0),
            "post_id": int(record.get("post", "0")),
        }  # fmt: skip
    if kind == "message":
        info = {"button_actions": ["text"], "keyboard": True, "inline_keyboard": True, "carousel": True, "lang_id": 0}
        return "message_new", {"message": shapes.message(c, c.mail[int(record["id"])]), "client_info": info}
    if kind == "reply":
        return "message_reply", shapes.message(c, c.mail[int(record["id"])])
    if kind == "follow":
        return "group_join", {"user_id": record["person"], "join_type": "join"}
    if kind == "unfollow":
        return "group_leave", {"user_id": record["person"], "self": 1}
    if kind in ("reaction", "reaction_removed"):
        entry = c.wall.get(int(record["id"]))
        if entry is None:
            return None
        return "like_add" if kind == "reaction" else "like_remove", {
            "liker_id": record["person"],
            "object_type": "post" if entry.kind == "post" else "comment",
            "object_owner_id": -shapes.group_id(c),
            "object_id": entry.id,
            "post_id": entry.post or 0,
        }
    return None
