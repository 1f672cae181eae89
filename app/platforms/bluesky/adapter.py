"""Bluesky, and other servers of the AT protocol that hold accounts which Bluesky shows.

Three hosts answer. Without a token the public view of the network is read. With one, everything goes to
the server that holds the account (its PDS; `bsky.social` passes calls on to Bluesky's own), which passes
reads on to the same view, as the account may see it, and chat to the chat service. An account on a server
of its own names it in its address: `@name.example@pds.example`. Counters are always read without a token,
for whom the account has blocked is hidden from it, and must not pass for deleted.

A person gives an app password, which opens sessions: an access token of two hours and a refresh token
of 90 days, each use of which brings the next. Direct messages need an app password that may read them;
without, there are none. They are sent once more where no message of ours with these very words follows
the one that is answered, for the chat knows no keys. Group chats are left out.

A post is a record in the account's repository, written under a key of ours with `swapRecord: null`: only
if it is not there yet. `createdAt` is the platform's own clock, the `Date` of the call before.
Comments below a deleted one are hidden by Bluesky; replies to it still come with `conversations`.
Sources: the lexicons and servers of bluesky-social/atproto; docs.bsky.app on limits. Unverified: that the
list of conversations is ordered by `rev`; how many answers `getPostThread` shows at most; that very long
feeds can be read to their end (atproto#2134); 300 sessions a day (bsky-docs#183 tells of 100).
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import ClassVar, Final

import httpx

from app.platforms import guards, outgoing, wire
from app.platforms.bluesky import calls, records, sessions, translate
from app.platforms.bluesky import wire_models as bsky
from app.platforms.bluesky.errors import PRIVILEGED, classified, reset_of, scope_of
from app.platforms.bluesky.paginators import CommentPaginator, InboxPaginator, ListPaginator
from app.platforms.capabilities import IssuedToken, OutgoingPost, Picture, PostRef, ReplyTo, TokenState, Usage
from app.platforms.contract import (
    Address,
    AuthExpired,
    CommunitySnapshot,
    Credentials,
    Gone,
    Malformed,
    MessageKind,
    Metric,
    MissingPermission,
    Page,
    PlatformError,
    PostMetrics,
    Publishing,
    Rejected,
    RemoteMessage,
    RemotePost,
    SendReceipt,
    Spec,
    TextUnit,
    Token,
)

PAGE: Final = 100
CONVOS_PAGE: Final = 50
DEPTH: Final = 60
"""How deep below a post one call reads; deeper JSON than about 90 answers our parser does not take."""
REASONS: Final = ("reply", "mention", "quote")


class Bluesky:
    """See the module."""

    spec: ClassVar[Spec] = Spec(
        key="bluesky",
        title="Bluesky",
        api_version="app.bsky",
        base_url=calls.BASE,
        metrics=frozenset({Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES, Metric.QUOTES, Metric.SAVES}),
        rate_limits=calls.RATE_LIMITS,
        metrics_batch=25,
        text_limit=300,
        text_unit=TextUnit.GRAPHEMES,
        tokens=frozenset({Token.COMMUNITY, Token.REFRESH, Token.PASSWORD}),
        public=True,
        address_hint="https://bsky.app/profile/name.bsky.social",
        # A record stays under its key; of direct messages the last hundred are looked through.
        replies_dedup_window=timedelta(days=1),
        publishing=Publishing(
            pictures=4,
            picture_types=frozenset({"image/jpeg", "image/png", "image/webp"}),
            picture_bytes=1_000_000,  # servers of today take two million
            dedup_window=timedelta(days=30),
        ),
        scopes={Token.COMMUNITY: (PRIVILEGED,)},
    )

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @classmethod
    def address(cls, text: str) -> Address:
        """`https://bsky.app/profile/name.example`, `@name.example`, `name.example` or `did:plc:…`.

        On a server of its own: `@name.example@pds.example`, or `?pds=pds.example` behind the URL.
        """
        found = translate.address(text)
        if found is None:
            raise ValueError(f"a Bluesky address looks like {cls.spec.address_hint} or @name.bsky.social")
        return found

    # ── reading ───────────────────────────────────────────────────────────────────────────────────

    async def community(self, c: Credentials) -> CommunitySnapshot:
        actor = c.external_id or translate.actor(c.address)
        return translate.community(wire.parse(bsky.PROFILE, await self._read(c, calls.PROFILE, {"actor": actor})))

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        """Without answers, not even to its own posts, and without reposts."""
        paginator, own_id = wire.load(ListPaginator, cursor) or ListPaginator(), guards.community_id(c)
        query = {"actor": own_id, "limit": str(PAGE), "filter": "posts_no_replies", **paginator.query()}
        feed = wire.parse(bsky.FEED, await self._read(c, calls.FEED, query))
        paginator, more = paginator.after([translate.feed_time(entry) for entry in feed.feed], feed.cursor, since)
        found = [
            translate.post(entry.post)
            for entry in feed.feed
            if entry.reason is None and entry.post.author.did == own_id and entry.post.record.reply is None
        ]
        items = tuple(post for post in found if since is None or post.published_at >= since)
        return Page(items, wire.dump(paginator), more)

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        guards.check_batch(ids, self.spec)
        if not ids:
            return ()
        query = {"uris": list(dict.fromkeys(ids))}
        answer = wire.parse(bsky.MEASURED, await self._read(c, calls.POSTS, query, kind=None))
        found = {post.uri: translate.counted(post) for post in answer.posts}
        return tuple(found.get(uri) or PostMetrics(uri, {}, gone=True) for uri in ids)

    async def metrics_across(self, c: Credentials, posts: tuple[PostRef, ...]) -> tuple[PostMetrics, ...]:
        """A post's id says whose it is."""
        return await self.metrics(c, tuple(post.post_id for post in posts))

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Mostly one page. Only direct answers move a post's counter; deeper ones come with `conversations`."""
        paginator = wire.load(CommentPaginator, cursor) or CommentPaginator()
        uri = paginator.below[0] if paginator.below else post_id
        try:
            query = {"uri": uri, "depth": str(DEPTH), "parentHeight": "0"}
            root_post = wire.parse(bsky.THREADS, await self._read(c, calls.THREAD, query)).thread
        except Gone:
            if uri == post_id:
                raise
            root_post = bsky.Thread()  # deleted since the page before
        if uri == post_id and root_post.post is None:
            raise Gone("Bluesky does not show this post")
        below = (*paginator.below[1:], *translate.truncated_replies(root_post, DEPTH))
        found = translate.comments(root_post, post_id, guards.community_id(c))
        items = tuple(comment for comment in found if since is None or comment.sent_at >= since)
        return Page(items, wire.dump(CommentPaginator(below=below)), more=bool(below))

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Answers, mentions and quotations, then direct messages where the app password may read them."""
        if Token.COMMUNITY not in c.tokens:
            return Page((), cursor, more=False)
        paginator = wire.load(InboxPaginator, cursor) or InboxPaginator()
        if paginator.reading == "messages":
            return await self._messages(c, paginator, since)
        # Without `priority` an account's own settings may leave out whom it does not follow.
        query: calls.Query = {
            "limit": str(PAGE),
            "priority": "false",
            "reasons": list(REASONS),
            **paginator.notifications.query(),
        }
        answer = wire.parse(bsky.NOTIFICATIONS, await self._read(c, calls.NOTIFICATIONS, query))
        listed, more = paginator.notifications.after(
            [one.indexed_at for one in answer.notifications], answer.cursor, since
        )
        then_messages = not more and sessions.reads_messages(c.tokens[Token.COMMUNITY])
        mentions = [
            translate.notification(one, guards.community_id(c)) for one in answer.notifications if one.reason in REASONS
        ]
        items = tuple(one for one in mentions if since is None or one.sent_at >= since)
        paginator = InboxPaginator(
            notifications=listed, messages=paginator.messages, reading="messages" if then_messages else "notifications"
        )
        return Page(items, wire.dump(paginator), more or then_messages)

    async def _messages(self, c: Credentials, paginator: InboxPaginator, since: datetime | None) -> Page[RemoteMessage]:
        """A step through the direct messages. Where they are not for us the walk is at its end."""
        messages, own_id, items, more = paginator.messages, guards.community_id(c), tuple[RemoteMessage, ...](), True
        try:
            if messages.waiting:
                conversation = messages.waiting[0]
                page = {} if messages.inside is None else {"cursor": messages.inside}
                query = {"convoId": conversation.id, "limit": str(PAGE), **page}
                history = wire.parse(bsky.MESSAGES, await self._read(c, calls.MESSAGES, query))
                messages, new_messages = messages.after_messages(history.messages, history.cursor, since)
                items = tuple(
                    one for m in new_messages if (one := translate.message(m, conversation, own_id)) is not None
                )
            else:
                page = {} if messages.at is None else {"cursor": messages.at}
                listing = wire.parse(
                    bsky.CONVOS, await self._read(c, calls.CONVOS, {"limit": str(CONVOS_PAGE), **page})
                )
                messages, more = messages.after_list(listing.convos, listing.cursor, own_id, since)
        except MissingPermission:
            more = False
        except (Gone, Rejected):  # this conversation is not shown to us (any more), or there is no chat at all
            more = bool(messages.waiting)
            messages = messages.model_copy(update={"waiting": messages.waiting[1:], "inside": None}).next_pass()
        return Page(
            items,
            wire.dump(
                InboxPaginator(
                    notifications=paginator.notifications,
                    messages=messages,
                    reading="messages" if more else "notifications",
                )
            ),
            more,
        )

    # ── writing ───────────────────────────────────────────────────────────────────────────────────

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        """Below the post that is answered, or in its conversation. A repeat with the same `key` writes nothing."""
        _signed_in(c)
        if to.kind is MessageKind.MESSAGE:
            return await self._answer(c, to, text)
        response = await self._read(c, calls.POSTS, {"uris": [to.external_id]})
        target = next(iter(wire.parse(bsky.POSTS, response).posts), None)
        if target is None:
            raise Gone("the post that is answered is not there any more")
        parent = bsky.Ref(uri=target.uri, cid=target.cid)
        root = parent if target.record.reply is None else target.record.reply.root
        at = _clock(response)
        record = records.post(text, at, await self._mentioned(c, text))
        record["reply"] = {"root": root.model_dump(), "parent": parent.model_dump()}
        return await self._put(c, record, key, at)

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        """First it is looked whether `key` was published before, so that nothing is uploaded in vain."""
        outgoing.check(draft, self.spec)
        _signed_in(c)
        query = {"repo": guards.community_id(c), "collection": records.POST, "rkey": records.rkey(key)}
        response = await self._read(c, calls.RECORD, query, may_be_missing=True)
        if response.is_success:
            return _sent(wire.parse(bsky.STORED, response).uri, None)
        at = _clock(response)
        record = records.post(draft.text, at, await self._mentioned(c, draft.text))
        if draft.pictures:
            uploaded = [(await self._upload(c, picture), picture.alt) for picture in draft.pictures]
            record["embed"] = records.images(uploaded)
        return await self._put(c, record, key, at)

    async def _put(self, c: Credentials, record: records.Json, key: str, at: datetime) -> SendReceipt:
        """Write a post that is not there yet."""
        own_id = guards.community_id(c)
        body = {
            "repo": own_id,
            "collection": records.POST,
            "rkey": records.rkey(key),
            "record": record,
            "swapRecord": None,
        }

        def classify(response: httpx.Response) -> PlatformError | None:
            error = _judge(c)(response)
            return None if error is not None and error.platform_code == "InvalidSwap" else error

        response = await wire.write(self._http, calls.request(self._http, c, calls.PUT, json=body), classify)
        if response.is_success:
            return _sent(wire.parse_confirmation(bsky.STORED, response).uri, at)
        return _sent(records.uri(own_id, key), None)  # it was written before

    async def _answer(self, c: Credentials, to: ReplyTo, text: str) -> SendReceipt:
        convo = translate.convo_of(to.thread_id)
        response = await self._read(c, calls.MESSAGES, {"convoId": convo, "limit": str(PAGE)})
        history = wire.parse(bsky.MESSAGES, response).messages
        ids = [translate.message_id(convo, one.id) for one in history]
        since = history[: ids.index(to.external_id)] if to.external_id in ids else []  # newest first
        for one in since:
            same_text = one.text is not None and one.text.strip() == text.strip()
            if same_text and one.sender is not None and one.sender.did == c.external_id:
                return SendReceipt(translate.message_id(convo, one.id), one.sent_at)
        body = {"convoId": convo, "message": {"text": text, **records.annotated(text, {})}}
        request = calls.request(self._http, c, calls.SEND, json=body)
        made = wire.parse_confirmation(bsky.MESSAGE, await wire.write(self._http, request, _judge(c)))
        return SendReceipt(translate.message_id(convo, made.id), made.sent_at)

    async def _upload(self, c: Credentials, picture: Picture) -> Mapping[str, object]:
        request = calls.request(self._http, c, calls.UPLOAD, content=picture.content, media_type=picture.media_type)
        return wire.parse(bsky.UPLOADED, await wire.read(self._http, request, _judge(c))).blob

    async def _mentioned(self, c: Credentials, text: str) -> Mapping[str, str]:
        """The DIDs of the handles in a text that are somebody's."""
        handles = records.mentioned(text)[: self.spec.metrics_batch]
        if not handles:
            return {}
        answer = await self._read(c, calls.PROFILES, {"actors": list(handles)})
        return {one.handle.lower(): one.did for one in wire.parse(bsky.PROFILES, answer).profiles}

    # ── tokens ────────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def renewable(cls, tokens: Collection[Token], app: Collection[str]) -> frozenset[Token]:
        able = {Token.REFRESH, Token.PASSWORD} & set(tokens)
        return frozenset({Token.COMMUNITY, Token.REFRESH}) if able else frozenset()

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        """By the refresh token; where that is no longer good, by the password."""
        if Token.REFRESH in c.tokens:
            try:
                request = calls.request(self._http, c, calls.RENEW, kind=Token.REFRESH)
                return await self._session(c, request, Token.REFRESH)
            except AuthExpired as error:
                if error.token is not Token.REFRESH or Token.PASSWORD not in c.tokens:
                    raise
        if Token.PASSWORD not in c.tokens:
            raise AuthExpired("a session is opened with an app password", token=Token.PASSWORD)
        body = {"identifier": c.external_id or translate.actor(c.address), "password": c.tokens[Token.PASSWORD]}
        request = calls.request(self._http, c, calls.OPEN, kind=None, json=body)
        return await self._session(c, request, Token.PASSWORD)

    async def _session(self, c: Credentials, request: httpx.Request, by: Token) -> Mapping[Token, IssuedToken]:
        def classify(response: httpx.Response) -> PlatformError | None:
            error = _judge(c)(response)
            if isinstance(error, AuthExpired):
                error.token = by
            elif isinstance(error, Gone):  # taken down, or deactivated: a person has to see to it
                return AuthExpired(error.message, token=Token.PASSWORD, platform_code=error.platform_code)
            return error

        session = wire.parse_confirmation(bsky.SESSION, await wire.write(self._http, request, classify))
        if c.external_id not in {None, session.did}:
            raise AuthExpired("these are another account's credentials", token=by)
        return sessions.granted(session)

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        """The tokens tell themselves what they are; Bluesky, whether they are good, and the time."""
        if Token.COMMUNITY not in c.tokens:
            return {}
        response = await self._read(c, calls.SESSION)
        wire.parse(bsky.SESSION_OWNER, response)
        at = wire.response_date(response)
        inspected = [kind for kind in (Token.COMMUNITY, Token.REFRESH) if kind in c.tokens]
        return {kind: sessions.state(c.tokens[kind], at) for kind in inspected}

    # ── answers ───────────────────────────────────────────────────────────────────────────────────

    def classify(self, response: httpx.Response) -> PlatformError | None:
        """By the error's name; a table in `errors` says what each means."""
        return classified(response, wire.sent_secrets(response))

    @classmethod
    def usage(cls, response: httpx.Response) -> Usage | None:
        """The limit nearest to its end is the one that Bluesky tells of."""
        limit, remaining = (response.headers.get(f"ratelimit-{name}", "") for name in ("limit", "remaining"))
        if not (limit.isascii() and limit.isdigit() and remaining.isascii() and remaining.isdigit() and int(limit)):
            return None
        at, reset = wire.response_date(response), reset_of(response)
        resets_in = None if at is None or reset is None else max(0.0, (reset - at).total_seconds())
        return Usage(1 - int(remaining) / int(limit), scope_of(response), resets_in)

    async def _read(
        self,
        c: Credentials,
        method: str,
        query: calls.Query | None = None,
        *,
        kind: Token | None = Token.COMMUNITY,
        may_be_missing: bool = False,
    ) -> httpx.Response:
        def classify(response: httpx.Response) -> PlatformError | None:
            error = _judge(c)(response)
            return None if may_be_missing and isinstance(error, Gone) else error

        return await wire.read(self._http, calls.request(self._http, c, method, query, kind=kind), classify)


ADAPTER: Final = Bluesky


def _signed_in(c: Credentials) -> None:
    if Token.COMMUNITY not in c.tokens:
        raise AuthExpired("writing needs an account's session", token=Token.COMMUNITY)


def _judge(c: Credentials) -> wire.Classify:
    """`classify`, to which all the tokens are known that must not be told."""
    return lambda response: classified(response, c.tokens.values())


def _clock(response: httpx.Response) -> datetime:
    at = wire.response_date(response)
    if at is None:
        raise Malformed("Bluesky does not tell the time")
    return at


def _sent(uri: str, at: datetime | None) -> SendReceipt:
    return SendReceipt(uri, at, translate.url(uri))
