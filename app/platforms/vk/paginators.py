"""How far VK's lists have been read: what its cursors hold."""

from datetime import datetime

from app.platforms import offsets, wire
from app.platforms.vk import wire_models as vk


class WallPaginator(wire.Shape):
    """Reads the wall down to what an earlier walk has seen, which is everything from `known` on."""

    at: offsets.Position = offsets.Position()
    newest: wire.Count | None = None
    known: wire.Count | None = None


class CommentPaginator(wire.Shape):
    """Reads the comments below a post, then those answers that are too many to come with them."""

    at: offsets.Position = offsets.Position()
    read: bool = False
    threads: tuple[wire.Count, ...] = ()
    inside: offsets.Position = offsets.Position()


class MessagePaginator(wire.Shape):
    """Reads messages by passes over the list of conversations, newest first.

    Every message up to `known` was read by earlier walks. A pass reads the conversations whose last
    message is above `floor`, each down to `known`. One that gets a message meanwhile jumps to the
    top, past us; it then stands above `pass_start`, where the pass began, and the next pass, with that as
    its floor, reads it. A pass that finds nothing proves everything up to its floor to be read.
    """

    known: wire.Count = 0
    floor: wire.Count = 0
    pass_start: wire.Count | None = None
    at: offsets.Position = offsets.Position()
    read: bool = False
    peers: tuple[wire.Number, ...] = ()
    inside: offsets.Position = offsets.Position()


def sort_key(item: vk.ConversationItem) -> offsets.SortKey:
    """Where a conversation stands in the list: its last message's id, then its peer's."""
    return item.conversation.last_message_id, item.conversation.peer.id


def is_new(item: vk.ConversationItem, floor: int, since: datetime | None) -> bool:
    """Whether it has a message above `floor` that is not older than wanted."""
    too_old = since is not None and item.last_message is not None and item.last_message.date < since
    return item.conversation.last_message_id > floor and not too_old


def next_pass(paginator: MessagePaginator) -> MessagePaginator:
    """When the list is read and no conversation waits, the next pass starts where this one did."""
    if not paginator.read or paginator.peers:
        return paginator
    return MessagePaginator(known=paginator.known, floor=paginator.pass_start or paginator.floor)
