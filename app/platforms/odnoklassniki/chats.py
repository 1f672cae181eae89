"""Direct messages of a group, read from the Graph API chat by chat."""

from datetime import datetime
from typing import Final
from urllib.parse import quote

from app.platforms import guards, wire
from app.platforms.contract import Bypass, Credentials, Gone, Page, PlatformError, RemoteMessage
from app.platforms.odnoklassniki import translate
from app.platforms.odnoklassniki import wire_models as ok
from app.platforms.odnoklassniki.calls import Api
from app.platforms.odnoklassniki.paginators import MessagePaginator, milliseconds

CHATS_PAGE: Final = 100
MESSAGES_PAGE: Final = 50


async def messages_page(api: Api, c: Credentials, cursor: str | None, since: datetime | None) -> Page[RemoteMessage]:
    """The next messages of the chats that have changed; the page of a list of chats has none (see
    `MessagePaginator`).
    """
    paginator = wire.load(MessagePaginator, cursor) or MessagePaginator()
    since_ms = 0 if since is None else milliseconds(since)
    if paginator.chats:
        return await _chat_page(api, c, paginator, since_ms)
    query = {"count": str(CHATS_PAGE)} | ({} if paginator.marker is None else {"marker": paginator.marker})
    listing = await api.graph(c, ok.CHATS, "chats", query)
    bound = max(paginator.floor, since_ms)
    changed_chats = tuple(chat for chat in listing.chats if chat.last >= bound)
    pass_start = paginator.pass_start
    if pass_start is None:
        pass_start = max((chat.last for chat in listing.chats), default=0)
    changes = {
        "pass_start": pass_start,
        "read": listing.marker is None or len(changed_chats) < len(listing.chats),
        "marker": listing.marker,
        "several_pages": paginator.several_pages or paginator.marker is not None,
        "chats": tuple(chat.chat_id for chat in changed_chats if chat.type != "CHAT"),
    }
    following, more = paginator.model_copy(update=changes).next()
    return Page((), wire.dump(following), more)


async def _chat_page(api: Api, c: Credentials, paginator: MessagePaginator, since_ms: int) -> Page[RemoteMessage]:
    """The next messages of the first of `paginator.chats`, back to what earlier scans have read."""
    bound = max(paginator.read_up_to, since_ms)
    query = {"count": str(MESSAGES_PAGE)}
    query |= {"to": str(bound)} if bound else {}
    query |= {} if paginator.until is None else {"from": str(paginator.until)}
    path = f"messages/{quote(paginator.chats[0], safe=':')}"
    try:
        messages = (await api.graph(c, ok.MESSAGES, path, query)).messages
    except Gone:  # only this chat: the others are still to be read
        messages = ()
    except PlatformError as error:
        if error.may_be_one_items:
            following, more = paginator.model_copy(update={"chats": paginator.chats[1:], "until": None}).next()
            retry = wire.dump(paginator.only_chat())
            error.bypass = Bypass(wire.dump(following), paginator.chats[0], retry, complete=not more)
        raise
    dated = [(shape, shape.timestamp) for shape in messages if shape.timestamp is not None]
    if len(dated) < len(messages):
        wire.left_out(len(messages) - len(dated), "a message's moment is out of bounds")
    times = [milliseconds(at) for _, at in dated]
    items = tuple(
        translate.message(shape, at, guards.community_id(c))
        for shape, at in dated
        if milliseconds(at) >= bound and translate.is_by_person(shape)
    )
    if len(messages) < MESSAGES_PAGE or not times or min(times) < bound:
        following, more = paginator.model_copy(update={"chats": paginator.chats[1:], "until": None}).next()
        return Page(items, wire.dump(following), more)
    # The same time again: several messages may share it, before and after the page's end.
    until = min(times) if min(times) != paginator.until else min(times) - 1
    return Page(items, wire.dump(paginator.model_copy(update={"until": until})), more=True)
