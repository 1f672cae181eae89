"""VKontakte, API 5.199.

A community needs two tokens. A user's (an administrator of it) reads the wall, its comments and its
reach, and uploads pictures; the community's own reads and sends messages, answers comments, posts, and
sets the hook. Each method is called with a token that VK lets call it. A user's token of VK ID lasts
an hour; it is renewed with a refresh token, which VK ID knows only beside the id of the device that
it was given to: both are given as one text, `device_id:refresh_token`. VK ID's tokens may not post.

Lists are paged by offset, so they are walked as `offsets` says. Direct messages come from the list
of conversations, whose order changes with every new message: see `Mail`. A pinned post stands first,
out of its order; one that is pinned during a walk, and unpinned before the next, can be missed.
Sources: VKCOM/vk-api-schema, dev.vk.com, id.vk.com. Unverified: that a pinned post, which stands first,
does not stand in its old place as well (harmless if it does); how long `guid` and `random_id` are
remembered; that a community's token may show photos which a user uploaded; that a refresh token lasts
180 days; that `groups.getTokenPermissions` names `wall`, and that VK ID's tokens tell what they may do.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Final

import httpx

from app.kit import instants
from app.platforms import offsets, outgoing, wire
from app.platforms.capabilities import (
    Call,
    Event,
    HookState,
    IssuedToken,
    OutgoingPost,
    Picture,
    PostRef,
    Received,
    ReplyTo,
    TokenState,
)
from app.platforms.contract import (
    Address,
    CommunitySnapshot,
    Credentials,
    Gone,
    MessageKind,
    Metric,
    MetricStatus,
    Page,
    PlatformError,
    PostMetrics,
    Publishing,
    RateLimit,
    Rejected,
    RemoteMessage,
    RemotePost,
    Scope,
    SendReceipt,
    Spec,
    Token,
)
from app.platforms.vk import hooks, translate
from app.platforms.vk import wire_models as vk
from app.platforms.vk.addresses import canonical, known, name_of
from app.platforms.vk.calls import BASE, VERSION, Calls, classify
from app.platforms.vk.reach import reach
from app.platforms.vk.walks import Mail, Tree, WallWalk, is_fresh, next_pass, talk_place

WALL_PAGE = 100
COMMENTS_PAGE = 100
TALKS_PAGE = 200
HISTORY_PAGE = 200
THREAD_ITEMS = 10

DAY: Final = 86_400
REMEMBERED: Final = timedelta(minutes=50)
"""For so long a repeated `guid` or `random_id` is dropped."""
REFRESH_LIFE: Final = timedelta(days=180)
USER_BITS: Final = {"photos": 1 << 2, "wall": 1 << 13, "stats": 1 << 20}
"""What a user's token needs, and how VK counts it."""


