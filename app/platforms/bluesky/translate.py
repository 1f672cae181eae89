"""Bluesky's wire models as the contract's types, and addresses as people type them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qs

from app.kit.hosts import ascii_host
from app.platforms import dates, wire
from app.platforms.addresses import on_site
from app.platforms.bluesky import attachments
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
    thread_of_answers,
)
from app.platforms.spec import BY_LIST, NativeChange

CHANGES: Final = {NativeChange.ANSWER_TO_MESSAGE: BY_LIST}
"""What shows changes made on the platform itself, besides reading comments and posts again."""
NO_CHANGES: Final = frozenset(
    {
        *(NativeChange.COMMENT_EDITED, NativeChange.MENTION_EDITED),
        *(NativeChange.MESSAGE_EDITED, NativeChange.POST_EDITED),
    }
)
"""Nothing can be edited."""

SITE: Final = "https://bsky.app"
HOSTS: Final = frozenset({"bsky.app"})
DEFAULT_SERVER: Final = "bsky.social"
CLOCK_UNSET: Final = datetime(1970, 1, 2, tzinfo=UTC)
"""A date before this one was written by a clock that was never set."""
NO_HANDLE: Final = "handle.invalid"
"""In place of a handle that does not resolve to its account (any more)."""
HANDLE: Final = re.compile(NAME)
DID: Final = re.compile(r"did:plc:[a-z2-7]{24}|did:web:[A-Za-z0-9.-]{1,253}")
PROFILE: Final = re.compile(r"/profile/([^/]+)/?")
SERVER: Final = re.compile(rf"(?:{NAME})(?::\d{{1,5}})?")

# ── accounts ──────────────────────────────────────────────────────────────────────────────────────


def address(text: str) -> Address | None:
    """An account, and its server if that is not Bluesky's; None for a text that is no address."""
    actor, server = _split(text.strip())
    if not (actor + server).isascii():
        actor, server = ascii_host(actor) or "", ascii_host(server) or ""
    if HANDLE.fullmatch(actor) is not None:
        actor = actor.lower()
    elif DID.fullmatch(actor) is None:
        return None
    if server and SERVER.fullmatch(server) is None:
        return None
    server = server.lower()
    if server in {"", DEFAULT_SERVER}:
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
    """The author of something. The URL contains the DID, because a handle may pass to another account."""
    return RemotePerson(
        external_id=author.did,
        name=author.display_name or author.handle or author.did,
        url=f"{SITE}/profile/{author.did}",
        is_community=author.did == own_id,
    )


# ── posts ─────────────────────────────────────────────────────────────────────────────────────────


def owner(uri: str) -> str:
    """The DID of the account whose repository holds a record."""
    return uri.removeprefix("at://").partition("/")[0]


def url(uri: str) -> str:
    """The URL of a post for people."""
    _, _, did, _, rkey = uri.split("/")
    return f"{SITE}/profile/{did}/post/{rkey}"


def moment(record: Record, indexed_at: datetime) -> datetime:
    """When something was written, by Bluesky's own rule: `createdAt`, unless it is later than the indexing.

    An author's software may write any date into a record; that of a clock which was never set is ignored.
    """
    created_at = wire.iso_date(record.created_at)
    return indexed_at if created_at is None or created_at < CLOCK_UNSET else min(created_at, indexed_at)


def feed_time(entry: FeedEntry) -> datetime:
    """The time by which a feed lists an entry: that of the repost, for a repost."""
    reposted = None if entry.reason is None else entry.reason.indexed_at
    return moment(entry.post.record, entry.post.indexed_at) if reposted is None else reposted


def metrics(post: Counted) -> PostMetrics:
    """A post's counters. One that an older server does not send is unsupported, one that is no number an error."""
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
    """A post of the community's own. Posts cannot be edited on Bluesky."""
    return RemotePost(
        external_id=post.uri,
        url=url(post.uri),
        text=post.record.text,
        published_at=moment(post.record, post.indexed_at),
        metrics=metrics(post),
    )


