"""Facebook Pages, Graph v26.0.

A Page is read and written with its own token (`community`). The long-lived token of a person who
has a role on it (`user`) lasts 60 days and is renewed with the application's settings; from it the
Page's token is fetched, which does not end by itself. Tokens travel in headers and forms alone.

Posts come from `published_posts`: `feed` brings visitors' posts besides, and `posts` what was
never published. Meta shows about 600 of them for each year. Comments of all levels are read newest
first, each time to the end: one that was hidden may turn up anywhere among them.

Views and reach are insights, up to two days late and for Pages with at least 100 likes alone. They
are asked for apart, for Meta retires their names, and each renaming fails a whole call.

Budgets are what a Page with a single engaged person has; real limits are 4,800 calls for each of
them, and answers tell how much is used.
Sources: Meta's business SDK (api_specs of v26.0), developers.facebook.com, python-facebook.
Unverified: that forms are taken by `oauth/access_token`, and `method=get` by all of Graph, as
Facebook's own SDKs use them; that `shares`, left out beside other counters, are none; that a post
has at most ten pictures, of 4 MiB. Reviews, visitors' posts and mentions are not read.
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
    LimitScope,
    MessageKind,
    MetricStatus,
    Page,
    PlatformError,
    PostMetrics,
    Publishing,
    RateLimit,
    RemoteMessage,
    RemotePost,
    SendReceipt,
    Spec,
    Token,
)
from app.platforms.meta import hooks, insights, mail, pages, subscriptions, tokens, usage
from app.platforms.meta import wire_models as graph
from app.platforms.meta.calls import BATCH, MAIL, META, PLATFORM, VERSION, Calls, GraphAccess, classify
from app.platforms.meta.paginators import ListPaginator, ListPosition, page, part

POSTS_PAGE: Final = 50
COMMENTS_PAGE: Final = 100
DAY: Final = 86_400
ENOUGH_LIKES: Final = 100
"""A Page with fewer has no insights."""

EVENTS: Final = ("feed", "messages", "message_echoes")
PERMISSIONS: Final = (
    "pages_manage_engagement",
    "pages_manage_metadata",
    "pages_manage_posts",
    "pages_messaging",
    "pages_read_engagement",
    "pages_read_user_content",
    "read_insights",
)


class Facebook:
    """See the module."""

    spec: ClassVar[Spec] = Spec(
        key="facebook",
        title="Facebook",
        api_version=VERSION,
        base_url="https://graph.facebook.com",
        metrics=pages.SUPPORTED,
        rate_limits=(
            RateLimit(4800, DAY, LimitScope.COMMUNITY),
            RateLimit(2, 1, LimitScope.COMMUNITY, MAIL),
            RateLimit(200, 3600, LimitScope.APP, PLATFORM),
        ),
        metrics_batch=BATCH,
        text_limit=63_206,
        tokens=frozenset({Token.COMMUNITY, Token.USER}),
        public=False,
        address_hint="https://www.facebook.com/name",
        hook_secrets=hooks.SECRETS,
        hook_manual_secrets=hooks.MANUAL_SECRETS,
        hook_secret_settings=hooks.SETTINGS,
        hook_of_app=True,
        # A message's limit; a comment may have 8,000.
        reply_limit=2000,
        publishing=Publishing(
            pictures=10,
            picture_types=frozenset({"image/jpeg", "image/png", "image/gif"}),
            picture_bytes=4 * 1024 * 1024,
        ),
        app_owner=META,
        app_settings=tokens.APP_SETTINGS,
        scopes={Token.COMMUNITY: PERMISSIONS, Token.USER: (*PERMISSIONS, "pages_show_list")},
        delayed_metrics=frozenset(pages.INSIGHTS.values()),
        metrics_delay=timedelta(hours=48),
    )

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._calls = Calls(http)

    @classmethod
    def address(cls, text: str) -> Address:
        """`facebook.com/name`, `fb.com/name`, `/profile.php?id=1`, `/people/Name/1`, `@name` or a number."""
        name = pages.name_in(text)
        if name is None:
            raise ValueError(f"a Facebook Page's address looks like {cls.spec.address_hint}")
        return Address(canonical=f"{pages.SITE}/{name}")

    async def community(self, c: Credentials) -> CommunitySnapshot:
        name = c.external_id or c.address.rpartition("/")[2]
        return pages.snapshot(await self._calls.get(_access(c), name, pages.PAGE, {"fields": pages.PAGE_FIELDS}))

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        """Each walk starts at the top, so the newest fifty posts always come with fresh counters."""
        paginator, access, own_id = (
            wire.load(ListPaginator, cursor) or ListPaginator(),
            _access(c),
            guards.community_id(c),
        )

        async def ask(after: str | None, limit: int) -> graph.Listing[pages.Post]:
            query = part(pages.POST_FIELDS, limit, after)
            return await self._calls.get(access, f"{own_id}/published_posts", pages.POSTS_PAGE, query)

        listing = await page(ask, paginator, POSTS_PAGE)
        if listing is None:
            return Page((), wire.dump(paginator.from_start()), more=True)
        paginator, more = paginator.past([post.created_time for post in listing.data], listing.after, since)
        posts = tuple(pages.post(post) for post in listing.data if since is None or post.created_time >= since)
        return Page(posts, wire.dump(paginator), more)

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        """Counters in one call and insights in another; each post is counted as a call in both."""
        guards.check_batch(ids, self.spec)
        if not ids:
            return ()
        access = _access(c)
        found = await self._calls.nodes(access, ids, pages.POST_COUNTERS, pages.METRIC_FIELDS)
        if not found:
            # What the token may not see looks like what is gone: that posts can be read at all is seen here.
            query = part("id,created_time", 1, None)
            await self._calls.get(access, f"{guards.community_id(c)}/published_posts", pages.POSTS_PAGE, query)
        good = [i for i in ids if isinstance(found.get(i), pages.Counters)]
        seen = await insights.read(self._calls, access, good, tuple(pages.INSIGHTS))
        if seen and all(status is MetricStatus.PENDING for counts in seen.values() for status in counts.values()):
            seen = await self._too_small(c, access, seen)
        return tuple(pages.metrics(i, found.get(i), seen.get(i, {})) for i in ids)

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Comments of all levels, newest first, to the end or to `since`."""
        at, access, own_id = wire.load(ListPosition, cursor) or ListPosition(), _access(c), guards.community_id(c)

        async def ask(after: str | None, limit: int) -> graph.Listing[pages.Comment]:
            query = {"filter": "stream", "order": "reverse_chronological"}
            query |= part(pages.COMMENT_FIELDS, limit, after)
            return await self._calls.get(access, f"{post_id}/comments", pages.COMMENTS, query)

        listing = await page(ask, at, COMMENTS_PAGE)
        if listing is None:
            return Page((), wire.dump(at.from_start()), more=True)
        items = tuple(
            pages.comment(shape, post_id, own_id)
            for shape in listing.data
            if since is None or shape.created_time >= since
        )
        times = [shape.created_time for shape in listing.data]
        # In another order than the one asked for, what is old says nothing of what follows.
        reached = since is not None and times == sorted(times, reverse=True) and any(t < since for t in times[-1:])
        if listing.after is None or reached:
            return Page(items, "{}", more=False)
        return Page(items, wire.dump(at.seen(times).model_copy(update={"after": listing.after})), more=True)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Messenger's messages. Comments come from `comments`, and faster from events."""
        own_id, access = guards.community_id(c), replace(_access(c), units={MAIL: 1})
        query = {"platform": "messenger"}
        return await mail.step(
            self._calls, access, f"{own_id}/conversations", query, lambda person: person.id == own_id, cursor, since
        )

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        """Answer as the Page. Facebook knows nothing like `key`; messages have 24 hours to be answered."""
        access = _access(c)
        if to.kind is MessageKind.MESSAGE:
            form = {
                "recipient": json.dumps({"id": to.author.external_id}),
                "messaging_type": "RESPONSE",
                "message": json.dumps({"text": text}),
            }
            sent = await self._calls.change(access, f"{guards.community_id(c)}/messages", graph.SENT_MESSAGE, form)
            return SendReceipt(external_id=sent.message_id)
        form = {"message": text, "fields": "id,created_time,permalink_url"}
        made = await self._calls.change(access, f"{to.external_id}/comments", pages.MADE_COMMENT, form)
        return SendReceipt(external_id=made.id, sent_at=made.created_time, url=made.permalink_url)

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        """A text, a picture with its caption, or an album of pictures uploaded before. `key` is not known here."""
        outgoing.check(draft, self.spec)
        access, own_id = _access(c), guards.community_id(c)
        if len(draft.pictures) == 1:
            form = {"caption": draft.text, **_shown(draft.pictures[0])}
            files = {"source": _file(draft.pictures[0])}
            photo = await self._calls.change(access, f"{own_id}/photos", pages.MADE_PHOTO, form, files=files)
            post_id = photo.post_id or f"{own_id}_{photo.id}"
        else:
            form = {"message": draft.text}
            for number, picture in enumerate(draft.pictures):
                hidden = {"published": "false", **_shown(picture)}
                files = {"source": _file(picture)}
                uploaded = await self._calls.prepare(access, f"{own_id}/photos", graph.MADE, hidden, files=files)
                form[f"attached_media[{number}]"] = json.dumps({"media_fbid": uploaded.id})
            post_id = (await self._calls.change(access, f"{own_id}/feed", graph.MADE, form)).id
        return SendReceipt(external_id=post_id, url=f"{pages.SITE}/{post_id}")

    @classmethod
    def renewable(cls, tokens: Collection[Token], app: Collection[str]) -> frozenset[Token]:
        """With a person's token the Page's, and with the application's settings that token itself."""
        if Token.USER not in tokens:
            return frozenset()
        return frozenset({Token.COMMUNITY, Token.USER} if _app_known(app) else {Token.COMMUNITY})

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        if Token.USER not in c.tokens:
            raise AuthExpired("a Page's token is fetched with that of a person who has a role on it", token=Token.USER)
        granted: dict[Token, IssuedToken] = {}
        person = GraphAccess(c.base_url, c.tokens[Token.USER], Token.USER, app_secret=c.app.get("client_secret"))
        if _app_known(c.app):
            form = {"grant_type": "fb_exchange_token", "fb_exchange_token": person.token}
            form |= {name: c.app[name] for name in sorted(tokens.APP_SETTINGS)}
            exchange = GraphAccess(c.base_url, "", Token.USER)
            issued = await self._calls.change(exchange, "oauth/access_token", graph.GRANTED, form)
            lifetime = None if issued.expires_in is None else instants.span(issued.expires_in)
            granted[Token.USER] = IssuedToken(issued.access_token, lifetime)
            person = GraphAccess(c.base_url, issued.access_token, Token.USER, app_secret=c.app.get("client_secret"))
        name = c.external_id or c.address.rpartition("/")[2]
        keyed = await self._calls.get(person, name, pages.KEYED, {"fields": "id,access_token"})
        if not keyed.access_token:
            raise AuthExpired("the person has no role on the Page any more", token=Token.USER)
        granted[Token.COMMUNITY] = IssuedToken(keyed.access_token, None)
        return granted

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        """Scopes and lifetimes, which Meta tells the application alone."""
        kinds = [kind for kind in (Token.COMMUNITY, Token.USER) if kind in c.tokens]
        return await tokens.inspect(self._calls, c, kinds, self.spec.scopes)

    @classmethod
    def usage(cls, response: httpx.Response) -> Usage | None:
        return usage.nearest(response)

    @classmethod
    def receive(cls, call: HookRequest, secrets: Mapping[str, str]) -> HookResult:
        return hooks.receive(call, secrets, "page", pages.to_event)

    @classmethod
    def parse_event(cls, payload: bytes) -> tuple[Event, ...]:
        return hooks.parse_event(payload, "page", pages.to_event)

    async def subscribe(self, c: Credentials, url: str, secrets: Mapping[str, str]) -> Mapping[str, str]:
        """Where the application's settings are not known, its dashboard at Meta is to name the address."""
        await subscriptions.subscribe(
            self._calls,
            c,
            _access(c),
            f"{guards.community_id(c)}/subscribed_apps",
            kind="page",
            fields=EVENTS,
            subscribed_fields=EVENTS,
            url=url,
            verify_token=secrets.get("verify_token", ""),
        )
        return {}

    async def subscription(self, c: Credentials, url: str) -> HookState:
        path = f"{guards.community_id(c)}/subscribed_apps"
        return await subscriptions.state(
            self._calls, c, _access(c), path, kind="page", fields=EVENTS, subscribed_fields=EVENTS, url=url
        )

    def classify(self, response: httpx.Response) -> PlatformError | None:
        """The error's code tells, whatever the status."""
        return classify(response)

    async def _too_small(
        self, c: Credentials, access: GraphAccess, seen: dict[str, insights.Counts]
    ) -> dict[str, insights.Counts]:
        """No insight of any post: either they are late, or the Page has too few likes to have any."""
        shape = await self._calls.get(access, guards.community_id(c), pages.PAGE, {"fields": pages.PAGE_FIELDS})
        if shape.fan_count is None or shape.fan_count >= ENOUGH_LIKES:
            return seen
        return {post: dict.fromkeys(counts, MetricStatus.UNSUPPORTED) for post, counts in seen.items()}


ADAPTER: Final = Facebook


def _access(c: Credentials) -> GraphAccess:
    if Token.COMMUNITY not in c.tokens:
        raise AuthExpired("Facebook needs the Page's own token", token=Token.COMMUNITY)
    target = c.external_id or c.address
    return GraphAccess(c.base_url, c.tokens[Token.COMMUNITY], Token.COMMUNITY, target, c.app.get("client_secret"))


def _app_known(app: Collection[str]) -> bool:
    return set(app) >= tokens.APP_SETTINGS


def _shown(picture: Picture) -> dict[str, str]:
    return {"alt_text_custom": picture.alt} if picture.alt else {}


def _file(picture: Picture) -> tuple[str, bytes, str]:
    return f"picture.{picture.media_type.rpartition('/')[2]}", picture.content, picture.media_type
