"""Mastodon, and the servers that speak its API (GoToSocial, Takahe, Pleroma, Pixelfed, Friendica, Sharkey).

Public accounts are read without a token. With the account's own token (`read write`), mentions and
direct statuses come through notifications, and replies and posts can be sent. A token does not end
(unless an administrator has it so), and there is nothing with which to fetch another.

Since 4.3 a server keeps what strangers write in private out of the list of notifications, until the account
accepts it: customers are strangers, so that it is asked for.

Lists are paged by id, which stays right whatever appears or vanishes. `min_id` gives the items
just above an id; a list is at its end when a page is empty, for a page may be short earlier.

A batch leaves out what its token may not see, so that a post for followers, asked for with another
account's token or none, would seem to be deleted. Therefore only accounts without a token share their
batches, whose posts anybody sees; one with a token is measured with it.

What limits there are, answers tell; those to changes tell of limits that concern this kind of change
alone. Servers may allow longer texts than 500 characters; a text is checked before anybody is asked,
so that 500 is the limit here. GoToSocial and Takahe do not remember keys: what is repeated there within
the hour appears twice. Which server it is, a `Spec` cannot say.
Sources: docs.joinmastodon.org, the OpenAPI of abraham/mastodon-openapi, Mastodon's source, mastodon_mock
0.6.1. Unverified: that every such server keeps ids in the order of time, as Mastodon does.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Final, Literal

import httpx

from app.platforms import guards, outgoing, wire
from app.platforms.capabilities import OutgoingPost, Picture, PostRef, ReplyTo, TokenState, Usage
from app.platforms.contract import (
    CALLS,
    COST,
    Address,
    CommunitySnapshot,
    Cost,
    Credentials,
    Gone,
    LimitScope,
    MessageKind,
    Metric,
    OutcomeUnknown,
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
    Transient,
)
from app.platforms.mastodon import lists, translate
from app.platforms.mastodon.addresses import HINT, canonical, split
from app.platforms.mastodon.errors import failure
from app.platforms.mastodon.limits import usage
from app.platforms.mastodon.lists import Unclear
from app.platforms.mastodon.paginators import IdPaginator
from app.platforms.mastodon.wire_models import (
    ACCOUNT,
    APPLICATION,
    COUNTED,
    CREATED,
    MEDIA,
    STATUS,
    Counted,
    Mention,
    Other,
    Status,
)

PAGE = 40
MENTIONS_PAGE = 20
"""Each mention that answers something costs one more call, to learn what it stands under."""

WRITING: Final = "statuses"
UPLOADING: Final = "media"
REMEMBERED: Final = timedelta(minutes=50)
"""A key is remembered for an hour, less some minutes for the way."""
NO_BATCH: Final = frozenset({400, 404, 405, 501})
SCOPES: Final = ("read:accounts", "read:notifications", "read:statuses", "write:media", "write:statuses")


class Mastodon:
    """See the module."""

    spec: ClassVar[Spec] = Spec(
        key="mastodon",
        title="Mastodon",
        api_version="v1",
        base_url=None,
        metrics=frozenset({Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES, Metric.QUOTES}),
        rate_limits=(
            RateLimit(300, 300, LimitScope.TOKEN),
            RateLimit(300, 300, LimitScope.ADDRESS),
            RateLimit(30, 1800, LimitScope.TOKEN, UPLOADING),
            RateLimit(300, 10_800, LimitScope.TOKEN, WRITING),
        ),
        metrics_batch=20,
        text_limit=500,
        tokens=frozenset({Token.COMMUNITY}),
        public=True,
        address_hint=HINT,
        replies_dedup_window=REMEMBERED,
        publishing=Publishing(
            pictures=4,
            picture_types=frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"}),
            picture_bytes=16 * 2**20,
            dedup_window=REMEMBERED,
        ),
        scopes={Token.COMMUNITY: SCOPES},
        metrics_group_tokens=frozenset({Token.COMMUNITY}),
    )

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @classmethod
    def address(cls, text: str) -> Address:
        """`https://host/@name`, `https://host/users/name`, `@name@host` or `name@host`."""
        spelling, base = canonical(text)
        return Address(canonical=spelling, base_url=base)

    async def community(self, c: Credentials) -> CommunitySnapshot:
        if c.external_id is not None:
            response = await self._get(c, f"accounts/{c.external_id}")
        else:
            _, name, _ = split(c.address)
            response = await self._get(c, "accounts/lookup", {"acct": name})
        account = wire.parse(ACCOUNT, response)
        if account.suspended:
            raise Gone("the account is suspended")
        return CommunitySnapshot(
            external_id=account.id,
            title=account.display_name or account.username,
            url=account.url or c.address,
            size=account.size,
        )

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        paginator = wire.load(IdPaginator, cursor) or IdPaginator()
        query = {"limit": str(PAGE), "exclude_replies": "true", "exclude_reblogs": "true", **paginator.query()}
        response = await self._get(c, f"accounts/{guards.community_id(c)}/statuses", query)
        statuses = lists.parse_list(response, lists.STATUSES, lists.STATUSES_APART)
        paginator, more = paginator.after([s.id for s in statuses], far_enough=_older(statuses, since))
        posts = tuple(
            translate.post(s)
            for s in statuses
            if isinstance(s, Status)
            and s.reblog is None
            and s.in_reply_to_id is None
            and s.visibility != "direct"
            and s.account.id == c.external_id
            and (since is None or s.created_at >= since)
        )
        return Page(posts, wire.dump(paginator), more)

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        """One call, and where the server has no batch (before 4.3, GoToSocial, Takahe) one for each post.

        So it is where the batch is empty: what is gone is told by itself then.
        """
        guards.check_batch(ids, self.spec)
        if not ids:
            return ()
        request = self._request(c, "GET", "statuses", {"id[]": list(ids)})
        response = await wire.read(self._http, request, self._but_no_batch)
        if response.status_code == httpx.codes.OK:
            listed = lists.parse_list(response, lists.COUNTED, lists.COUNTED_APART)
            found = {s.id: translate.counted(s) if isinstance(s, Counted) else translate.unclear(s.id) for s in listed}
            if found:
                return tuple(found.get(i) or translate.gone(i) for i in ids)
        return tuple([await self._single(c, i) for i in ids])

    async def metrics_across(self, c: Credentials, posts: tuple[PostRef, ...]) -> tuple[PostMetrics, ...]:
        return await self.metrics(c, tuple(post.post_id for post in posts))

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Every answer below a post in one page; without a token a server shows the first 60 alone."""
        context = lists.around(await self._get(c, f"statuses/{post_id}/context"))
        known = {s.id: s for s in context.descendants}
        items = tuple(
            translate.comment(s, translate.chain(s, known), post_id, guards.community_id(c))
            for s in context.descendants
            if s.visibility != "direct" and (since is None or s.created_at >= since)
        )
        return Page(items, "{}", more=False)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Statuses that mention the account; direct ones are messages. The account's own answers to
        messages are seen as soon as the customer writes again."""
        if Token.COMMUNITY not in c.tokens:
            return Page((), cursor, more=False)
        paginator = wire.load(IdPaginator, cursor) or IdPaginator()
        query = {"limit": str(MENTIONS_PAGE), "types[]": "mention", "include_filtered": "true", **paginator.query()}
        response = await self._get(c, "notifications", query)
        found = lists.parse_list(response, lists.NOTICES, lists.NOTICES_APART)
        statuses = [n.status for n in found if isinstance(n, Mention) and n.status is not None]
        paginator, more = paginator.after([n.id for n in found], far_enough=_older(found, since))
        items: list[RemoteMessage] = []
        for status in statuses:
            if (since is None or status.created_at >= since) and status.account.id != guards.community_id(c):
                items += await self._mentioned(c, status)
        return Page(tuple(items), wire.dump(paginator), more)

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        """Answer below the message, as visible as it is, naming its author so that they are told.

        `key` makes a repeat harmless for an hour on Mastodon; GoToSocial and Takahe ignore it.
        """
        target = wire.parse(STATUS, await self._get(c, f"statuses/{to.external_id}"))
        form = {
            "status": f"@{target.account.acct} {text}",
            "in_reply_to_id": target.id,
            "visibility": target.visibility,
        }
        return await self._write(c, form, key)

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        """A status that everybody sees, whatever the account's own settings are."""
        outgoing.check(draft, self.spec)
        media = [await self._upload(c, picture) for picture in draft.pictures]
        return await self._write(c, {"status": draft.text, "visibility": "public", "media_ids[]": media}, key)

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        """The scopes of the application, where the server tells them (from 4.3 on): a token has no others."""
        if Token.COMMUNITY not in c.tokens:
            return {}
        application = wire.parse(APPLICATION, await self._get(c, "apps/verify_credentials"))
        granted = SCOPES if application.scopes is None else application.scopes
        missing = tuple(scope for scope in SCOPES if scope not in granted and scope.partition(":")[0] not in granted)
        return {Token.COMMUNITY: TokenState(missing)}

    @classmethod
    def usage(cls, response: httpx.Response) -> Usage | None:
        return usage(response)

    def classify(self, response: httpx.Response) -> PlatformError | None:
        return failure(response)

    def _but_no_batch(self, response: httpx.Response) -> PlatformError | None:
        """Pleroma's takes `ids[]`, and misses it with 400; what else may be wrong, a single post's answer tells."""
        return None if response.status_code in NO_BATCH else self.classify(response)

    async def _single(self, c: Credentials, post_id: str) -> PostMetrics:
        try:
            return translate.counted(wire.parse(COUNTED, await self._get(c, f"statuses/{post_id}")))
        except Gone:
            return translate.gone(post_id)

    async def _mentioned(self, c: Credentials, status: Status) -> list[RemoteMessage]:
        """A status that mentions us, and the answers of our own that stand above it."""
        above: list[Status] = []
        if status.in_reply_to_id is not None:
            try:
                above = lists.around(await self._get(c, f"statuses/{status.id}/context")).ancestors
            except Gone:
                return []
        own_id = guards.community_id(c)
        if status.visibility == "direct":
            own_messages = [s for s in above if s.account.id == own_id and s.visibility == "direct"]
            return [translate.direct(s, status.account.id, own_id) for s in (*own_messages, status)]
        root = above[0] if above else status
        if root.account.id == own_id and root.in_reply_to_id is None and root is not status:
            return [translate.comment(status, [status, *reversed(above[1:])], root.id, own_id)]
        return [translate.message(status, MessageKind.MENTION, f"mention:{root.id}:{status.account.id}", own_id)]

    async def _upload(self, c: Credentials, picture: Picture) -> str:
        """A picture that is ready to be shown; its id."""
        name = f"picture.{picture.media_type.rpartition('/')[2]}"
        file = (name, picture.content, picture.media_type)
        request = self._request(
            c, "POST", "media", version="v2", data={"description": picture.alt}, file=file, counted=UPLOADING
        )
        response = await wire.read(self._http, request, self._but_repeatable)
        made = wire.parse(MEDIA, response)
        if response.status_code == httpx.codes.ACCEPTED:
            response = await self._get(c, f"media/{made.id}")
            if response.status_code == httpx.codes.PARTIAL_CONTENT:
                raise Transient("the server is still at work on a picture")
        return made.id

    def _but_repeatable(self, response: httpx.Response) -> PlatformError | None:
        """An upload that may have been made is simply made again."""
        error = self.classify(response)
        return (
            Transient(error.message, platform_code=error.platform_code) if isinstance(error, OutcomeUnknown) else error
        )

    async def _write(self, c: Credentials, form: Mapping[str, str | list[str]], key: str) -> SendReceipt:
        request = self._request(c, "POST", "statuses", data=form, headers={"idempotency-key": key}, counted=WRITING)
        made = wire.parse_confirmation(CREATED, await wire.write(self._http, request, self.classify))
        return SendReceipt(external_id=made.id, sent_at=made.created_at, url=made.url)

    async def _get(self, c: Credentials, path: str, query: Mapping[str, str] | None = None) -> httpx.Response:
        return await wire.read(self._http, self._request(c, "GET", path, query), self.classify)

    def _request(
        self,
        c: Credentials,
        method: Literal["GET", "POST"],
        path: str,
        query: Mapping[str, str | list[str]] | None = None,
        *,
        version: str = "v1",
        data: Mapping[str, str | list[str]] | None = None,
        file: tuple[str, bytes, str] | None = None,
        headers: Mapping[str, str] | None = None,
        counted: str | None = None,
    ) -> httpx.Request:
        """`counted`: what it is besides a call."""
        token = c.tokens.get(Token.COMMUNITY)
        units = {CALLS: 1} if counted is None else {CALLS: 1, counted: 1}
        cost = Cost(token or "", Token.COMMUNITY if token else None, units, target=f"{c.external_id} {counted or ''}")
        return self._http.build_request(
            method,
            f"{c.base_url.rstrip('/')}/api/{version}/{path}",
            params=query,
            data=data,
            files=None if file is None else {"file": file},
            headers={"accept": "application/json", **wire.bearer(token), **(headers or {})},
            extensions={COST: cost},
        )


ADAPTER: Final = Mastodon


def _older(page: Sequence[Status | Other | Unclear], since: datetime | None) -> bool:
    moments = [one.created_at for one in page if not isinstance(one, Unclear) and one.created_at is not None]
    return since is not None and len(moments) > 0 and moments[-1] < since
