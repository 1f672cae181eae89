"""VKontakte, API 5.199.

A community needs two tokens. A user's (an administrator of it) reads the wall, its comments and its
reach, and uploads pictures; the community's own reads and sends messages, answers comments, posts, and
sets the hook. Each method is called with a token that VK lets call it. A user's token of VK ID lasts
an hour; it is renewed with a refresh token, which VK ID knows only beside the id of the device that
it was given to: both are given as one text, `device_id:refresh_token`. VK ID's tokens may not post.

Lists are paged by offset, so they are walked as `offsets` says. Direct messages come from the list
of conversations, whose order changes with every new message: see `MessagePaginator`. A pinned post stands first,
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
from app.platforms import guards, offsets, outgoing, wire
from app.platforms.capabilities import (
    Event,
    HookRequest,
    HookResult,
    HookState,
    IssuedToken,
    OutgoingPost,
    Picture,
    PostRef,
    ReplyTo,
    TokenState,
)
from app.platforms.contract import (
    Address,
    CommunitySnapshot,
    Credentials,
    Gone,
    LimitScope,
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
    SendReceipt,
    Spec,
    Token,
)
from app.platforms.vk import hooks, translate
from app.platforms.vk import wire_models as vk
from app.platforms.vk.addresses import canonical, group_id, name_of
from app.platforms.vk.calls import BASE, VERSION, Calls, classify
from app.platforms.vk.paginators import CommentPaginator, MessagePaginator, WallPaginator, is_new, next_pass, sort_key
from app.platforms.vk.reach import reach

WALL_PAGE = 100
COMMENTS_PAGE = 100
CONVERSATIONS_PAGE = 200
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
        rate_limits=(
            RateLimit(3, 1, LimitScope.TOKEN, token=Token.USER),
            RateLimit(20, 1, LimitScope.TOKEN, token=Token.COMMUNITY),
            RateLimit(5000, DAY, LimitScope.TOKEN, "wall.get", Token.USER),
            RateLimit(50, DAY, LimitScope.COMMUNITY, "wall.post"),
        ),
        metrics_batch=100,
        text_limit=15895,
        reply_limit=9000,
        tokens=frozenset({Token.USER, Token.COMMUNITY, Token.REFRESH}),
        public=False,
        address_hint="https://vk.com/name",
        replies_dedup_window=REMEMBERED,
        hook_secrets=frozenset({"secret", "confirmation"}),
        publishing=Publishing(
            pictures=10,
            picture_types=frozenset({"image/jpeg", "image/png", "image/gif"}),
            picture_bytes=50 * 2**20,
            dedup_window=REMEMBERED,
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
        paginator, owner = wire.load(WallPaginator, cursor) or WallPaginator(), -group_id(c)

        async def fetch(offset: int) -> offsets.Listing[vk.Post]:
            query = {"owner_id": owner, "filter": "owner", "offset": offset, "count": WALL_PAGE}
            wall = await self._calls.call(c, vk.WALL, "wall.get", (Token.USER,), query)
            return offsets.Listing(wall.items, wall.count)

        def post_sort_key(post: vk.Post) -> offsets.SortKey | None:
            return None if post.is_pinned else (_seconds(post.date), post.id)

        part = await offsets.step(fetch, paginator.at, post_sort_key, size=WALL_PAGE)
        times = [rank for rank, _ in part.sort_keys]
        newest = paginator.newest if paginator.newest is not None else max(times, default=paginator.known)
        bounds = [bound for bound in (paginator.known, None if since is None else _seconds(since)) if bound is not None]
        reached = any(time < bound for time in times for bound in bounds)
        posts = tuple(
            translate.post(post)
            for post in part.items
            if translate.is_own(post, owner) and not post.is_deleted and (since is None or post.date >= since)
        )
        if part.end or reached:
            return Page(posts, wire.dump(WallPaginator(known=newest)), more=False)
        return Page(posts, wire.dump(WallPaginator(at=part.position, newest=newest, known=paginator.known)), more=True)

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        return await self.metrics_across(c, tuple(PostRef(str(group_id(c)), post_id) for post_id in ids))

    async def metrics_across(self, c: Credentials, posts: tuple[PostRef, ...]) -> tuple[PostMetrics, ...]:
        """Counters in one call, reach in one more for each 25 communities; without reach the rest still comes."""
        guards.check_batch(posts, self.spec)
        if not posts:
            return ()
        keys = [(-int(post.community_id), int(post.post_id)) for post in posts]
        query = {"posts": ",".join(f"{owner}_{post_id}" for owner, post_id in keys)}
        answer = await self._calls.call(c, vk.POSTS_BY_ID, "wall.getById", (Token.USER,), query)
        found = {(p.owner_id, p.id): p for p in answer.items if isinstance(p, vk.Post) and not p.is_deleted}
        reached = await reach(self._calls, c, [key for key in keys if key in found])
        return tuple(
            translate.metrics(found[key], reached.get(key, MetricStatus.PENDING))
            if key in found
            else PostMetrics(post.post_id, {}, gone=True)
            for post, key in zip(posts, keys, strict=True)
        )

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        paginator, own_id = wire.load(CommentPaginator, cursor) or CommentPaginator(), group_id(c)
        inside = paginator.threads[0] if paginator.threads else None
        names: dict[int, str] = {}

        async def fetch(offset: int) -> offsets.Listing[vk.Comment]:
            where = {"comment_id": inside} if inside is not None else {"thread_items_count": THREAD_ITEMS}
            query = {"owner_id": -own_id, "post_id": post_id, "sort": "asc", "extended": 1, "count": COMMENTS_PAGE}
            query |= {"offset": offset, **where}
            answer = await self._calls.call(c, vk.COMMENTS, "wall.getComments", (Token.USER,), query)
            names.update(answer.names())
            level = answer.current_level_count
            return offsets.Listing(answer.items, answer.count if level is None else level)

        at = paginator.at if inside is None else paginator.inside
        part = await offsets.step(fetch, at, lambda comment: (-comment.id, comment.id), size=COMMENTS_PAGE)
        if inside is None:
            long = tuple(t.id for t in part.items if t.thread is not None and t.thread.count > len(t.thread.items))
            paginator = CommentPaginator(at=part.position, read=part.end, threads=long)
        elif part.end:
            paginator = paginator.model_copy(update={"threads": paginator.threads[1:], "inside": offsets.Position()})
        else:
            paginator = paginator.model_copy(update={"inside": part.position})
        found = [
            (inside or root_comment.id, comment)
            for root_comment in part.items
            for comment in (root_comment, *root_comment.answers)
        ]
        items = tuple(
            translate.comment(comment, root_comment, int(post_id), own_id, names)
            for root_comment, comment in found
            if since is None or comment.date >= since
        )
        more = bool(paginator.threads) or not paginator.read
        return Page(items, wire.dump(paginator) if more else "{}", more)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Direct messages. Comments come from `comments`, and faster from the Callback API."""
        if Token.COMMUNITY not in c.tokens:
            return Page((), cursor, more=False)
        paginator = wire.load(MessagePaginator, cursor) or MessagePaginator()
        if paginator.peers:
            return await self._history(c, paginator, since)

        async def fetch(offset: int) -> offsets.Listing[vk.ConversationItem]:
            query = {"group_id": group_id(c), "filter": "all", "offset": offset, "count": CONVERSATIONS_PAGE}
            talks = await self._calls.call(c, vk.CONVERSATIONS, "messages.getConversations", (Token.COMMUNITY,), query)
            return offsets.Listing(talks.items, talks.count)

        part = await offsets.step(fetch, paginator.at, sort_key, size=CONVERSATIONS_PAGE)
        pass_start = (
            paginator.pass_start
            if paginator.pass_start is not None
            else max((rank for rank, _ in part.sort_keys), default=paginator.floor)
        )
        if paginator.pass_start is None and pass_start <= paginator.floor:
            return Page((), wire.dump(MessagePaginator(known=paginator.floor, floor=paginator.floor)), more=False)
        changed = [item for item in part.items if is_new(item, paginator.floor, since)]
        peers = tuple(item.conversation.peer.id for item in changed if item.conversation.peer.type == "user")
        read = part.end or len(changed) < len(part.items)
        paginator = MessagePaginator(
            known=paginator.known,
            floor=paginator.floor,
            pass_start=pass_start,
            at=part.position,
            read=read,
            peers=peers,
        )
        return Page((), wire.dump(next_pass(paginator)), more=True)

    async def _history(
        self, c: Credentials, paginator: MessagePaginator, since: datetime | None
    ) -> Page[RemoteMessage]:
        """The next messages of the first conversation that waits, back to what is known."""
        own_id, peer = group_id(c), paginator.peers[0]
        names: dict[int, str] = {}

        async def fetch(offset: int) -> offsets.Listing[vk.Message]:
            query = {"group_id": own_id, "peer_id": peer, "extended": 1, "offset": offset, "count": HISTORY_PAGE}
            history = await self._calls.call(c, vk.HISTORY, "messages.getHistory", (Token.COMMUNITY,), query)
            names.update(history.names())
            return offsets.Listing(history.items, history.count)

        part = await offsets.step(fetch, paginator.inside, lambda m: (m.id, m.id), size=HISTORY_PAGE)
        new = [m for m in part.items if m.id > paginator.known and (since is None or m.date >= since)]
        if part.end or len(new) < len(part.items):
            paginator = next_pass(
                paginator.model_copy(update={"peers": paginator.peers[1:], "inside": offsets.Position()})
            )
        else:
            paginator = paginator.model_copy(update={"inside": part.position})
        return Page(tuple(translate.message(m, own_id, names) for m in new), wire.dump(paginator), more=True)

    # ── writing ───────────────────────────────────────────────────────────────────────────────

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        """Answer as the community. VK drops a repeat with the same `key` (`guid`, `random_id`)."""
        own_id = group_id(c)
        if to.kind is MessageKind.MESSAGE:
            form = {"group_id": own_id, "peer_id": to.author.external_id, "message": text, "random_id": _random_id(key)}
            message_id = await self._calls.call(c, vk.SENT_MESSAGE, "messages.send", (Token.COMMUNITY,), form)
            return SendReceipt(external_id=f"message-{message_id}")
        if to.post_id is None:
            raise Rejected("a comment can only be answered below its post")
        form = {"owner_id": -own_id, "post_id": to.post_id, "from_group": own_id, "message": text, "guid": key}
        form |= {"reply_to_comment": to.external_id.removeprefix("comment-")}
        made = await self._calls.call(c, vk.NEW_COMMENT, "wall.createComment", (Token.COMMUNITY, Token.USER), form)
        url = f"https://vk.com/wall-{own_id}_{to.post_id}?reply={made.comment_id}"
        return SendReceipt(external_id=f"comment-{made.comment_id}", url=url)

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        """Post as the community. Pictures take a user's token; of their `alt` VK knows nothing."""
        outgoing.check(draft, self.spec)
        own_id = group_id(c)
        form: dict[str, object] = {"owner_id": -own_id, "from_group": 1, "message": draft.text, "guid": key}
        if draft.pictures:
            form["attachments"] = ",".join([photo.attachment for photo in await self._photos(c, draft.pictures)])
        made = await self._calls.call(c, vk.NEW_POST, "wall.post", (Token.COMMUNITY, Token.USER), form)
        return SendReceipt(external_id=str(made.post_id), url=f"https://vk.com/wall-{own_id}_{made.post_id}")

    async def _photos(self, c: Credentials, pictures: Sequence[Picture]) -> list[vk.Photo]:
        """Pictures as photos that a post may show. One after the other, so that their order is ours."""
        group = {"group_id": group_id(c)}
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
        device, issued = await self._calls.renew(c)
        life = instants.span(issued.expires_in) if issued.expires_in else None
        return {
            Token.USER: IssuedToken(issued.access_token, life),
            Token.REFRESH: IssuedToken(f"{device}:{issued.refresh_token}", REFRESH_LIFE),
        }

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        """What each token may do; how long it lasts, VK does not say."""
        granted: dict[Token, Collection[str]] = {}
        if Token.USER in c.tokens:
            mask = await self._calls.call(c, vk.MASK, "account.getAppPermissions", (Token.USER,), {})
            granted[Token.USER] = {name for name, bit in USER_BITS.items() if mask & bit}
        if Token.COMMUNITY in c.tokens:
            granted_now = await self._calls.call(
                c, vk.PERMISSIONS, "groups.getTokenPermissions", (Token.COMMUNITY,), {}
            )
            granted[Token.COMMUNITY] = {one.name for one in granted_now.permissions}
        return {
            kind: TokenState(tuple(scope for scope in self.spec.scopes[kind] if scope not in scopes))
            for kind, scopes in granted.items()
        }

    # ── hooks ─────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def receive(cls, call: HookRequest, secrets: Mapping[str, str]) -> HookResult:
        return hooks.receive(call, secrets)

    @classmethod
    def parse_event(cls, payload: bytes) -> tuple[Event, ...]:
        return hooks.parse_event(payload)

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
