"""Odnoklassniki (ok.ru): its REST API, and the Graph API for a group's messages.

A group needs two tokens. An administrator's (`user`, from OAuth) reads and publishes through the REST
API; its calls are signed with the application's secret. The group's own (`community`, from the group's
settings) reads and sends messages. A token with LONG_ACCESS_TOKEN lives 30 days from its last call, so
that polling renews it; others live half an hour and are fetched anew with the refresh token.

Sources: apiok.ru, github.com/apiok/documentation, public clients. There is no schema. Unverified: every
limit but the batch of 100 topics; that `group.getStatTopics` lists the newest first (harmless for walks:
they read all pages), that its anchors survive what is deleted, and how late a topic gets there (a day is
read again); what `discussions.addDiscussionComment` answers (several forms are understood); that
`from` and `to` of a chat's messages take in the moment itself; the names of `url.getInfo`'s fields. The
Graph API takes its token in the query alone.
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
from app.platforms.odnoklassniki import addresses, translate
from app.platforms.odnoklassniki import wire_models as ok
from app.platforms.odnoklassniki.calls import Api
from app.platforms.odnoklassniki.errors import from_answer
from app.platforms.odnoklassniki.paginators import (
    CommentPaginator,
    MessagePaginator,
    TopicPaginator,
    after,
    latest,
    next_anchor,
)
from app.platforms.odnoklassniki.sources import comes_from

TOPICS_PAGE: Final = 50
COMMENTS_PAGE: Final = 100
CHATS_PAGE: Final = 100
MESSAGES_PAGE: Final = 50
LATE: Final = 24 * 60 * 60 * 1000
"""Milliseconds: so long after it appeared a topic may get into the statistics."""
SHORT_LIFE: Final = timedelta(minutes=30)
"""Of an access token whose answer does not tell."""

COUNTERS: Final = ",".join(
    f"media_topic.{name}"
    for name in ("ID", "CREATED_MS", "DISCUSSION_SUMMARY", "LIKE_SUMMARY", "RESHARE_SUMMARY", "VIEWS_COUNT")
)
COMMENT: Final = ",".join(
    f"comment.{name}"
    for name in ("ID", "DATE", "TEXT", "AUTHOR_ID", "AUTHOR_REF", "AUTHOR_NAME", "REPLY_TO_COMMENT_ID", "REPLY_TO_ID")
)
"""A field that OK does not have makes it refuse the whole call."""


class Odnoklassniki:
    """See the module."""

    spec: ClassVar[Spec] = Spec(
        key="odnoklassniki",
        title="Odnoklassniki",
        api_version="unversioned",
        base_url="https://api.ok.ru",
        metrics=frozenset({Metric.VIEWS, Metric.REACH, Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES}),
        rate_limits=(RateLimit(5, 1, LimitScope.TOKEN),),
        metrics_batch=50,
        text_limit=32_000,
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
    )

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._api = Api(http)

    @classmethod
    def address(cls, text: str) -> Address:
        """`https://ok.ru/group/57000000000000`, `ok.ru/name` or `group57000000000000`."""
        return Address(canonical=addresses.canonical(text))

    # ── reading ───────────────────────────────────────────────────────────────────────────────

    async def community(self, c: Credentials) -> CommunitySnapshot:
        """The group; with its own token alone its size is not to be had."""
        if Token.USER not in c.tokens and Token.COMMUNITY in c.tokens:
            reference, name = await self._api.owner(c)
            group = translate.bare(reference)
            if addresses.number(c) not in {None, group}:
                raise MissingPermission("the group's token is another group's")
            return CommunitySnapshot(group, name, f"https://ok.ru/group/{group}", None)
        group_id = addresses.number(c)
        if group_id is None:
            target = await self._api.rest(c, ok.TARGET, "url.getInfo", {"url": c.address})
            if target.type.upper() != "GROUP":
                raise Gone("this address leads to no group of Odnoklassniki")
            group_id = target.id
        fields = {"uids": group_id, "fields": "UID,NAME,SHORTNAME,MEMBERS_COUNT"}
        found = await self._api.rest(c, ok.GROUPS, "group.getInfo", fields)
        if not found:
            raise Gone("Odnoklassniki knows no such group")
        shape = found[0]
        url = f"https://ok.ru/{shape.shortname or f'group/{shape.uid}'}"
        return CommunitySnapshot(shape.uid, shape.name, url, shape.members_count)

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        """Topics are listed by the statistics, which administrators may read, and then looked up."""
        paginator, group = wire.load(TopicPaginator, cursor) or TopicPaginator(), guards.community_id(c)
        bound = latest(None if paginator.known is None else paginator.known - LATE, _moment(since))
        stats = await self._stats(c, group, anchor=paginator.anchor, start_time=bound)
        reach = {stat.id: stat.reach for stat in stats.topics}
        found = await self._topics(c, tuple(reach), "media_topic.*")
        topics = [(topic, topic.created_ms) for topic in found if topic.created_ms is not None]
        if len(topics) < len(found):
            wire.left_out(len(found) - len(topics), "a topic's moment is out of bounds")
        times = [created for _, created in topics]
        newest = latest(*times, paginator.newest, paginator.known)
        posts = tuple(
            translate.post(topic, created, group, reach.get(topic.id))
            for topic, created in topics
            if translate.is_own(topic, group) and (since is None or created >= _milliseconds(since))
        )
        anchor = next_anchor(stats, paginator.anchor, filled=bool(stats.topics))
        if anchor is None:
            return Page(posts, wire.dump(TopicPaginator(known=newest)), more=False)
        return Page(posts, wire.dump(TopicPaginator(anchor=anchor, newest=newest, known=paginator.known)), more=True)

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        return await self.metrics_across(c, tuple(PostRef(guards.community_id(c), post_id) for post_id in ids))

    async def metrics_across(self, c: Credentials, posts: tuple[PostRef, ...]) -> tuple[PostMetrics, ...]:
        """Counters in one call, reach in at least one more for each group; without reach the rest still comes."""
        guards.check_batch(posts, self.spec)
        found = {t.id: t for t in await self._topics(c, tuple(dict.fromkeys(p.post_id for p in posts)), COUNTERS)}
        created: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for post in posts:
            topic = found.get(post.post_id)
            if topic is not None and topic.created_ms is not None:
                created[post.community_id][post.post_id] = topic.created_ms
        reach: dict[str, int | MetricStatus] = {}
        for group, topics in created.items():
            reach |= await self._reach(c, group, topics)
        return tuple(
            translate.metrics(found[p.post_id], reach.get(p.post_id, MetricStatus.PENDING))
            if p.post_id in found
            else PostMetrics(p.post_id, {}, gone=True)
            for p in posts
        )

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """One list, read backwards: the next walk goes down to the newest comment that this one has seen."""
        paginator, group = wire.load(CommentPaginator, cursor) or CommentPaginator(), guards.community_id(c)
        query = {"discussionId": post_id, "discussionType": "GROUP_TOPIC", "fields": COMMENT}
        query |= {"anchor": paginator.anchor or "LAST", "direction": "BACKWARD", "count": str(COMMENTS_PAGE)}
        found = await self._api.rest(c, ok.COMMENTS, "discussions.getComments", query)
        times = [int(shape.date.timestamp()) for shape in found.comments]
        newest = latest(*times, paginator.newest, paginator.known)
        bound = latest(paginator.known, None if since is None else int(since.timestamp()))
        reached = bound is not None and any(time < bound for time in times)
        items = tuple(
            translate.comment(shape, post_id, group) for shape in found.comments if since is None or shape.date >= since
        )
        anchor = next_anchor(found, paginator.anchor, filled=bool(found.comments))
        if anchor is None or reached:
            return Page(items, wire.dump(CommentPaginator(known=newest)), more=False)
        return Page(items, wire.dump(CommentPaginator(anchor=anchor, newest=newest, known=paginator.known)), more=True)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Direct messages. Comments come from `comments`."""
        if Token.COMMUNITY not in c.tokens:
            return Page((), cursor, more=False)
        paginator = wire.load(MessagePaginator, cursor) or MessagePaginator()
        if paginator.chats:
            return await self._history(c, paginator, since)
        query = {"count": str(CHATS_PAGE)} | ({} if paginator.marker is None else {"marker": paginator.marker})
        listing = await self._api.graph(c, ok.CHATS, "chats", query)
        bound = max(paginator.floor, _moment(since) or 0)
        changed_chats = tuple(chat for chat in listing.chats if chat.last >= bound)
        paginator = paginator.model_copy(
            update={
                "top": paginator.top
                if paginator.top is not None
                else max((one.last for one in listing.chats), default=0),
                "read": listing.marker is None or len(changed_chats) < len(listing.chats),
                "marker": listing.marker,
                "long": paginator.long or paginator.marker is not None,
                "chats": tuple(chat.chat_id for chat in changed_chats if chat.type != "CHAT"),
            }
        )
        paginator, more = after(paginator)
        return Page((), wire.dump(paginator), more)

    async def _history(
        self, c: Credentials, paginator: MessagePaginator, since: datetime | None
    ) -> Page[RemoteMessage]:
        """The next messages of the first chat that waits, back to what is known."""
        bound = max(paginator.known, _moment(since) or 0)
        query = {"count": str(MESSAGES_PAGE)}
        query |= {"to": str(bound)} if bound else {}
        query |= {} if paginator.until is None else {"from": str(paginator.until)}
        path = f"messages/{quote(paginator.chats[0], safe=':')}"
        try:
            found = (await self._api.graph(c, ok.MESSAGES, path, query)).messages
        except Gone:  # this chat alone: the others still wait
            found = ()
        dated = [(shape, shape.timestamp) for shape in found if shape.timestamp is not None]
        if len(dated) < len(found):
            wire.left_out(len(found) - len(dated), "a message's moment is out of bounds")
        times = [_milliseconds(at) for _, at in dated]
        items = tuple(
            translate.message(shape, at, guards.community_id(c))
            for shape, at in dated
            if _milliseconds(at) >= bound and translate.is_said(shape)
        )
        if len(found) < MESSAGES_PAGE or not times or min(times) < bound:
            paginator, more = after(paginator.model_copy(update={"chats": paginator.chats[1:], "until": None}))
            return Page(items, wire.dump(paginator), more)
        # The same moment once more: several messages may share it, on both sides of the page's end.
        until = min(times) if min(times) != paginator.until else min(times) - 1
        return Page(items, wire.dump(paginator.model_copy(update={"until": until})), more=True)

    async def _stats(self, c: Credentials, group: str, **more: str | int | None) -> ok.Stats:
        """A page of the group's statistics; `start_time` and `end_time` are milliseconds, and taken in."""
        query = {"gid": group, "fields": "ID,CREATED_MS,REACH", "count": str(TOPICS_PAGE)}
        query |= {name: str(value) for name, value in more.items() if value is not None}
        return await self._api.rest(c, ok.STATS, "group.getStatTopics", query)

    async def _topics(self, c: Credentials, ids: tuple[str, ...], fields: str) -> tuple[ok.Topic, ...]:
        """Those of the topics that still stand."""
        if not ids:
            return ()
        query = {"topic_ids": ",".join(ids), "fields": fields, "media_limit": "3"}
        return (await self._api.rest(c, ok.TOPICS, "mediatopic.getByIds", query)).media_topics

    async def _reach(self, c: Credentials, group: str, created: Mapping[str, int]) -> dict[str, int | MetricStatus]:
        """Reach by topic; where OK does not give it, why. Each call starts at the newest topic still without."""
        pending = sorted(created, key=created.__getitem__, reverse=True)
        reach: dict[str, int | MetricStatus] = {}
        try:
            while pending:
                ends = created[pending[-1]], created[pending[0]]
                stats = await self._stats(c, group, start_time=ends[0], end_time=ends[1])
                reach |= {stat.id: stat.reach for stat in stats.topics if stat.reach is not None}
                pending = [topic for topic in pending[1:] if topic not in reach]
        except Throttled:  # nothing more is to be asked
            raise
        except (MissingPermission, AuthExpired):
            return dict.fromkeys(pending, MetricStatus.NO_PERMISSION) | reach
        except PlatformError:
            return dict.fromkeys(pending, MetricStatus.ERROR) | reach
        return reach

    # ── writing ───────────────────────────────────────────────────────────────────────────────

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        """Answer as the group. OK has no field by which it would know a repeat."""
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
        """A topic of the group. Pictures are uploaded one by one, so that their order is ours."""
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
        """The token by which a topic may show the picture; for topics nothing has to be committed."""
        where = await self._api.rest(c, ok.UPLOAD, "photosV2.getUploadUrl", {"gid": group, "count": "1"})
        photo = (await self._api.upload(where.upload_url, picture)).photos.get(where.photo_ids[0])
        if photo is None:
            raise Malformed("the answer to the upload does not tell of the picture")
        return photo.token

    # ── tokens ────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def renewable(cls, tokens: Collection[Token], app: Collection[str]) -> frozenset[Token]:
        whole = Token.REFRESH in tokens and {"application_id", "application_secret"} <= set(app)
        return frozenset({Token.USER}) if whole else frozenset()

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        granted = await self._api.renew(c)
        life = SHORT_LIFE if granted.expires_in is None else instants.span(granted.expires_in)
        found = {Token.USER: IssuedToken(granted.access_token, life)}
        if granted.refresh_token is not None:
            found[Token.REFRESH] = IssuedToken(granted.refresh_token, None)
        return found

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        """Permissions are asked for one by one; how long a token lives, OK does not say."""
        found = {}
        if Token.USER in c.tokens:
            missing = [
                scope
                for scope in self.spec.scopes[Token.USER]
                if not await self._api.rest(c, ok.PERMITTED, "users.hasAppPermission", {"ext_perm": scope})
            ]
            found[Token.USER] = TokenState(missing_scopes=tuple(missing))
        if Token.COMMUNITY in c.tokens:
            await self._api.owner(c)
            found[Token.COMMUNITY] = TokenState()
        return found

    # ── hooks ─────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def receive(cls, call: HookRequest, secrets: Mapping[str, str]) -> HookResult:
        """One call of the Graph API's hook. Nothing is signed: the address is the hook's own secret, and the
        caller has to be one of `sources`, networks with commas between them (OK's own, where none are named).
        """
        if not comes_from(call.source, secrets.get("sources")):
            raise MissingPermission("the call does not come from an address of Odnoklassniki")
        return HookResult("ok", cls.parse_event(call.body))

    @classmethod
    def parse_event(cls, payload: bytes) -> tuple[Event, ...]:
        """A message, or nothing."""
        try:
            if not wire.parse_bytes(ok.HOOK_CALL, payload).brings_message:
                return ()
            shape = wire.parse_bytes(ok.MESSAGE, payload)
        except Malformed as error:
            return (unparsed_event(payload, error.message),)
        if not translate.is_said(shape):
            return ()
        if shape.timestamp is None:
            return (unparsed_event(payload, "the message's moment is out of bounds"),)
        return (Event(shape.message.mid, None, (translate.message(shape, shape.timestamp, None),)),)

    async def subscribe(self, c: Credentials, url: str, secrets: Mapping[str, str]) -> Mapping[str, str]:
        if not (await self.subscription(c, url)).subscribed:
            body = {"url": url, "types": ["MESSAGE_CREATED"]}
            done = await self._api.graph_post(c, ok.DONE, "subscribe", body)
            if not done.success:
                raise Rejected("Odnoklassniki does not take this address for a hook")
        return {}

    async def subscription(self, c: Credentials, url: str) -> HookState:
        """OK forgets a hook that has not answered for eight hours."""
        found = await self._api.graph(c, ok.HOOKS, "subscriptions")
        return HookState(subscribed=any(hook.url == url for hook in found.subscriptions))

    def classify(self, response: httpx.Response) -> PlatformError | None:
        """OK answers 200 with an `error_code`; other statuses come from what stands before it."""
        return from_answer(response)


ADAPTER: Final = Odnoklassniki


def _moment(since: datetime | None) -> int | None:
    return None if since is None else _milliseconds(since)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
