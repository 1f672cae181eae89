"""Reading the lists of a `ListsSeparately` adapter one after another, as one list."""

from collections.abc import Mapping
from datetime import datetime

from app.platforms import wire
from app.platforms.capabilities import ListsSeparately
from app.platforms.contract import Credentials, Page, RemoteMessage


class SequencePaginator(wire.Model):
    """Reads each list to its end, then the next one."""

    cursors: Mapping[wire.StorableText, wire.StorableText] = {}
    """By the list's name."""
    next_list: wire.StorableText = ""
    """The list that is read next; empty: the first."""


async def next_page(
    adapter: ListsSeparately, c: Credentials, cursor: str | None, since: datetime | None
) -> Page[RemoteMessage]:
    """The next page of the lists read in sequence: `Adapter.conversations` of such an adapter."""
    names = adapter.conversation_lists(c)
    if not names:
        return Page((), cursor, more=False)
    paginator = wire.load(SequencePaginator, cursor) or SequencePaginator()
    position = names.index(paginator.next_list) if paginator.next_list in names else 0
    name = names[position]
    page = await adapter.conversation_list(c, name, paginator.cursors.get(name), since)
    cursors = {**paginator.cursors, name: page.cursor or ""}
    following = position if page.more else position + 1
    next_list = names[following] if following < len(names) else ""
    return Page(page.items, wire.dump(SequencePaginator(cursors=cursors, next_list=next_list)), more=next_list != "")
