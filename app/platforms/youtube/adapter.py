"""YouTube, Data API v3.

Public data is read with an API key, or with the channel owner's access, which answering needs: a
refresh token fetches access tokens of an hour. Where there is a key it is what reads, for one key may
serve all communities, and its batches are filled across them.

The quota is 10,000 units a day and belongs to a project at Google: that of the key, so it is counted
for each key; for access tokens that of this installation's application, so it is counted for all of
them together. Where a key is of the application's own project the two share one quota, which nobody
can see from here: then YouTube says so first (`quotaExceeded`), and we wait until midnight in
California. Reading costs a unit, answering 50, and `search.list` is never used.

Comments come newest first for the whole channel, down to what is known. An answer to an older comment
moves nothing there, and one held for review comes late; both move the video's counter, upon which
`comments` reads the whole of it. Comments that are switched off are none.
Sources: the discovery document, developers.google.com/youtube/v3, python-youtube's recordings.
Unverified: that a channel's uploads are always the list of its own id with `UU` for `UC` (another id
is found); tokens of two kinds and their lifetimes; the limit of an answer's text.
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
from app.platforms.youtube import translate
from app.platforms.youtube import wire_models as youtube
from app.platforms.youtube.errors import COMMENTS_OFF, FORCE_SSL, KEY, failure
from app.platforms.youtube.paginators import ListPosition, LongThread, PagedList, ThreadPaginator, UploadPaginator

UNITS: Final = "units"
DAY: Final = 86_400
QUOTA: Final = 10_000
READING: Final = 1
ANSWERING: Final = 50

UPLOADS_PAGE: Final = 50
COMMENTS_PAGE: Final = 100

OAUTH: Final = "https://oauth2.googleapis.com"
APP_SETTINGS: Final = frozenset({"client_id", "client_secret"})
READERS: Final = (Token.APP, Token.COMMUNITY)


class YouTube:
    """See the module."""

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
        tokens=frozenset({Token.APP, Token.COMMUNITY, Token.REFRESH}),
        public=False,
        address_hint="https://www.youtube.com/@name",
        reply_limit=10_000,
        app_settings=APP_SETTINGS,
        scopes={Token.COMMUNITY: (FORCE_SSL,)},
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

    async def community(self, c: Credentials) -> CommunitySnapshot:
        """YouTube rounds sizes above a thousand down to three digits."""
        return translate.community(await self._channel(c))

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        """Public videos, live and announced ones too. Private ones are there when they become public."""
        paginator = wire.load(UploadPaginator, cursor) or UploadPaginator()
        own_id = guards.community_id(c)
        playlist = paginator.playlist or f"UU{own_id[2:]}"

        async def ask(query: Mapping[str, object]) -> httpx.Response:
            return await self._read(c, "playlistItems", {"part": "snippet", "playlistId": playlist, **query})

        uploads = PagedList(ask, youtube.ENTRIES, UPLOADS_PAGE, lambda entry: entry.video_id, by_offset=True)
        try:
            part = await uploads.page(paginator.at)
        except Gone:
            # A channel without videos has no such list; a channel that is gone says so itself.
            listed = (await self._channel(c)).details.playlists.uploads
            if listed in {None, playlist}:
                return Page((), wire.dump(paginator.done()), more=False)
            return Page((), wire.dump(UploadPaginator(playlist=listed)), more=True)
        if part is None:
            return Page((), wire.dump(paginator.model_copy(update={"at": paginator.at.from_start()})), more=True)
        paginator = paginator.seen(part)
        posts = await self._videos(c, [entry.video_id for entry in part.items if entry.video_id], since)
        if part.next_token is None or paginator.reached(part, since):
            return Page(posts, wire.dump(paginator.done()), more=False)
        at = await uploads.after(paginator.at, part)
        return Page(posts, wire.dump(paginator.model_copy(update={"at": at})), more=True)

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        """A video that is not shown is gone; one made private is, for a key."""
        guards.check_batch(ids, self.spec)
        if not ids:
            return ()
        response = await self._read(c, "videos", {"part": "statistics", "id": ",".join(ids)})
        found = {video.id: video for video in wire.parse(youtube.COUNTERS, response).items}
        return tuple(translate.metrics(found[i]) if i in found else PostMetrics(i, {}, gone=True) for i in ids)

    async def metrics_across(self, c: Credentials, posts: tuple[PostRef, ...]) -> tuple[PostMetrics, ...]:
        """Any 50 videos cost one unit, whosever they are."""
        return await self.metrics(c, tuple(post.post_id for post in posts))

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """A unit for each hundred comments, and one for each with more answers than come with it."""
        paginator = wire.load(ThreadPaginator, cursor) or ThreadPaginator()
        page, paginator = await self._threads(c, paginator, {"videoId": post_id}, since, None)
        return page if page.more else Page(page.items, "{}", more=False)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Comments of all videos, down to those known or too old. There are no messages to be read."""
        paginator = wire.load(ThreadPaginator, cursor) or ThreadPaginator()
        bound = max((moment for moment in (paginator.known, since) if moment is not None), default=None)
        page, paginator = await self._threads(
            c, paginator, {"allThreadsRelatedToChannelId": guards.community_id(c)}, since, bound
        )
        return (
            page
            if page.more
            else Page(page.items, wire.dump(ThreadPaginator(known=paginator.newest or paginator.known)), False)
        )

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        """Answer below the comment that began the thread: there is one level of answers.

        Someone who wrote below another's comment is addressed by name, so that they are told. YouTube
        knows nothing like `key`.
        """
        if to.kind is not MessageKind.COMMENT:
            raise Rejected("on YouTube only comments can be answered")
        root_id, _, below = to.external_id.partition(".")
        mention = f"{to.author.name} " if below and to.author.name.startswith("@") else ""
        body = {"snippet": {"parentId": root_id, "textOriginal": f"{mention}{text}"}}
        request = self._request(c, "POST", "comments", {"part": "snippet"}, (Token.COMMUNITY,), ANSWERING, body)
        made = wire.parse_confirmation(youtube.COMMENT, await wire.write(self._http, request, self.classify))
        url = None if to.post_id is None else f"{translate.SITE}/watch?v={to.post_id}&lc={made.id}"
        return SendReceipt(external_id=made.id, sent_at=made.snippet.published_at, url=url)

    @classmethod
    def renewable(cls, tokens: Collection[Token], app: Collection[str]) -> frozenset[Token]:
        renewable = Token.REFRESH in tokens and set(app) >= APP_SETTINGS
        return frozenset({Token.COMMUNITY}) if renewable else frozenset()

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        """An access token of an hour. The refresh token stays good, unless Google sends another."""
        if not self.renewable(c.tokens, c.app):
            raise AuthExpired("an access token takes a refresh token and the application's client", token=Token.REFRESH)
        form = {"grant_type": "refresh_token", "refresh_token": c.tokens[Token.REFRESH]}
        form |= {name: c.app[name] for name in sorted(APP_SETTINGS)}
        request = self._account(c, "token", form, Token.REFRESH)
        fetched = wire.parse_confirmation(youtube.FETCHED, await wire.write(self._http, request, self.classify))
        granted = {Token.COMMUNITY: IssuedToken(fetched.access, instants.span(fetched.lifetime))}
        if fetched.refresh:
            ends = fetched.refresh_lifetime
            granted[Token.REFRESH] = IssuedToken(fetched.refresh, instants.span(ends) if ends else None)
        return granted

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        """The access token's scopes and lifetime. Of a key nothing is told.

        Unverified: that Google takes the token in a form as well as in the address.
        """
        if Token.COMMUNITY not in c.tokens:
            return {}
        request = self._account(c, "tokeninfo", {"access_token": c.tokens[Token.COMMUNITY]}, Token.COMMUNITY)
        token_info = wire.parse(youtube.TOKEN_INFO, await wire.read(self._http, request, self.classify))
        missing = tuple(scope for scope in self.spec.scopes[Token.COMMUNITY] if scope not in token_info.scope.split())
        lifetime = None if token_info.lifetime is None else instants.span(token_info.lifetime)
        return {Token.COMMUNITY: TokenState(missing, lifetime)}

    def classify(self, response: httpx.Response) -> PlatformError | None:
        """Google's reason tells, and where there is none that is known, the status."""
        request = wire.request_of(response)
        changes = request is not None and request.method == "POST" and not request.url.path.endswith("/tokeninfo")
        return failure(response, changes=changes)

    async def _channel(self, c: Credentials) -> youtube.Channel:
        which = translate.lookup(c.address) if c.external_id is None else {"id": c.external_id}
        response = await self._read(c, "channels", {"part": "snippet,statistics,contentDetails", **which})
        found = wire.parse(youtube.CHANNELS, response).items
        if not found:
            raise Gone("YouTube knows no such channel")
        return found[0]

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
        which: Mapping[str, str],
        since: datetime | None,
        bound: datetime | None,
    ) -> tuple[Page[RemoteMessage], ThreadPaginator]:
        """The next page of a walk down to `bound`, or of the answers that did not come with their comments."""
        if paginator.long:
            items, paginator = await self._answers(c, paginator)
        else:
            try:
                items, paginator = await self._root_comments(c, paginator, which, bound)
            except Rejected as error:
                if error.platform_code != COMMENTS_OFF:
                    raise
                return Page((), wire.dump(paginator), more=False), paginator
        recent = tuple(item for item in items if since is None or item.sent_at >= since)
        return Page(recent, wire.dump(paginator), more=bool(paginator.long) or not paginator.read), paginator

    async def _root_comments(
        self, c: Credentials, paginator: ThreadPaginator, which: Mapping[str, str], bound: datetime | None
    ) -> tuple[list[RemoteMessage], ThreadPaginator]:
        async def ask(query: Mapping[str, object]) -> httpx.Response:
            fixed = {"part": "snippet,replies", "order": "time", "textFormat": "plainText"}
            return await self._read(c, "commentThreads", {**fixed, **which, **query})

        threads = PagedList(ask, youtube.THREADS, COMMENTS_PAGE, lambda thread: thread.id)
        part = await threads.page(paginator.at)
        if part is None:
            return [], paginator.model_copy(update={"at": paginator.at.from_start()})
        times = [thread.snippet.root_comment.snippet.published_at for thread in part.items]
        read = part.next_token is None or (bound is not None and any(time < bound for time in times[-1:]))
        # On a walk down to what is known, a known comment's answers are left to `comments`.
        long = tuple(
            LongThread(root_id=thread.id, author=thread.snippet.root_comment.author, post=thread.snippet.video_id)
            for thread, time in zip(part.items, times, strict=True)
            if thread.snippet.answers > len(thread.replies.comments) and (bound is None or time > bound)
        )
        changed = {
            "at": ListPosition() if read else await threads.after(paginator.at, part),
            "read": read,
            "long": long,
            "newest": paginator.newest or max(times, default=None),
        }
        items = [item for thread in part.items for item in translate.thread(thread, guards.community_id(c))]
        return items, paginator.model_copy(update=changed)

    async def _answers(self, c: Credentials, paginator: ThreadPaginator) -> tuple[list[RemoteMessage], ThreadPaginator]:
        """The next answers to the first comment that waits; a comment that is gone has none."""
        thread, own_id = paginator.long[0], guards.community_id(c)
        done = {"long": paginator.long[1:], "inside": ListPosition()}

        async def ask(query: Mapping[str, object]) -> httpx.Response:
            return await self._read(
                c, "comments", {"part": "snippet", "parentId": thread.root_id, "textFormat": "plainText", **query}
            )

        answers = PagedList(ask, youtube.COMMENTS, COMMENTS_PAGE, lambda comment: comment.id)
        try:
            part = await answers.page(paginator.inside)
        except Gone:
            return [], paginator.model_copy(update=done)
        if part is None:
            return [], paginator.model_copy(update={"inside": paginator.inside.from_start()})
        people = {answer.snippet.author: answer.author for answer in part.items}
        items = [
            translate.message(answer, thread.root_id, thread.author, people, thread.post, own_id)
            for answer in part.items
        ]
        if part.next_token is None:
            return items, paginator.model_copy(update=done)
        return items, paginator.model_copy(update={"inside": await answers.after(paginator.inside, part)})

    async def _read(self, c: Credentials, path: str, query: Mapping[str, object]) -> httpx.Response:
        return await wire.read(self._http, self._request(c, "GET", path, query, READERS, READING), self.classify)

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
        """A request made with the first of `kinds` that there is."""
        kind = next((kind for kind in kinds if kind in c.tokens), None)
        if kind is None:
            raise AuthExpired(f"YouTube needs a token for this: {' or '.join(kinds)}", token=kinds[0])
        token = c.tokens[kind]
        return self._http.build_request(
            method,
            f"{c.base_url.rstrip('/')}/youtube/v3/{path}",
            params={name: str(value) for name, value in query.items()},
            json=body,
            headers={KEY: token} if kind is Token.APP else wire.bearer(token),
            extensions={COST: Cost(token, kind, {UNITS: units})},
        )

    def _account(self, c: Credentials, path: str, form: Mapping[str, str], kind: Token) -> httpx.Request:
        """A request about tokens, which is no part of the quota."""
        base = OAUTH if c.base_url == self.spec.base_url else c.base_url.rstrip("/")
        cost = Cost(c.tokens[kind], kind, {})
        return self._http.build_request("POST", f"{base}/{path}", data=form, extensions={COST: cost})


ADAPTER: Final = YouTube
