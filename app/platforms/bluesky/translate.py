"""From Bluesky's shapes to what every platform has, and from what people type to accounts."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qs

from app.platforms import wire
from app.platforms.addresses import on_site
from app.platforms.bluesky.paginators import PendingConversation
from app.platforms.bluesky.records import NAME
from app.platforms.bluesky.wire_models import (
    INVALID_COUNTER,
    Author,
    Counted,
    FeedEntry,
    Message,
    Notification,
    Post,
    Profile,
    Record,
    Thread,
)
from app.platforms.contract import (
    Address,
    CommunitySnapshot,
    MessageKind,
    Metric,
    MetricStatus,
    PostMetrics,
    RemoteMessage,
    RemotePerson,
    RemotePost,
)

SITE: Final = "https://bsky.app"
HOSTS: Final = frozenset({"bsky.app"})
HOME: Final = "bsky.social"
UNSET: Final = datetime(1970, 1, 2, tzinfo=UTC)
NO_HANDLE: Final = "handle.invalid"
"""Shown where an account's handle does not lead to it (any more)."""
HANDLE: Final = re.compile(NAME)
DID: Final = re.compile(r"did:plc:[a-z2-7]{24}|did:web:[A-Za-z0-9.-]{1,253}")
PROFILE: Final = re.compile(r"/profile/([^/]+)/?")
SERVER: Final = re.compile(rf"(?:{NAME})(?::\d{{1,5}})?")

# ── accounts ──────────────────────────────────────────────────────────────────────────────────────


def address(text: str) -> Address | None:
    """An account, and its own server if it is not on Bluesky's; None for what is no address."""
    actor, server = _split(text.strip())
    if HANDLE.fullmatch(actor) is not None:
        actor = actor.lower()
    elif DID.fullmatch(actor) is None:
        return None
    if server and SERVER.fullmatch(server) is None:
        return None
    server = server.lower()
    if server in {"", HOME}:
        return Address(canonical=f"{SITE}/profile/{actor}")
    return Address(canonical=f"{SITE}/profile/{actor}?pds={server}", base_url=f"https://{server}")


def actor(canonical: str) -> str:
    """The handle or DID in an address."""
    return _split(canonical)[0]


def _split(text: str) -> tuple[str, str]:
    if "/" not in text:
        actor, _, server = text.removeprefix("@").partition("@")
        return actor, server
    url = on_site(text, HOSTS)
    path = PROFILE.fullmatch(url.path) if url is not None else None
    if url is None or path is None:
        return "", ""
    return path[1], parse_qs(url.query).get("pds", [""])[-1]


def community(profile: Profile) -> CommunitySnapshot:
    name = profile.did if profile.handle in {"", NO_HANDLE} else profile.handle
    return CommunitySnapshot(
        external_id=profile.did,
        title=profile.display_name or name,
        url=f"{SITE}/profile/{name}",
        size=profile.followers_count,
    )


def person(author: Author, own_id: str) -> RemotePerson:
    """Linked by DID, for a handle may become somebody else's."""
    return RemotePerson(
        external_id=author.did,
        name=author.display_name or author.handle or author.did,
        url=f"{SITE}/profile/{author.did}",
        is_community=author.did == own_id,
    )


# ── posts ─────────────────────────────────────────────────────────────────────────────────────────


def owner(uri: str) -> str:
    """In whose repository a record is."""
    return uri.removeprefix("at://").partition("/")[0]


def url(uri: str) -> str:
    """Where people read a post."""
    _, _, did, _, rkey = uri.split("/")
    return f"{SITE}/profile/{did}/post/{rkey}"


def moment(record: Record, indexed_at: datetime) -> datetime:
    """When something was written: Bluesky's own rule, for anybody may write any date into a record.

    What a clock shows that was never set (1970, or the first year) is not told at all.
    """
    claimed = wire.iso_date(record.created_at)
    return indexed_at if claimed is None or claimed < UNSET else min(claimed, indexed_at)


def feed_time(entry: FeedEntry) -> datetime:
    """When an entry came into a feed."""
    reposted = None if entry.reason is None else entry.reason.indexed_at
    return moment(entry.post.record, entry.post.indexed_at) if reposted is None else reposted


