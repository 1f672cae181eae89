"""Faults in counters and token states."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from app.platforms.capabilities import PostRef, TokenState
from app.platforms.contract import (
    CommunitySnapshot,
    Credentials,
    Metric,
    MetricStatus,
    Page,
    PostMetrics,
    RemotePost,
    Token,
)
from app.platforms.mastodon.adapter import Mastodon
from app.platforms.meta.instagram import Instagram
from app.platforms.telegram.adapter import Telegram
from app.platforms.vk.adapter import Vk
from app.platforms.youtube.adapter import YouTube
from tests.platforms.contract.planted import Planted


class RoundSize(Mastodon):
    async def community(self, c: Credentials) -> CommunitySnapshot:
        snapshot = await super().community(c)
        return replace(snapshot, size=(snapshot.size or 0) // 100 * 100)


class ZeroForUnknown(Vk):
    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        return tuple(
            PostMetrics(one.external_id, {**dict.fromkeys(Metric, 0), **one.counters}, gone=one.gone)
            for one in await super().metrics(c, ids)
        )


class NeverMissing(Vk):
    """Metrics are missing without a reason."""

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        return tuple(replace(one, missing={}) for one in await super().metrics(c, ids))


class Swapped(Vk):
    """Comments are returned as reactions, and reactions as comments."""

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        swap = {Metric.REACTIONS: Metric.COMMENTS, Metric.COMMENTS: Metric.REACTIONS}
        return tuple(
            replace(one, counters={swap.get(name, name): count for name, count in one.counters.items()})
            for one in await super().metrics(c, ids)
        )


class ZerosForGone(Mastodon):
    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        return tuple(
            PostMetrics(one.external_id, dict.fromkeys(Metric, 0)) if one.gone else one
            for one in await super().metrics(c, ids)
        )


class AnyBatch(Mastodon):
    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        return (await super().metrics(c, ids[:20])) + (await super().metrics(c, ids[20:]))


class ZeroUntilKnown(Instagram):
    """Delayed metrics are 0 until they are known."""

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        return tuple(
            replace(one, counters={**dict.fromkeys(self.spec.metrics, 0), **one.counters}, missing={})
            for one in await super().metrics(c, ids)
        )


class NeverKnown(Instagram):
    """Delayed metrics are reported as unsupported."""

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        return tuple(
            replace(one, missing=dict.fromkeys(one.missing, MetricStatus.UNSUPPORTED))
            for one in await super().metrics(c, ids)
        )


class EmptyLists(Mastodon):
    """All counters in lists are 0."""

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        page = await super().posts(c, cursor, since)
        zeros = dict.fromkeys(self.spec.metrics, 0)
        items = (replace(one, metrics=replace(one.metrics, counters=zeros)) for one in page.items)
        return replace(page, items=tuple(items))


class Disordered(YouTube):
    """The records are not in the order of the requested posts."""

    async def metrics_across(self, c: Credentials, posts: tuple[PostRef, ...]) -> tuple[PostMetrics, ...]:
        return (await super().metrics_across(c, posts))[::-1]


class MissesScopes(Telegram):
    """Every token is reported to lack a scope."""

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        return {kind: TokenState(missing_scopes=("all",)) for kind in await super().inspect(c)}


class AlwaysValid(Telegram):
    """Tokens are reported as valid without a request."""

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        return dict.fromkeys(c.tokens, TokenState())


PLANTED: Final[tuple[Planted, ...]] = (
    ("community", RoundSize, "differs from the ledger's"),
    ("metrics: the ledger's, never 0 for unknown", ZeroForUnknown, "unsupported by polling"),
    ("metrics: the ledger's, never 0 for unknown", NeverMissing, "neither in counters nor in missing"),
    ("metrics: the ledger's, never 0 for unknown", Swapped, "reactions: "),
    ("metrics: deleted posts are gone", ZerosForGone, "that is gone"),
    ("metrics: at most one batch", AnyBatch, "DID NOT RAISE"),
    ("metrics: delayed ones are pending", ZeroUntilKnown, "no metric is delayed"),
    ("metrics: delayed ones are pending", NeverKnown, "unsupported"),
    ("metrics: the same in lists", EmptyLists, "in the list"),
    ("metrics: across communities as for one", Disordered, "in its order"),
    ("inspect", MissesScopes, "all"),
    ("inspect", AlwaysValid, "DID NOT RAISE"),
)
