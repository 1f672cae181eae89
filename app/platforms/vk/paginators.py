"""How far VK's lists have been read: the contents of the cursors."""

from datetime import datetime

from app.platforms import offsets, wire
from app.platforms.vk import wire_models as vk


class WallPaginator(wire.Model):
    """Reads the wall from the latest post back to `seen_until`. Dates are in seconds since 1970."""

    position: offsets.Position = offsets.Position()
    latest: wire.Count | None = None
    """The date of the latest post that this scan has seen."""
    seen_until: wire.Count | None = None
    """The date of the latest post that earlier scans have seen."""


class CommentPaginator(wire.Model):
    """Reads a post's comments of the first level; after each page, the threads that did not come whole with it."""

    position: offsets.Position = offsets.Position()
    list_done: bool = False
    pending_threads: tuple[wire.Count, ...] = ()
    """The ids of the comments whose answers are still to be read."""
    thread_position: offsets.Position = offsets.Position()
    """In the first of `pending_threads`."""

    def thread_done(self) -> "CommentPaginator":
        """The paginator once the first pending thread is read."""
        return self.model_copy(
            update={"pending_threads": self.pending_threads[1:], "thread_position": offsets.Position()}
        )


class MessagePaginator(wire.Model):
    """Reads messages in passes over the list of conversations, which is ordered by their last message, latest first.

    Message ids grow. All messages up to `read_until` were read by earlier scans. A pass reads the conversations
    whose last message is above `floor`, each back to `read_until`. A conversation that gets a message meanwhile
    moves to the head of the list, which is already read; its last message is then above `pass_start`, the highest
    id when the pass began, and the next pass, whose floor that is, reads it. A pass that finds no such conversation
    completes the scan: everything up to its floor is read.
    """

    read_until: wire.Count = 0
    floor: wire.Count = 0
    pass_start: wire.Count | None = None
    position: offsets.Position = offsets.Position()
    list_done: bool = False
    pending_peers: tuple[wire.Number, ...] = ()
    """The peers whose conversations are still to be read."""
    history_position: offsets.Position = offsets.Position()
    """In the conversation with the first of `pending_peers`."""

    def history_done(self) -> "MessagePaginator":
        """The paginator once the first pending conversation is read."""
        return self.model_copy(update={"pending_peers": self.pending_peers[1:], "history_position": offsets.Position()})

    def only_pending(self) -> "MessagePaginator":
        """A paginator that reads the first pending conversation from its start, and no other of this pass."""
        return self.model_copy(
            update={
                "pending_peers": self.pending_peers[:1],
                "history_position": offsets.Position(),
                "list_done": True,
            }
        )


def sort_key(item: vk.ConversationItem) -> offsets.SortKey:
    """A conversation's position in the list: the id of its last message, then that of its peer."""
    return item.conversation.last_message_id, item.conversation.peer.id


def is_new(item: vk.ConversationItem, floor: int, since: datetime | None) -> bool:
    """Whether it has a message above `floor`, and its last message is not older than `since`."""
    too_old = since is not None and item.last_message is not None and item.last_message.date < since
    return item.conversation.last_message_id > floor and not too_old


def next_pass(paginator: MessagePaginator) -> MessagePaginator:
    """The start of the next pass where this one is complete, else `paginator` itself."""
    if not paginator.list_done or paginator.pending_peers:
        return paginator
    return MessagePaginator(read_until=paginator.read_until, floor=paginator.pass_start or paginator.floor)