def posts(entries: Iterable[FeedEntry], since: datetime | None) -> tuple[RemotePost, ...]:
    """Those of the account's own entries of its feed that are posts, from `since` on."""
    made = (post(entry.post) for entry in entries if entry.post.record.reply is None)
    return tuple(one for one in made if since is None or one.published_at >= since)


# ── conversations ─────────────────────────────────────────────────────────────────────────────────


def answers(entries: Iterable[FeedEntry], own_id: str) -> Iterator[RemoteMessage]:
    """Those of the account's own entries of its feed that are answers, each in the thread of what it answers."""
    for entry in entries:
        reply = entry.post.record.reply
        if reply is not None:
            thread_id = thread_of_answers(reply.parent.uri)
            answer = _remote_message(entry.post, MessageKind.MENTION, thread_id, own_id, None)
            yield replace(answer, guesses_thread=True)


def notification(notice: Notification, own_id: str) -> RemoteMessage:
    """An answer, a mention or a quote: a comment if it is below a post of the community's own, else a mention."""
    reply = notice.record.reply
    root_uri = notice.uri if reply is None else reply.root.uri
    below_own_post = reply is not None and root_uri.startswith(f"at://{own_id}/")
    kind = MessageKind.COMMENT if below_own_post else MessageKind.MENTION
    thread_id = f"{kind}:{root_uri}:{notice.author.did}"
    return _remote_message(notice, kind, thread_id, own_id, root_uri if below_own_post else None)


def comments(root_post: Thread, post_id: str, own_id: str) -> Iterator[RemoteMessage]:
    """All answers below a post. A thread is what one customer wrote there, with the replies: what the community writes
    belongs to the customer above it.
    """
    pending = [(root_post, own_id)]
    while pending:
        node, customer = pending.pop()
        if node.post is not None:
            author = node.post.author.did
            if author != own_id:
                customer = author
            elif customer == own_id and (reply := node.post.record.reply) is not None and node is root_post:
                customer = owner(reply.parent.uri)
            if node is not root_post:
                yield _remote_message(node.post, MessageKind.COMMENT, f"comment:{post_id}:{customer}", own_id, post_id)
        pending.extend((reply, customer) for reply in reversed(node.replies or ()))


def truncated_replies(root_post: Thread, depth: int) -> Iterator[str]:
    """The posts at the requested depth that have answers, which are not in the response."""
    level = [root_post]
    for _ in range(depth):
        level = [reply for node in level for reply in node.replies or ()]
    for node in level:
        if node.post is not None and node.post.reply_count and not node.replies:
            yield node.post.uri


def _remote_message(
    item: Post | Notification, kind: MessageKind, thread_id: str, own_id: str, post_id: str | None
) -> RemoteMessage:
    reply = item.record.reply
    return RemoteMessage(
        external_id=item.uri,
        thread_id=thread_id,
        kind=kind,
        author=person(item.author, own_id),
        text=item.record.text,
        sent_at=dates.sent(wire.iso_date(item.record.created_at), item.indexed_at),
        url=url(item.uri),
        post_id=post_id,
        in_reply_to=None if reply is None else reply.parent.uri,
        attachments=attachments.read(item.record.embed, item.author.did),
    )


# ── direct messages ───────────────────────────────────────────────────────────────────────────────

DIRECT: Final = "direct:"


def convo_of(thread_id: str) -> str:
    """The conversation's id, from the thread id of its direct messages."""
    return thread_id.removeprefix(DIRECT)


def message_id(convo: str, message: str) -> str:
    return f"{convo}/{message}"


def message(message: Message, conversation: PendingConversation, own_id: str) -> RemoteMessage | None:
    """A direct message; None for a message of the chat's own."""
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
        attachments=attachments.read(message.embed, did),
    )
