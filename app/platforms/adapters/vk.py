"""VKontakte, API 5.199.

A community needs two tokens: a user's (an administrator of it) reads the wall, its comments and its
reach; the community's own reads and sends messages and answers comments. Each method is called with
the token that VK's schema allows it.

Lists are paged by offset, so they are walked as `offsets` says. Direct messages come from the list
of conversations, whose order changes with every new message: see `Mail`. A pinned post stands first,
out of its order; one that is pinned during a walk, and unpinned before the next, can be missed.
Sources: VKCOM/vk-api-schema, dev.vk.com. Unverified: that a pinned post, which stands first, does
not stand in its old place as well (harmless if it does).
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar, Final, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import TypeAdapter, ValidationError

from app.platforms import offsets, wire
from app.platforms.abilities import Call, Event, Received, ReplyTo
from app.platforms.contract import (
    Address,
    AuthExpired,
    Budget,
    CommunitySnapshot,
    Credentials,
    Gone,
    Malformed,
    MessageKind,
    Metric,
    MetricStatus,
    MissingPermission,
    OutcomeUnknown,
    Page,
    PlatformError,
    PostMetrics,
    Rejected,
    RemoteMessage,
    RemotePost,
    Scope,
    Sent,
    Spec,
    Throttled,
    Token,
    Transient,
)
from app.platforms.vk import shapes as vk
from app.platforms.vk import translate as translate
from app.platforms.vk.errors import CODES, SECONDS, UNDECIDED, UNKNOWN, WORDS, Means
from app.platforms.vk.walks import Mail, Tree, WallWalk, is_fresh, next_pass, talk_place

T = TypeVar("T")

VERSION = "5.199"
WALL_PAGE = 100
COMMENTS_PAGE = 100
TALKS_PAGE = 200
HISTORY_PAGE = 200
REACH_BATCH = 30
THREAD_ITEMS = 10
CHANGES = frozenset({"wall.createComment", "messages.send"})

HOSTS = frozenset({"vk.com", "vk.ru", "m.vk.com", "m.vk.ru", "www.vk.com", "www.vk.ru", "vkontakte.ru"})
NUMBERED = re.compile(r"(?:club|public|event|-)(\d{1,18})")
SCREEN_NAME = re.compile(r"[a-z0-9_][a-z0-9_.]{1,31}")
PERSON = re.compile(r"id\d+")


class Vk:
    """See the module."""

    spec: ClassVar[Spec] = Spec(
        key="vk",
        title="VK",
        api_version=VERSION,
        base_url="https://api.vk.ru",
        metrics=frozenset({Metric.VIEWS, Metric.REACH, Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES}),
        budgets=(Budget(3, 1, Scope.TOKEN),),
        metrics_batch=100,
        text_limit=15895,
        tokens=frozenset({Token.USER, Token.COMMUNITY}),
        public=False,
        address_hint="https://vk.com/name",
        # `guid` and `random_id`. Unverified: that VK remembers them for an hour.
        replies_remembered=timedelta(minutes=50),
        hook_secrets=frozenset({"secret", "confirmation"}),
    )

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @classmethod
    def address(cls, text: str) -> Address:
        """`https://vk.com/name`, `vk.com/club1`, `vk.ru/public1`, `@name`, `club1` or `-1`."""
        text = text.strip()
        name = text.removeprefix("@")
        if "/" in text:
            try:
                url = urlsplit(text if "://" in text else f"https://{text}")
            except ValueError:
                url = urlsplit("")
            name = url.path.strip("/") if url.hostname in HOSTS and url.scheme in {"http", "https"} else ""
        name = name.lower()
        if PERSON.fullmatch(name):
            raise ValueError("this is a person's page; a community's looks like https://vk.com/name")
        if (numbered := NUMBERED.fullmatch(name)) is not None and int(numbered[1]) > 0:
            return Address(canonical=f"https://vk.com/club{int(numbered[1])}")
        if numbered is not None or SCREEN_NAME.fullmatch(name) is None or name in HOSTS:
            raise ValueError("a VK community's address looks like https://vk.com/name or https://vk.com/club1")
        return Address(canonical=f"https://vk.com/{name}")

    async def community(self, c: Credentials) -> CommunitySnapshot:
        name = c.external_id or c.address.rpartition("/")[2]
        numbered = NUMBERED.fullmatch(name)
        answer = await self._call(
            c,
            vk.GROUPS,
            "groups.getById",
            (Token.COMMUNITY, Token.USER),
            {"group_id": numbered[1] if numbered else name, "fields": "members_count"},
        )
        if not answer.groups:
            raise Gone("VK knows no such community")
        group = answer.groups[0]
        if group.deactivated is not None:
            raise Gone("VK has closed the community")
        return CommunitySnapshot(
            external_id=str(group.id),
            title=group.name,
            url=f"https://vk.com/{group.screen_name or f'club{group.id}'}",
            size=group.members_count,
        )

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        """Each walk starts at the top, so the newest hundred posts always come with fresh counters."""
        walk, owner = wire.load(WallWalk, cursor) or WallWalk(), -_known(c)

        async def fetch(offset: int) -> offsets.Listing[vk.Post]:
            query = {"owner_id": owner, "filter": "owner", "offset": offset, "count": WALL_PAGE}
            wall = await self._call(c, vk.WALL, "wall.get", (Token.USER,), query)
            return offsets.Listing(wall.items, wall.count)

        def place(post: vk.Post) -> offsets.Place | None:
            return None if post.is_pinned else (_seconds(post.date), post.id)

        part = await offsets.step(fetch, walk.at, place, size=WALL_PAGE)
        times = [rank for rank, _ in part.places]
        newest = walk.newest if walk.newest is not None else max(times, default=walk.known)
        bounds = [bound for bound in (walk.known, None if since is None else _seconds(since)) if bound is not None]
        reached = any(time < bound for time in times for bound in bounds)
        posts = tuple(
            translate.post(post)
            for post in part.items
            if translate.is_own(post, owner) and not post.is_deleted and (since is None or post.date >= since)
        )
        if part.end or reached:
            return Page(posts, wire.dump(WallWalk(known=newest)), more=False)
        return Page(posts, wire.dump(WallWalk(at=part.position, newest=newest, known=walk.known)), more=True)

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        """Counters in one call, reach in one more for each 30; without reach the rest still comes."""
        if len(ids) > self.spec.metrics_batch:
            raise ValueError(f"at most {self.spec.metrics_batch} posts at once")
        if not ids:
            return ()
        owner = -_known(c)
        posts = ",".join(f"{owner}_{post_id}" for post_id in ids)
        answer = await self._call(c, vk.POSTS_BY_ID, "wall.getById", (Token.USER,), {"posts": posts})
        found = {str(p.id): p for p in answer.items if isinstance(p, vk.Post) and not p.is_deleted}
        reach: dict[str, int | MetricStatus] = {}
        alive = [post_id for post_id in ids if post_id in found]
        for start in range(0, len(alive), REACH_BATCH):
            reach |= await self._reach(c, owner, alive[start : start + REACH_BATCH])
        return tuple(
            translate.metrics(found[i], reach.get(i, MetricStatus.PENDING))
            if i in found
            else PostMetrics(i, {}, gone=True)
            for i in ids
        )

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        tree, us = wire.load(Tree, cursor) or Tree(), _known(c)
        inside = tree.threads[0] if tree.threads else None
        names: dict[int, str] = {}

        async def fetch(offset: int) -> offsets.Listing[vk.Comment]:
            where = {"comment_id": inside} if inside is not None else {"thread_items_count": THREAD_ITEMS}
            query = {"owner_id": -us, "post_id": post_id, "sort": "asc", "extended": 1, "count": COMMENTS_PAGE}
            query |= {"offset": offset, **where}
            answer = await self._call(c, vk.COMMENTS, "wall.getComments", (Token.USER,), query)
            names.update(answer.names())
            level = answer.current_level_count
            return offsets.Listing(answer.items, answer.count if level is None else level)

        at = tree.at if inside is None else tree.inside
        part = await offsets.step(fetch, at, lambda comment: (-comment.id, comment.id), size=COMMENTS_PAGE)
        if inside is None:
            long = tuple(t.id for t in part.items if t.thread is not None and t.thread.count > len(t.thread.items))
            tree = Tree(at=part.position, read=part.end, threads=long)
        elif part.end:
            tree = tree.model_copy(update={"threads": tree.threads[1:], "inside": offsets.Position()})
        else:
            tree = tree.model_copy(update={"inside": part.position})
        found = [(inside or top.id, comment) for top in part.items for comment in (top, *top.answers)]
        items = tuple(
            translate.comment(comment, top, int(post_id), us, names)
            for top, comment in found
            if since is None or comment.date >= since
        )
        more = bool(tree.threads) or not tree.read
        return Page(items, wire.dump(tree) if more else "{}", more)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Direct messages. Comments come from `comments`, and faster from the Callback API."""
        if Token.COMMUNITY not in c.tokens:
            return Page((), cursor, more=False)
        mail = wire.load(Mail, cursor) or Mail()
        if mail.peers:
            return await self._history(c, mail, since)

        async def fetch(offset: int) -> offsets.Listing[vk.Talk]:
            query = {"group_id": _known(c), "filter": "all", "offset": offset, "count": TALKS_PAGE}
            talks = await self._call(c, vk.TALKS, "messages.getConversations", (Token.COMMUNITY,), query)
            return offsets.Listing(talks.items, talks.count)

        part = await offsets.step(fetch, mail.at, talk_place, size=TALKS_PAGE)
        top = mail.top if mail.top is not None else max((rank for rank, _ in part.places), default=mail.floor)
        if mail.top is None and top <= mail.floor:
            return Page((), wire.dump(Mail(known=mail.floor, floor=mail.floor)), more=False)
        fresh = [talk for talk in part.items if is_fresh(talk, mail.floor, since)]
        peers = tuple(talk.conversation.peer.id for talk in fresh if talk.conversation.peer.type == "user")
        read = part.end or len(fresh) < len(part.items)
        mail = Mail(known=mail.known, floor=mail.floor, top=top, at=part.position, read=read, peers=peers)
        return Page((), wire.dump(next_pass(mail)), more=True)

    async def _history(self, c: Credentials, mail: Mail, since: datetime | None) -> Page[RemoteMessage]:
        """The next messages of the first conversation that waits, back to what is known."""
        us, peer = _known(c), mail.peers[0]
        names: dict[int, str] = {}

        async def fetch(offset: int) -> offsets.Listing[vk.Message]:
            query = {"group_id": us, "peer_id": peer, "extended": 1, "offset": offset, "count": HISTORY_PAGE}
            history = await self._call(c, vk.HISTORY, "messages.getHistory", (Token.COMMUNITY,), query)
            names.update(history.names())
            return offsets.Listing(history.items, history.count)

        part = await offsets.step(fetch, mail.inside, lambda m: (m.id, m.id), size=HISTORY_PAGE)
        fresh = [m for m in part.items if m.id > mail.known and (since is None or m.date >= since)]
        if part.end or len(fresh) < len(part.items):
            mail = next_pass(mail.model_copy(update={"peers": mail.peers[1:], "inside": offsets.Position()}))
        else:
            mail = mail.model_copy(update={"inside": part.position})
        return Page(tuple(translate.message(m, us, names) for m in fresh), wire.dump(mail), more=True)

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> Sent:
        """Answer as the community. VK drops a repeat with the same `key` (`guid`, `random_id`)."""
        us = _known(c)
        if to.kind is MessageKind.MESSAGE:
            form = {"group_id": us, "peer_id": to.author.external_id, "message": text, "random_id": _random_id(key)}
            message_id = await self._call(c, vk.SENT_MESSAGE, "messages.send", (Token.COMMUNITY,), form)
            return Sent(external_id=f"message-{message_id}")
        if to.post_id is None:
            raise Rejected("a comment can only be answered below its post")
        form = {"owner_id": -us, "post_id": to.post_id, "from_group": us, "message": text, "guid": key}
        form |= {"reply_to_comment": to.external_id.removeprefix("comment-")}
        made = await self._call(c, vk.NEW_COMMENT, "wall.createComment", (Token.COMMUNITY, Token.USER), form)
        url = f"https://vk.com/wall-{us}_{to.post_id}?reply={made.comment_id}"
        return Sent(external_id=f"comment-{made.comment_id}", url=url)

    def classify(self, response: httpx.Response) -> PlatformError | None:
        """VK answers 200 with an `error`; other statuses come from what stands before it."""
        request = wire.request_of(response)
        changes = request is not None and request.url.path.rpartition("/")[2] in CHANGES
        if not response.is_success:
            return _from_status(response, changes=changes)
        try:
            code = vk.FAILURE.validate_json(response.content).error.error_code
        except ValidationError:
            return None
        return _from_code(code, changes=changes, wait=wire.retry_after(response))

    @classmethod
    def receive(cls, call: Call, secrets: Mapping[str, str]) -> Received:
        """One Callback API call. `secrets`: `secret`, which every event carries, and `confirmation`,
        the text that VK asks for once; that question may come before the secret is set at VK."""
        event = wire.parse_bytes(vk.EVENT, call.body)
        confirming = event.type == "confirmation"
        secret = secrets.get("secret", "")
        right = bool(secret) and hmac.compare_digest((event.secret or "").encode(), secret.encode())
        if not right and not (confirming and event.secret is None):
            raise MissingPermission("the call does not carry the secret agreed with VK")
        if confirming:
            if not secrets.get("confirmation"):
                raise MissingPermission("the confirmation text that VK asks for is not known")
            # Its id is nobody's: without a secret it may be made up, to have a later event taken for a repeat.
            return Received(secrets["confirmation"], (Event(None, str(event.group_id)),))
        if event.event_id is None:
            raise Malformed("the event has no id")
        return Received("ok", (translate.happened(event, call.body),))

    async def _reach(self, c: Credentials, owner: int, ids: list[str]) -> dict[str, int | MetricStatus]:
        """Reach by post; where VK does not give it, why. Only an administrator's token may ask."""
        try:
            query = {"owner_id": owner, "post_ids": ",".join(ids)}
            rows = await self._call(c, vk.REACH, "stats.getPostReach", (Token.USER,), query)
        except (MissingPermission, AuthExpired):
            return dict.fromkeys(ids, MetricStatus.NO_PERMISSION)
        except PlatformError:
            return dict.fromkeys(ids, MetricStatus.ERROR)
        return {str(row.post_id): row.reach_total for row in rows if row.reach_total is not None}

    async def _call(
        self,
        c: Credentials,
        answer: TypeAdapter[vk.Answer[T]],
        method: str,
        kinds: tuple[Token, ...],
        parameters: Mapping[str, object],
    ) -> T:
        """Call a method with the first of `kinds` that there is, and understand its answer."""
        kind = next((kind for kind in kinds if kind in c.tokens), None)
        if kind is None:
            raise AuthExpired(f"{method} needs a {kinds[0]} token of VK", token=kinds[0])
        request = self._http.build_request(
            "POST",
            f"{c.base_url.rstrip('/')}/method/{method}",
            data={"v": VERSION, **{name: str(value) for name, value in parameters.items()}},
            headers=wire.bearer(c.tokens[kind]),
        )

        def classify(response: httpx.Response) -> PlatformError | None:
            said = self.classify(response)
            if isinstance(said, AuthExpired):
                said.token = kind
            return said

        if method in CHANGES:
            return wire.confirmed(answer, await wire.write(self._http, request, classify)).response
        return wire.parse(answer, await wire.read(self._http, request, classify)).response


