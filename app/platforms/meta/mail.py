"""Direct messages, which Facebook and Instagram tell in the same form.

A thread is known by its customer, for that is all that events tell of it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from app.platforms import wire
from app.platforms.contract import Gone, MessageKind, Page, RemoteMessage, RemotePerson
from app.platforms.meta import wire_models as graph
from app.platforms.meta.calls import Calls, GraphAccess
from app.platforms.meta.paginators import MessagePaginator, UnreadThread, page, part

THREADS_PAGE = 25
WITH_THREAD = 20
"""How many messages come with their thread: of older ones Meta tells the id alone."""
MESSAGES_PAGE = 50
MESSAGE_FIELDS = "id,created_time,from,to,message"
THREAD_FIELDS = f"id,updated_time,participants,messages.limit({WITH_THREAD}){{{MESSAGE_FIELDS}}}"

Own = Callable[[graph.Person], bool]
"""Whether this is the community itself."""


async def step(
    calls: Calls,
    access: GraphAccess,
    path: str,
    query: Mapping[str, str],
    own: Own,
    cursor: str | None,
    since: datetime | None,
) -> Page[RemoteMessage]:
    """The next part of a walk over the messages of a list of threads."""
    paginator = wire.load(MessagePaginator, cursor) or MessagePaginator()
    if paginator.unread_threads:
        return await _inside(calls, access, paginator, own, since)

    async def ask(after: str | None, limit: int) -> graph.Listing[graph.Thread]:
        return await calls.get(access, path, graph.THREADS, {**query, **part(THREAD_FIELDS, limit, after)})

    threads = await page(ask, paginator, THREADS_PAGE)
    if threads is None:
        return Page((), wire.dump(paginator.from_start()), more=True)
    pass_start = paginator.pass_start or max((thread.updated_time for thread in threads.data), default=paginator.floor)
    bounds = [bound for bound in (paginator.floor, since) if bound is not None]
    new_threads = [thread for thread in threads.data if all(thread.updated_time >= bound for bound in bounds)]
    unread_threads = tuple(
        UnreadThread(id=thread.id, key=_customer(thread.people, own), after=thread.latest_messages.after)
        for thread in new_threads
        if thread.latest_messages.after is not None and _goes_on(thread.latest_messages.data, paginator.known, since)
    )
    items = tuple(
        message
        for thread in new_threads
        for message in _messages(thread.latest_messages.data, thread.id, _customer(thread.people, own), own, since)
    )
    read = threads.after is None or (len(threads.data) > 0 and threads.data[-1] not in new_threads)
    changed = {"pass_start": pass_start, "after": threads.after, "read": read, "unread_threads": unread_threads}
    following, more = paginator.seen([thread.updated_time for thread in threads.data]).model_copy(update=changed).next()
    return Page(items, wire.dump(following), more)


async def _inside(
    calls: Calls, access: GraphAccess, paginator: MessagePaginator, own: Own, since: datetime | None
) -> Page[RemoteMessage]:
    """The next messages of the first thread that goes on, back to what is known."""
    thread = paginator.unread_threads[0]

    async def ask(after: str | None, limit: int) -> graph.Listing[graph.Message]:
        query = part(MESSAGE_FIELDS, limit, after)
        return await calls.get(access, f"{thread.id}/messages", graph.MESSAGES, query)

    rest = paginator.unread_threads[1:]
    items: tuple[RemoteMessage, ...] = ()
    try:
        messages = await page(ask, thread, MESSAGES_PAGE)
    except Gone:
        messages = graph.Listing[graph.Message](data=())
    if messages is None:
        rest = (thread.from_start(), *rest)
    else:
        items = tuple(_messages(messages.data, thread.id, thread.key, own, since))
        if messages.after is not None and _goes_on(messages.data, paginator.known, since):
            rest = (thread.model_copy(update={"after": messages.after}), *rest)
    following, more = paginator.model_copy(update={"unread_threads": rest}).next()
    return Page(items, wire.dump(following), more)


def _goes_on(messages: Sequence[graph.Message], known: datetime | None, since: datetime | None) -> bool:
    """Whether there may be more below that is wanted; below one of which no time is told, there is nothing."""
    if not messages:
        return True
    oldest = messages[-1].created_time
    return oldest is not None and all(oldest >= bound for bound in (known, since) if bound is not None)


def _customer(participants: Sequence[graph.Person], own: Own) -> str:
    return next((person.id for person in participants if not own(person)), "")


def _messages(
    messages: Sequence[graph.Message], thread: str, customer: str, own: Own, since: datetime | None
) -> list[RemoteMessage]:
    """Messages of which more than the id is told."""
    found = []
    for shape in messages:
        if shape.created_time is None or (since is not None and shape.created_time < since):
            continue
        with_whom = customer or _customer(shape.people, own) or f"unknown-{thread}"
        if shape.author is not None:
            author = person(shape.author, own)
        elif any(own(one) for one in shape.people):
            # What was written to us is a customer's, also of one whom Meta does not show any more.
            author = RemotePerson(with_whom, "")
        else:
            continue
        found.append(message(shape.id, with_whom, author, shape.message, shape.created_time))
    return found


def message(mid: str, customer: str, author: RemotePerson, text: str, at: datetime) -> RemoteMessage:
    return RemoteMessage(
        external_id=mid,
        thread_id=f"message-{customer}",
        kind=MessageKind.MESSAGE,
        author=author,
        text=text.strip(),
        sent_at=at,
    )


def person(shape: graph.Person, own: Own) -> RemotePerson:
    return RemotePerson(shape.id, shape.name or shape.username, is_community=own(shape))
