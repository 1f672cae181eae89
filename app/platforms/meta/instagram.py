"""Instagram, business and creator accounts, Graph v26.0.

There are two ways in, and the kind of token says which. `community`: the token of the Facebook Page
the account is linked with, at graph.facebook.com; it does not end by itself. `user`: the token of
Instagram's own login, at graph.instagram.com; it lasts 60 days, and is renewed with itself once it
is a day old. Where there are both, the Page's is used. `me` is the Page there and the account here,
so messages and subscriptions, which Meta keeps with the Page, are asked of `me`.

Comments are read whole: the answers to an old one stand below it, and nothing tells that they came.
Views, reach, shares and saves are insights: up to two days late, asked for apart, and by what the
type of media has. An empty insight is one to come. Stories are not listed.

A post takes a container for each picture, which Instagram fetches from its public address, and one
for an album. Budgets are what an account with a single viewer has; answers tell how much is used.
Sources: Meta's business SDK (api_specs of v26.0), developers.facebook.com, python-facebook.
Unverified: that graph.instagram.com takes batches, and tokens in headers, as graph.facebook.com does;
that media are listed by `tags` the newest first.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar, Final

import httpx

from app.kit import instants
from app.platforms import guards, outgoing, wire
from app.platforms.capabilities import (
    Event,
    HookRequest,
    HookResult,
    HookState,
    IssuedToken,
    OutgoingPost,
    Picture,
    ReplyTo,
    TokenState,
    Usage,
)
from app.platforms.contract import (
    Address,
    AuthExpired,
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
    Token,
    Transient,
)
from app.platforms.meta import accounts, hooks, insights, mail, subscriptions, tokens, usage
from app.platforms.meta import wire_models as graph
from app.platforms.meta.calls import BATCH, MAIL, META, PLATFORM, VERSION, Calls, GraphAccess, classify
from app.platforms.meta.paginators import CommentPaginator, InboxPaginator, ListPaginator, UnreadThread, page, part

INSTAGRAM: Final = "https://graph.instagram.com"
"""Where tokens of Instagram's own login are good."""
MEDIA_PAGE: Final = 50
COMMENTS_PAGE: Final = 50
DAY: Final = 86_400
POSTS: Final = "posts"
STATUS_ASKED: Final = 5
"""How often a container is asked whether it is ready, before the whole is left for later."""

EVENTS: Final = ("comments", "messages")
PAGE_EVENTS: Final = ("feed", "messages")
"""What the Page has to give for the application to hear of its Instagram account."""