ADAPTER: Final = Vk


def _from_code(code: int, *, changes: bool, wait: float | None) -> PlatformError:
    means = CODES.get(code, UNKNOWN)
    message, told = WORDS.get(code, f"{means.value} (VK's error {code})"), str(code)
    if changes and code in UNDECIDED:
        return OutcomeUnknown("VK failed while it handled the change", platform_code=told)
    if means is Means.WAIT:
        return Throttled(message, retry_after=SECONDS.get(code, wait), scope=Scope.TOKEN, platform_code=told)
    kinds: Mapping[Means, type[PlatformError]] = {
        Means.RECONNECT: AuthExpired,
        Means.FORBIDDEN: MissingPermission,
        Means.GONE: Gone,
        Means.UNWELL: Transient,
        Means.REFUSED: Rejected,
    }
    return kinds[means](message, platform_code=told)


def _from_status(response: httpx.Response, *, changes: bool) -> PlatformError:
    code = str(response.status_code)
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return Throttled(WORDS[6], retry_after=wire.retry_after(response), scope=Scope.TOKEN, platform_code=code)
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return AuthExpired(WORDS[5], platform_code=code)
    if response.is_server_error:
        kind = OutcomeUnknown if changes else Transient
        return kind("VK is unwell", platform_code=code)
    return Malformed("this is not how VK answers: the API's address may be wrong", platform_code=code)


def _known(c: Credentials) -> int:
    if c.external_id is None:
        raise ValueError("the community's id is not known yet: ask for `community` first")
    return int(c.external_id)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _random_id(key: str) -> int:
    """VK's `random_id` is a positive number of 31 bits; the same for the same key."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") >> 1 or 1
