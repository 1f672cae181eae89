"""Instagram, business and creator accounts, Graph v26.0.

Read: the account's media, the comments below them, direct messages, media in which the account is
tagged, mentions in captions and comments of others (announced by events alone, and read only with the
Page's token), counters and insights. Not read: stories.

Tokens: their kind decides the host. `community` is the token of the Facebook Page with which the account
is linked, for graph.facebook.com; it does not expire. `user` is the token of Instagram's own login, for
graph.instagram.com; it lasts 60 days, and renews itself once it is a day old. Where there are both, the
Page's is used. `me` is the Page with the former and the account with the latter, so messages and
subscriptions, which Meta keeps with the Page, are requested from `me`.

Comments are read whole each time, because a reply to an old comment changes nothing but that comment.
Views, reach, shares and saves are insights: up to two days late, requested separately, and only those
that the type of media has. An empty insight is pending.

Publishing makes a container for each picture, which Instagram fetches from its public address, and one
for an album. The rate limits are those of an account with one viewer; responses report how much is used.
Sources: Meta's business SDK (api_specs of v26.0), developers.facebook.com, python-facebook.
Unverified: that graph.instagram.com accepts tokens in headers, as graph.facebook.com does; that `tags` lists media
latest first.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar, Final

import httpx

from app.platforms import guards, outgoing, separate_lists, wire
from app.platforms.capabilities import (
    Event,
    HookRequest,
    HookResult,
    HookState,
    IssuedToken,
    OutgoingPost,
    ReplyTo,
    TokenState,
    Usage,
)
from app.platforms.contract import (
    Address,
    AuthExpired,
    CommunityIdentity,
    CommunitySnapshot,
    Credentials,
    Gone,
    LimitScope,
    MessageKind,
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
    TextLimit,
    TextUnit,
    Token,
)
from app.platforms.meta import (
    accounts,
    comments,
    containers,
    hooks,
    insights,
    mail,
    permalinks,
    subscriptions,
    tokens,
    usage,
)
from app.platforms.meta import wire_models as graph
from app.platforms.meta.calls import BATCH, MAIL, META, PLATFORM, VERSION, Calls, GraphAccess, classify
from app.platforms.meta.paginators import (
    ListPaginator,
    next_items,
    page_query,
)

INSTAGRAM: Final = "https://graph.instagram.com"
"""The host for tokens of Instagram's own login."""
MEDIA_PAGE: Final = 50
MESSAGES: Final = "messages"
TAGS: Final = "tags"
DAY: Final = 86_400

EVENTS: Final = ("comments", "mentions", "messages", "messaging_postbacks")
"""Edits of messages are announced by Messenger alone."""
LOGIN_EVENTS: Final = ("comments", "messages", "messaging_postbacks")
"""Those of Instagram's own login, which has no field for mentions."""
PAGE_EVENTS: Final = ("feed", "messages")
"""What the Page must send for the application to receive events of its Instagram account."""