class Instagram:
    """See the module."""

    spec: ClassVar[Spec] = Spec(
        key="instagram",
        title="Instagram",
        api_version=VERSION,
        base_url="https://graph.facebook.com",
        metrics=accounts.SUPPORTED,
        rate_limits=(
            RateLimit(4800, DAY, LimitScope.COMMUNITY),
            RateLimit(2, 1, LimitScope.COMMUNITY, MAIL),
            RateLimit(100, DAY, LimitScope.COMMUNITY, POSTS),
            RateLimit(200, 3600, LimitScope.APP, PLATFORM),
        ),
        metrics_batch=BATCH,
        text_limit=2200,
        tokens=frozenset({Token.COMMUNITY, Token.USER}),
        public=False,
        address_hint="https://www.instagram.com/name",
        hook_secrets=hooks.SECRETS,
        hook_manual_secrets=hooks.MANUAL_SECRETS,
        hook_secret_settings=hooks.SETTINGS,
        hook_of_app=True,
        # A message's limit; a comment may have 2,200.
        reply_limit=1000,
        publishing=Publishing(pictures=10, picture_types=frozenset({"image/jpeg"}), text_alone=False, by_url=True),
        app_owner=META,
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

    async def community(self, c: Credentials) -> CommunitySnapshot:
        """The account the token is for, which must be the one of the address."""
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
        found = accounts.snapshot(shape)
        same = shape.username.lower() == _name(c) if c.external_id is None else found.external_id == c.external_id
        if not same:
            raise Rejected(f"the token is for another account, {shape.username}")
        return found

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        """Each walk starts at the top, so the newest fifty posts always come with fresh counters."""
        paginator, access, own_id = (
            wire.load(ListPaginator, cursor) or ListPaginator(),
            _access(c),
            guards.community_id(c),
        )

        async def ask(after: str | None, limit: int) -> graph.Listing[accounts.Media]:
            query = part(accounts.MEDIA_FIELDS, limit, after)
            return await self._calls.get(access, f"{own_id}/media", accounts.MEDIA, query)

        listing = await page(ask, paginator, MEDIA_PAGE)
        if listing is None:
            return Page((), wire.dump(paginator.from_start()), more=True)
        paginator, more = paginator.past([media.timestamp for media in listing.data], listing.after, since)
        posts = tuple(accounts.post(media) for media in listing.data if since is None or media.timestamp >= since)
        return Page(posts, wire.dump(paginator), more)

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        """Counters in one call, insights in one more for each type of media; each post is counted as a call."""
        guards.check_batch(ids, self.spec)
        if not ids:
            return ()
        access = _access(c)
        found = await self._calls.nodes(access, ids, accounts.POST_COUNTERS, accounts.METRIC_FIELDS)
        if not found:
            # What the token may not see looks like what is gone: that media can be read at all is seen here.
            query = part("id,timestamp", 1, None)
            await self._calls.get(access, f"{guards.community_id(c)}/media", accounts.MEDIA, query)
        seen: dict[str, insights.Counts] = {}
        good = {i: shape for i, shape in found.items() if isinstance(shape, accounts.Counters)}
        for names in {shape.insights for shape in good.values()}:
            alike = [i for i in good if good[i].insights == names]
            seen |= await insights.read(self._calls, access, alike, names)
        return tuple(accounts.metrics(i, found.get(i), seen.get(i, {})) for i in ids)

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Comments with their answers, then those answers that are too many to come with them."""
        paginator, access, own = wire.load(CommentPaginator, cursor) or CommentPaginator(), _access(c), _own(c)
        if paginator.unread_threads:
            return await self._answers(access, paginator, post_id, own, since)

        async def ask(after: str | None, limit: int) -> graph.Listing[accounts.Comment]:
            query = part(accounts.COMMENT_FIELDS, limit, after)
            return await self._calls.get(access, f"{post_id}/comments", accounts.COMMENTS, query)

        listing = await page(ask, paginator, COMMENTS_PAGE)
        if listing is None:
            return Page((), wire.dump(paginator.from_start()), more=True)
        items, unread_threads = [], []
        for root_comment in listing.data:
            customer = accounts.person(root_comment, own).external_id
            items.append(accounts.comment(root_comment, None, customer, post_id, own))
            if root_comment.replies is None:
                continue
            items += [
                accounts.comment(reply, root_comment.id, customer, post_id, own) for reply in root_comment.replies.data
            ]
            if root_comment.replies.after is not None:
                unread_threads.append(UnreadThread(id=root_comment.id, key=customer, after=root_comment.replies.after))
        changed = {"after": listing.after, "read": listing.after is None, "unread_threads": tuple(unread_threads)}
        return _part(
            items,
            paginator.seen([root_comment.timestamp for root_comment in listing.data]).model_copy(update=changed),
            since,
        )

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Direct messages, then media in which others tagged the account. Comments come from `comments`."""
        paginator, access, own = wire.load(InboxPaginator, cursor) or InboxPaginator(), _access(c), _own(c)
        if not paginator.tags_next:
            access = replace(access, units={MAIL: 1})
            messages = await mail.step(
                self._calls, access, "me/conversations", {"platform": "instagram"}, own, paginator.messages, since
            )
            paginator = paginator.model_copy(update={"messages": messages.cursor, "tags_next": not messages.more})
            return Page(messages.items, wire.dump(paginator), more=True)

        async def ask(after: str | None, limit: int) -> graph.Listing[accounts.Tagged]:
            query = part(accounts.TAGGED_FIELDS, limit, after)
            return await self._calls.get(access, f"{guards.community_id(c)}/tags", accounts.TAGGED, query)

        listing = await page(ask, paginator.tags, MEDIA_PAGE)
        if listing is None:
            return Page((), wire.dump(paginator.model_copy(update={"tags": paginator.tags.from_start()})), more=True)
        tags, more = paginator.tags.past([media.timestamp for media in listing.data], listing.after, since)
        items = tuple(accounts.mention(m, own) for m in listing.data if since is None or m.timestamp >= since)
        return Page(items, wire.dump(InboxPaginator(messages=paginator.messages, tags=tags, tags_next=more)), more)

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        """Answer as the account. Nothing like `key` is known; messages have 24 hours to be answered."""
        access = _access(c)
        if to.kind is MessageKind.MESSAGE:
            form = {"recipient": json.dumps({"id": to.author.external_id}), "message": json.dumps({"text": text})}
            sent = await self._calls.change(access, "me/messages", graph.SENT_MESSAGE, form)
            return SendReceipt(external_id=sent.message_id)
        if to.kind is MessageKind.MENTION:
            form = {"media_id": to.external_id.removeprefix("tag-"), "message": text}
            made = await self._calls.change(access, f"{guards.community_id(c)}/mentions", graph.MADE, form)
        else:
            made = await self._calls.change(access, f"{to.external_id}/replies", graph.MADE, {"message": text})
        return SendReceipt(external_id=made.id)

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        """Containers first, which end by themselves within a day, then the post. `key` is not known here."""
        outgoing.check(draft, self.spec)
        access, own_id = _access(c), guards.community_id(c)
        limits = await self._calls.get(
            access, f"{own_id}/content_publishing_limit", accounts.LIMITS, {"fields": accounts.LIMIT_FIELDS}
        )
        for limit in limits.data:
            if limit.config is not None and limit.quota_usage is not None:
                total = limit.config.quota_total
                if limit.quota_usage >= total:
                    raise Rejected(f"the account has published {total} posts in a day: Instagram takes no more yet")
        if len(draft.pictures) == 1:
            container = await self._container(
                access, own_id, {**_picture_form(draft.pictures[0]), "caption": draft.text}
            )
        else:
            parts = [
                await self._container(access, own_id, {**_picture_form(picture), "is_carousel_item": "true"})
                for picture in draft.pictures
            ]
            album = {"media_type": "CAROUSEL", "children": ",".join(parts), "caption": draft.text}
            container = await self._container(access, own_id, album)
        made = await self._calls.change(
            replace(access, units={POSTS: 1}), f"{own_id}/media_publish", graph.MADE, {"creation_id": container}
        )
        return SendReceipt(external_id=made.id)

    @classmethod
    def renewable(cls, tokens: Collection[Token], app: Collection[str]) -> frozenset[Token]:
        """The token of Instagram's own login renews itself; a Page's does not end."""
        return frozenset({Token.USER}) & frozenset(tokens)

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        if Token.USER not in c.tokens:
            raise AuthExpired("only a token of Instagram's own login can be renewed", token=Token.USER)
        access = GraphAccess(_host(c), c.tokens[Token.USER], Token.USER)
        form = {"method": "get", "grant_type": "ig_refresh_token"}
        issued = await self._calls.change(access, "/refresh_access_token", graph.GRANTED, form)
        lifetime = None if issued.expires_in is None else instants.span(issued.expires_in)
        return {Token.USER: IssuedToken(issued.access_token, lifetime)}

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        """The Page's token's scopes and lifetime. Of Instagram's own login nothing is told."""
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
        """Where the application's settings are not known, and for Instagram's own login, its dashboard
        at Meta is to name the address."""
        access = _access(c)
        await subscriptions.subscribe(
            self._calls,
            _credentials_for_state(c, access),
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
        seen, subscribed_fields, path = (
            _credentials_for_state(c, access),
            _subscribed_fields(access),
            "me/subscribed_apps",
        )
        return await subscriptions.state(
            self._calls,
            seen,
            access,
            path,
            kind="instagram",
            fields=EVENTS,
            subscribed_fields=subscribed_fields,
            url=url,
        )

    def classify(self, response: httpx.Response) -> PlatformError | None:
        """The error's code tells, whatever the status."""
        return classify(response)

    async def _answers(
        self, access: GraphAccess, paginator: CommentPaginator, post_id: str, own: accounts.Own, since: datetime | None
    ) -> Page[RemoteMessage]:
        """The next answers to the first comment that waits; a comment that is gone has none."""
        thread, rest = paginator.unread_threads[0], paginator.unread_threads[1:]

        async def ask(after: str | None, limit: int) -> graph.Listing[accounts.Reply]:
            query = part(accounts.REPLY_FIELDS, limit, after)
            return await self._calls.get(access, f"{thread.id}/replies", accounts.REPLIES, query)

        items: list[RemoteMessage] = []
        try:
            listing = await page(ask, thread, COMMENTS_PAGE)
        except Gone:
            listing = graph.Listing[accounts.Reply](data=())
        if listing is None:
            rest = (thread.from_start(), *rest)
        else:
            items = [accounts.comment(shape, thread.id, thread.key, post_id, own) for shape in listing.data]
            rest = rest if listing.after is None else (thread.model_copy(update={"after": listing.after}), *rest)
        return _part(items, paginator.model_copy(update={"unread_threads": rest}), since)

    async def _container(self, access: GraphAccess, own_id: str, form: dict[str, str]) -> str:
        """A container that is ready to be published."""
        made = await self._calls.prepare(access, f"{own_id}/media", graph.MADE, form)
        for _ in range(STATUS_ASKED):
            container = await self._calls.get(
                access, made.id, accounts.CONTAINER, {"fields": accounts.CONTAINER_FIELDS}
            )
            if container.status_code == "FINISHED":
                return made.id
            if container.status_code == "ERROR":
                raise Rejected(f"Instagram cannot take the picture: {wire.explanation(container.status, ())}")
        raise Transient("Instagram is still busy with the picture")


ADAPTER: Final = Instagram


def _host(c: Credentials) -> str:
    return INSTAGRAM if c.base_url == Instagram.spec.base_url else c.base_url


def _access(c: Credentials) -> GraphAccess:
    target = c.external_id or c.address
    if Token.COMMUNITY in c.tokens:
        return GraphAccess(c.base_url, c.tokens[Token.COMMUNITY], Token.COMMUNITY, target, c.app.get("client_secret"))
    if Token.USER in c.tokens:
        return GraphAccess(_host(c), c.tokens[Token.USER], Token.USER, target)
    raise AuthExpired("Instagram needs the linked Page's token, or one of its own login", token=Token.COMMUNITY)


def _name(c: Credentials) -> str:
    return c.address.rpartition("/")[2].lower()


def _own(c: Credentials) -> accounts.Own:
    """Some lists tell the account by an id of its own, so its name counts as well."""
    own_id, name = guards.community_id(c), _name(c)
    return lambda person: person.id == own_id or person.username.lower() == name


def _subscribed_fields(access: GraphAccess) -> tuple[str, ...]:
    return EVENTS if access.kind is Token.USER else PAGE_EVENTS


def _credentials_for_state(c: Credentials, access: GraphAccess) -> Credentials:
    """What is known of the application does not hold for Instagram's own login, which has another id for it."""
    return replace(c, app={}) if access.kind is Token.USER else c


def _picture_form(picture: Picture) -> dict[str, str]:
    return {"image_url": picture.url or ""} | ({"alt_text": picture.alt} if picture.alt else {})


def _part(items: list[RemoteMessage], paginator: CommentPaginator, since: datetime | None) -> Page[RemoteMessage]:
    wanted = tuple(item for item in items if since is None or item.sent_at >= since)
    return Page(wanted, wire.dump(paginator) if paginator.more else "{}", paginator.more)