class Vk:
    """See the module."""

    spec: ClassVar[Spec] = Spec(
        key="vk",
        title="VK",
        api_version=VERSION,
        base_url=BASE,
        metrics=frozenset({Metric.VIEWS, Metric.REACH, Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES}),
        budgets=(
            RateLimit(3, 1, Scope.TOKEN, token=Token.USER),
            RateLimit(20, 1, Scope.TOKEN, token=Token.COMMUNITY),
            RateLimit(5000, DAY, Scope.TOKEN, "wall.get", Token.USER),
            RateLimit(50, DAY, Scope.COMMUNITY, "wall.post"),
        ),
        metrics_batch=100,
        text_limit=15895,
        reply_limit=9000,
        tokens=frozenset({Token.USER, Token.COMMUNITY, Token.REFRESH}),
        public=False,
        address_hint="https://vk.com/name",
        replies_remembered=REMEMBERED,
        hook_secrets=frozenset({"secret", "confirmation"}),
        publishing=Publishing(
            pictures=10,
            picture_types=frozenset({"image/jpeg", "image/png", "image/gif"}),
            picture_bytes=50 * 2**20,
            remembered=REMEMBERED,
        ),
        app_settings=frozenset({"client_id"}),
        scopes={Token.USER: tuple(USER_BITS), Token.COMMUNITY: ("manage", "messages", "wall")},
        metrics_group_tokens=frozenset({Token.USER}),
    )

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._calls = Calls(http, self.classify)

    @classmethod
    def address(cls, text: str) -> Address:
        """`https://vk.com/name`, `vk.com/club1`, `vk.ru/public1`, `@name`, `club1` or `-1`."""
        return Address(canonical=canonical(text))

    # ── reading ───────────────────────────────────────────────────────────────────────────────

    async def community(self, c: Credentials) -> CommunitySnapshot:
        query = {"group_id": name_of(c), "fields": "members_count"}
        answer = await self._calls.call(c, vk.GROUPS, "groups.getById", (Token.COMMUNITY, Token.USER), query)
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
        walk, owner = wire.load(WallWalk, cursor) or WallWalk(), -known(c)

        async def fetch(offset: int) -> offsets.Listing[vk.Post]:
            query = {"owner_id": owner, "filter": "owner", "offset": offset, "count": WALL_PAGE}
            wall = await self._calls.call(c, vk.WALL, "wall.get", (Token.USER,), query)
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
        return await self.metrics_across(c, tuple(PostRef(str(known(c)), post_id) for post_id in ids))

    async def metrics_across(self, c: Credentials, posts: tuple[PostRef, ...]) -> tuple[PostMetrics, ...]:
        """Counters in one call, reach in one more for each 25 communities; without reach the rest still comes."""
        if len(posts) > self.spec.metrics_batch:
            raise ValueError(f"at most {self.spec.metrics_batch} posts at once")
        if not posts:
            return ()
        places = [(-int(post.community_id), int(post.post_id)) for post in posts]
        query = {"posts": ",".join(f"{owner}_{post_id}" for owner, post_id in places)}
        answer = await self._calls.call(c, vk.POSTS_BY_ID, "wall.getById", (Token.USER,), query)
        found = {(p.owner_id, p.id): p for p in answer.items if isinstance(p, vk.Post) and not p.is_deleted}
        reached = await reach(self._calls, c, [place for place in places if place in found])
        return tuple(
            translate.metrics(found[place], reached.get(place, MetricStatus.PENDING))
            if place in found
            else PostMetrics(post.post_id, {}, gone=True)
            for post, place in zip(posts, places, strict=True)
        )

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        tree, us = wire.load(Tree, cursor) or Tree(), known(c)
        inside = tree.threads[0] if tree.threads else None
        names: dict[int, str] = {}

        async def fetch(offset: int) -> offsets.Listing[vk.Comment]:
            where = {"comment_id": inside} if inside is not None else {"thread_items_count": THREAD_ITEMS}
            query = {"owner_id": -us, "post_id": post_id, "sort": "asc", "extended": 1, "count": COMMENTS_PAGE}
            query |= {"offset": offset, **where}
            answer = await self._calls.call(c, vk.COMMENTS, "wall.getComments", (Token.USER,), query)
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
            query = {"group_id": known(c), "filter": "all", "offset": offset, "count": TALKS_PAGE}
            talks = await self._calls.call(c, vk.TALKS, "messages.getConversations", (Token.COMMUNITY,), query)
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
        us, peer = known(c), mail.peers[0]
        names: dict[int, str] = {}

        async def fetch(offset: int) -> offsets.Listing[vk.Message]:
            query = {"group_id": us, "peer_id": peer, "extended": 1, "offset": offset, "count": HISTORY_PAGE}
            history = await self._calls.call(c, vk.HISTORY, "messages.getHistory", (Token.COMMUNITY,), query)
            names.update(history.names())
            return offsets.Listing(history.items, history.count)

        part = await offsets.step(fetch, mail.inside, lambda m: (m.id, m.id), size=HISTORY_PAGE)
        fresh = [m for m in part.items if m.id > mail.known and (since is None or m.date >= since)]
        if part.end or len(fresh) < len(part.items):
            mail = next_pass(mail.model_copy(update={"peers": mail.peers[1:], "inside": offsets.Position()}))
        else:
            mail = mail.model_copy(update={"inside": part.position})
        return Page(tuple(translate.message(m, us, names) for m in fresh), wire.dump(mail), more=True)

    # ── writing ───────────────────────────────────────────────────────────────────────────────

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        """Answer as the community. VK drops a repeat with the same `key` (`guid`, `random_id`)."""
        us = known(c)
        if to.kind is MessageKind.MESSAGE:
            form = {"group_id": us, "peer_id": to.author.external_id, "message": text, "random_id": _random_id(key)}
            message_id = await self._calls.call(c, vk.SENT_MESSAGE, "messages.send", (Token.COMMUNITY,), form)
            return SendReceipt(external_id=f"message-{message_id}")
        if to.post_id is None:
            raise Rejected("a comment can only be answered below its post")
        form = {"owner_id": -us, "post_id": to.post_id, "from_group": us, "message": text, "guid": key}
        form |= {"reply_to_comment": to.external_id.removeprefix("comment-")}
        made = await self._calls.call(c, vk.NEW_COMMENT, "wall.createComment", (Token.COMMUNITY, Token.USER), form)
        url = f"https://vk.com/wall-{us}_{to.post_id}?reply={made.comment_id}"
        return SendReceipt(external_id=f"comment-{made.comment_id}", url=url)

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        """Post as the community. Pictures take a user's token; of their `alt` VK knows nothing."""
        outgoing.check(draft, self.spec)
        us = known(c)
        form: dict[str, object] = {"owner_id": -us, "from_group": 1, "message": draft.text, "guid": key}
        if draft.pictures:
            form["attachments"] = ",".join([photo.attachment for photo in await self._photos(c, draft.pictures)])
        made = await self._calls.call(c, vk.NEW_POST, "wall.post", (Token.COMMUNITY, Token.USER), form)
        return SendReceipt(external_id=str(made.post_id), url=f"https://vk.com/wall-{us}_{made.post_id}")

    async def _photos(self, c: Credentials, pictures: Sequence[Picture]) -> list[vk.Photo]:
        """Pictures as photos that a post may show. One after the other, so that their order is ours."""
        group = {"group_id": known(c)}
        found: list[vk.Photo] = []
        where = await self._calls.call(c, vk.UPLOAD_SERVER, "photos.getWallUploadServer", (Token.USER,), group)
        for picture in pictures:
            uploaded = await self._calls.upload(where.upload_url, picture)
            form = {**group, **uploaded.model_dump()}
            saved = await self._calls.call(c, vk.SAVED, "photos.saveWallPhoto", (Token.USER,), form)
            found += saved
        return found

    # ── tokens ────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def renewable(cls, tokens: Collection[Token], app: Collection[str]) -> frozenset[Token]:
        able = Token.REFRESH in tokens and "client_id" in app
        return frozenset({Token.USER, Token.REFRESH}) if able else frozenset()

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        """A user's token of VK ID, and the next refresh token: each is good for one time."""
        device, fresh = await self._calls.renew(c)
        life = instants.span(fresh.expires_in) if fresh.expires_in else None
        return {
            Token.USER: IssuedToken(fresh.access_token, life),
            Token.REFRESH: IssuedToken(f"{device}:{fresh.refresh_token}", REFRESH_LIFE),
        }

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        """What each token may do; how long it lasts, VK does not say."""
        held: dict[Token, Collection[str]] = {}
        if Token.USER in c.tokens:
            mask = await self._calls.call(c, vk.MASK, "account.getAppPermissions", (Token.USER,), {})
            held[Token.USER] = {name for name, bit in USER_BITS.items() if mask & bit}
        if Token.COMMUNITY in c.tokens:
            told = await self._calls.call(c, vk.PERMISSIONS, "groups.getTokenPermissions", (Token.COMMUNITY,), {})
            held[Token.COMMUNITY] = {one.name for one in told.permissions}
        return {
            kind: TokenState(tuple(scope for scope in self.spec.scopes[kind] if scope not in may))
            for kind, may in held.items()
        }

    # ── hooks ─────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def receive(cls, call: Call, secrets: Mapping[str, str]) -> Received:
        return hooks.receive(call, secrets)

    @classmethod
    def parse_event(cls, told: bytes) -> tuple[Event, ...]:
        return hooks.parse_event(told)

    async def subscribe(self, c: Credentials, url: str, secrets: Mapping[str, str]) -> Mapping[str, str]:
        return await hooks.subscribe(self._calls, c, url, secrets)

    async def subscription(self, c: Credentials, url: str) -> HookState:
        return await hooks.state(self._calls, c, url)

    def classify(self, response: httpx.Response) -> PlatformError | None:
        return classify(response)


ADAPTER: Final = Vk


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _random_id(key: str) -> int:
    """VK's `random_id` is a positive number of 31 bits; the same for the same key."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") >> 1 or 1