class Instagram:
    """The adapter of Instagram; what it reads is described above."""

    spec: ClassVar[Spec] = Spec(
        key="instagram",
        title="Instagram",
        api_version=VERSION,
        base_url="https://graph.facebook.com",
        metrics=accounts.SUPPORTED,
        rate_limits=(
            RateLimit(4800, DAY, LimitScope.COMMUNITY),
            RateLimit(2, 1, LimitScope.COMMUNITY, MAIL),
            RateLimit(100, DAY, LimitScope.COMMUNITY, containers.POSTS),
            RateLimit(200, 3600, LimitScope.APP, PLATFORM),
        ),
        metrics_batch=BATCH,
        text_limit=2200,
        post_domains=permalinks.INSTAGRAM_DOMAINS,
        tokens=frozenset({Token.COMMUNITY, Token.USER}),
        public=False,
        address_hint="https://www.instagram.com/name",
        hook_secrets=hooks.SECRETS,
        hook_manual_secrets=hooks.MANUAL_SECRETS,
        hook_secret_settings=hooks.SETTINGS,
        hook_of_app=True,
        reply_limit=2200,
        message_limit=TextLimit(1000, TextUnit.BYTES),
        publishing=Publishing(pictures=10, picture_types=frozenset({"image/jpeg"}), text_alone=False, by_url=True),
        app_owner=META,
        unanswerable={accounts.TAG: accounts.NO_REPLY_TO_TAGS},
        reply_window=mail.REPLY_WINDOW,
        person_reply_window=mail.PERSON_REPLY_WINDOW,
        app_settings=tokens.APP_SETTINGS,
        scopes={
            Token.COMMUNITY: (
                "instagram_basic",
                "instagram_content_publish",
                "instagram_manage_comments",
                "instagram_manage_insights",
                "instagram_manage_messages",
                "pages_manage_metadata",
                "pages_read_engagement",
            ),
            Token.USER: (
                "instagram_business_basic",
                "instagram_business_content_publish",
                "instagram_business_manage_comments",
                "instagram_business_manage_insights",
                "instagram_business_manage_messages",
            ),
        },
        delayed_metrics=frozenset(accounts.INSIGHTS.values()),
        metrics_delay=timedelta(hours=48),
        changes=accounts.CHANGES,
    )

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._calls = Calls(http)

    @classmethod
    def address(cls, text: str) -> Address:
        """`instagram.com/name`, `@name` or `name`."""
        name = accounts.name_in(text)
        if name is None:
            raise ValueError(f"an Instagram account's address looks like {cls.spec.address_hint}")
        return Address(canonical=f"{accounts.SITE}/{name}")

    @staticmethod
    def post_key(community: CommunityIdentity, url: str) -> str | None:
        return permalinks.instagram_post_key(community, url)

    async def community(self, c: Credentials) -> CommunitySnapshot:
        """The account of the token; `Rejected` where its address is another, `Gone` where the Page has no account."""
        access = _access(c)
        if access.kind is Token.USER:
            shape = await self._calls.get(access, "me", accounts.USER, {"fields": accounts.SELF_FIELDS})
        elif c.external_id is not None:
            shape = await self._calls.get(access, c.external_id, accounts.USER, {"fields": accounts.USER_FIELDS})
        else:
            linked = await self._calls.get(access, "me", accounts.LINKED, {"fields": accounts.LINKED_FIELDS})
            if linked.instagram_business_account is None:
                raise Gone("the Page is not linked with an Instagram account")
            shape = linked.instagram_business_account
        snapshot = accounts.snapshot(shape)
        if c.external_id is None:
            is_same = shape.username.lower() == _name(c)
        else:
            is_same = snapshot.external_id == c.external_id
        if not is_same:
            raise Rejected(f"the token is for another account, {shape.username}")
        return snapshot

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        """The account's media; each scan returns the latest fifty with current counters."""
        access, path = _access(c), f"{guards.community_id(c)}/media"

        async def fetch(after: str | None, limit: int) -> graph.Listing[accounts.Media]:
            query = page_query(accounts.MEDIA_FIELDS, limit, after)
            return await self._calls.get(access, path, accounts.MEDIA, query)

        paginator = wire.load(ListPaginator, cursor) or ListPaginator()
        posts, paginator, more = await next_items(fetch, paginator, MEDIA_PAGE, lambda media: media.timestamp, since)
        return Page(
            tuple(accounts.post(media, self._calls.dropped.get(path, ())) for media in posts),
            wire.dump(paginator),
            more,
        )

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        """Counters in one request, insights in one for each type of media; each post counts as a call in both."""
        guards.check_batch(ids, self.spec)
        if not ids:
            return ()
        access = _access(c)
        nodes = await self._calls.nodes(access, ids, accounts.POST_COUNTERS, accounts.METRIC_FIELDS)
        if not nodes:
            # An object that the token may not see looks like one that is gone: this request fails without permission.
            query = page_query("id,timestamp", 1, None)
            await self._calls.get(access, f"{guards.community_id(c)}/media", accounts.MEDIA, query)
        insights_by_post: dict[str, insights.Counts] = {}
        with_counters = {i: shape for i, shape in nodes.items() if isinstance(shape, accounts.Counters)}
        for names in {shape.insights for shape in with_counters.values()}:
            same_type = [i for i, shape in with_counters.items() if shape.insights == names]
            insights_by_post |= await insights.read(self._calls, access, same_type, names)
        return tuple(
            accounts.metrics(i, nodes.get(i), insights_by_post.get(i, {}), self._calls.dropped.get(i, ())) for i in ids
        )

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Comments with their replies, then the replies that are too many to come with their comment."""
        return await comments.read(self._calls, _access(c), post_id, cursor, since, _is_own(c))

    def conversation_lists(self, c: Credentials) -> tuple[str, ...]:
        """Direct messages, and media in which the account is tagged. Comments come from `comments`."""
        return (MESSAGES, TAGS)

    async def conversation_list(
        self, c: Credentials, name: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        access, is_own = _access(c), _is_own(c)
        if name == MESSAGES:
            access = replace(access, units={MAIL: 1})
            query = {"platform": "instagram"}
            return await mail.messages_page(self._calls, access, "me/conversations", query, is_own, cursor, since)

        async def fetch(after: str | None, limit: int) -> graph.Listing[accounts.Tagged]:
            query = page_query(accounts.TAGGED_FIELDS, limit, after)
            return await self._calls.get(access, f"{guards.community_id(c)}/tags", accounts.TAGGED, query)

        paginator = wire.load(ListPaginator, cursor) or ListPaginator()
        tagged, paginator, more = await next_items(fetch, paginator, MEDIA_PAGE, lambda media: media.timestamp, since)
        items = tuple(accounts.tagged(media, is_own, _name(c)) for media in tagged)
        return Page(items, wire.dump(paginator), more)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        return await separate_lists.next_page(self, c, cursor, since)

    async def announced(self, c: Credentials, reference: str) -> RemoteMessage:
        """A mention of the account, in the caption of the media or in the comment that the reference names.

        `Rejected` with Instagram's own login, whose accounts have no such fields. Of those mentions only captions are
        read, where the account is tagged as well.
        """
        access = _access(c)
        if access.kind is Token.USER:
            raise Rejected("Instagram lets an announced mention be read only with the token of the account's Page")
        media_id, _, comment_id = reference.partition("/")
        if comment_id:
            fields = f"mentioned_comment.comment_id({comment_id}){{{accounts.MENTIONED_COMMENT_FIELDS}}}"
        else:
            fields = f"mentioned_media.media_id({media_id}){{{accounts.TAGGED_FIELDS}}}"
        shape = await self._calls.get(access, guards.community_id(c), accounts.MENTIONED, {"fields": fields})
        message = accounts.mention(shape, media_id, _is_own(c))
        if message is None:
            raise Gone("the mention does not exist any more")
        return message

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        """Reply as the account (see `mail.reply`). There is no idempotency key, so `key` is unused."""
        access = _access(c)
        if to.kind is MessageKind.MESSAGE:
            return await mail.reply(self._calls, access, "me/messages", to, text, messaging_type={})
        if to.kind is MessageKind.MENTION:
            if to.external_id.startswith(accounts.TAG):
                raise Rejected(accounts.NO_REPLY_TO_TAGS)
            media_id, _, comment_id = to.external_id.removeprefix(accounts.MENTION).partition("-")
            form = {"media_id": media_id, "message": text} | ({"comment_id": comment_id} if comment_id else {})
            made = await self._calls.change(access, f"{guards.community_id(c)}/mentions", graph.MADE, form)
        else:
            made = await self._calls.change(access, f"{to.external_id}/replies", graph.MADE, {"message": text})
        return SendReceipt(external_id=made.id)

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        """Make containers, then publish them. There is no idempotency key, so `key` is unused."""
        outgoing.check(draft, self.spec)
        return await containers.publish(self._calls, _access(c), guards.community_id(c), draft)

    @classmethod
    def renewable(cls, tokens: Collection[Token], app: Collection[str]) -> frozenset[Token]:
        """The token of Instagram's own login renews itself; a Page's does not expire."""
        return frozenset({Token.USER}) & frozenset(tokens)

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        if Token.USER not in c.tokens:
            raise AuthExpired("only a token of Instagram's own login can be renewed", token=Token.USER)
        access = GraphAccess(_host(c), c.tokens[Token.USER], Token.USER)
        # The HTTP client may repeat a GET whose connection was closed. That does no harm: the old token stays valid.
        query = {"grant_type": "ig_refresh_token"}
        response = await self._calls.change_by_get(access, "/refresh_access_token", graph.GRANTED, query)
        return {Token.USER: tokens.issued(response)}

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        """The scopes and lifetime of the Page's token; nothing about a token of Instagram's own login."""
        kinds = [Token.COMMUNITY] if Token.COMMUNITY in c.tokens else []
        return await tokens.inspect(self._calls, c, kinds, self.spec.scopes)

    @classmethod
    def usage(cls, response: httpx.Response) -> Usage | None:
        return usage.nearest(response)

    @classmethod
    def receive(cls, call: HookRequest, secrets: Mapping[str, str]) -> HookResult:
        return hooks.receive(call, secrets, "instagram", accounts.to_event)

    @classmethod
    def parse_event(cls, payload: bytes) -> tuple[Event, ...]:
        return hooks.parse_event(payload, "instagram", accounts.to_event)

    async def subscribe(self, c: Credentials, url: str, secrets: Mapping[str, str]) -> Mapping[str, str]:
        """Where the application's settings are not known, and for Instagram's own login, a person enters `url` in
        the application's dashboard at Meta."""
        access = _access(c)
        await subscriptions.subscribe(
            self._calls,
            _subscription_credentials(c, access),
            access,
            "me/subscribed_apps",
            kind="instagram",
            fields=EVENTS,
            subscribed_fields=_subscribed_fields(access),
            url=url,
            verify_token=secrets.get("verify_token", ""),
        )
        return {}

    async def subscription(self, c: Credentials, url: str) -> HookState:
        access = _access(c)
        return await subscriptions.state(
            self._calls,
            _subscription_credentials(c, access),
            access,
            "me/subscribed_apps",
            kind="instagram",
            fields=EVENTS,
            subscribed_fields=_subscribed_fields(access),
            url=url,
        )

    def classify(self, response: httpx.Response) -> PlatformError | None:
        """Judged by the error's code, whatever the status."""
        return classify(response)


