"""Direct messages, which Facebook and Instagram return in one form.

A thread is identified by its customer, because events name no thread.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from app.platforms import wire
from app.platforms.capabilities import ReplyTo
from app.platforms.contract import (
    Attachment,
    Bypass,
    Gone,
    MessageKind,
    Page,
    PlatformError,
    RemoteMessage,
    RemotePerson,
    SendReceipt,
)
from app.platforms.meta import attachments
from app.platforms.meta import wire_models as graph
from app.platforms.meta.calls import Calls, GraphAccess
from app.platforms.meta.errors import OutsideWindow
from app.platforms.meta.paginators import MessagePaginator, UnreadThread, page, page_query

REPLY_WINDOW: Final = timedelta(hours=24)
"""After a customer's message, in which any reply may be sent."""
PERSON_REPLY_WINDOW: Final = timedelta(days=7)
"""The same for a reply that a person wrote. It is sent with the tag `HUMAN_AGENT`, which Meta allows an application
after a review."""
THREADS_PAGE: Final = 25
WITH_THREAD: Final = 20
"""How many messages come with their thread: of older ones Meta returns only the id."""
MESSAGES_PAGE: Final = 50
MESSAGE_FIELDS: Final = f"id,created_time,from,to,message,{attachments.MESSAGE_FIELDS}"
THREAD_IDS: Final = "id,updated_time"
THREAD_FIELDS: Final = f"id,updated_time,participants,messages.limit({WITH_THREAD}){{{MESSAGE_FIELDS}}}"

IsOwn = Callable[[graph.Person], bool]
"""Whether an account is the community's own."""


async def messages_page(
    calls: Calls,
    access: GraphAccess,
    path: str,
    query: Mapping[str, str],
    is_own: IsOwn,
    cursor: str | None,
    since: datetime | None,
) -> Page[RemoteMessage]:
    """The next messages of a list of threads (see `MessagePaginator`)."""
    paginator = wire.load(MessagePaginator, cursor) or MessagePaginator()
    if paginator.unread_threads:
        return await _thread_page(calls, access, paginator, is_own, since)

    fields = THREAD_IDS if paginator.ids_only else THREAD_FIELDS

    async def fetch(after: str | None, limit: int) -> graph.Listing[graph.Thread]:
        return await calls.get(access, path, graph.THREADS, {**query, **page_query(fields, limit, after)})

    try:
        threads = await page(fetch, paginator, THREADS_PAGE)
    except PlatformError as error:
        # One thread may make the whole page fail; their ids can be read, and then each by itself.
        if error.may_be_one_items and not paginator.ids_only:
            error.bypass = Bypass(wire.dump(paginator.model_copy(update={"ids_only": True})))
        raise
    if threads is None:
        return Page((), wire.dump(paginator.from_start()), more=True)
    pass_start = paginator.pass_start or max((thread.updated_time for thread in threads.data), default=paginator.floor)
    bounds = [bound for bound in (paginator.floor, since) if bound is not None]
    new_threads = [thread for thread in threads.data if all(thread.updated_time >= bound for bound in bounds)]
    unread_threads = tuple(
        UnreadThread(id=thread.id, customer_id=_customer(thread.people, is_own), after=thread.latest_messages.after)
        for thread in new_threads
        if paginator.ids_only
        or (
            thread.latest_messages.after is not None
            and _continues(thread.latest_messages.data, paginator.read_up_to, since)
        )
    )
    items = tuple(
        message
        for thread in new_threads
        for message in _messages(
            thread.latest_messages.data, thread.id, _customer(thread.people, is_own), is_own, since
        )
    )
    read = threads.after is None or (len(threads.data) > 0 and threads.data[-1] not in new_threads)
    changed = {
        "pass_start": pass_start,
        "after": threads.after,
        "read": read,
        "unread_threads": unread_threads,
        "ids_only": False,
    }
    following, more = paginator.seen([thread.updated_time for thread in threads.data]).model_copy(update=changed).next()
    return Page(items, wire.dump(following), more)


