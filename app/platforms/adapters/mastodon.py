"""Mastodon, and the servers that speak its API (GoToSocial, Takahe, Pleroma).

Public accounts are read without a token. With the account's own token (`read write`), mentions and
direct statuses come through notifications, and replies can be sent.

Lists are paged by id, which stays right whatever appears or vanishes. `min_id` gives the items
just above an id; a list is at its end when a page is empty, for a page may be short earlier.
Sources: docs.joinmastodon.org, the OpenAPI of abraham/mastodon-openapi, mastodon_mock 0.6.1.
Unverified: that every such server keeps ids in the order of time, as Mastodon does.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Final, Literal
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from app.platforms import wire
from app.platforms.abilities import ReplyTo
from app.platforms.contract import (
    Address,
    AuthExpired,
    Budget,
    CommunitySnapshot,
    Credentials,
    Gone,
    Malformed,
    MessageKind,
    Metric,
    MissingPermission,
    OutcomeUnknown,
    Page,
    PlatformError,
    PostMetrics,
    Rejected,
    RemoteMessage,
    RemotePost,
    Scope,
    Sent,
    Spec,
    Throttled,
    Token,
    Transient,
)
from app.platforms.mastodon import translate
from app.platforms.mastodon.shapes import (
    ACCOUNT,
    CONTEXT,
    CREATED,
    NOTIFICATIONS,
    STATUS,
    STATUSES,
    Complaint,
    Notification,
    Status,
)

PAGE = 40
MENTIONS_PAGE = 20
"""Each mention that answers something costs one more call, to learn what it stands under."""

NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
HOST = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
HANDLE = re.compile(rf"@?({NAME})@({HOST})(:\d{{1,5}})?")
PATH = re.compile(rf"/(?:@|users/)({NAME})(?:@({HOST}))?/?")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Walk(wire.Shape):
    """How far a list paged by id has been read.

    Going back: everything from `newest` down to `below` is read. Otherwise everything up to
    `newest` is, and the next page is what lies just above it.
    """

    newest: wire.Id | None = None
    below: wire.Id | None = None

    def query(self) -> dict[str, str]:
        if self.below is not None:
            return {"max_id": self.below}
        return {} if self.newest is None else {"min_id": self.newest}

    def after(self, ids: Sequence[str], *, far_enough: bool) -> "tuple[Walk, bool]":
        """The walk after a page of `ids`, newest first, and whether there is more to it."""
        going_back = self.below is not None or self.newest is None
        # A server that ignores where we are would show the same page for ever.
        if not ids or ids[-1] == self.below or (not going_back and ids[0] == self.newest):
            return Walk(newest=self.newest), False
        if not going_back:
            return Walk(newest=ids[0]), True
        newest = self.newest or ids[0]
        return (Walk(newest=newest), False) if far_enough else (Walk(newest=newest, below=ids[-1]), True)


class Mastodon:
    """See the module."""

    spec: ClassVar[Spec] = Spec(
        key="mastodon",
        title="Mastodon",
        api_version="v1",
        base_url=None,
        metrics=frozenset({Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES, Metric.QUOTES}),
        budgets=(Budget(300, 300, Scope.TOKEN), Budget(300, 300, Scope.ADDRESS)),
        metrics_batch=20,
        text_limit=500,
        tokens=frozenset({Token.COMMUNITY}),
        public=True,
        address_hint="https://mastodon.social/@name",
        # An hour on Mastodon, less some minutes for the way. GoToSocial and Takahe remember nothing.
        replies_remembered=timedelta(minutes=50),
    )

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @classmethod
    def address(cls, text: str) -> Address:
        """`https://host/@name`, `https://host/users/name`, `@name@host` or `name@host`.

        The name is taken in lower case, as servers do. Plain http is for this machine alone.
        """
        scheme, name, host = _split(text.strip())
        hostname = urlsplit(f"//{host}").hostname or ""
        if scheme == "http" and hostname not in LOOPBACK:
            raise ValueError(f"a Mastodon address starts with https://, for example {cls.spec.address_hint}")
        base = f"{scheme}://{host.lower()}"
        return Address(canonical=f"{base}/@{name.lower()}", base_url=base)

    async def community(self, c: Credentials) -> CommunitySnapshot:
        if c.external_id is not None:
            response = await self._get(c, f"accounts/{c.external_id}")
        else:
            _, name, _ = _split(c.address)
            response = await self._get(c, "accounts/lookup", {"acct": name})
        account = wire.parse(ACCOUNT, response)
        if account.suspended:
            raise Gone("the account is suspended")
        return CommunitySnapshot(
            external_id=account.id,
            title=account.display_name or account.username,
            url=account.url,
            size=account.followers_count,
        )

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        walk = wire.load(Walk, cursor) or Walk()
        query = {"limit": str(PAGE), "exclude_replies": "true", "exclude_reblogs": "true", **walk.query()}
        statuses = wire.parse(STATUSES, await self._get(c, f"accounts/{_known(c)}/statuses", query))
        walk, more = walk.after([s.id for s in statuses], far_enough=_older(statuses, since))
        posts = tuple(
            translate.post(s)
            for s in statuses
            if s.reblog is None
            and s.in_reply_to_id is None
            and s.visibility != "direct"
            and s.account.id == c.external_id
            and (since is None or s.created_at >= since)
        )
        return Page(posts, wire.dump(walk), more)

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        """One call, and where the server has no batch (before 4.3, GoToSocial, Takahe) one for each post."""
        if len(ids) > self.spec.metrics_batch:
            raise ValueError(f"at most {self.spec.metrics_batch} posts at once")
        if not ids:
            return ()
        request = self._request(c, "GET", "statuses", {"id[]": list(ids)})
        response = await wire.read(self._http, request, self._but_no_batch)
        if response.status_code == httpx.codes.OK:
            found = {s.id: s for s in wire.parse(STATUSES, response)}
            return tuple(translate.counted(found[i]) if i in found else translate.gone(i) for i in ids)
        return tuple([await self._single(c, i) for i in ids])

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Every answer below a post in one page; without a token a server shows the first 60 alone."""
        context = wire.parse(CONTEXT, await self._get(c, f"statuses/{post_id}/context"))
        known = {s.id: s for s in context.descendants}
        items = tuple(
            translate.comment(s, translate.chain(s, known), post_id, _known(c))
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
        walk = wire.load(Walk, cursor) or Walk()
        query = {"limit": str(MENTIONS_PAGE), "types[]": "mention", **walk.query()}
        found = wire.parse(NOTIFICATIONS, await self._get(c, "notifications", query))
        statuses = [n.status for n in found if n.status is not None and n.type == "mention"]
        walk, more = walk.after([n.id for n in found], far_enough=_older(found, since))
        items: list[RemoteMessage] = []
        for status in statuses:
            if (since is None or status.created_at >= since) and status.account.id != _known(c):
                items += await self._mentioned(c, status)
        return Page(tuple(items), wire.dump(walk), more)

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> Sent:
        """Answer below the message, as visible as it is, naming its author so that they are told.

        `key` makes a repeat harmless for an hour on Mastodon; GoToSocial and Takahe ignore it.
        """
        asked = wire.parse(STATUS, await self._get(c, f"statuses/{to.external_id}"))
        form = {
            "status": f"@{asked.account.acct} {text}",
            "in_reply_to_id": asked.id,
            "visibility": asked.visibility,
        }
        request = self._request(c, "POST", "statuses", data=form, headers={"idempotency-key": key})
        made = wire.confirmed(CREATED, await wire.write(self._http, request, self.classify))
        return Sent(external_id=made.id, sent_at=made.created_at, url=made.url)

    def classify(self, response: httpx.Response) -> PlatformError | None:
        """The status tells what went wrong; the body's `error` is for people."""
        status = response.status_code
        if response.is_success:
            return None
        request = wire.request_of(response)
        authorised = request is not None and "authorization" in request.headers
        said = _complaint(response)
        code = str(status)
        if status == httpx.codes.TOO_MANY_REQUESTS:
            return Throttled(
                "the server asks for fewer calls",
                retry_after=wire.retry_after(response, wire.iso_date(response.headers.get("x-ratelimit-reset"))),
                scope=Scope.TOKEN if authorised else Scope.ADDRESS,
                platform_code=code,
            )
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            refused = said is not None and status == httpx.codes.SERVICE_UNAVAILABLE
            if request is not None and request.method == "POST" and not refused:
                return OutcomeUnknown("the server failed while it handled the change", platform_code=code)
            return Transient("the server is unwell", platform_code=code)
        # Takahe answers a bad token with 400 and plain text.
        if status == httpx.codes.UNAUTHORIZED or (status == httpx.codes.BAD_REQUEST and authorised and said is None):
            return AuthExpired("the server does not accept the token", token=Token.COMMUNITY, platform_code=code)
        if status == httpx.codes.FORBIDDEN:
            scopes = ("read", "write") if said is not None and "scope" in said.lower() else ()
            return MissingPermission("the server does not allow this", scopes=scopes, platform_code=code)
        if status in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
            return Gone("the server has no such account or status", platform_code=code)
        if status == httpx.codes.REQUEST_TIMEOUT:
            return Transient("the server waited for us in vain", platform_code=code)
        if not response.is_client_error:
            return Malformed("the server sends us elsewhere, where we do not follow", platform_code=code)
        detail = "" if said is None else f": {wire.explanation(said, wire.sent_secrets(response))}"
        return Rejected(f"the server refused the request{detail}", platform_code=code)

    def _but_no_batch(self, response: httpx.Response) -> PlatformError | None:
        missing = {httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED}
        return None if response.status_code in missing else self.classify(response)

    async def _single(self, c: Credentials, post_id: str) -> PostMetrics:
        try:
            return translate.counted(wire.parse(STATUS, await self._get(c, f"statuses/{post_id}")))
        except Gone:
            return translate.gone(post_id)

    async def _mentioned(self, c: Credentials, status: Status) -> list[RemoteMessage]:
        """A status that mentions us, and the answers of our own that stand above it."""
        above: list[Status] = []
        if status.in_reply_to_id is not None:
            try:
                above = wire.parse(CONTEXT, await self._get(c, f"statuses/{status.id}/context")).ancestors
            except Gone:
                return []
        us = _known(c)
        if status.visibility == "direct":
            ours = [s for s in above if s.account.id == us and s.visibility == "direct"]
            return [translate.direct(s, status.account.id, us) for s in (*ours, status)]
        root = above[0] if above else status
        if root.account.id == us and root.in_reply_to_id is None and root is not status:
            return [translate.comment(status, [status, *reversed(above[1:])], root.id, us)]
        return [translate.message(status, MessageKind.MENTION, f"mention:{root.id}:{status.account.id}", us)]

    async def _get(self, c: Credentials, path: str, query: Mapping[str, str] | None = None) -> httpx.Response:
        return await wire.read(self._http, self._request(c, "GET", path, query), self.classify)

    def _request(
        self,
        c: Credentials,
        method: Literal["GET", "POST"],
        path: str,
        query: Mapping[str, str | list[str]] | None = None,
        *,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Request:
        return self._http.build_request(
            method,
            f"{c.base_url.rstrip('/')}/api/v1/{path}",
            params=query,
            data=data,
            headers={**wire.bearer(c.tokens.get(Token.COMMUNITY)), **(headers or {})},
        )


ADAPTER: Final = Mastodon


def _split(text: str) -> tuple[str, str, str]:
    """Scheme, name and host of an address as people write it."""
    if (handle := HANDLE.fullmatch(text)) is not None:
        return "https", handle[1], handle[2] + (handle[3] or "")
    try:
        url = urlsplit(text)
        host = f"{url.hostname or ''}:{url.port}" if url.port else url.hostname or ""
    except ValueError:
        url, host = urlsplit(""), ""
    path = PATH.fullmatch(url.path)
    plain_host = re.fullmatch(HOST, url.hostname or "") is not None or url.hostname in LOOPBACK
    if path is None or not plain_host or url.scheme not in {"http", "https"} or url.username is not None:
        raise ValueError(f"a Mastodon address looks like {Mastodon.spec.address_hint} or @name@mastodon.social")
    if ":" in (url.hostname or ""):
        host = f"[{url.hostname}]" + (f":{url.port}" if url.port else "")
    # `https://here/@name@there` is how `here` shows an account that lives on `there`.
    return ("https", path[1], path[2]) if path[2] else (url.scheme, path[1], host)


def _known(c: Credentials) -> str:
    if c.external_id is None:
        raise ValueError("the community's id is not known yet: ask for `community` first")
    return c.external_id


def _older(page: Sequence[Status] | Sequence[Notification], since: datetime | None) -> bool:
    return since is not None and len(page) > 0 and page[-1].created_at < since


def _complaint(response: httpx.Response) -> str | None:
    try:
        return Complaint.model_validate_json(response.content).error
    except ValidationError:
        return None