ADAPTER: Final = Instagram


def _host(c: Credentials) -> str:
    return INSTAGRAM if c.base_url == Instagram.spec.base_url else c.base_url


def _access(c: Credentials) -> GraphAccess:
    target = c.external_id or c.address
    if Token.COMMUNITY in c.tokens:
        return GraphAccess(c.base_url, c.tokens[Token.COMMUNITY], Token.COMMUNITY, target, c.app.get("client_secret"))
    if Token.USER in c.tokens:
        return GraphAccess(_host(c), c.tokens[Token.USER], Token.USER, target, batches_are_documented=False)
    raise AuthExpired("Instagram needs the linked Page's token, or one of its own login", token=Token.COMMUNITY)


def _name(c: Credentials) -> str:
    return c.address.rpartition("/")[2].lower()


def _is_own(c: Credentials) -> mail.IsOwn:
    """Some lists name the account by a different id, so its user name is compared as well."""
    own_id, name = guards.community_id(c), _name(c)
    return lambda person: person.id == own_id or person.username.lower() == name


def _subscribed_fields(access: GraphAccess) -> tuple[str, ...]:
    return LOGIN_EVENTS if access.kind is Token.USER else PAGE_EVENTS


def _subscription_credentials(c: Credentials, access: GraphAccess) -> Credentials:
    """Without the application's settings for Instagram's own login, which knows the application by another id."""
    return replace(c, app={}) if access.kind is Token.USER else c
