"""Mastodon's wire models as the contract's types."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
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
    thread_of_answers,
)
from app.platforms.mastodon import attachments
from app.platforms.mastodon.wire_models import Counted, OwnStatus, Status
from app.platforms.spec import BY_LIST, NativeChange

CHANGES: Final = {NativeChange.ANSWER_TO_MESSAGE: BY_LIST}
"""What shows changes made on the platform itself, besides reading comments and posts again."""
NO_CHANGES: Final = frozenset({NativeChange.COMMENT_HIDDEN})
"""Comments cannot be hidden."""


def text(status: Status) -> str:
    """The status in plain text, after its content warning if it has one."""
    warning, body = (status.spoiler_text or "").strip(), markup.plain_text(status.content or "")
    return f"{warning}\n\n{body}".strip() if warning else body


COUNTED_METRICS: Final = frozenset({Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES, Metric.QUOTES})


def metrics(status: Counted) -> PostMetrics:
    """A status's counters; one that the server does not send is unsupported."""
    counts = {
        Metric.REACTIONS: status.favourites_count,
        Metric.COMMENTS: status.replies_count,
        Metric.SHARES: status.reblogs_count,
        Metric.QUOTES: status.quotes_count,
    }
    counters = {metric: count for metric, count in counts.items() if count is not None}
    missing = {metric: MetricStatus.UNSUPPORTED for metric in Metric if metric not in counters}
    return PostMetrics(status.id, counters, missing)


def unparsed_metrics(post_id: str) -> PostMetrics:
    """Those of a post that exists and cannot be parsed."""
    missing = {m: MetricStatus.ERROR if m in COUNTED_METRICS else MetricStatus.UNSUPPORTED for m in Metric}
    return PostMetrics(post_id, {}, missing)


def gone(post_id: str) -> PostMetrics:
    """Those of a deleted post."""
    return PostMetrics(post_id, {}, gone=True)


def post(status: OwnStatus) -> RemotePost:
    """A status of the community's own."""
    return RemotePost(
        external_id=status.id,
        url=status.url or status.uri,
        text=text(status),
        published_at=status.created_at,
        metrics=metrics(status),
        edited_at=status.edited_at,
    )


def posts(own: Iterable[OwnStatus]) -> tuple[RemotePost, ...]:
    """Those of the account's own statuses that are posts."""
    return tuple(post(one) for one in own if one.in_reply_to_id is None and one.visibility != "direct")


def message(
    status: Status,
    kind: MessageKind,
    thread_id: str,
    community_id: str,
    post_id: str | None = None,
    *,
    sent_at: datetime,
    dated_by_author: bool = False,
) -> RemoteMessage:
    """A status by any author, as part of a thread."""
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
        sent_at=sent_at,
        dated_by_author=dated_by_author,
        url=status.url or status.uri,
        post_id=post_id,
        in_reply_to=status.in_reply_to_id,
        edited_at=status.edited_at,
        attachments=attachments.read(status.media_attachments, status.poll),
    )


def direct(status: Status, customer: str, community_id: str, *, sent_at: datetime) -> RemoteMessage:
    """A direct status. Each customer has one thread."""
    return message(status, MessageKind.MESSAGE, f"direct:{customer}", community_id, sent_at=sent_at)


def own_message(status: OwnStatus, own_id: str) -> RemoteMessage | None:
    """One of the account's own statuses, as an answer to a customer; None where it is none.

    The thread of a direct one is its addressee's. That of another one is the thread of what it answers.
    """
    if status.visibility == "direct":
        customer = status.customer(own_id)
        return None if customer is None else direct(status, customer, own_id, sent_at=status.created_at)
    if status.in_reply_to_id is None:
        return None
    thread_id = thread_of_answers(status.in_reply_to_id)
    answer = message(status, MessageKind.MENTION, thread_id, own_id, sent_at=status.created_at)
    return replace(answer, guesses_thread=True)


def comment_thread(ancestry: Sequence[Status], community_id: str) -> str:
    """The thread of a comment. `ancestry` holds it and the comments above it, up to the one directly below the post.

    A thread is what one customer wrote below one such comment, with the replies: what the community writes belongs to
    the nearest customer above it.
    """
    customer = next((s.account.id for s in ancestry if s.account.id != community_id), community_id)
    return f"comment:{ancestry[-1].id}:{customer}"


def ancestry(status: Status, by_id: Mapping[str, Status]) -> list[Status]:
    """A comment and those above it, upwards, as far as they are in `by_id`."""
    statuses = [status]
    seen_ids = {status.id}
    while (parent := by_id.get(statuses[-1].in_reply_to_id or "")) is not None and parent.id not in seen_ids:
        statuses.append(parent)
        seen_ids.add(parent.id)
    return statuses
