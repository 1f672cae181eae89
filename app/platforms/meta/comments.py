"""Comments below Instagram's media, with their replies."""

from datetime import datetime
from typing import Final

from app.platforms import wire
from app.platforms.contract import Gone, Page, RemoteMessage
from app.platforms.meta import accounts
from app.platforms.meta import wire_models as graph
from app.platforms.meta.calls import Calls, GraphAccess
from app.platforms.meta.mail import IsOwn
from app.platforms.meta.paginators import CommentPaginator, UnreadThread, page, page_query

PAGE_SIZE: Final = 50


async def read(
    calls: Calls, access: GraphAccess, post_id: str, cursor: str | None, since: datetime | None, is_own: IsOwn
) -> Page[RemoteMessage]:
    """The next comments with their replies, then the replies that are too many to come with their comment."""
    paginator = wire.load(CommentPaginator, cursor) or CommentPaginator()
    if paginator.unread_threads:
        return await _replies(calls, access, paginator, post_id, is_own, since)

    async def fetch(after: str | None, limit: int) -> graph.Listing[accounts.Comment]:
        query = page_query(accounts.COMMENT_FIELDS, limit, after)
        return await calls.get(access, f"{post_id}/comments", accounts.COMMENTS, query)

    listing = await page(fetch, paginator, PAGE_SIZE)
    if listing is None:
        return Page((), wire.dump(paginator.from_start()), more=True)
    items, unread_threads = [], []
    for root_comment in listing.data:
        customer = accounts.thread_key(accounts.person(root_comment, is_own))
        items.append(accounts.comment(root_comment, None, customer, post_id, is_own))
        if root_comment.replies is None:
            continue
        items += [
            accounts.comment(reply, root_comment.id, customer, post_id, is_own) for reply in root_comment.replies.data
        ]
        if root_comment.replies.after is not None:
            unread_threads.append(
                UnreadThread(id=root_comment.id, customer_id=customer, after=root_comment.replies.after)
            )
    changed = {"after": listing.after, "read": listing.after is None, "unread_threads": tuple(unread_threads)}
    times = [root_comment.timestamp for root_comment in listing.data]
    return _page(items, paginator.seen(times).model_copy(update=changed), since)


async def _replies(
    calls: Calls,
    access: GraphAccess,
    paginator: CommentPaginator,
    post_id: str,
    is_own: IsOwn,
    since: datetime | None,
) -> Page[RemoteMessage]:
    """The next replies to the first comment in `unread_threads`; a comment that is gone has none."""
    thread, rest = paginator.unread_threads[0], paginator.unread_threads[1:]

    async def fetch(after: str | None, limit: int) -> graph.Listing[accounts.Reply]:
        query = page_query(accounts.REPLY_FIELDS, limit, after)
        return await calls.get(access, f"{thread.id}/replies", accounts.REPLIES, query)

    items: list[RemoteMessage] = []
    try:
        listing = await page(fetch, thread, PAGE_SIZE)
    except Gone:
        listing = graph.Listing[accounts.Reply](data=())
    if listing is None:
        rest = (thread.from_start(), *rest)
    else:
        items = [accounts.comment(shape, thread.id, thread.customer_id, post_id, is_own) for shape in listing.data]
        rest = rest if listing.after is None else (thread.model_copy(update={"after": listing.after}), *rest)
    return _page(items, paginator.model_copy(update={"unread_threads": rest}), since)


def _page(items: list[RemoteMessage], paginator: CommentPaginator, since: datetime | None) -> Page[RemoteMessage]:
    requested = tuple(item for item in items if since is None or item.sent_at >= since)
    return Page(requested, wire.dump(paginator) if paginator.more else "{}", paginator.more)
