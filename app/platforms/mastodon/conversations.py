"""The lists from which conversations are read: notifications, and the account's own statuses.

The own list has the answers that were given in the platform's own app, and the account's posts: one request serves
both. With the account's own token Mastodon and GoToSocial list its direct statuses there too; Takahe does not, and its
`/conversations` is always empty, so there an answer to a message is read once the customer writes again.
Sources: `AccountStatusesFilter` of Mastodon, `GetAccountStatuses` of GoToSocial, `api/views` of Takahe.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import httpx

from app.platforms import dates, guards, wire
from app.platforms.contract import Credentials, Gone, MessageKind, Page, RemoteMessage
from app.platforms.mastodon import calls, lists, translate
from app.platforms.mastodon.lists import Unparsed
from app.platforms.mastodon.paginators import IdPaginator
from app.platforms.mastodon.wire_models import MENTIONS, Mention, Other, OwnStatus, Status

NOTIFICATIONS: Final = "notifications"
OWN_STATUSES: Final = "own_statuses"
PAGE: Final = 40
MENTIONS_PAGE: Final = 20
"""Each mention that is an answer costs one more request, for the statuses above it."""
MAX_CONTEXTS: Final = 20
"""How many more requests are made for the root of one thread."""


async def own_statuses(
    http: httpx.AsyncClient,
    c: Credentials,
    cursor: str | None,
    since: datetime | None,
    classify: wire.Classify,
    *,
    replies: bool,
) -> tuple[list[OwnStatus], str, bool]:
    """A page of the account's own statuses without boosts, the next cursor, and whether there is more."""
    paginator = wire.load(IdPaginator, cursor) or IdPaginator()
    own_id = guards.community_id(c)
    kinds = {"exclude_reblogs": "true"} if replies else {"exclude_replies": "true", "exclude_reblogs": "true"}
    query = {"limit": str(PAGE), **kinds, **paginator.query()}
    response = await calls.read(http, c, f"accounts/{own_id}/statuses", query, classify)
    statuses = lists.parse_list(response, lists.STATUSES, lists.STATUSES_LENIENT)
    paginator, more = paginator.after([s.id for s in statuses], reached_since=_reaches(statuses, since))
    own = [
        s
        for s in statuses
        if isinstance(s, OwnStatus)
        and s.reblog is None
        and s.account.id == own_id
        and (since is None or s.created_at >= since)
    ]
    return own, wire.dump(paginator), more


async def answers(
    http: httpx.AsyncClient, c: Credentials, cursor: str | None, since: datetime | None, classify: wire.Classify
) -> Page[RemoteMessage]:
    """A page of the account's own statuses: its answers, and its posts (`Page.posts`)."""
    own_id = guards.community_id(c)
    own, next_cursor, more = await own_statuses(http, c, cursor, since, classify, replies=True)
    messages = [translate.own_message(status, own_id) for status in own]
    return Page(
        tuple(message for message in messages if message is not None), next_cursor, more, posts=translate.posts(own)
    )


async def mentions(
    http: httpx.AsyncClient, c: Credentials, cursor: str | None, since: datetime | None, classify: wire.Classify
) -> Page[RemoteMessage]:
    """Statuses that mention or quote the account; direct ones are messages.

    A status is sent when its author's server says so, if the notification's date, which is the account's own server's,
    confirms it.
    """
    own_id, paginator = guards.community_id(c), wire.load(IdPaginator, cursor) or IdPaginator()
    query: calls.Query = {
        "limit": str(MENTIONS_PAGE),
        "types[]": list(MENTIONS),
        "include_filtered": "true",
        **paginator.query(),
    }
    response = await calls.read(http, c, "notifications", query, classify)
    notices = lists.parse_list(response, lists.NOTICES, lists.NOTICES_LENIENT)
    paginator, more = paginator.after([n.id for n in notices], reached_since=_reaches(notices, since))
    items: list[RemoteMessage] = []
    undated = 0
    for notice in notices:
        if not isinstance(notice, Mention) or notice.status is None:
            continue
        status, recorded = notice.status, notice.created_at or wire.response_date(response)
        sent_at = status.created_at if recorded is None else dates.sent(status.created_at, recorded)
        undated += sent_at is None
        if sent_at is not None and (since is None or sent_at >= since) and status.account.id != own_id:
            items += await _with_own_replies(http, c, status, sent_at, classify)
    if undated:
        wire.left_out(undated, "neither a status nor its notification has a date")
    return Page(tuple(items), wire.dump(paginator), more)


async def _with_own_replies(
    http: httpx.AsyncClient, c: Credentials, status: Status, sent_at: datetime, classify: wire.Classify
) -> list[RemoteMessage]:
    """A status that mentions the account; if it is direct, after the account's own replies above it."""
    ancestors: list[Status] = []
    if status.in_reply_to_id is not None:
        try:
            ancestors = await _ancestors(http, c, status, classify, whole=status.visibility != "direct")
        except Gone:
            return []
    own_id = guards.community_id(c)
    if status.visibility == "direct":
        own = [s for s in ancestors if s.account.id == own_id and s.visibility == "direct"]
        replies = [translate.direct(s, status.account.id, own_id, sent_at=s.created_at or sent_at) for s in own]
        return [*replies, translate.direct(status, status.account.id, own_id, sent_at=sent_at)]
    root = ancestors[0] if ancestors else status
    if root.account.id == own_id and root.in_reply_to_id is None and root is not status:
        thread_id = translate.comment_thread([status, *reversed(ancestors[1:])], own_id)
        return [translate.message(status, MessageKind.COMMENT, thread_id, own_id, root.id, sent_at=sent_at)]
    thread_id = f"mention:{root.id}:{status.account.id}"
    return [translate.message(status, MessageKind.MENTION, thread_id, own_id, sent_at=sent_at)]


async def _ancestors(
    http: httpx.AsyncClient, c: Credentials, status: Status, classify: wire.Classify, *, whole: bool
) -> list[Status]:
    """The statuses above one, the highest first; up to the root where `whole`, else as many as come at once.

    A server may return only the nearest ones (Takahe: ten), so that a thread's root would change with its depth.
    """
    response = await calls.read(http, c, f"statuses/{status.id}/context", None, classify)
    ancestors = lists.parse_context(response).ancestors
    for _ in range(MAX_CONTEXTS if whole and ancestors else 0):
        if ancestors[0].in_reply_to_id is None:
            break
        try:
            response = await calls.read(http, c, f"statuses/{ancestors[0].id}/context", None, classify)
        except Gone:
            break
        above = lists.parse_context(response).ancestors
        if not above or above[0].id in {s.id for s in ancestors}:
            break
        ancestors = [*above, *ancestors]
    return ancestors


def _reaches(page: Sequence[Status | Other | Unparsed], since: datetime | None) -> bool:
    """Whether the last item of a page, latest first, is older than `since`."""
    times = [item.created_at for item in page if not isinstance(item, Unparsed) and item.created_at is not None]
    return since is not None and len(times) > 0 and times[-1] < since
