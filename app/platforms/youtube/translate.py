"""YouTube's wire models as the contract's types, and addresses as people type them."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from app.platforms.addresses import on_site
from app.platforms.contract import (
    CommunitySnapshot,
    MessageKind,
    Metric,
    MetricStatus,
    PostMetrics,
    RemoteMessage,
    RemotePerson,
    RemotePost,
)
from app.platforms.spec import OF_MENTIONS, OF_MESSAGES, NativeChange
from app.platforms.youtube import wire_models as youtube

NO_CHANGES: Final = OF_MENTIONS | OF_MESSAGES | {NativeChange.COMMENT_HIDDEN}
"""There are neither mentions nor messages, and a comment held for review is not listed."""

SITE: Final = "https://www.youtube.com"
HOSTS: Final = frozenset({"youtube.com", "www.youtube.com", "m.youtube.com"})
CHANNEL: Final = re.compile(r"UC[A-Za-z0-9_-]{22}")
HANDLE: Final = re.compile(r"@[\w.·-]{2,60}")
NAMED: Final = re.compile(r"/(channel|c|user)/([^/]+)(?:/[a-z]+)?/?")
BY_HANDLE: Final = re.compile(r"/(@[^/]+)(?:/[a-z]+)?/?")
"""An address may be copied with a tab of the channel's page: `/@name/videos`."""
MENTION: Final = re.compile(r"\s*(@[\w.·-]+)")


def canonical(text: str) -> str | None:
    """The canonical address of a channel; None for a text that is no such address."""
    text = text.strip()
    if CHANNEL.fullmatch(text):
        return f"{SITE}/channel/{text}"
    if HANDLE.fullmatch(text):
        return f"{SITE}/{text.lower()}"
    url = on_site(text, HOSTS)
    if url is None:
        return None
    path = unquote(url.path)
    if (handle := BY_HANDLE.fullmatch(path)) is not None:
        return f"{SITE}/{handle[1].lower()}" if HANDLE.fullmatch(handle[1]) else None
    if (named := NAMED.fullmatch(path)) is None:
        return None
    if named[1] == "channel":
        return f"{SITE}/channel/{named[2]}" if CHANNEL.fullmatch(named[2]) else None
    return f"{SITE}/{named[1]}/{named[2].lower()}" if HANDLE.fullmatch(f"@{named[2]}") else None


def lookup(address: str) -> Mapping[str, str]:
    """The parameters of `channels.list` for a canonical address.

    Unverified: that a custom address (`/c/name`) has become the handle of the same name, as YouTube announced; there
    is no cheaper way to look one up.
    """
    kind, _, name = address.removeprefix(f"{SITE}/").rpartition("/")
    return {"channel": {"id": name}, "user": {"forUsername": name}}.get(kind, {"forHandle": f"@{name.lstrip('@')}"})


def community(channel: youtube.Channel) -> CommunitySnapshot:
    handle = channel.snippet.handle or ""
    return CommunitySnapshot(
        external_id=channel.id,
        title=channel.snippet.title,
        url=f"{SITE}/{handle}" if handle.startswith("@") else f"{SITE}/channel/{channel.id}",
        size=None if channel.statistics.hidden else channel.statistics.subscribers,
    )


def metrics(video: youtube.Counted) -> PostMetrics:
    """A video's counters. One that the channel's owner has switched off is absent, and so unsupported."""
    statistics = video.statistics
    counts = {Metric.VIEWS: statistics.views, Metric.REACTIONS: statistics.likes, Metric.COMMENTS: statistics.comments}
    counters = {metric: count for metric, count in counts.items() if count is not None}
    return PostMetrics(video.id, counters, {m: MetricStatus.UNSUPPORTED for m in Metric if m not in counters})


def post(video: youtube.Video) -> RemotePost:
    return RemotePost(
        external_id=video.id,
        url=f"{SITE}/watch?v={video.id}",
        text=f"{video.snippet.title}\n\n{video.snippet.description}".strip(),
        published_at=video.snippet.published_at,
        metrics=metrics(video),
    )


def message(
    comment: youtube.Comment,
    root_id: str,
    root_author: str,
    author_ids: Mapping[str, str],
    post_id: str | None,
    own_id: str,
) -> RemoteMessage:
    """A comment, or an answer below the comment `root_id` by `root_author`.

    A thread is what one customer wrote below one such comment, with the replies: what the community writes belongs to
    the customer whom it mentions, if `author_ids` (channel ids by name) has the name, else to `root_author`.
    """
    snippet = comment.snippet
    customer = comment.author
    if customer == own_id:
        mention = MENTION.match(snippet.text)
        customer = author_ids.get(mention[1], root_author) if mention is not None else root_author
    edited = snippet.updated_at if snippet.updated_at != snippet.published_at else None
    url = f"{SITE}/watch?v={post_id}&lc={comment.id}" if post_id is not None else f"{SITE}/channel/{own_id}"
    return RemoteMessage(
        external_id=comment.id,
        thread_id=f"{root_id}:{customer}",
        kind=MessageKind.COMMENT,
        author=RemotePerson(comment.author, snippet.author, snippet.author_url, is_community=comment.author == own_id),
        text=snippet.text.strip(),
        sent_at=snippet.published_at,
        url=url,
        post_id=post_id,
        in_reply_to=root_id if comment.id != root_id else None,
        edited_at=edited,
    )


def thread(thread_model: youtube.Thread, own_id: str) -> list[RemoteMessage]:
    """A comment, and the answers that came with it."""
    root, post_id = thread_model.snippet.root_comment, thread_model.snippet.video_id
    return [
        message(comment, root.id, root.author, thread_model.author_ids, post_id, own_id)
        for comment in (root, *thread_model.replies.comments)
    ]