async def _thread_page(
    calls: Calls, access: GraphAccess, paginator: MessagePaginator, is_own: IsOwn, since: datetime | None
) -> Page[RemoteMessage]:
    """The next messages of the first unread thread, back to what earlier scans have read."""
    thread = paginator.unread_threads[0]

    async def fetch(after: str | None, limit: int) -> graph.Listing[graph.Message]:
        query = page_query(MESSAGE_FIELDS, limit, after)
        return await calls.get(access, f"{thread.id}/messages", graph.MESSAGES, query)

    rest = paginator.unread_threads[1:]
    items: tuple[RemoteMessage, ...] = ()
    try:
        messages = await page(fetch, thread, MESSAGES_PAGE)
    except Gone:
        messages = graph.Listing[graph.Message](data=())
    except PlatformError as error:
        if error.may_be_one_items:
            following, more = paginator.model_copy(update={"unread_threads": rest}).next()
            retry = wire.dump(paginator.only_thread())
            error.bypass = Bypass(wire.dump(following), item=thread.id, retry=retry, complete=not more)
        raise
    if messages is None:
        rest = (thread.from_start(), *rest)
    else:
        items = tuple(_messages(messages.data, thread.id, thread.customer_id, is_own, since))
        if messages.after is not None and _continues(messages.data, paginator.read_up_to, since):
            rest = (thread.model_copy(update={"after": messages.after}), *rest)
    following, more = paginator.model_copy(update={"unread_threads": rest}).next()
    return Page(items, wire.dump(following), more)


def _continues(messages: Sequence[graph.Message], read_up_to: datetime | None, since: datetime | None) -> bool:
    """Whether older messages are still to be read. A message without a time is followed by none with one."""
    if not messages:
        return True
    oldest = messages[-1].created_time
    return oldest is not None and all(oldest >= bound for bound in (read_up_to, since) if bound is not None)


def _customer(participants: Sequence[graph.Person], is_own: IsOwn) -> str:
    return next((person.id for person in participants if not is_own(person)), "")


def _messages(
    messages: Sequence[graph.Message], thread: str, customer: str, is_own: IsOwn, since: datetime | None
) -> list[RemoteMessage]:
    """The messages of which Meta returns more than the id."""
    result = []
    for shape in messages:
        if shape.created_time is None or (since is not None and shape.created_time < since):
            continue
        customer_id = customer or _customer(shape.people, is_own) or f"unknown-{thread}"
        if shape.author is not None:
            author = person(shape.author, is_own)
        elif any(is_own(one) for one in shape.people):
            # A message sent to the community is a customer's, even where Meta no longer names the author.
            author = RemotePerson(customer_id, "")
        else:
            continue
        attached = attachments.of_message(shape.attachments, shape.shares)
        result.append(message(shape.id, customer_id, author, shape.message, shape.created_time, attached))
    return result


async def reply(
    calls: Calls, access: GraphAccess, path: str, to: ReplyTo, text: str, *, messaging_type: Mapping[str, str]
) -> SendReceipt:
    """Send a direct message; one that a person wrote more than 24 hours after the customer with a tag that says so.

    The window may also end just before the message arrives: what was refused for that was not sent, and is sent again
    with the tag.
    """
    form = {"recipient": json.dumps({"id": to.author.external_id}), "message": json.dumps({"text": text})}
    tagged = {**form, "messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
    if to.late and to.by_person:
        sent = await calls.change(access, path, graph.SENT_MESSAGE, tagged)
    else:
        try:
            sent = await calls.change(access, path, graph.SENT_MESSAGE, {**form, **messaging_type})
        except OutsideWindow:
            if not to.by_person:
                raise
            sent = await calls.change(access, path, graph.SENT_MESSAGE, tagged)
    return SendReceipt(external_id=sent.message_id)


def message(
    mid: str, customer: str, author: RemotePerson, text: str, at: datetime, attached: tuple[Attachment, ...] = ()
) -> RemoteMessage:
    return RemoteMessage(
        external_id=mid,
        thread_id=f"message-{customer}",
        kind=MessageKind.MESSAGE,
        author=author,
        text=text.strip(),
        sent_at=at,
        attachments=attached,
    )


def person(shape: graph.Person, is_own: IsOwn) -> RemotePerson:
    return RemotePerson(shape.id, shape.name or shape.username, is_community=is_own(shape))
