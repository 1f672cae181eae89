"""Odnoklassniki (ok.ru): its REST API, and the Graph API for a group's messages.

Read: the group's topics with their counters and reach, the comments below them, direct messages.

Tokens: an administrator's (`user`, from OAuth) reads and publishes through the REST API; its requests are
signed with the application's secret. The group's own (`community`, from the group's settings) reads and
sends messages; the Graph API accepts it only in the query. A token with LONG_ACCESS_TOKEN lasts 30 days
from its last request, so that polling renews it; others last half an hour and are renewed with the
refresh token.

Paging: topics and comments by an anchor, down to what earlier scans have read; messages chat by chat
(see `MessagePaginator`).

Sources: apiok.ru, github.com/apiok/documentation, public clients. There is no schema. Unverified: every
limit but the batch of 100 topics; that `group.getStatTopics` lists the latest first (harmless, because
scans read all pages), that its anchors survive deletions, and how late a topic appears there (a day is
read again); the response of `discussions.addDiscussionComment` (several forms are accepted); that `from`
and `to` of a chat's messages include the time itself; the `type` of a removed comment, and whether it still has its
author and time; what a pressed button sends; the names of the fields of `url.getInfo`.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import ClassVar, Final
from urllib.parse import quote

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
    PostRef,
    ReplyTo,
    TokenState,
    unparsed_event,
)
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
    MetricStatus,
    MissingPermission,
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
    Throttled,
    Token,
)
from app.platforms.odnoklassniki import addresses, chats, permalinks, translate
from app.platforms.odnoklassniki import wire_models as ok
from app.platforms.odnoklassniki.calls import Api
from app.platforms.odnoklassniki.errors import from_answer
from app.platforms.odnoklassniki.paginators import (
    AnchorPaginator,
    latest,
    milliseconds,
    next_anchor,
)
from app.platforms.odnoklassniki.sources import comes_from

TOPICS_PAGE: Final = 50
COMMENTS_PAGE: Final = 100
STATS_DELAY: Final = 24 * 60 * 60 * 1000
"""Milliseconds: how long after its publication a topic may appear in the statistics."""
DEFAULT_LIFETIME: Final = timedelta(minutes=30)
"""Of an access token whose response has no `expires_in`."""

COUNTERS: Final = ",".join(
    f"media_topic.{name}"
    for name in ("ID", "CREATED_MS", "DISCUSSION_SUMMARY", "LIKE_SUMMARY", "RESHARE_SUMMARY", "VIEWS_COUNT")
)
COMMENT: Final = ",".join(
    f"comment.{name}"
    for name in (
        "ID",
        "TYPE",
        "DATE",
        "TEXT",
        "AUTHOR_ID",
        "AUTHOR_REF",
        "AUTHOR_NAME",
        "REPLY_TO_COMMENT_ID",
        "REPLY_TO_ID",
    )
)
"""OK refuses a request that names a field it does not have."""


class Odnoklassniki:
    """The adapter of Odnoklassniki; what it reads is described above."""

    spec: ClassVar[Spec] = Spec(
        key="odnoklassniki",
        title="Odnoklassniki",
        api_version="unversioned",
        base_url="https://api.ok.ru",
        metrics=frozenset({Metric.VIEWS, Metric.REACH, Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES}),
        rate_limits=(RateLimit(5, 1, LimitScope.TOKEN),),
        metrics_batch=50,
        text_limit=32_000,
        post_domains=permalinks.DOMAINS,
        reply_limit=4_000,
        tokens=frozenset({Token.USER, Token.COMMUNITY, Token.REFRESH}),
        public=False,
        address_hint="https://ok.ru/group/57000000000000",
        hook_secrets=frozenset({"sources"}),
        hook_optional_secrets=frozenset({"sources"}),
        publishing=Publishing(
            pictures=10, picture_types=frozenset({"image/jpeg", "image/png", "image/gif"}), picture_bytes=10 * 2**20
        ),
        app_settings=frozenset({"application_id", "application_key", "application_secret"}),
        scopes={Token.USER: ("VALUABLE_ACCESS", "GROUP_CONTENT", "PHOTO_CONTENT")},
        metrics_group_tokens=frozenset({Token.USER}),
        changes=translate.CHANGES,
        no_changes=translate.NO_CHANGES,
    )

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._api = Api(http)

    @classmethod
    def address(cls, text: str) -> Address:
        """`https://ok.ru/group/57000000000000`, `ok.ru/name` or `group57000000000000`."""
        return Address(canonical=addresses.canonical(text))

    @staticmethod
    def post_key(community: CommunityIdentity, url: str) -> str | None:
        return permalinks.post_key(community, url)

    # ── reading ───────────────────────────────────────────────────────────────────────────────

    async def community(self, c: Credentials) -> CommunitySnapshot:
        """The group; with only its own token, its size is None."""
        if Token.USER not in c.tokens and Token.COMMUNITY in c.tokens:
            reference, name = await self._api.owner(c)
            own_id = translate.bare(reference)
            if addresses.number(c) not in {None, own_id}:
                raise MissingPermission("the group's token is another group's")
            return CommunitySnapshot(own_id, name, f"https://ok.ru/group/{own_id}", None)
        group_id = addresses.number(c)
        if group_id is None:
            target = await self._api.rest(c, ok.TARGET, "url.getInfo", {"url": c.address})
            if target.type.upper() != "GROUP":
                raise Gone("this address leads to no group of Odnoklassniki")
            group_id = target.id
        fields = {"uids": group_id, "fields": "UID,NAME,SHORTNAME,MEMBERS_COUNT"}
        groups = await self._api.rest(c, ok.GROUPS, "group.getInfo", fields)
        if not groups:
            raise Gone("Odnoklassniki knows no such group")
        group = groups[0]
        url = f"https://ok.ru/{group.shortname or f'group/{group.uid}'}"
        return CommunitySnapshot(group.uid, group.name, url, group.members_count)

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        """Topics are listed by the group's statistics, which administrators may read, and then fetched by their ids."""
        paginator, group = wire.load(AnchorPaginator, cursor) or AnchorPaginator(), guards.community_id(c)
        since_ms = None if since is None else milliseconds(since)
        bound = latest(None if paginator.read_up_to is None else paginator.read_up_to - STATS_DELAY, since_ms)
        stats = await self._stats(c, group, anchor=paginator.anchor, start_time=bound)
        reach = {stat.id: stat.reach for stat in stats.topics}
        all_topics = await self._topics(c, tuple(reach), "media_topic.*")
        topics = [(topic, topic.created_ms) for topic in all_topics if topic.created_ms is not None]
        if len(topics) < len(all_topics):
            wire.left_out(len(all_topics) - len(topics), "a topic's moment is out of bounds")
        posts = tuple(
            translate.post(topic, created, group, reach.get(topic.id))
            for topic, created in topics
            if translate.is_own(topic, group) and (since_ms is None or created >= since_ms)
        )
        anchor = next_anchor(stats, paginator.anchor, filled=bool(stats.topics))
        paginator, more = paginator.past((created for _, created in topics), anchor)
        return Page(posts, wire.dump(paginator), more)

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        return await self.metrics_across(c, tuple(PostRef(guards.community_id(c), post_id) for post_id in ids))

    async def metrics_across(self, c: Credentials, posts: tuple[PostRef, ...]) -> tuple[PostMetrics, ...]:
        """Counters in one request, reach in at least one more for each group; if that fails, only reach is missing."""
        guards.check_batch(posts, self.spec)
        post_ids = tuple(dict.fromkeys(post.post_id for post in posts))
        topics_by_id = {topic.id: topic for topic in await self._topics(c, post_ids, COUNTERS)}
        created: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for post in posts:
            topic = topics_by_id.get(post.post_id)
            if topic is not None and topic.created_ms is not None:
                created[post.community_id][post.post_id] = topic.created_ms
        reach: dict[str, int | MetricStatus] = {}
        for group, topics in created.items():
            reach |= await self._reach(c, group, topics)
        return tuple(
            translate.metrics(topics_by_id[p.post_id], reach.get(p.post_id, MetricStatus.PENDING))
            if p.post_id in topics_by_id
            else PostMetrics(p.post_id, {}, gone=True)
            for p in posts
        )

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """The comments of all levels, removed ones too, latest first, down to those that earlier scans have read."""
        paginator, group = wire.load(AnchorPaginator, cursor) or AnchorPaginator(), guards.community_id(c)
        query = {"discussionId": post_id, "discussionType": "GROUP_TOPIC", "fields": COMMENT}
        query |= {"anchor": paginator.anchor or "LAST", "direction": "BACKWARD", "count": str(COMMENTS_PAGE)}
        query["includeRemoved"] = "true"
        listing = await self._api.rest(c, ok.COMMENTS, "discussions.getComments", query)
        times = [int(shape.date.timestamp()) for shape in listing.comments]
        bound = latest(paginator.read_up_to, None if since is None else int(since.timestamp()))
        reached = bound is not None and any(time < bound for time in times)
        comments = (shape for shape in listing.comments if since is None or shape.date >= since)
        items = tuple(translate.comment(shape, post_id, group) for shape in comments)
        anchor = next_anchor(listing, paginator.anchor, filled=bool(listing.comments))
        paginator, more = paginator.past(times, None if reached else anchor)
        return Page(items, wire.dump(paginator), more)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Direct messages. Comments come from `comments`."""
        if Token.COMMUNITY not in c.tokens:
            return Page((), cursor, more=False)
        return await chats.messages_page(self._api, c, cursor, since)

    async def _stats(self, c: Credentials, group: str, **parameters: str | int | None) -> ok.Stats:
        """A page of the group's statistics; `start_time` and `end_time` are in milliseconds, and inclusive."""
        query = {"gid": group, "fields": "ID,CREATED_MS,REACH", "count": str(TOPICS_PAGE)}
        query |= {name: str(value) for name, value in parameters.items() if value is not None}
        return await self._api.rest(c, ok.STATS, "group.getStatTopics", query)

    async def _topics(self, c: Credentials, ids: tuple[str, ...], fields: str) -> tuple[ok.Topic, ...]:
        """Those of the topics that still exist."""
        if not ids:
            return ()
        query = {"topic_ids": ",".join(ids), "fields": fields, "media_limit": "3"}
        return (await self._api.rest(c, ok.TOPICS, "mediatopic.getByIds", query)).media_topics

    async def _reach(self, c: Credentials, group: str, created: Mapping[str, int]) -> dict[str, int | MetricStatus]:
        """Reach by topic, or why there is none. Each request starts at the latest topic that still has none."""
        pending = sorted(created, key=created.__getitem__, reverse=True)
        reach: dict[str, int | MetricStatus] = {}
        try:
            while pending:
                ends = created[pending[-1]], created[pending[0]]
                stats = await self._stats(c, group, start_time=ends[0], end_time=ends[1])
                reach |= {stat.id: stat.reach for stat in stats.topics if stat.reach is not None}
                pending = [topic for topic in pending[1:] if topic not in reach]
        except Throttled:  # no further request would succeed
            raise
        except (MissingPermission, AuthExpired):
            return dict.fromkeys(pending, MetricStatus.NO_PERMISSION) | reach
        except PlatformError:
            return dict.fromkeys(pending, MetricStatus.ERROR) | reach
        return reach

    # ── writing ───────────────────────────────────────────────────────────────────────────────

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        """Reply as the group. OK has no idempotency key, so `key` is unused."""
        if to.kind is MessageKind.MESSAGE:
            body = {"recipient": {"chat_id": to.thread_id}, "message": {"text": text}}
            path = f"messages/{quote(to.thread_id, safe=':')}"
            sent = await self._api.graph_post(c, ok.SENT_MESSAGE, path, body)
            return SendReceipt(external_id=sent.message_id)
        if to.post_id is None:
            raise Rejected("a comment can only be answered below its post")
        form = {"entityId": to.post_id, "entityType": "GROUP_TOPIC", "comment": text, "as_admin": "true"}
        form |= {"reply_to_comment_id": to.external_id.rpartition(":")[2]}
        made = await self._api.rest(c, ok.MADE_COMMENT, "discussions.addDiscussionComment", form, changes=True)
        return SendReceipt(
            translate.comment_id(to.post_id, made), url=translate.topic_url(guards.community_id(c), to.post_id)
        )

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        """Publish a topic of the group. Pictures are uploaded one by one, which keeps their order."""
        outgoing.check(draft, self.spec)
        group = guards.community_id(c)
        photos = [{"id": await self._upload(c, group, picture)} for picture in draft.pictures]
        media: list[object] = [{"type": "text", "text": draft.text}] if draft.text.strip() else []
        media += [{"type": "photo", "list": photos}] if photos else []
        attachment = json.dumps({"media": media, "onBehalfOfGroup": "true"}, ensure_ascii=False)
        form = {"type": "GROUP_THEME", "gid": group, "attachment": attachment}
        made = await self._api.rest(c, ok.MADE_TOPIC, "mediatopic.post", form, changes=True)
        return SendReceipt(made, url=translate.topic_url(group, made))

    async def _upload(self, c: Credentials, group: str, picture: Picture) -> str:
        """Upload a picture; the token by which a topic refers to it. For topics no commit of the upload is needed."""
        target = await self._api.rest(c, ok.UPLOAD, "photosV2.getUploadUrl", {"gid": group, "count": "1"})
        photo = (await self._api.upload(target.upload_url, picture)).photos.get(target.photo_ids[0])
        if photo is None:
            raise Malformed("the response to the upload does not name the picture")
        return photo.token

    # ── tokens ────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def renewable(cls, tokens: Collection[Token], app: Collection[str]) -> frozenset[Token]:
        complete = Token.REFRESH in tokens and {"application_id", "application_secret"} <= set(app)
        return frozenset({Token.USER}) if complete else frozenset()

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        issued = await self._api.renew(c)
        lifetime = DEFAULT_LIFETIME if issued.expires_in is None else instants.span(issued.expires_in)
        tokens = {Token.USER: IssuedToken(issued.access_token, lifetime)}
        if issued.refresh_token is not None:
            tokens[Token.REFRESH] = IssuedToken(issued.refresh_token, None)
        return tokens

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        """The missing permissions, requested one by one; OK does not report a token's lifetime."""
        states = {}
        if Token.USER in c.tokens:
            missing = [
                scope
                for scope in self.spec.scopes[Token.USER]
                if not await self._api.rest(c, ok.PERMITTED, "users.hasAppPermission", {"ext_perm": scope})
            ]
            states[Token.USER] = TokenState(missing_scopes=tuple(missing))
        if Token.COMMUNITY in c.tokens:
            await self._api.owner(c)
            states[Token.COMMUNITY] = TokenState()
        return states

    # ── hooks ─────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def receive(cls, call: HookRequest, secrets: Mapping[str, str]) -> HookResult:
        """Verify and parse a request of the Graph API's webhook. It is not signed: the hook's address is secret, and
        the request must come from one of the networks in `sources` (comma-separated; OK's own by default).
        """
        if not comes_from(call.source, secrets.get("sources")):
            raise MissingPermission("the call does not come from an address of Odnoklassniki")
        return HookResult("ok", cls.parse_event(call.body))

    @classmethod
    def parse_event(cls, payload: bytes) -> tuple[Event, ...]:
        """The event of a message or a pressed button; empty for any other kind."""
        try:
            call = wire.parse_bytes(ok.HOOK_CALL, payload)
            if call.kind == "MESSAGE_CALLBACK":
                return (translate.press(wire.parse_bytes(ok.PRESSED, payload)),)
            if not call.brings_message:
                return ()
            shape = wire.parse_bytes(ok.MESSAGE, payload)
        except Malformed as error:
            return (unparsed_event(payload, error.message),)
        if not translate.is_by_person(shape):
            return ()
        if shape.timestamp is None:
            return (unparsed_event(payload, "the message's moment is out of bounds"),)
        return (Event(shape.message.mid, None, (translate.message(shape, shape.timestamp, None),)),)

    async def subscribe(self, c: Credentials, url: str, secrets: Mapping[str, str]) -> Mapping[str, str]:
        if not (await self.subscription(c, url)).subscribed:
            body = {"url": url, "types": ["MESSAGE_CREATED", "MESSAGE_CALLBACK"]}
            done = await self._api.graph_post(c, ok.DONE, "subscribe", body)
            if not done.success:
                raise Rejected("Odnoklassniki does not take this address for a hook")
        return {}

    async def unsubscribe(self, c: Credentials, url: str) -> None:
        if (await self.subscription(c, url)).subscribed:
            done = await self._api.graph_post(c, ok.DONE, "unsubscribe", {"url": url})
            if not done.success:
                raise Rejected("Odnoklassniki does not remove this address")

    async def subscription(self, c: Credentials, url: str) -> HookState:
        """OK removes a hook that has not answered for eight hours."""
        listing = await self._api.graph(c, ok.HOOKS, "subscriptions")
        return HookState(subscribed=any(hook.url == url for hook in listing.subscriptions))

    def classify(self, response: httpx.Response) -> PlatformError | None:
        """OK returns 200 with an `error_code`; other statuses come from proxies in front of it."""
        return from_answer(response)


ADAPTER: Final = Odnoklassniki
