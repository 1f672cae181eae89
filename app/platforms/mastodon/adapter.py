"""Mastodon, and the servers that speak its API (GoToSocial, Takahe, Pleroma, Pixelfed, Friendica, Sharkey).

A handle's domain need not be its server's (`webfinger`). Public accounts are read without a token. With the account's
own token (`read write`), mentions and direct statuses are read from the notifications and the account's own answers
from its statuses (`conversations`), and replies and posts can be sent. A token does not expire (unless an administrator
has configured it), and there is no refresh token.

Since 4.3 a server filters private mentions by accounts that the account does not follow out of the notifications.
Customers are such accounts, so these are requested too (`include_filtered`).

Lists are paged by id, which is safe whatever items appear or vanish. `min_id` returns the items just above an id. A
list ends with an empty page, because earlier pages may be short.

A batch of statuses leaves out those that the token may not see: a post for followers, requested with another
account's token or none, would seem deleted. Therefore only accounts without a token, all of whose visible posts are
public, share batches; the posts of an account with a token are read with that token.

Responses report the rate limits; those to writes report the limit on this kind of write alone. Servers may allow
more than 500 characters; a text is checked before any request, so the limit here is 500. GoToSocial and Takahe
ignore idempotency keys, so a repeated post appears twice there, and a reply is looked up before it is repeated
(`drops_repeats`, by the server's software).

Sources: docs.joinmastodon.org, the OpenAPI of abraham/mastodon-openapi, Mastodon's source, mastodon_mock 0.6.1.
Unverified: that ids are ordered by time on every such server, as they are on Mastodon.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar, Final

import httpx

from app.platforms import guards, markup, outgoing, separate_lists, wire
from app.platforms.capabilities import OutgoingPost, Picture, PostRef, ReplyTo, TokenState, Usage
from app.platforms.contract import (
    Address,
    AuthExpired,
    CommunityIdentity,
    CommunitySnapshot,
    Credentials,
    Gone,
    LimitScope,
    Malformed,
    MessageKind,
    Metric,
    MissingPermission,
    OutcomeUnknown,
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
    Transient,
    Unsupported,
)
from app.platforms.mastodon import calls, conversations, limits, lists, permalinks, servers, translate, webfinger
from app.platforms.mastodon.addresses import HINT, canonical, split
from app.platforms.mastodon.errors import from_response
from app.platforms.mastodon.wire_models import (
    ACCOUNT,
    APPLICATION,
    COUNTED,
    CREATED,
    MEDIA,
    STATUS,
    Account,
    Counted,
    Status,
)

CUT_OFF: Final = frozenset({*range(40, 61), 4096})
"""A context with so many answers may lack others: Takahe returns 50, Mastodon 60 without a token and 4096 with one.
Some of them may be left out as not understood.
"""

DEDUP_WINDOW: Final = timedelta(minutes=50)
"""Keys are stored for an hour; less some minutes for requests that are under way."""
NO_BATCH_STATUSES: Final = frozenset({400, 404, 405, 501})
SCOPES: Final = ("read:accounts", "read:notifications", "read:statuses", "write:media", "write:statuses")


class Mastodon:
    """The adapter; the module's docstring describes it."""

    spec: ClassVar[Spec] = Spec(
        key="mastodon",
        title="Mastodon",
        api_version="v1",
        base_url=None,
        metrics=frozenset({Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES, Metric.QUOTES}),
        rate_limits=(
            RateLimit(300, 300, LimitScope.TOKEN),
            RateLimit(300, 300, LimitScope.ADDRESS),
            RateLimit(30, 1800, LimitScope.TOKEN, calls.UPLOADING),
            RateLimit(300, 10_800, LimitScope.TOKEN, calls.WRITING),
        ),
        metrics_batch=20,
        text_limit=500,
        tokens=frozenset({Token.COMMUNITY}),
        public=True,
        address_hint=HINT,
        replies_dedup_window=DEDUP_WINDOW,
        publishing=Publishing(
            pictures=4,
            picture_types=frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"}),
            picture_bytes=16 * 2**20,
            dedup_window=DEDUP_WINDOW,
        ),
        scopes={Token.COMMUNITY: SCOPES},
        metrics_group_tokens=frozenset({Token.COMMUNITY}),
        posts_list=conversations.OWN_STATUSES,
        changes=translate.CHANGES,
        no_changes=translate.NO_CHANGES,
    )

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @classmethod
    def address(cls, text: str) -> Address:
        """`https://host/@name`, `https://host/users/name`, `@name@host` or `name@host`."""
        spelling, base = canonical(text)
        return Address(canonical=spelling, base_url=base)

    @staticmethod
    def post_key(community: CommunityIdentity, url: str) -> str | None:
        return permalinks.post_key(community, url)

    async def community(self, c: Credentials) -> CommunitySnapshot:
        """The account; looked up by its name at first, on the server that webfinger names where it is another one."""
        server = None
        if c.external_id is not None:
            account = wire.parse(ACCOUNT, await self._get(c, f"accounts/{c.external_id}"))
        else:
            try:  # without the token: it is not for the handle's domain where that is not the server
                account = await self._find_by_name(replace(c, tokens={}))
            except (AuthExpired, Gone, Malformed, MissingPermission, Rejected, Unsupported):
                server = await webfinger.server(self._http, c, self.classify)
                if server is None and not c.tokens:
                    raise
                account = await self._find_by_name(c if server is None else replace(c, base_url=server))
        if account.suspended:
            raise Gone("the account is suspended")
        return CommunitySnapshot(
            external_id=account.id,
            title=account.display_name or account.username,
            url=account.url or c.address,
            size=account.size,
            base_url=server,
        )

    async def _find_by_name(self, c: Credentials) -> Account:
        _, name, _ = split(c.address)
        return wire.parse(ACCOUNT, await self._get(c, "accounts/lookup", {"acct": name}))

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        own, next_cursor, more = await conversations.own_statuses(
            self._http, c, cursor, since, self.classify, replies=False
        )
        return Page(translate.posts(own), next_cursor, more)

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        """One request, or one for each post where the server has no batch (before 4.3, GoToSocial, Takahe).

        So too where the batch is empty, to be certain that each post is gone.
        """
        guards.check_batch(ids, self.spec)
        if not ids:
            return ()
        request = calls.request(self._http, c, "GET", "statuses", {"id[]": list(ids)})
        response = await wire.read(self._http, request, self._classify_unless_no_batch)
        if response.status_code == httpx.codes.OK:
            statuses = lists.parse_list(response, lists.COUNTED, lists.COUNTED_LENIENT)
            metrics_by_id = {
                s.id: translate.metrics(s) if isinstance(s, Counted) else translate.unparsed_metrics(s.id)
                for s in statuses
            }
            if metrics_by_id:
                return tuple(metrics_by_id.get(post_id) or translate.gone(post_id) for post_id in ids)
        return tuple([await self._metrics_of(c, post_id) for post_id in ids])

    async def metrics_across(self, c: Credentials, posts: tuple[PostRef, ...]) -> tuple[PostMetrics, ...]:
        return await self.metrics(c, tuple(post.post_id for post in posts))

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """All answers below a post in one page; without a token the server returns the first 60 alone.

        Those of other servers are dated by these, which is no reason to leave one out as too old.
        """
        response = await self._get(c, f"statuses/{post_id}/context")
        context, now = lists.parse_context(response), wire.response_date(response)
        by_id, own_id = {s.id: s for s in context.descendants}, guards.community_id(c)
        items: list[RemoteMessage] = []
        for s in context.descendants:
            remote = s.account.is_remote
            claimed = s.created_at or now
            if s.visibility == "direct" or claimed is None or not (since is None or remote or claimed >= since):
                continue
            thread_id = translate.comment_thread(translate.ancestry(s, by_id), own_id)
            items.append(
                translate.message(
                    s, MessageKind.COMMENT, thread_id, own_id, post_id, sent_at=claimed, dated_by_author=remote
                )
            )
        return Page(tuple(items), "{}", more=False, complete=len(context.descendants) not in CUT_OFF)

    def conversation_lists(self, c: Credentials) -> tuple[str, ...]:
        """Notifications, and the account's own statuses."""
        return (conversations.NOTIFICATIONS, conversations.OWN_STATUSES) if Token.COMMUNITY in c.tokens else ()

    async def conversation_list(
        self, c: Credentials, name: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        if Token.COMMUNITY not in c.tokens:
            return Page((), cursor, more=False)
        read = conversations.answers if name == conversations.OWN_STATUSES else conversations.mentions
        return await read(self._http, c, cursor, since, self.classify)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        return await separate_lists.next_page(self, c, cursor, since)

    async def existing_comments(self, c: Credentials, ids: tuple[str, ...]) -> frozenset[str]:
        return frozenset(one.external_id for one in await self.metrics(c, ids) if not one.gone)

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        """Reply below the message, with its visibility, mentioning its author, who is notified by that.

        Mastodon drops a repeat with the same `key` for an hour; see `drops_repeats` about other servers.
        """
        guards.token_kind(c, (Token.COMMUNITY,), self.spec.title)
        target = wire.parse(STATUS, await self._get(c, f"statuses/{to.external_id}"))
        form = {
            "status": f"@{target.account.acct} {text}",
            "in_reply_to_id": target.id,
            "visibility": target.visibility,
        }
        return await self._post_status(c, form, key)

    async def drops_repeats(self, c: Credentials) -> bool:
        """By the software that the server reports; False where it reports none, or one that is not known to."""
        try:
            links = wire.parse(servers.LINKS, await self._get_open(c, servers.LINKS_PATH))
            path = servers.document_path(links, c.base_url)
            if path is None:
                return False
            return wire.parse(servers.NODE_INFO, await self._get_open(c, path)).software.drops_repeats
        except (AuthExpired, Gone, Malformed, MissingPermission, Rejected, Unsupported):
            return False

    async def find_replies(self, c: Credentials, to: ReplyTo, text: str, since: datetime) -> tuple[SendReceipt, ...]:
        """Among the statuses below the message, and the account's own latest ones: either list may be cut off."""
        own_id = guards.community_id(c)
        below = lists.parse_context(await self._get(c, f"statuses/{to.external_id}/context")).descendants
        response = await self._get(
            c, f"accounts/{own_id}/statuses", {"limit": str(conversations.PAGE), "exclude_reblogs": "true"}
        )
        latest = lists.parse_list(response, lists.STATUSES, lists.STATUSES_LENIENT)
        statuses = {one.id: one for one in (*below, *latest) if isinstance(one, Status)}
        matches = [
            one
            for one in statuses.values()
            if one.account.id == own_id
            and one.in_reply_to_id == to.external_id
            and one.created_at is not None
            and one.created_at >= since
            and markup.comparable(translate.text(one)) == markup.comparable(text)
        ]
        receipts = [SendReceipt(one.id, one.created_at, one.url) for one in matches]
        return tuple(sorted(receipts, key=lambda receipt: receipt.sent_at or since))

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        """Publish a public status, whatever the account's default visibility is."""
        outgoing.check(draft, self.spec)
        guards.token_kind(c, (Token.COMMUNITY,), self.spec.title)
        media = [await self._upload(c, picture) for picture in draft.pictures]
        return await self._post_status(c, {"status": draft.text, "visibility": "public", "media_ids[]": media}, key)

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        """The scopes of the application, where the server reports them (since 4.3): the token has no others.

        Of a server that reports nothing of applications (GoToSocial, Takahe), only that it accepts the token.
        """
        if Token.COMMUNITY not in c.tokens:
            return {}
        try:
            application = wire.parse(APPLICATION, await self._get(c, "apps/verify_credentials"))
        except Unsupported:
            wire.parse(ACCOUNT, await self._get(c, "accounts/verify_credentials"))
            return {Token.COMMUNITY: TokenState()}
        granted = SCOPES if application.scopes is None else application.scopes
        missing = tuple(scope for scope in SCOPES if scope not in granted and scope.partition(":")[0] not in granted)
        return {Token.COMMUNITY: TokenState(missing)}

    @classmethod
    def usage(cls, response: httpx.Response) -> Usage | None:
        """Of the limit on all requests; None for a response to a write."""
        return limits.usage(response)

    def classify(self, response: httpx.Response) -> PlatformError | None:
        """By a code in the body or the status: see `errors`."""
        return from_response(response)

    def _classify_unless_no_batch(self, response: httpx.Response) -> PlatformError | None:
        """As `classify`, but that the server has no batch is no error. Pleroma, whose parameter is `ids[]`, then sends
        status 400; any other cause of these statuses shows in the requests for single posts.
        """
        return None if response.status_code in NO_BATCH_STATUSES else self.classify(response)

    async def _metrics_of(self, c: Credentials, post_id: str) -> PostMetrics:
        try:
            return translate.metrics(wire.parse(COUNTED, await self._get(c, f"statuses/{post_id}")))
        except Gone:
            return translate.gone(post_id)

    async def _upload(self, c: Credentials, picture: Picture) -> str:
        """Upload a picture, and return its id once the server has processed it."""
        form = {"description": picture.alt}
        request = calls.request(
            self._http, c, "POST", "media", version="v2", data=form, file=picture.as_file(), limit=calls.UPLOADING
        )
        response = await wire.read(self._http, request, self._classify_repeatable)
        media = wire.parse(MEDIA, response)
        if response.status_code == httpx.codes.ACCEPTED:
            response = await self._get(c, f"media/{media.id}")
            if response.status_code == httpx.codes.PARTIAL_CONTENT:
                raise Transient("the server is still at work on a picture")
        return media.id

    def _classify_repeatable(self, response: httpx.Response) -> PlatformError | None:
        """As `classify`, for an upload: one with an unknown outcome may simply be repeated."""
        error = self.classify(response)
        return (
            Transient(error.message, platform_code=error.platform_code) if isinstance(error, OutcomeUnknown) else error
        )

    async def _post_status(self, c: Credentials, form: Mapping[str, str | list[str]], key: str) -> SendReceipt:
        request = calls.request(
            self._http, c, "POST", "statuses", data=form, headers={"idempotency-key": key}, limit=calls.WRITING
        )
        created = wire.parse_confirmation(CREATED, await wire.write(self._http, request, self.classify))
        return SendReceipt(external_id=created.id, sent_at=created.created_at, url=created.url)

    async def _get(
        self, c: Credentials, path: str, query: Mapping[str, str | list[str]] | None = None
    ) -> httpx.Response:
        return await calls.read(self._http, c, path, query, self.classify)

    async def _get_open(self, c: Credentials, path: str) -> httpx.Response:
        return await wire.read(self._http, calls.open_request(self._http, c.base_url.rstrip("/") + path), self.classify)


ADAPTER: Final = Mastodon
