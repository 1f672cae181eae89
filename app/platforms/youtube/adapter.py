"""YouTube, Data API v3.

Public data is read with an API key, else with the channel owner's access token, which replies need. Access tokens
last an hour and are renewed with a refresh token. A key is preferred, because one key can serve all communities, and
batches of posts are then filled across them.

The quota is 10,000 units a day for each Google project. A key belongs to a project, so its units are counted by key;
access tokens belong to the project of this installation's application, so theirs are counted together. A key of the
application's own project shares its quota, which cannot be seen from here: YouTube then sends `quotaExceeded` early,
and no request is made until midnight in California. A read costs one unit, a reply 50; `search.list` is not used.

Lists are paged by tokens: see `paginators`. Comments of the whole channel are listed latest first, and read down to
those of earlier scans. A new answer does not move an older comment in that list, and a comment that was held for
review appears below newer ones; both change the video's counter, after which `comments` reads all of the video's.
A video with comments switched off has none.

Sources: the discovery document, developers.google.com/youtube/v3, python-youtube's recordings. Unverified: that the
id of a channel's list of uploads is the channel's with `UU` for `UC` (where it is not, the channel is looked up);
both kinds of token and their lifetimes; the limit of a reply's text.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import ClassVar, Final, Literal

import httpx

from app.kit import instants
from app.platforms import guards, wire
from app.platforms.capabilities import IssuedToken, PostRef, ReplyTo, TokenState
from app.platforms.contract import (
    COST,
    Address,
    AuthExpired,
    CommunityIdentity,
    CommunitySnapshot,
    Cost,
    Credentials,
    Gone,
    LimitScope,
    MessageKind,
    Metric,
    Page,
    PlatformError,
    PostMetrics,
    RateLimit,
    Rejected,
    RemoteMessage,
    RemotePost,
    SendReceipt,
    Spec,
    Token,
)
from app.platforms.youtube import permalinks, translate
from app.platforms.youtube import wire_models as youtube
from app.platforms.youtube.errors import COMMENTS_OFF, FORCE_SSL, KEY, from_response
from app.platforms.youtube.paginators import ListPosition, LongThread, PagedList, ThreadPaginator, UploadPaginator

UNITS: Final = "units"
DAY: Final = 86_400
QUOTA: Final = 10_000
READ_UNITS: Final = 1
REPLY_UNITS: Final = 50

UPLOADS_PAGE: Final = 50
COMMENTS_PAGE: Final = 100

OAUTH: Final = "https://oauth2.googleapis.com"
APP_SETTINGS: Final = frozenset({"client_id", "client_secret"})
READ_TOKENS: Final = (Token.APP, Token.COMMUNITY)


class YouTube:
    """The adapter; the module's docstring describes it."""

    spec: ClassVar[Spec] = Spec(
        key="youtube",
        title="YouTube",
        api_version="v3",
        base_url="https://youtube.googleapis.com",
        metrics=frozenset({Metric.VIEWS, Metric.REACTIONS, Metric.COMMENTS}),
        rate_limits=(
            RateLimit(QUOTA, DAY, LimitScope.TOKEN, UNITS, Token.APP),
            RateLimit(QUOTA, DAY, LimitScope.APP, UNITS, Token.COMMUNITY),
        ),
        metrics_batch=50,
        text_limit=5000,
        post_domains=permalinks.DOMAINS,
        tokens=frozenset({Token.APP, Token.COMMUNITY, Token.REFRESH}),
        public=False,
        address_hint="https://www.youtube.com/@name",
        reply_limit=10_000,
        app_settings=APP_SETTINGS,
        scopes={Token.COMMUNITY: (FORCE_SSL,)},
        no_changes=translate.NO_CHANGES,
    )

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @classmethod
    def address(cls, text: str) -> Address:
        """`youtube.com/@name`, `/channel/UC…`, `/c/name`, `/user/name`, `@name` or `UC…`."""
        canonical = translate.canonical(text)
        if canonical is None:
            raise ValueError(f"a YouTube channel's address looks like {cls.spec.address_hint}")
        return Address(canonical=canonical)

    @staticmethod
    def post_key(community: CommunityIdentity, url: str) -> str | None:
        return permalinks.post_key(community, url)

    async def community(self, c: Credentials) -> CommunitySnapshot:
        """The channel. YouTube rounds sizes above a thousand down to three digits."""
        return translate.community(await self._channel(c))

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        """Public videos, including live and announced ones. Private ones are returned once they are public."""
        paginator = wire.load(UploadPaginator, cursor) or UploadPaginator()
        own_id = guards.community_id(c)
        playlist = paginator.playlist or f"UU{own_id[2:]}"

        async def fetch(query: Mapping[str, object]) -> httpx.Response:
            return await self._read(c, "playlistItems", {"part": "snippet", "playlistId": playlist, **query})

        uploads = PagedList(fetch, youtube.ENTRIES, UPLOADS_PAGE, lambda entry: entry.video_id, by_offset=True)
        try:
            page = await uploads.page(paginator.position)
        except Gone:
            # A channel without videos has no such list. If the channel itself is gone, `_channel` raises that.
            uploads_id = (await self._channel(c)).details.playlists.uploads
            if uploads_id in {None, playlist}:
                return Page((), wire.dump(paginator.done()), more=False)
            return Page((), wire.dump(UploadPaginator(playlist=uploads_id)), more=True)
        if page is None:
            return Page((), wire.dump(paginator.restarted()), more=True)
        paginator = paginator.seen(page)
        posts = await self._videos(c, [entry.video_id for entry in page.items if entry.video_id], since)
        if page.next_token is None or paginator.reached(page, since):
            return Page(posts, wire.dump(paginator.done()), more=False)
        position = await uploads.after(paginator.position, page)
        return Page(posts, wire.dump(paginator.model_copy(update={"position": position})), more=True)

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        """A video that is not returned is gone; for a key, so is one made private."""
        guards.check_batch(ids, self.spec)
        if not ids:
            return ()
        response = await self._read(c, "videos", {"part": "statistics", "id": ",".join(ids)})
        metrics_by_id = {video.id: translate.metrics(video) for video in wire.parse(youtube.COUNTERS, response).items}
        return tuple(metrics_by_id.get(video_id) or PostMetrics(video_id, {}, gone=True) for video_id in ids)

    async def metrics_across(self, c: Credentials, posts: tuple[PostRef, ...]) -> tuple[PostMetrics, ...]:
        """Any 50 videos cost one unit, of whichever channels."""
        return await self.metrics(c, tuple(post.post_id for post in posts))

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Costs a unit for each hundred comments, and one for each comment with more answers than came with it."""
        paginator = wire.load(ThreadPaginator, cursor) or ThreadPaginator()
        page, paginator = await self._threads(c, paginator, {"videoId": post_id}, since, None)
        return page if page.more else Page(page.items, "{}", more=False)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Comments on all videos, back to those of earlier scans or `since`. YouTube has no messages."""
        paginator = wire.load(ThreadPaginator, cursor) or ThreadPaginator()
        bound = max((time for time in (paginator.seen_until, since) if time is not None), default=None)
        query = {"allThreadsRelatedToChannelId": guards.community_id(c)}
        page, paginator = await self._threads(c, paginator, query, since, bound)
        if page.more:
            return page
        return Page(page.items, wire.dump(paginator.done()), more=False)

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        """Reply below the comment that began the thread: there is one level of answers.

        The author of an answer is mentioned by name, and so is notified. YouTube has no field for `key`.
        """
        if to.kind is not MessageKind.COMMENT:
            raise Rejected("on YouTube only comments can be answered")
        root_id, _, answer_id = to.external_id.partition(".")
        mention = f"{to.author.name} " if answer_id and to.author.name.startswith("@") else ""
        body = {"snippet": {"parentId": root_id, "textOriginal": f"{mention}{text}"}}
        request = self._request(c, "POST", "comments", {"part": "snippet"}, (Token.COMMUNITY,), REPLY_UNITS, body)
        created = wire.parse_confirmation(youtube.COMMENT, await wire.write(self._http, request, self.classify))
        url = None if to.post_id is None else f"{translate.SITE}/watch?v={to.post_id}&lc={created.id}"
        return SendReceipt(external_id=created.id, sent_at=created.snippet.published_at, url=url)

    @classmethod
    def renewable(cls, tokens: Collection[Token], app: Collection[str]) -> frozenset[Token]:
        renewable = Token.REFRESH in tokens and set(app) >= APP_SETTINGS
        return frozenset({Token.COMMUNITY}) if renewable else frozenset()

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        """An access token of an hour. The refresh token stays valid, unless Google sends a new one."""
        if not self.renewable(c.tokens, c.app):
            raise AuthExpired("an access token takes a refresh token and the application's client", token=Token.REFRESH)
        form = {"grant_type": "refresh_token", "refresh_token": c.tokens[Token.REFRESH]}
        form |= {name: c.app[name] for name in sorted(APP_SETTINGS)}
        request = self._token_request(c, "token", form, Token.REFRESH)
        tokens = wire.parse_confirmation(youtube.ISSUED_TOKENS, await wire.write(self._http, request, self.classify))
        issued = {Token.COMMUNITY: IssuedToken(tokens.access, instants.span(tokens.lifetime))}
        if tokens.refresh:
            lifetime = tokens.refresh_lifetime
            issued[Token.REFRESH] = IssuedToken(tokens.refresh, instants.span(lifetime) if lifetime else None)
        return issued

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        """The access token's scopes and lifetime. Google reports nothing of a key.

        Unverified: that Google accepts the token in a form as well as in the URL.
        """
        if Token.COMMUNITY not in c.tokens:
            return {}
        request = self._token_request(c, "tokeninfo", {"access_token": c.tokens[Token.COMMUNITY]}, Token.COMMUNITY)
        token_info = wire.parse(youtube.TOKEN_INFO, await wire.read(self._http, request, self.classify))
        missing = tuple(scope for scope in self.spec.scopes[Token.COMMUNITY] if scope not in token_info.scope.split())
        lifetime = None if token_info.lifetime is None else instants.span(token_info.lifetime)
        return {Token.COMMUNITY: TokenState(missing, lifetime)}

    def classify(self, response: httpx.Response) -> PlatformError | None:
        """By Google's reason, else by the status: see `errors`."""
        request = wire.request_of(response)
        changes = request is not None and request.method == "POST" and not request.url.path.endswith("/tokeninfo")
        return from_response(response, changes=changes)

    async def _channel(self, c: Credentials) -> youtube.Channel:
        query = translate.lookup(c.address) if c.external_id is None else {"id": c.external_id}
        response = await self._read(c, "channels", {"part": "snippet,statistics,contentDetails", **query})
        channels = wire.parse(youtube.CHANNELS, response).items
        if not channels:
            raise Gone("YouTube knows no such channel")
        return channels[0]

    async def _videos(self, c: Credentials, ids: list[str], since: datetime | None) -> tuple[RemotePost, ...]:
        if not ids:
            return ()
        response = await self._read(c, "videos", {"part": "snippet,statistics,status", "id": ",".join(ids)})
        return tuple(
            translate.post(video)
            for video in wire.parse_lenient(youtube.VIDEOS, response).items
            if video.status.privacy == "public" and (since is None or video.snippet.published_at >= since)
        )

    async def _threads(
        self,
        c: Credentials,
        paginator: ThreadPaginator,
        query: Mapping[str, str],
        since: datetime | None,
        bound: datetime | None,
    ) -> tuple[Page[RemoteMessage], ThreadPaginator]:
        """The next page of comments, back to `bound`; or of the answers that did not come with their comments."""
        if paginator.long_threads:
            items, paginator = await self._answers(c, paginator)
        else:
            try:
                items, paginator = await self._root_comments(c, paginator, query, bound)
            except Rejected as error:
                if error.platform_code != COMMENTS_OFF:
                    raise
                return Page((), wire.dump(paginator), more=False), paginator
        recent = tuple(item for item in items if since is None or item.sent_at >= since)
        return Page(
            recent, wire.dump(paginator), more=bool(paginator.long_threads) or not paginator.list_done
        ), paginator

    async def _root_comments(
        self, c: Credentials, paginator: ThreadPaginator, query: Mapping[str, str], bound: datetime | None
    ) -> tuple[list[RemoteMessage], ThreadPaginator]:
        async def fetch(paging: Mapping[str, object]) -> httpx.Response:
            fixed = {"part": "snippet,replies", "order": "time", "textFormat": "plainText"}
            return await self._read(c, "commentThreads", {**fixed, **query, **paging})

        threads = PagedList(fetch, youtube.THREADS, COMMENTS_PAGE, lambda thread: thread.id)
        page = await threads.page(paginator.position)
        if page is None:
            return [], paginator.model_copy(update={"position": paginator.position.from_start()})
        times = [thread.snippet.root_comment.snippet.published_at for thread in page.items]
        list_done = page.next_token is None or (bound is not None and any(time < bound for time in times[-1:]))
        # In a scan back to `bound`, the answers to comments below it are left to `comments`.
        long_threads = tuple(
            LongThread(root_id=thread.id, author=thread.snippet.root_comment.author, post=thread.snippet.video_id)
            for thread, time in zip(page.items, times, strict=True)
            if thread.snippet.answers > len(thread.replies.comments) and (bound is None or time > bound)
        )
        changed = {
            "position": ListPosition() if list_done else await threads.after(paginator.position, page),
            "list_done": list_done,
            "long_threads": long_threads,
            "latest": paginator.latest or max(times, default=None),
        }
        items = [item for thread in page.items for item in translate.thread(thread, guards.community_id(c))]
        return items, paginator.model_copy(update=changed)

    async def _answers(self, c: Credentials, paginator: ThreadPaginator) -> tuple[list[RemoteMessage], ThreadPaginator]:
        """The next answers in the first of `long_threads`; a comment that is gone has none."""
        thread, own_id = paginator.long_threads[0], guards.community_id(c)

        async def fetch(paging: Mapping[str, object]) -> httpx.Response:
            query = {"part": "snippet", "parentId": thread.root_id, "textFormat": "plainText", **paging}
            return await self._read(c, "comments", query)

        answers = PagedList(fetch, youtube.COMMENTS, COMMENTS_PAGE, lambda comment: comment.id)
        try:
            page = await answers.page(paginator.thread_position)
        except Gone:
            return [], paginator.thread_done()
        except PlatformError as error:
            if error.may_be_one_items:
                error.bypass = paginator.bypass()
            raise
        if page is None:
            return [], paginator.model_copy(update={"thread_position": paginator.thread_position.from_start()})
        author_ids = {answer.snippet.author: answer.author for answer in page.items}
        items = [
            translate.message(answer, thread.root_id, thread.author, author_ids, thread.post, own_id)
            for answer in page.items
        ]
        if page.next_token is None:
            return items, paginator.thread_done()
        position = await answers.after(paginator.thread_position, page)
        return items, paginator.model_copy(update={"thread_position": position})

    async def _read(self, c: Credentials, path: str, query: Mapping[str, object]) -> httpx.Response:
        return await wire.read(self._http, self._request(c, "GET", path, query, READ_TOKENS, READ_UNITS), self.classify)

    def _request(
        self,
        c: Credentials,
        method: Literal["GET", "POST"],
        path: str,
        query: Mapping[str, object],
        kinds: tuple[Token, ...],
        units: int,
        body: object = None,
    ) -> httpx.Request:
        """A request with the first of `kinds` that the credentials have."""
        kind = guards.token_kind(c, kinds, self.spec.title)
        token = c.tokens[kind]
        return self._http.build_request(
            method,
            f"{c.base_url.rstrip('/')}/youtube/v3/{path}",
            params={name: str(value) for name, value in query.items()},
            json=body,
            headers={KEY: token} if kind is Token.APP else wire.bearer(token),
            extensions={COST: Cost(token, kind, {UNITS: units})},
        )

    def _token_request(self, c: Credentials, path: str, form: Mapping[str, str], kind: Token) -> httpx.Request:
        """A request to Google's token endpoints, which do not count against the quota."""
        base = OAUTH if c.base_url == self.spec.base_url else c.base_url.rstrip("/")
        cost = Cost(c.tokens[kind], kind, {})
        return self._http.build_request("POST", f"{base}/{path}", data=form, extensions={COST: cost})


ADAPTER: Final = YouTube
