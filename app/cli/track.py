"""`instep track`: a look at a public community, straight through its adapter, with nothing stored."""

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
    """Nothing can be shown of this address; the message says why."""


@dataclass(frozen=True)
class Look:
    """What a community shows of itself."""

    community: CommunitySnapshot
    posts: Sequence[RemotePost]


def recognise(text: str) -> tuple[type[Adapter], Address]:
    """The platform whose address this is.

    Raises:
        CannotTrack: no platform knows it, or the one that does shows nothing without a token.
    """
    reasons = []
    for kind in adapters().values():
        try:
            address = kind.address(text)
        except ValueError as error:
            reasons.append(f"{kind.spec.title}: {error} Example: {kind.spec.address_hint}")
            continue
        if kind.spec.public:
            return kind, address
        reasons.append(f"{kind.spec.title} shows nothing without a token; connect it through the API instead.")
    raise CannotTrack("\n  ".join((f"{text} leads nowhere:", *reasons)))


async def look(text: str, *, allow: Sequence[str] = ()) -> Look:
    """Read a community and its newest posts.

    Raises:
        CannotTrack: the platform did not answer, or not with a community.
    """
    kind, address = recognise(text)
    base_url = address.base_url or kind.spec.base_url
    assert base_url is not None, f"{kind.spec.key} gives no base URL"
    known = Credentials(address=address.canonical, base_url=base_url)
    async with client(allow=allow) as http:
        adapter = kind(http)
        try:
            community = await adapter.community(known)
            found = Credentials(address=address.canonical, base_url=base_url, external_id=community.external_id)
            page = await adapter.posts(found, None)
        except PlatformError as error:
            raise CannotTrack(f"{kind.spec.title}: {error.message}") from None
    return Look(community, page.items)


def show(seen: Look) -> None:
    """Print it. What the platform does not give stays a dash, not a zero."""
    size = "hidden" if seen.community.size is None else f"{seen.community.size:,}"
    console.print(f"[bold]{seen.community.title}[/]  {seen.community.url}")
    console.print(f"{size} followers, {len(seen.posts)} newest posts, as of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    if not seen.posts:
        return
    given = [metric for metric in Metric if any(metric in post.metrics.counters for post in seen.posts)]
    table = Table("published", "post", *(metric.value for metric in given), box=None, header_style="bold")
    table.columns[1].no_wrap = True
    for column in table.columns[2:]:
        column.justify = "right"
    for post in seen.posts:
        counters = (post.metrics.counters.get(metric) for metric in given)
        words = " ".join(post.text.split())[:48] or "(no text)"
        table.add_row(
            f"{post.published_at:%Y-%m-%d %H:%M}",
            words,
            *("–" if count is None else f"{count:,}" for count in counters),
        )
    console.print(table)
    gained = sum(post.metrics.counters.get(metric, 0) for post in seen.posts for metric in ENGAGEMENT)
    console.print(f"engagement a post: {gained / len(seen.posts):,.1f}")
    step("to keep watching it, and to see KPIs: instep up, then POST /v1/communities")
