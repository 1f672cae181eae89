"""Plaza, an imagined platform: groups with posts, comments below them, no views."""

from datetime import datetime
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import httpx
from pydantic import TypeAdapter

from app.platforms import guards, wire
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
    RateLimit,
    Rejected,
    RemoteMessage,
    RemotePerson,
    RemotePost,
    Spec,
    Throttled,
    Token,
    Transient,
)

PAGE = 50


class Group(wire.Model):
    id: int
    name: wire.StorableText
    members: wire.Count


class Item(wire.Model):
    """A post, or a comment: one that has `post_id`."""

    id: int
    text: wire.StorableText
    at: wire.UnixTime
    author_id: int
    author: wire.StorableText = ""
    likes: wire.Count = 0
    comments: wire.Count = 0
    post_id: int | None = None


class Items(wire.Model):
    items: list[Item]


class ListPaginator(wire.Model):
    """Reads a list of items, latest first, down to the id `stop`; the next scan stops at `latest`."""

    before: int | None = None
    stop: int = 0
    latest: int = 0


GROUP: Final = TypeAdapter(Group)
ITEMS: Final = TypeAdapter(Items)


class Plaza:
    """The adapter of Plaza."""

    spec: ClassVar[Spec] = Spec(
        key="plaza",
        title="Plaza",
        api_version="1",
        base_url="https://api.plaza.example",
        metrics=frozenset({Metric.REACTIONS, Metric.COMMENTS}),
        rate_limits=(RateLimit(60, 60, LimitScope.TOKEN),),
        metrics_batch=100,
        text_limit=1000,
        tokens=frozenset({Token.COMMUNITY}),
        public=False,
        address_hint="https://plaza.example/name",
    )

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @classmethod
    def address(cls, text: str) -> Address:
        url = urlsplit(text.strip().lower())
        if url.hostname != "plaza.example" or not url.path.strip("/").isalnum():
            raise ValueError(f"a Plaza address looks like {cls.spec.address_hint}")
        return Address(f"https://plaza.example/{url.path.strip('/')}")

    @staticmethod
    def post_key(community: CommunityIdentity, url: str) -> str | None:
        address, _, number = url.partition("?")[0].rstrip("/").rpartition("/")
        return number if address in community.addresses else None

    async def community(self, c: Credentials) -> CommunitySnapshot:
        group = wire.parse(GROUP, await self._get(c, f"groups/{c.external_id or c.address.rpartition('/')[2]}"))
        return CommunitySnapshot(str(group.id), group.name, c.address, group.members)

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        items, cursor, more = await self._page(c, "posts", cursor, since)
        posts = (RemotePost(str(i.id), f"{c.address}/{i.id}", i.text, i.at, _metrics(i)) for i in items)
        return Page(tuple(posts), cursor, more)

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        guards.check_batch(ids, self.spec)
        response = await self._get(c, f"groups/{guards.community_id(c)}/posts", ids=",".join(ids))
        metrics_by_id = {str(item.id): _metrics(item) for item in wire.parse(ITEMS, response).items}
        return tuple(metrics_by_id.get(post_id) or PostMetrics(post_id, {}, gone=True) for post_id in ids)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        items, cursor, more = await self._page(c, "comments", cursor, since)
        return Page(tuple(_comment(item, c) for item in items), cursor, more)

    def classify(self, response: httpx.Response) -> PlatformError | None:
        status = response.status_code
        if response.is_success:
            return None
        if status == httpx.codes.UNAUTHORIZED:
            return AuthExpired("the token is no longer valid", token=Token.COMMUNITY)
        if status == httpx.codes.FORBIDDEN:
            return MissingPermission("the token may not do this")
        if status == httpx.codes.NOT_FOUND:
            return Gone("there is no such group or post")
        if status == httpx.codes.TOO_MANY_REQUESTS:
            return Throttled("too many calls", retry_after=wire.retry_after(response), scope=LimitScope.TOKEN)
        if response.is_server_error:
            return Transient("Plaza is failing for now")
        return (
            Rejected("Plaza refused the request")
            if response.is_client_error
            else Malformed("this is not a response of Plaza")
        )

    async def _page(
        self, c: Credentials, path: str, cursor: str | None, since: datetime | None
    ) -> tuple[list[Item], str, bool]:
        """The new items of a page, the next cursor, and whether the scan continues."""
        paginator = wire.load(ListPaginator, cursor) or ListPaginator()
        query: dict[str, Any] = {} if paginator.before is None else {"before": paginator.before}
        response = await self._get(c, f"groups/{guards.community_id(c)}/{path}", limit=PAGE, **query)
        items = wire.parse(ITEMS, response).items
        new = [item for item in items if item.id > paginator.stop and (since is None or item.at >= since)]
        latest = max([paginator.latest, paginator.stop, *(item.id for item in items)])
        more = len(items) == PAGE and len(new) == PAGE
        if not more:
            return new, wire.dump(ListPaginator(stop=latest)), False
        return new, wire.dump(ListPaginator(before=items[-1].id, stop=paginator.stop, latest=latest)), True

    async def _get(self, c: Credentials, path: str, **query: Any) -> httpx.Response:
        headers = wire.bearer(c.tokens.get(Token.COMMUNITY))
        request = self._http.build_request("GET", f"{c.base_url}/{path}", params=query, headers=headers)
        return await wire.read(self._http, request, self.classify)


ADAPTER: Final = Plaza


def _metrics(item: Item) -> PostMetrics:
    counters = {Metric.REACTIONS: item.likes, Metric.COMMENTS: item.comments}
    missing = {metric: MetricStatus.UNSUPPORTED for metric in Metric if metric not in counters}
    return PostMetrics(str(item.id), counters, missing)


def _comment(item: Item, c: Credentials) -> RemoteMessage:
    return RemoteMessage(
        external_id=str(item.id),
        thread_id=f"{item.post_id}:{item.author_id}",
        kind=MessageKind.COMMENT,
        author=RemotePerson(str(item.author_id), item.author, is_community=str(item.author_id) == c.external_id),
        text=item.text,
        sent_at=item.at,
        post_id=str(item.post_id),
    )