def counted(post: Counted) -> PostMetrics:
    """Its counters; those that an older server does not count are unsupported, one that is no number is an error."""
    counts = {
        Metric.REACTIONS: post.like_count,
        Metric.COMMENTS: post.reply_count,
        Metric.SHARES: post.repost_count,
        Metric.QUOTES: post.quote_count,
        Metric.SAVES: post.bookmark_count,
    }
    counters = {metric: count for metric, count in counts.items() if count is not None and count != INVALID_COUNTER}
    missing = {
        metric: MetricStatus.ERROR if counts.get(metric) == INVALID_COUNTER else MetricStatus.UNSUPPORTED
        for metric in Metric
        if metric not in counters
    }
    return PostMetrics(post.uri, counters, missing)


def post(post: Post) -> RemotePost:
    """A post of the community's own. Bluesky knows no editing."""
    return RemotePost(
        external_id=post.uri,
        url=url(post.uri),
        text=post.record.text,
        published_at=moment(post.record, post.indexed_at),
        metrics=counted(post),
    )


# ── conversations ─────────────────────────────────────────────────────────────────────────────────


def notification(notice: Notification, own_id: str) -> RemoteMessage:
    """An answer, a mention or a quotation. Below a post of ours it is a comment, else a mention."""
    reply = notice.record.reply
    root = notice.uri if reply is None else reply.root.uri
    ours = reply is not None and root.startswith(f"at://{own_id}/")
    kind = MessageKind.COMMENT if ours else MessageKind.MENTION
    return _written(notice, kind, f"{kind}:{root}:{notice.author.did}", own_id, root if ours else None)


def comments(root_post: Thread, post_id: str, own_id: str) -> Iterator[RemoteMessage]:
    """Everything below a post. One thread is one customer below it; what we write belongs to the customer above."""
    waiting = [(root_post, own_id)]
    while waiting:
        node, customer = waiting.pop()
        if node.post is not None:
            author = node.post.author.did
            if author != own_id:
                customer = author
            elif customer == own_id and (reply := node.post.record.reply) is not None and node is root_post:
                customer = owner(reply.parent.uri)
            if node is not root_post:
                yield _written(node.post, MessageKind.COMMENT, f"comment:{post_id}:{customer}", own_id, post_id)
        waiting.extend((reply, customer) for reply in reversed(node.replies or ()))


def truncated_replies(root_post: Thread, depth: int) -> Iterator[str]:
    """Posts at the depth that was asked for, which have answers that are not shown."""
    level = [root_post]
    for _ in range(depth):
        level = [reply for node in level for reply in node.replies or ()]
    for node in level:
        if node.post is not None and node.post.reply_count and not node.replies:
            yield node.post.uri


def _written(
    what: Post | Notification, kind: MessageKind, thread: str, own_id: str, post_id: str | None
) -> RemoteMessage:
    reply = what.record.reply
    return RemoteMessage(
        external_id=what.uri,
        thread_id=thread,
        kind=kind,
        author=person(what.author, own_id),
        text=what.record.text,
        sent_at=moment(what.record, what.indexed_at),
        url=url(what.uri),
        post_id=post_id,
        in_reply_to=None if reply is None else reply.parent.uri,
    )


# ── direct messages ───────────────────────────────────────────────────────────────────────────────

DIRECT: Final = "direct:"


def convo_of(thread_id: str) -> str:
    """The conversation of a thread of direct messages."""
    return thread_id.removeprefix(DIRECT)


def message_id(convo: str, message: str) -> str:
    return f"{convo}/{message}"


def message(message: Message, conversation: PendingConversation, own_id: str) -> RemoteMessage | None:
    """A direct message; None for what the chat itself says."""
    if message.sender is None:
        return None
    did = message.sender.did
    return RemoteMessage(
        external_id=message_id(conversation.id, message.id),
        thread_id=f"{DIRECT}{conversation.id}",
        kind=MessageKind.MESSAGE,
        author=RemotePerson(
            did, conversation.name if did == conversation.did else "", f"{SITE}/profile/{did}", did == own_id
        ),
        text=message.text or "",
        sent_at=message.sent_at,
        deleted=message.text is None,
    )
