"""`instep track`: reads a public community through its adapter, without storing anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.markup import escape

from app.cli.console import console, step, table
from app.cli.options import CommandFailed
from app.kit.http import client
from app.platforms import adapters
from app.platforms.contract import (
    Adapter,
    Address,
    CommunitySnapshot,
    Credentials,
    Metric,
    PlatformError,
    RemotePost,
)
from app.settings import Settings

ENGAGEMENT = (Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES, Metric.QUOTES, Metric.SAVES)


class CannotTrack(CommandFailed):
    """This address cannot be read; the message says why."""


@dataclass(frozen=True)
class PublicCommunity:
    """A public community and its newest posts."""

    community: CommunitySnapshot
    posts: Sequence[RemotePost]


def recognise(text: str) -> tuple[type[Adapter], Address]:
    """The adapter of the platform that this address belongs to, and the parsed address.

    Raises:
        CannotTrack: it is of no platform, or of one that shows nothing without a token.
    """
    examples, closed = [], []
    for adapter_class in adapters().values():
        spec = adapter_class.spec
        try:
            address = adapter_class.address(text)
        except ValueError:
            examples.append(f"  {spec.title:<14} {spec.address_hint}")
            continue
        if spec.public:
            return adapter_class, address
        closed.append(spec.title)
    if closed and "." in text:  # a bare name would be one on several platforms
        raise CannotTrack(f"{closed[0]} shows nothing without a token: connect it through the API instead.")
    raise CannotTrack("\n".join((f"{text} is not an address of a community. Examples:", *examples)))


async def read_public(text: str, settings: Settings, *, allow: Sequence[str] = ()) -> PublicCommunity:
    """Read a community and its newest posts, as a worker with these settings would.

    `allow`: more `host:port` pairs that may be private.

    Raises:
        CannotTrack: the platform did not answer, or has no such community.
    """
    adapter_class, address = recognise(text)
    base_url = settings.platform_urls.get(adapter_class.spec.key) or address.base_url or adapter_class.spec.base_url
    assert base_url is not None, f"{adapter_class.spec.key} gives no base URL"
    credentials = Credentials(address=address.canonical, base_url=base_url)
    async with client(allow=[*settings.outbound_allow, *allow]) as http:
        adapter = adapter_class(http)
        try:
            community = await adapter.community(credentials)
            with_id = Credentials(address=address.canonical, base_url=base_url, external_id=community.external_id)
            page = await adapter.posts(with_id, None)
        except PlatformError as error:
            raise CannotTrack(f"{adapter_class.spec.title}: {error.message}") from None
    return PublicCommunity(community, page.items)


def show(public: PublicCommunity) -> None:
    """Print a community; a metric that the platform does not give is a dash, not 0."""
    size = "an unknown number of" if public.community.size is None else f"{public.community.size:,}"
    console.print(f"[bold]{escape(public.community.title)}[/]  {escape(public.community.url)}")
    count = len(public.posts)
    console.print(
        f"{size} followers, {count} newest {'post' if count == 1 else 'posts'}, "
        f"as of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    )
    if not public.posts:
        return
    console.print()
    metrics = [metric for metric in Metric if any(metric in post.metrics.counters for post in public.posts)]
    rows = [
        (
            f"{post.published_at:%Y-%m-%d %H:%M}",
            " ".join(post.text.split()) or "(no text)",
            *(short(post.metrics.counters.get(metric)) for metric in metrics),
        )
        for post in public.posts
    ]
    heads = ("published", "post", *(metric.value for metric in metrics))
    table(heads, rows, right=range(2, len(heads)), shrinks=1)
    engagement = sum(post.metrics.counters.get(metric, 0) for post in public.posts for metric in ENGAGEMENT)
    console.print()
    console.print(f"engagement a post: {engagement / len(public.posts):,.1f}")
    step("to keep watching it, and to see KPIs: instep up, then POST /v1/communities")


def short(count: int | None) -> str:
    """A counter in six characters at most: `12,345`, `1.2M`; a dash where the platform does not give it."""
    if count is None:
        return "–"
    for unit, length in (("B", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= 100 * length or (unit != "k" and count >= length):
            return f"{count / length:.1f}{unit}"
    return f"{count:,}"
