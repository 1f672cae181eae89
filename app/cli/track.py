"""`instep track`: reads a public community through its adapter, without storing anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.table import Table

from app.cli.console import console, step
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

ENGAGEMENT = (Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES, Metric.QUOTES, Metric.SAVES)


class CannotTrack(Exception):
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
    reasons = []
    for adapter_class in adapters().values():
        try:
            address = adapter_class.address(text)
        except ValueError as error:
            reasons.append(f"{adapter_class.spec.title}: {error} Example: {adapter_class.spec.address_hint}")
            continue
        if adapter_class.spec.public:
            return adapter_class, address
        reasons.append(f"{adapter_class.spec.title} shows nothing without a token; connect it through the API instead.")
    raise CannotTrack("\n  ".join((f"{text} is not an address of a community:", *reasons)))


async def read_public(text: str, *, allow: Sequence[str] = ()) -> PublicCommunity:
    """Read a community and its newest posts.

    Raises:
        CannotTrack: the platform did not answer, or has no such community.
    """
    adapter_class, address = recognise(text)
    base_url = address.base_url or adapter_class.spec.base_url
    assert base_url is not None, f"{adapter_class.spec.key} gives no base URL"
    credentials = Credentials(address=address.canonical, base_url=base_url)
    async with client(allow=allow) as http:
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
    size = "hidden" if public.community.size is None else f"{public.community.size:,}"
    console.print(f"[bold]{public.community.title}[/]  {public.community.url}")
    console.print(f"{size} followers, {len(public.posts)} newest posts, as of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    if not public.posts:
        return
    metrics = [metric for metric in Metric if any(metric in post.metrics.counters for post in public.posts)]
    table = Table("published", "post", *(metric.value for metric in metrics), box=None, header_style="bold")
    table.columns[1].no_wrap = True
    for column in table.columns[2:]:
        column.justify = "right"
    for post in public.posts:
        counters = (post.metrics.counters.get(metric) for metric in metrics)
        excerpt = " ".join(post.text.split())[:48] or "(no text)"
        table.add_row(
            f"{post.published_at:%Y-%m-%d %H:%M}",
            excerpt,
            *("–" if count is None else f"{count:,}" for count in counters),
        )
    console.print(table)
    engagement = sum(post.metrics.counters.get(metric, 0) for post in public.posts for metric in ENGAGEMENT)
    console.print(f"engagement a post: {engagement / len(public.posts):,.1f}")
    step("to keep watching it, and to see KPIs: instep up, then POST /v1/communities")
