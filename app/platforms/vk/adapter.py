"""VKontakte, API 5.199.

A community needs two tokens. The user's (of an administrator) reads the wall, its comments and its reach, and
uploads pictures; the community's own reads and sends messages, answers comments, posts, and registers the hook.
Each method is called with a kind of token that VK accepts for it, and where that one may not do it, with the other.
A user's token of VK ID lasts an hour; it is renewed with a refresh token, which VK ID accepts only together with the
id of the device it was issued to: both are stored as one text, `device_id:refresh_token`. Tokens of VK ID may not
post.

The Callback API says who joins and who leaves, but neither when it was nor through which link: the instant of receipt
counts. Servers that were set before these events were read are set again (`HookState.outdated`).

Lists are paged by offset, as `offsets` explains. Direct messages are read through the list of conversations, whose
order changes with every new message: see `MessagePaginator`. A pinned post comes first, out of its order; one that
is pinned during a scan, and unpinned before the next, can be missed.

Sources: VKCOM/vk-api-schema, dev.vk.com, id.vk.com. Unverified: that a pinned post is not also listed in its old
position (harmless if it is); for how long repeats of a `guid` or `random_id` are dropped; that a post made with a
community's token may contain photos that a user uploaded; that a refresh token lasts 180 days; that
`groups.getTokenPermissions` names `wall`, and that VK ID's tokens report their permissions; whether `group_leave` is
also sent for who had only asked to be let in.
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
    Bypass,
    CommunityIdentity,
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
from app.platforms.vk import hooks, permalinks, translate
from app.platforms.vk import wire_models as vk
from app.platforms.vk.addresses import canonical, group_id, name_of
from app.platforms.vk.calls import BASE, VERSION, Calls, classify
from app.platforms.vk.paginators import CommentPaginator, MessagePaginator, WallPaginator, is_new, next_pass, sort_key
from app.platforms.vk.reach import read_reach

WALL_PAGE = 100
COMMENTS_PAGE = 100
CONVERSATIONS_PAGE = 200
HISTORY_PAGE = 200
THREAD_ITEMS = 10

DAY: Final = 86_400
DEDUP_WINDOW: Final = timedelta(minutes=50)
"""For how long VK drops a repeated `guid` or `random_id`."""
REFRESH_LIFETIME: Final = timedelta(days=180)
USER_PERMISSIONS: Final = {"photos": 1 << 2, "wall": 1 << 13, "stats": 1 << 20}
"""The permissions that a user's token needs, with their bits in the mask of `account.getAppPermissions`."""


