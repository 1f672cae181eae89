"""Bluesky, and other servers of the AT protocol that hold accounts which Bluesky shows.

Requests go to three hosts. Without a token, the public view of the network is read. With one, all requests go to
the server that holds the account (its PDS; `bsky.social` forwards to Bluesky's own), which forwards reads to the
same view, as the account may see it, and chat to the chat service. The address of an account on another server
names that server: `@name.example@pds.example`. Counters are always read without a token: posts of accounts that the
community has blocked would be hidden from it, and would seem deleted.

A person enters an app password, with which sessions are opened: an access token of two hours, and a refresh token
of 90 days that works once and is replaced with each renewal. Direct messages need an app password that may read
them; without it they are not read. The chat has no idempotency keys: a reply is sent again only where the account
has not yet sent the same text after the message that it answers. Group chats are left out.

A post is a record in the account's repository. It is written under a key derived from the caller's, with
`swapRecord: null`, which fails where the record exists. `createdAt` is the platform's time, the `Date` of the
response before. Comments below a deleted one are hidden by Bluesky; replies to it still come with `conversations`.

Feeds and notifications are paged by time, conversations and messages by cursor: see `paginators`.
Sources: the lexicons and servers of bluesky-social/atproto; docs.bsky.app on limits. Unverified: that the list of
conversations is ordered by `rev`; the most answers that `getPostThread` returns; that very long feeds can be read
to their end (atproto#2134); 300 sessions a day (bsky-docs#183 says 100).
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import ClassVar, Final

import httpx

from app.platforms import guards, outgoing, separate_lists, wire
from app.platforms.bluesky import calls, limits, permalinks, records, sessions, translate
from app.platforms.bluesky import wire_models as bsky
from app.platforms.bluesky.errors import PRIVILEGED, classifier, from_response
from app.platforms.bluesky.paginators import CommentPaginator, ListPaginator, MessagePaginator
from app.platforms.capabilities import IssuedToken, OutgoingPost, Picture, PostRef, ReplyTo, TokenState, Usage
from app.platforms.contract import (
    Address,
    AuthExpired,
    Bypass,
    CommunityIdentity,
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
    TextLimit,
    TextUnit,
    Token,
    Unsupported,
)

PAGE: Final = 100
CONVOS_PAGE: Final = 50
DEPTH: Final = 60
"""How many levels below a post one call reads; the JSON parser fails at about 90."""
NOTIFICATIONS: Final = "notifications"
OWN_FEED: Final = "own_feed"
MESSAGES: Final = "messages"
REASONS: Final = ("reply", "mention", "quote")


class Bluesky:
    """The adapter; the module's docstring describes it."""

    spec: ClassVar[Spec] = Spec(
        key="bluesky",
        title="Bluesky",
        api_version="app.bsky",
        base_url=calls.BASE,
        metrics=frozenset({Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES, Metric.QUOTES, Metric.SAVES}),
        rate_limits=calls.RATE_LIMITS,
        metrics_batch=25,
        text_limit=300,
        post_domains=None,
        text_unit=TextUnit.GRAPHEMES,
        text_bytes=3000,
        message_limit=TextLimit(1000, TextUnit.GRAPHEMES, 10_000),
        tokens=frozenset({Token.COMMUNITY, Token.REFRESH, Token.PASSWORD}),
        public=True,
        address_hint="https://bsky.app/profile/name.bsky.social",
        # A record stays under its key; of direct messages, the last hundred are searched for the same text.
        replies_dedup_window=timedelta(days=1),
        publishing=Publishing(
            pictures=4,
            picture_types=frozenset({"image/jpeg", "image/png", "image/webp"}),
            picture_bytes=1_000_000,  # current servers take two million
            dedup_window=timedelta(days=30),
        ),
        scopes={Token.COMMUNITY: (PRIVILEGED,)},
        posts_list=OWN_FEED,
        changes=translate.CHANGES,
        no_changes=translate.NO_CHANGES,
    )

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @classmethod
    def address(cls, text: str) -> Address:
        """`https://bsky.app/profile/name.example`, `@name.example`, `name.example` or `did:plc:…`.

        On another server: `@name.example@pds.example`, or `?pds=pds.example` after the URL.
        """
        address = translate.address(text)
        if address is None:
            raise ValueError(f"a Bluesky address looks like {cls.spec.address_hint} or @name.bsky.social")
        return address

    @staticmethod
    def post_key(community: CommunityIdentity, url: str) -> str | None:
        return permalinks.post_key(community, url)

    # ── reading ───────────────────────────────────────────────────────────────────────────────────

    async def community(self, c: Credentials) -> CommunitySnapshot:
        actor = c.external_id or translate.actor(c.address)
        return translate.community(wire.parse(bsky.PROFILE, await self._read(c, calls.PROFILE, {"actor": actor})))

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        """Without reposts and replies, those to the account's own posts included."""
        entries, next_cursor, more = await self._feed(c, cursor, since, "posts_no_replies")
        return Page(translate.posts(entries, since), next_cursor, more)

    async def _answers(self, c: Credentials, cursor: str | None, since: datetime | None) -> Page[RemoteMessage]:
        """The account's own answers, and its posts (`Page.posts`)."""
        entries, next_cursor, more = await self._feed(c, cursor, since, "posts_with_replies")
        answers = translate.answers(entries, guards.community_id(c))
        items = tuple(answer for answer in answers if since is None or answer.sent_at >= since)
        return Page(items, next_cursor, more, posts=translate.posts(entries, since))

    async def _feed(
        self, c: Credentials, cursor: str | None, since: datetime | None, kinds: str
    ) -> tuple[list[bsky.FeedEntry], str, bool]:
        """A page of the account's own posts of these kinds, the next cursor, and whether there is more."""
        paginator, own_id = wire.load(ListPaginator, cursor) or ListPaginator(), guards.community_id(c)
        query = {"actor": own_id, "limit": str(PAGE), "filter": kinds, **paginator.query()}
        feed = wire.parse(bsky.FEED, await self._read(c, calls.FEED, query))
        paginator, more = paginator.after([translate.feed_time(entry) for entry in feed.feed], feed.cursor, since)
        own = [entry for entry in feed.feed if entry.reason is None and entry.post.author.did == own_id]
        return own, wire.dump(paginator), more

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        guards.check_batch(ids, self.spec)
        if not ids:
            return ()
        query = {"uris": list(dict.fromkeys(ids))}
        result = wire.parse(bsky.MEASURED, await self._read(c, calls.POSTS, query, kind=None))
        metrics_by_uri = {post.uri: translate.metrics(post) for post in result.posts}
        return tuple(metrics_by_uri.get(uri) or PostMetrics(uri, {}, gone=True) for uri in ids)

    async def metrics_across(self, c: Credentials, posts: tuple[PostRef, ...]) -> tuple[PostMetrics, ...]:
        """A post's id names its account, so that any posts share a call."""
        return await self.metrics(c, tuple(post.post_id for post in posts))

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Mostly one page. Only direct answers change a post's counter; deeper ones come with `conversations`."""
        paginator = wire.load(CommentPaginator, cursor) or CommentPaginator()
        uri = paginator.pending[0] if paginator.pending else post_id
        try:
            query = {"uri": uri, "depth": str(DEPTH), "parentHeight": "0"}
            root_post = wire.parse(bsky.THREADS, await self._read(c, calls.THREAD, query)).thread
        except Gone:
            if uri == post_id:
                raise
            root_post = bsky.Thread()  # deleted since the page before
        if uri == post_id and root_post.post is None:
            raise Gone("Bluesky does not show this post")
        pending = (*paginator.pending[1:], *translate.truncated_replies(root_post, DEPTH))
        comments = translate.comments(root_post, post_id, guards.community_id(c))
        items = tuple(comment for comment in comments if since is None or comment.sent_at >= since)
        return Page(items, wire.dump(CommentPaginator(pending=pending)), more=bool(pending))

    def conversation_lists(self, c: Credentials) -> tuple[str, ...]:
        """Answers, mentions and quotes; messages, where the app password may read them; and the account's own feed."""
        if Token.COMMUNITY not in c.tokens:
            return ()
        reads_messages = sessions.reads_messages(c.tokens[Token.COMMUNITY])
        return (NOTIFICATIONS, MESSAGES, OWN_FEED) if reads_messages else (NOTIFICATIONS, OWN_FEED)

    async def conversation_list(
        self, c: Credentials, name: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        readers = {MESSAGES: self._messages, OWN_FEED: self._answers}
        return await readers.get(name, self._notifications)(c, cursor, since)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        return await separate_lists.next_page(self, c, cursor, since)

    async def _notifications(self, c: Credentials, cursor: str | None, since: datetime | None) -> Page[RemoteMessage]:
        paginator = wire.load(ListPaginator, cursor) or ListPaginator()
        # Without `priority`, an account's settings may leave out authors whom it does not follow.
        query: calls.Query = {
            "limit": str(PAGE),
            "priority": "false",
            "reasons": list(REASONS),
            **paginator.query(),
        }
        listed = wire.parse(bsky.NOTIFICATIONS, await self._read(c, calls.NOTIFICATIONS, query))
        paginator, more = paginator.after(
            [notification.indexed_at for notification in listed.notifications], listed.cursor, since
        )
        mentions = [
            translate.notification(notification, guards.community_id(c))
            for notification in listed.notifications
            if notification.reason in REASONS
        ]
        items = tuple(mention for mention in mentions if since is None or mention.sent_at >= since)
        return Page(items, wire.dump(paginator), more)

    async def _messages(self, c: Credentials, cursor: str | None, since: datetime | None) -> Page[RemoteMessage]:
        """The next page of direct messages. The scan is complete where they may not be read."""
        messages = wire.load(MessagePaginator, cursor) or MessagePaginator()
        own_id, items, more = guards.community_id(c), tuple[RemoteMessage, ...](), True
        try:
            if messages.pending:
                conversation = messages.pending[0]
                page = {} if messages.history_cursor is None else {"cursor": messages.history_cursor}
                query = {"convoId": conversation.id, "limit": str(PAGE), **page}
                history = wire.parse(bsky.MESSAGES, await self._read(c, calls.MESSAGES, query))
                messages, new_messages = messages.after_messages(history.messages, history.cursor, since)
                translated = (translate.message(message, conversation, own_id) for message in new_messages)
                items = tuple(message for message in translated if message is not None)
            else:
                page = {} if messages.list_cursor is None else {"cursor": messages.list_cursor}
                query = {"limit": str(CONVOS_PAGE), **page}
                listed = wire.parse(bsky.CONVOS, await self._read(c, calls.CONVOS, query))
                messages, more = messages.after_list(listed.convos, listed.cursor, own_id, since)
        except MissingPermission:
            more = False
        except (Gone, Rejected, Unsupported):  # the account cannot see this conversation (any more), or has no chat
            more = bool(messages.pending)
            messages = messages.history_done()
        except PlatformError as error:
            if messages.pending and error.may_be_one_items:
                error.bypass = Bypass(
                    wire.dump(messages.history_done()),
                    item=messages.pending[0].id,
                    retry=wire.dump(messages.only_pending()),
                )
            raise
        return Page(items, wire.dump(messages), more)

    async def existing_comments(self, c: Credentials, ids: tuple[str, ...]) -> frozenset[str]:
        return frozenset(one.external_id for one in await self.metrics(c, ids) if not one.gone)

    # ── writing ───────────────────────────────────────────────────────────────────────────────────

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        """Reply below the post, or in the conversation. A repeat with the same `key` writes nothing."""
        _require_session(c)
        if to.kind is MessageKind.MESSAGE:
            return await self._send_message(c, to, text)
        response = await self._read(c, calls.POSTS, {"uris": [to.external_id]})
        target = next(iter(wire.parse(bsky.POSTS, response).posts), None)
        if target is None:
            raise Gone("the post that is answered is not there any more")
        parent = bsky.Ref(uri=target.uri, cid=target.cid)
        root = parent if target.record.reply is None else target.record.reply.root
        now = _response_date(response)
        record = records.post(text, now, await self._mentioned_dids(c, text))
        record["reply"] = {"root": root.model_dump(), "parent": parent.model_dump()}
        return await self._put(c, record, key, now)

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        """Checks first whether `key` was already published, to save the uploads."""
        outgoing.check(draft, self.spec)
        _require_session(c)
        query = {"repo": guards.community_id(c), "collection": records.POST, "rkey": records.rkey(key)}
        response = await self._read(c, calls.RECORD, query, may_be_missing=True)
        if response.is_success:
            return _receipt(wire.parse(bsky.STORED, response).uri, None)
        now = _response_date(response)
        record = records.post(draft.text, now, await self._mentioned_dids(c, draft.text))
        if draft.pictures:
            uploaded = [(await self._upload(c, picture), picture.alt) for picture in draft.pictures]
            record["embed"] = records.images(uploaded)
        return await self._put(c, record, key, now)

    async def _put(self, c: Credentials, record: records.Json, key: str, now: datetime) -> SendReceipt:
        """Write a post, unless it exists already."""
        own_id = guards.community_id(c)
        body = {
            "repo": own_id,
            "collection": records.POST,
            "rkey": records.rkey(key),
            "record": record,
            "swapRecord": None,
        }

        def classify(response: httpx.Response) -> PlatformError | None:
            error = classifier(c)(response)
            return None if error is not None and error.platform_code == "InvalidSwap" else error

        response = await wire.write(self._http, calls.request(self._http, c, calls.PUT, json=body), classify)
        if response.is_success:
            return _receipt(wire.parse_confirmation(bsky.STORED, response).uri, now)
        return _receipt(records.uri(own_id, key), None)  # it was written before

    async def _send_message(self, c: Credentials, to: ReplyTo, text: str) -> SendReceipt:
        convo = translate.convo_of(to.thread_id)
        response = await self._read(c, calls.MESSAGES, {"convoId": convo, "limit": str(PAGE)})
        history = wire.parse(bsky.MESSAGES, response).messages
        ids = [translate.message_id(convo, message.id) for message in history]
        later_messages = history[: ids.index(to.external_id)] if to.external_id in ids else []  # latest first
        for message in later_messages:
            same_text = message.text is not None and message.text.strip() == text.strip()
            if same_text and message.sender is not None and message.sender.did == c.external_id:
                return SendReceipt(translate.message_id(convo, message.id), message.sent_at)
        body = {"convoId": convo, "message": {"text": text, **records.annotated(text, {})}}
        request = calls.request(self._http, c, calls.SEND, json=body)
        sent = wire.parse_confirmation(bsky.MESSAGE, await wire.write(self._http, request, classifier(c)))
        return SendReceipt(translate.message_id(convo, sent.id), sent.sent_at)

    async def _upload(self, c: Credentials, picture: Picture) -> Mapping[str, object]:
        request = calls.request(self._http, c, calls.UPLOAD, content=picture.content, media_type=picture.media_type)
        return wire.parse(bsky.UPLOADED, await wire.read(self._http, request, classifier(c))).blob

    async def _mentioned_dids(self, c: Credentials, text: str) -> Mapping[str, str]:
        """The DIDs of the handles in a text that exist, by handle."""
        handles = records.mentioned(text)[: self.spec.metrics_batch]
        if not handles:
            return {}
        response = await self._read(c, calls.PROFILES, {"actors": list(handles)})
        return {profile.handle.lower(): profile.did for profile in wire.parse(bsky.PROFILES, response).profiles}

    # ── tokens ────────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def renewable(cls, tokens: Collection[Token], app: Collection[str]) -> frozenset[Token]:
        renewable = bool({Token.REFRESH, Token.PASSWORD} & set(tokens))
        return frozenset({Token.COMMUNITY, Token.REFRESH}) if renewable else frozenset()

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        """With the refresh token or, where that has expired, the password."""
        return await sessions.renew(self._http, c)

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        """Scopes and lifetimes from the tokens' own claims, once Bluesky has accepted the access token."""
        if Token.COMMUNITY not in c.tokens:
            return {}
        response = await self._read(c, calls.SESSION)
        wire.parse(bsky.SESSION_OWNER, response)
        now = wire.response_date(response)
        inspected = [kind for kind in (Token.COMMUNITY, Token.REFRESH) if kind in c.tokens]
        return {kind: sessions.state(c.tokens[kind], now) for kind in inspected}

    # ── responses ───────────────────────────────────────────────────────────────────────────────────

    def classify(self, response: httpx.Response) -> PlatformError | None:
        """By the error's name: see `errors`."""
        return from_response(response, wire.sent_secrets(response))

    @classmethod
    def usage(cls, response: httpx.Response) -> Usage | None:
        """Of the limit that is nearest to its end, which is the one that Bluesky reports."""
        return limits.usage(response)

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
            error = classifier(c)(response)
            return None if may_be_missing and isinstance(error, Gone) else error

        return await wire.read(self._http, calls.request(self._http, c, method, query, kind=kind), classify)


ADAPTER: Final = Bluesky


def _require_session(c: Credentials) -> None:
    if Token.COMMUNITY not in c.tokens:
        raise AuthExpired("writing needs an account's session", token=Token.COMMUNITY)


def _response_date(response: httpx.Response) -> datetime:
    now = wire.response_date(response)
    if now is None:
        raise Malformed("Bluesky does not tell the time")
    return now


def _receipt(uri: str, sent_at: datetime | None) -> SendReceipt:
    return SendReceipt(uri, sent_at, translate.url(uri))
