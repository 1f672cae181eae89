"""From Mastodon's shapes to what every platform has."""

from collections.abc import Mapping, Sequence
from typing import Final

from app.platforms import markup
from app.platforms.contract import (
    MessageKind,
    Metric,
    MetricStatus,
    PostMetrics,
    RemoteMessage,
    RemotePerson,
    RemotePost,
)
from app.platforms.mastodon.wire_models import Counted, Status


def text(status: Status) -> str:
    """What it says, below its content warning if it has one."""
    warning, body = (status.spoiler_text or "").strip(), markup.plain_text(status.content or "")
    return f"{warning}\n\n{body}".strip() if warning else body


GIVEN: Final = frozenset({Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES, Metric.QUOTES})


def counted(status: Counted) -> PostMetrics:
    """Its counters, as far as the server counts them."""
    counts = {
        Metric.REACTIONS: status.favourites_count,
        Metric.COMMENTS: status.replies_count,
        Metric.SHARES: status.reblogs_count,
        Metric.QUOTES: status.quotes_count,
    }
    counters = {metric: count for metric, count in counts.items() if count is not None}
    missing = {metric: MetricStatus.UNSUPPORTED for metric in Metric if metric not in counters}
    return PostMetrics(status.id, counters, missing)


def unclear(post_id: str) -> PostMetrics:
    """Of a post that is there, and of which nothing else is understood."""
    missing = {m: MetricStatus.ERROR if m in GIVEN else MetricStatus.UNSUPPORTED for m in Metric}
    return PostMetrics(post_id, {}, missing)


def gone(post_id: str) -> PostMetrics:
    """Of a post that is not there any more."""
    return PostMetrics(post_id, {}, gone=True)


def post(status: Status) -> RemotePost:
    """A status of the community's own."""
    return RemotePost(
        external_id=status.id,
        url=status.url or status.uri,
        text=text(status),
        published_at=status.created_at,
        metrics=counted(status),
        edited_at=status.edited_at,
    )


def message(
    status: Status, kind: MessageKind, thread_id: str, community_id: str, post_id: str | None = None
) -> RemoteMessage:
    """A status of anybody's, as part of a thread."""
    author = status.account
    return RemoteMessage(
        external_id=status.id,
        thread_id=thread_id,
        kind=kind,
        author=RemotePerson(
            external_id=author.id,
            name=author.display_name or author.acct,
            url=author.url,
            is_community=author.id == community_id,
        ),
        text=text(status),
        sent_at=status.created_at,
        url=status.url or status.uri,
        post_id=post_id,
        in_reply_to=status.in_reply_to_id,
        edited_at=status.edited_at,
    )


def direct(status: Status, customer: str, community_id: str) -> RemoteMessage:
    """A direct status: one thread for each customer."""
    return message(status, MessageKind.MESSAGE, f"direct:{customer}", community_id)


def comment(status: Status, chain: Sequence[Status], post_id: str, community_id: str) -> RemoteMessage:
    """A comment; `chain` leads from it up to the comment that stands right below the post.

    One thread is one customer below one such comment. What the community writes belongs to the
    customer nearest above it.
    """
    customer = next((s.account.id for s in chain if s.account.id != community_id), community_id)
    thread_id = f"comment:{chain[-1].id}:{customer}"
    return message(status, MessageKind.COMMENT, thread_id, community_id, post_id)


def chain(status: Status, by_id: Mapping[str, Status]) -> list[Status]:
    """A comment and those above it, upward; it ends early where one is missing."""
    upward = [status]
    seen = {status.id}
    while (above := by_id.get(upward[-1].in_reply_to_id or "")) is not None and above.id not in seen:
        upward.append(above)
        seen.add(above.id)
    return upward