class Vk:
    """The adapter; the module's docstring describes it."""

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
        post_domains=permalinks.DOMAINS,
        reply_limit=9000,
        tokens=frozenset({Token.USER, Token.COMMUNITY, Token.REFRESH}),
        public=False,
        address_hint="https://vk.com/name",
        replies_dedup_window=DEDUP_WINDOW,
        hook_secrets=frozenset({"secret", "confirmation"}),
        publishing=Publishing(
            pictures=10,
            picture_types=frozenset({"image/jpeg", "image/png", "image/gif"}),
            picture_bytes=50 * 2**20,
            dedup_window=DEDUP_WINDOW,
        ),
        app_settings=frozenset({"client_id"}),
        scopes={Token.USER: tuple(USER_PERMISSIONS), Token.COMMUNITY: ("manage", "messages", "wall")},
        metrics_group_tokens=frozenset({Token.USER}),
        changes=hooks.CHANGES,
        no_changes=hooks.NO_CHANGES,
        counts_joins=True,
    )

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._calls = Calls(http, self.classify)

    @classmethod
    def address(cls, text: str) -> Address:
        """`https://vk.com/name`, `vk.com/club1`, `vk.ru/public1`, `@name`, `club1` or `-1`."""
        return Address(canonical=canonical(text))

    @staticmethod
    def post_key(community: CommunityIdentity, url: str) -> str | None:
        return permalinks.post_key(community, url)

    # ── reading ───────────────────────────────────────────────────────────────────────────────

    async def community(self, c: Credentials) -> CommunitySnapshot:
        query = {"group_id": name_of(c), "fields": "members_count"}
        result = await self._calls.call(c, vk.GROUPS, "groups.getById", (Token.COMMUNITY, Token.USER), query)
        if not result.groups:
            raise Gone("VK knows no such community")
        group = result.groups[0]
        if group.deactivated is not None:
            raise Gone("VK has closed the community")
        return CommunitySnapshot(
            external_id=str(group.id),
            title=group.name,
            url=f"https://vk.com/{group.screen_name or f'club{group.id}'}",
            size=group.members_count,
        )

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        """Each scan starts at the latest post, so that the latest hundred always come with current counters."""
        paginator, owner_id = wire.load(WallPaginator, cursor) or WallPaginator(), -group_id(c)

        async def fetch(offset: int) -> offsets.Listing[vk.Post]:
            query = {"owner_id": owner_id, "filter": "owner", "offset": offset, "count": WALL_PAGE}
            wall = await self._calls.call(c, vk.WALL, "wall.get", (Token.USER,), query)
            return offsets.Listing(wall.items, wall.count)

        def post_sort_key(post: vk.Post) -> offsets.SortKey | None:
            return None if post.is_pinned else (_seconds(post.date), post.id)

        page = await offsets.step(fetch, paginator.position, post_sort_key, size=WALL_PAGE)
        times = [rank for rank, _ in page.sort_keys]
        latest = paginator.latest if paginator.latest is not None else max(times, default=paginator.seen_until)
        since_seconds = None if since is None else _seconds(since)
        bounds = [bound for bound in (paginator.seen_until, since_seconds) if bound is not None]
        reached = any(time < bound for time in times for bound in bounds)
        posts = tuple(
            translate.post(post)
            for post in page.items
            if translate.is_own(post, owner_id) and not post.is_deleted and (since is None or post.date >= since)
        )
        if page.end or reached:
            return Page(posts, wire.dump(WallPaginator(seen_until=latest)), more=False)
        paginator = WallPaginator(position=page.position, latest=latest, seen_until=paginator.seen_until)
        return Page(posts, wire.dump(paginator), more=True)

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        return await self.metrics_across(c, tuple(PostRef(str(group_id(c)), post_id) for post_id in ids))

    async def metrics_across(self, c: Credentials, posts: tuple[PostRef, ...]) -> tuple[PostMetrics, ...]:
        """One call for the counters, and one more for the reach in each 25 communities; if that fails, reach alone is
        missing.
        """
        guards.check_batch(posts, self.spec)
        if not posts:
            return ()
        keys = [(-int(post.community_id), int(post.post_id)) for post in posts]
        query = {"posts": ",".join(f"{owner_id}_{post_id}" for owner_id, post_id in keys)}
        result = await self._calls.call(c, vk.POSTS_BY_ID, "wall.getById", (Token.USER,), query)
        posts_by_key = {(p.owner_id, p.id): p for p in result.items if isinstance(p, vk.Post) and not p.is_deleted}
        reach_by_key = await read_reach(self._calls, c, [key for key in keys if key in posts_by_key])
        return tuple(
            translate.metrics(posts_by_key[key], reach_by_key.get(key, MetricStatus.PENDING))
            if key in posts_by_key
            else PostMetrics(post.post_id, {}, gone=True)
            for post, key in zip(posts, keys, strict=True)
        )

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Comments of the first level with their first answers, then the rest of the longer threads."""
        paginator, own_id = wire.load(CommentPaginator, cursor) or CommentPaginator(), group_id(c)
        thread_id = paginator.pending_threads[0] if paginator.pending_threads else None
        names: dict[int, str] = {}

        async def fetch(offset: int) -> offsets.Listing[vk.Comment]:
            level = {"comment_id": thread_id} if thread_id is not None else {"thread_items_count": THREAD_ITEMS}
            query = {"owner_id": -own_id, "post_id": post_id, "sort": "asc", "extended": 1, "count": COMMENTS_PAGE}
            query |= {"offset": offset, **level}
            result = await self._calls.call(c, vk.COMMENTS, "wall.getComments", (Token.USER,), query)
            names.update(result.names())
            count = result.current_level_count
            return offsets.Listing(result.items, result.count if count is None else count)

        position = paginator.position if thread_id is None else paginator.thread_position
        page = await offsets.step(fetch, position, lambda comment: (-comment.id, comment.id), size=COMMENTS_PAGE)
        if thread_id is None:
            long = tuple(t.id for t in page.items if t.thread is not None and t.thread.count > len(t.thread.items))
            paginator = CommentPaginator(position=page.position, list_done=page.end, pending_threads=long)
        elif page.end:
            paginator = paginator.thread_done()
        else:
            paginator = paginator.model_copy(update={"thread_position": page.position})
        comments_by_root = [
            (thread_id or first_level.id, comment)
            for first_level in page.items
            for comment in (first_level, *first_level.answers)
        ]
        items = tuple(
            translate.comment(comment, root_id, int(post_id), own_id, names)
            for root_id, comment in comments_by_root
            if since is None or comment.date >= since
        )
        more = bool(paginator.pending_threads) or not paginator.list_done
        return Page(items, wire.dump(paginator) if more else "{}", more)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Direct messages. Comments come from `comments`, and sooner from the Callback API."""
        if Token.COMMUNITY not in c.tokens:
            return Page((), cursor, more=False)
        paginator = wire.load(MessagePaginator, cursor) or MessagePaginator()
        if paginator.pending_peers:
            return await self._history(c, paginator, since)

        async def fetch(offset: int) -> offsets.Listing[vk.ConversationItem]:
            query = {"group_id": group_id(c), "filter": "all", "offset": offset, "count": CONVERSATIONS_PAGE}
            listed = await self._calls.call(c, vk.CONVERSATIONS, "messages.getConversations", (Token.COMMUNITY,), query)
            return offsets.Listing(listed.items, listed.count)

        page = await offsets.step(fetch, paginator.position, sort_key, size=CONVERSATIONS_PAGE)
        pass_start = (
            paginator.pass_start
            if paginator.pass_start is not None
            else max((rank for rank, _ in page.sort_keys), default=paginator.floor)
        )
        if paginator.pass_start is None and pass_start <= paginator.floor:
            return Page((), wire.dump(MessagePaginator(read_until=paginator.floor, floor=paginator.floor)), more=False)
        changed = [item for item in page.items if is_new(item, paginator.floor, since)]
        paginator = MessagePaginator(
            read_until=paginator.read_until,
            floor=paginator.floor,
            pass_start=pass_start,
            position=page.position,
            list_done=page.end or len(changed) < len(page.items),
            pending_peers=tuple(item.conversation.peer.id for item in changed if item.conversation.peer.type == "user"),
        )
        return Page((), wire.dump(next_pass(paginator)), more=True)

    async def _history(
        self, c: Credentials, paginator: MessagePaginator, since: datetime | None
    ) -> Page[RemoteMessage]:
        """The next messages of the first pending conversation, back to `read_until`."""
        own_id, peer = group_id(c), paginator.pending_peers[0]
        names: dict[int, str] = {}

        async def fetch(offset: int) -> offsets.Listing[vk.Message]:
            query = {"group_id": own_id, "peer_id": peer, "extended": 1, "offset": offset, "count": HISTORY_PAGE}
            history = await self._calls.call(c, vk.HISTORY, "messages.getHistory", (Token.COMMUNITY,), query)
            names.update(history.names())
            return offsets.Listing(history.items, history.count)

        try:
            page = await offsets.step(fetch, paginator.history_position, lambda m: (m.id, m.id), size=HISTORY_PAGE)
        except PlatformError as error:
            if error.may_be_one_items:
                following = next_pass(paginator.history_done())
                error.bypass = Bypass(wire.dump(following), str(peer), wire.dump(paginator.only_pending()))
            raise
        new = [m for m in page.items if m.id > paginator.read_until and (since is None or m.date >= since)]
        if page.end or len(new) < len(page.items):
            paginator = next_pass(paginator.history_done())
        else:
            paginator = paginator.model_copy(update={"history_position": page.position})
        return Page(tuple(translate.message(m, own_id, names) for m in new), wire.dump(paginator), more=True)

    # ── writing ───────────────────────────────────────────────────────────────────────────────

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        """Reply as the community. VK drops a repeat with the same `key`, which is sent as `guid` or `random_id`."""
        own_id = group_id(c)
        if to.kind is MessageKind.MESSAGE:
            form = {"group_id": own_id, "peer_id": to.author.external_id, "message": text, "random_id": _random_id(key)}
            message_id = await self._calls.call(c, vk.SENT_MESSAGE, "messages.send", (Token.COMMUNITY,), form)
            return SendReceipt(external_id=f"message-{message_id}")
        if to.post_id is None:
            raise Rejected("a comment can only be answered below its post")
        form = {"owner_id": -own_id, "post_id": to.post_id, "from_group": own_id, "message": text, "guid": key}
        form |= {"reply_to_comment": to.external_id.removeprefix("comment-")}
        created = await self._calls.call(c, vk.NEW_COMMENT, "wall.createComment", (Token.COMMUNITY, Token.USER), form)
        url = f"https://vk.com/wall-{own_id}_{to.post_id}?reply={created.comment_id}"
        return SendReceipt(external_id=f"comment-{created.comment_id}", url=url)

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        """Post as the community. Pictures need a user's token; VK has no field for their `alt`."""
        outgoing.check(draft, self.spec)
        own_id = group_id(c)
        form: dict[str, object] = {"owner_id": -own_id, "from_group": 1, "message": draft.text, "guid": key}
        if draft.pictures:
            form["attachments"] = ",".join([photo.attachment for photo in await self._photos(c, draft.pictures)])
        created = await self._calls.call(c, vk.NEW_POST, "wall.post", (Token.COMMUNITY, Token.USER), form)
        return SendReceipt(external_id=str(created.post_id), url=f"https://vk.com/wall-{own_id}_{created.post_id}")

    async def _photos(self, c: Credentials, pictures: Sequence[Picture]) -> list[vk.Photo]:
        """Upload pictures as photos that a post can contain, one after the other, which keeps their order."""
        group = {"group_id": group_id(c)}
        photos: list[vk.Photo] = []
        server = await self._calls.call(c, vk.UPLOAD_SERVER, "photos.getWallUploadServer", (Token.USER,), group)
        for picture in pictures:
            uploaded = await self._calls.upload(server.upload_url, picture)
            form = {**group, **uploaded.model_dump()}
            saved = await self._calls.call(c, vk.SAVED, "photos.saveWallPhoto", (Token.USER,), form)
            photos += saved
        return photos

    # ── tokens ────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def renewable(cls, tokens: Collection[Token], app: Collection[str]) -> frozenset[Token]:
        renewable = Token.REFRESH in tokens and "client_id" in app
        return frozenset({Token.USER, Token.REFRESH}) if renewable else frozenset()

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        """A user's token of VK ID, and the next refresh token: each refresh token works once."""
        device, issued = await self._calls.renew(c)
        lifetime = instants.span(issued.expires_in) if issued.expires_in else None
        return {
            Token.USER: IssuedToken(issued.access_token, lifetime),
            Token.REFRESH: IssuedToken(f"{device}:{issued.refresh_token}", REFRESH_LIFETIME),
        }

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        """The permissions of each token; VK does not report their lifetimes."""
        granted: dict[Token, Collection[str]] = {}
        if Token.USER in c.tokens:
            mask = await self._calls.call(c, vk.MASK, "account.getAppPermissions", (Token.USER,), {})
            granted[Token.USER] = {name for name, bit in USER_PERMISSIONS.items() if mask & bit}
        if Token.COMMUNITY in c.tokens:
            result = await self._calls.call(c, vk.PERMISSIONS, "groups.getTokenPermissions", (Token.COMMUNITY,), {})
            granted[Token.COMMUNITY] = {permission.name for permission in result.permissions}
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

    async def unsubscribe(self, c: Credentials, url: str) -> None:
        await hooks.unsubscribe(self._calls, c, url)

    async def subscription(self, c: Credentials, url: str) -> HookState:
        return await hooks.state(self._calls, c, url)

    def classify(self, response: httpx.Response) -> PlatformError | None:
        return classify(response)


ADAPTER: Final = Vk


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _random_id(key: str) -> int:
    """A positive number of 31 bits, as VK's `random_id` must be; equal for equal keys."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") >> 1 or 1
