"""Facebook Pages, Graph v26.0.

Read: the Page's posts, the comments below them, Messenger's messages, counters and insights. Not read:
reviews, visitors' posts, mentions.

Tokens: the Page's own token (`community`) reads and writes. The long-lived token of a person who has a
role on the Page (`user`) lasts 60 days and is renewed with the application's settings; it fetches the
Page's token, which does not expire. Tokens travel only in headers and forms.

Posts come from `published_posts`: `feed` also has visitors' posts, and `posts` also unpublished ones.
Meta returns about 600 posts a year. Comments of all levels are read latest first, each time to the end,
because one that was hidden may reappear anywhere in the list.

Views and reach are insights: up to two days late, and only for Pages with at least 100 likes. They are
requested separately, because Meta renames them and one retired name fails the whole request.

The rate limits are those of a Page with one engaged person; the real ones are 4,800 calls for each of
them, and responses report how much is used.
Sources: Meta's business SDK (api_specs of v26.0), developers.facebook.com, python-facebook.
Unverified: that `oauth/access_token` accepts forms, and all of Graph `method=get`, as Facebook's own
SDKs use them; that `shares`, where left out beside other counters, means none; that a post has at most
ten pictures, of 4 MiB.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar, Final

import httpx

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
    CommunityIdentity,
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
    TextLimit,
    Token,
)
from app.platforms.meta import hooks, insights, mail, pages, permalinks, subscriptions, tokens, usage
from app.platforms.meta import wire_models as graph
from app.platforms.meta.calls import BATCH, MAIL, META, PLATFORM, VERSION, Calls, GraphAccess, classify
from app.platforms.meta.paginators import ListPaginator, ListPosition, next_items, page, page_query

POSTS_PAGE: Final = 50
COMMENTS_PAGE: Final = 100
DAY: Final = 86_400
ENOUGH_LIKES: Final = 100
"""A Page with fewer has no insights."""

EVENTS: Final = ("feed", "messages", "message_echoes", "messaging_postbacks", "message_edits")
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
    """The adapter of Facebook; what it reads is described above."""

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
        post_domains=permalinks.FACEBOOK_DOMAINS,
        tokens=frozenset({Token.COMMUNITY, Token.USER}),
        public=False,
        address_hint="https://www.facebook.com/name",
        hook_secrets=hooks.SECRETS,
        hook_manual_secrets=hooks.MANUAL_SECRETS,
        hook_secret_settings=hooks.SETTINGS,
        hook_of_app=True,
        reply_limit=8000,
        message_limit=TextLimit(2000),
        publishing=Publishing(
            pictures=10,
            picture_types=frozenset({"image/jpeg", "image/png", "image/gif"}),
            picture_bytes=4 * 1024 * 1024,
        ),
        app_owner=META,
        reply_window=mail.REPLY_WINDOW,
        person_reply_window=mail.PERSON_REPLY_WINDOW,
        app_settings=tokens.APP_SETTINGS,
        scopes={Token.COMMUNITY: PERMISSIONS, Token.USER: (*PERMISSIONS, "pages_show_list")},
        delayed_metrics=frozenset(pages.INSIGHTS.values()),
        metrics_delay=timedelta(hours=48),
        changes=pages.CHANGES,
        no_changes=pages.NO_CHANGES,
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

    @staticmethod
    def post_key(community: CommunityIdentity, url: str) -> str | None:
        return permalinks.facebook_post_key(community, url)

    async def community(self, c: Credentials) -> CommunitySnapshot:
        name = c.external_id or c.address.rpartition("/")[2]
        return pages.snapshot(await self._calls.get(_access(c), name, pages.PAGE, {"fields": pages.PAGE_FIELDS}))

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        """The Page's posts; each scan returns the latest fifty with current counters."""
        access, path = _access(c), f"{guards.community_id(c)}/published_posts"

        async def fetch(after: str | None, limit: int) -> graph.Listing[pages.Post]:
            query = page_query(pages.POST_FIELDS, limit, after)
            return await self._calls.get(access, path, pages.POSTS_PAGE, query)

        paginator = wire.load(ListPaginator, cursor) or ListPaginator()
        posts, paginator, more = await next_items(fetch, paginator, POSTS_PAGE, lambda post: post.created_time, since)
        return Page(
            tuple(pages.post(post, self._calls.dropped.get(path, ())) for post in posts), wire.dump(paginator), more
        )

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        """Counters in one request and insights in another; each post counts as a call in both."""
        guards.check_batch(ids, self.spec)
        if not ids:
            return ()
        access = _access(c)
        nodes = await self._calls.nodes(access, ids, pages.POST_COUNTERS, pages.METRIC_FIELDS)
        if not nodes:
            # An object that the token may not see looks like one that is gone: this request fails without permission.
            query = page_query("id,created_time", 1, None)
            await self._calls.get(access, f"{guards.community_id(c)}/published_posts", pages.POSTS_PAGE, query)
        with_counters = [i for i in ids if isinstance(nodes.get(i), pages.Counters)]
        insights_by_post = await insights.read(self._calls, access, with_counters, tuple(pages.INSIGHTS))
        statuses = [status for counts in insights_by_post.values() for status in counts.values()]
        if insights_by_post and all(status is MetricStatus.PENDING for status in statuses):
            insights_by_post = await self._pending_or_unsupported(c, access, insights_by_post)
        return tuple(
            pages.metrics(i, nodes.get(i), insights_by_post.get(i, {}), self._calls.dropped.get(i, ())) for i in ids
        )

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Comments of all levels, latest first, to the end or to `since`."""
        at, access, own_id = wire.load(ListPosition, cursor) or ListPosition(), _access(c), guards.community_id(c)

        async def fetch(after: str | None, limit: int) -> graph.Listing[pages.Comment]:
            query = {"filter": "stream", "order": "reverse_chronological"}
            query |= page_query(pages.COMMENT_FIELDS, limit, after)
            return await self._calls.get(access, f"{post_id}/comments", pages.COMMENTS, query)

        listing = await page(fetch, at, COMMENTS_PAGE)
        if listing is None:
            return Page((), wire.dump(at.from_start()), more=True)
        items = tuple(
            pages.comment(shape, post_id, own_id)
            for shape in listing.data
            if since is None or shape.created_time >= since
        )
        times = [shape.created_time for shape in listing.data]
        # In another order than the requested one, an old comment says nothing about those after it.
        reached = since is not None and times == sorted(times, reverse=True) and any(t < since for t in times[-1:])
        if listing.after is None or reached:
            return Page(items, "{}", more=False)
        return Page(items, wire.dump(at.seen(times).model_copy(update={"after": listing.after})), more=True)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Messenger's messages. Comments come from `comments`, and sooner from events."""
        own_id, access = guards.community_id(c), replace(_access(c), units={MAIL: 1})
        query = {"platform": "messenger"}
        return await mail.messages_page(
            self._calls, access, f"{own_id}/conversations", query, lambda person: person.id == own_id, cursor, since
        )

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        """Reply as the Page (see `mail.reply`). Facebook has no idempotency key, so `key` is unused."""
        access = _access(c)
        if to.kind is MessageKind.MESSAGE:
            kind = {"messaging_type": "RESPONSE"}
            path = f"{guards.community_id(c)}/messages"
            return await mail.reply(self._calls, access, path, to, text, messaging_type=kind)
        form = {"message": text, "fields": "id,created_time,permalink_url"}
        made = await self._calls.change(access, f"{to.external_id}/comments", pages.MADE_COMMENT, form)
        return SendReceipt(external_id=made.id, sent_at=made.created_time, url=made.permalink_url)

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        """Publish a text, a picture with its caption, or an album of uploaded pictures. `key` is unused."""
        outgoing.check(draft, self.spec)
        access, own_id = _access(c), guards.community_id(c)
        if len(draft.pictures) == 1:
            form = {"caption": draft.text, **_alt_text(draft.pictures[0])}
            files = {"source": draft.pictures[0].as_file()}
            photo = await self._calls.change(access, f"{own_id}/photos", pages.MADE_PHOTO, form, files=files)
            post_id = photo.post_id or f"{own_id}_{photo.id}"
        else:
            form = {"message": draft.text}
            for number, picture in enumerate(draft.pictures):
                hidden = {"published": "false", **_alt_text(picture)}
                files = {"source": picture.as_file()}
                uploaded = await self._calls.repeatable_post(
                    access, f"{own_id}/photos", graph.MADE, hidden, files=files
                )
                form[f"attached_media[{number}]"] = json.dumps({"media_fbid": uploaded.id})
            post_id = (await self._calls.change(access, f"{own_id}/feed", graph.MADE, form)).id
        return SendReceipt(external_id=post_id, url=f"{pages.SITE}/{post_id}")

    @classmethod
    def renewable(cls, tokens: Collection[Token], app: Collection[str]) -> frozenset[Token]:
        """With a person's token the Page's, and with the application's settings also the person's."""
        if Token.USER not in tokens:
            return frozenset()
        return frozenset({Token.COMMUNITY, Token.USER} if _app_is_known(app) else {Token.COMMUNITY})

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        if Token.USER not in c.tokens:
            raise AuthExpired("a Page's token is fetched with that of a person who has a role on it", token=Token.USER)
        granted: dict[Token, IssuedToken] = {}
        person = GraphAccess(c.base_url, c.tokens[Token.USER], Token.USER, app_secret=c.app.get("client_secret"))
        if _app_is_known(c.app):
            form = {"grant_type": "fb_exchange_token", "fb_exchange_token": person.token}
            form |= {name: c.app[name] for name in sorted(tokens.APP_SETTINGS)}
            exchange = GraphAccess(c.base_url, "", Token.USER)
            issued = tokens.issued(await self._calls.change(exchange, "oauth/access_token", graph.GRANTED, form))
            granted[Token.USER] = issued
            person = replace(person, token=issued.text)
        name = c.external_id or c.address.rpartition("/")[2]
        own = await self._calls.get(person, name, pages.PAGE_WITH_TOKEN, {"fields": "id,access_token"})
        if not own.access_token:
            raise AuthExpired("the person has no role on the Page any more", token=Token.USER)
        granted[Token.COMMUNITY] = IssuedToken(own.access_token, None)
        return granted

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        """Scopes and lifetimes, which Meta reports to the application only."""
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
        """Where the application's settings are not known, a person enters `url` in its dashboard at Meta."""
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
        """Judged by the error's code, whatever the status."""
        return classify(response)

    async def _pending_or_unsupported(
        self, c: Credentials, access: GraphAccess, pending: dict[str, insights.Counts]
    ) -> dict[str, insights.Counts]:
        """The status of insights where no post has any: they are late, or the Page has too few likes to have any."""
        shape = await self._calls.get(access, guards.community_id(c), pages.PAGE, {"fields": pages.PAGE_FIELDS})
        if shape.fan_count is None or shape.fan_count >= ENOUGH_LIKES:
            return pending
        return {post: dict.fromkeys(counts, MetricStatus.UNSUPPORTED) for post, counts in pending.items()}


ADAPTER: Final = Facebook


def _access(c: Credentials) -> GraphAccess:
    if Token.COMMUNITY not in c.tokens:
        raise AuthExpired("Facebook needs the Page's own token", token=Token.COMMUNITY)
    target = c.external_id or c.address
    return GraphAccess(c.base_url, c.tokens[Token.COMMUNITY], Token.COMMUNITY, target, c.app.get("client_secret"))


def _app_is_known(app: Collection[str]) -> bool:
    return set(app) >= tokens.APP_SETTINGS


def _alt_text(picture: Picture) -> dict[str, str]:
    return {"alt_text_custom": picture.alt} if picture.alt else {}
