"""The same three kinds of faults in every adapter: a wrong order, a swallowed error, 0 for unknown.

No platform is named here. A capability that an adapter lacks (Telegram has no list of posts) gets no fault; the
one that it has instead (its stream) does.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeVar

import httpx

from app.platforms import adapters
from app.platforms.capabilities import Event, HookState
from app.platforms.contract import (
    Adapter,
    CommunitySnapshot,
    Page,
    PlatformError,
    PostMetrics,
    RemotePost,
    SendReceipt,
)
from tests.platforms.calls import changes, reads, renewals
from tests.platforms.every_push import EVERY_PUSH
from tests.platforms.specimens import specimen

T = TypeVar("T")
Method = Callable[..., Awaitable[Any]]

UNWELL: Final = "errors: a 502 is transient"
MADE_UP: Final = "is unsupported by polling, but 0|: 0, not"


@dataclass(frozen=True, slots=True)
class PlantedFault:
    """A fault in one adapter, and the check that must fail."""

    fault: str
    kind: type[Adapter]
    check: str
    because: str
    """A regular expression of the check's message."""
    sort: str = ""
    """A key of `SORTS`."""

    @property
    def id(self) -> str:
        return f"{self.kind.spec.key}: {self.fault}"


def _with(kind: type[Adapter], name: str, around: Callable[[Method, Sequence[Any]], Awaitable[Any]]) -> type[Adapter]:
    """A subclass whose method is `around`, which gets the original method and the positional arguments."""

    async def planted(self: Adapter, *args: Any, **kwargs: Any) -> Any:
        async def sound() -> Any:
            return await getattr(super(made, self), name)(*args, **kwargs)

        return await around(sound, args)

    made: type[Adapter] = type(f"Spoiled{kind.__name__}", (kind,), {name: planted})
    return made


def _changed(kind: type[Adapter], name: str, change: Callable[[Any], Any]) -> type[Adapter]:
    async def around(sound: Method, _: Sequence[Any]) -> Any:
        return change(await sound())

    return _with(kind, name, around)


# ── a wrong order ─────────────────────────────────────────────────────────────────────────────────


def _backwards(items: tuple[T, ...]) -> tuple[T, ...]:
    return items[::-1]


def _two_swapped(items: tuple[T, ...]) -> tuple[T, ...]:
    return (*items[1:2], *items[:1], *items[2:])


ORDERS: Final[dict[str, Callable[[tuple[Any, ...]], tuple[Any, ...]]]] = {
    "backwards": _backwards,
    "the first two swapped": _two_swapped,
}


def _orders(kind: type[Adapter], has: frozenset[str]) -> Iterator[PlantedFault]:
    for how, spoil in ORDERS.items():

        def page(result: Page[Any], spoil: Callable[[tuple[Any, ...]], tuple[Any, ...]] = spoil) -> Page[Any]:
            return replace(result, items=spoil(result.items))

        if "posts" in has:
            planted = _changed(kind, "posts", page)
            yield PlantedFault(f"posts {how}", planted, "posts: complete, once, newest first", "not newest first")
        if "updates" in has:
            planted = _changed(kind, "updates", page)
            yield PlantedFault(f"updates {how}", planted, "stream: every event once, oldest first", "not oldest first")
        if "metrics" in has:
            planted = _changed(kind, "metrics", spoil)
            yield PlantedFault(f"metrics {how}", planted, "metrics: at most one batch", "in its order")
        if "metrics_across" in has:
            planted = _changed(kind, "metrics_across", spoil)
            check = "metrics: across communities as for one"
            yield PlantedFault(f"metrics_across {how}", planted, check, "in its order")


# ── a swallowed error ─────────────────────────────────────────────────────────────────────────────


def _nothing(kind: type[Adapter]) -> dict[str, Callable[[Sequence[Any]], Any]]:
    """The result that replaces an error, by method, made from the positional arguments."""
    return {
        "community": lambda args: CommunitySnapshot(args[0].external_id or "", "", args[0].address, None),
        **dict.fromkeys(("posts", "conversations", "updates"), lambda args: Page((), args[1], more=False)),
        "comments": lambda args: Page((), args[2], more=False),
        "metrics": lambda args: tuple(PostMetrics(one, dict.fromkeys(kind.spec.metrics, 0)) for one in args[1]),
        "metrics_across": lambda _: (),
        "inspect": lambda _: {},
        "subscription": lambda _: HookState(subscribed=True),
        **dict.fromkeys(("reply", "publish"), lambda _: SendReceipt("1")),
        "refresh": lambda _: {},
    }


def _swallows(
    kind: type[Adapter], name: str, *, when: Callable[[Sequence[Any]], bool] = lambda _: True
) -> type[Adapter]:
    said = _nothing(kind)[name]

    async def around(sound: Method, args: Sequence[Any]) -> Any:
        try:
            return await sound()
        except PlatformError:
            if when(args):
                return said(args)
            raise

    return _with(kind, name, around)


def _has_cursor(place: int, args: Sequence[Any]) -> bool:
    """Whether the argument at this position, a cursor, is not None."""
    return args[place] is not None


def _without_errors(kind: type[Adapter], to: type[PlatformError]) -> type[Adapter]:
    """A subclass whose `classify` returns None for errors of this class."""

    def classify(self: Adapter, response: httpx.Response) -> PlatformError | None:
        said = kind.classify(self, response)
        return None if isinstance(said, to) else said

    made: type[Adapter] = type(f"Deaf{kind.__name__}", (kind,), {"classify": classify})
    return made


def _swallowed(kind: type[Adapter], has: frozenset[str]) -> Iterator[PlantedFault]:
    for name in sorted(has - {"refresh"}):
        first = name.removesuffix("_across")  # `metrics` may call it, and is checked first
        yield PlantedFault(f"{name} swallows errors", _swallows(kind, name), UNWELL, f"^{first}.*: None")
    if "refresh" in has:
        check = "refresh: a refusal expires the token"
        yield PlantedFault("refresh swallows errors", _swallows(kind, "refresh"), check, "DID NOT RAISE")
    for name, place in (("posts", 1), ("conversations", 1), ("comments", 2)):
        if name in has:
            planted = _swallows(kind, name, when=partial(_has_cursor, place))
            check = f"{name}: a failed request is an error"
            yield PlantedFault(f"{name} swallows errors of later pages", planted, check, "without an error")
    alone = "errors: `classify` agrees with the call"
    yield PlantedFault(
        "classify swallows errors", _without_errors(kind, PlatformError), alone, "None, but the call|is over"
    )


# ── 0 for unknown ─────────────────────────────────────────────────────────────────────────────────


def _zeros(one: PostMetrics) -> PostMetrics:
    """Replace missing metrics by 0."""
    return replace(one, counters={**dict.fromkeys(one.missing, 0), **one.counters}, missing={})


def _in_posts(posts: tuple[RemotePost, ...]) -> tuple[RemotePost, ...]:
    return tuple(replace(one, metrics=_zeros(one.metrics)) for one in posts)


def _in_event(event: Event) -> Event:
    return replace(event, posts=_in_posts(event.posts))


def _all_zeros(results: tuple[PostMetrics, ...]) -> tuple[PostMetrics, ...]:
    return tuple(map(_zeros, results))


def _zeros_for_unknown(kind: type[Adapter], has: frozenset[str]) -> Iterator[PlantedFault]:
    metrics, said = _changed(kind, "metrics", _all_zeros), "0 for unknown"
    yield PlantedFault(f"metrics: {said}", metrics, "metrics: the ledger's, never 0 for unknown", MADE_UP)
    if kind.spec.metrics_delay:
        yield PlantedFault(f"metrics: {said} yet", metrics, "metrics: delayed ones are pending", "no metric is delayed")
    if "metrics" in has:
        planted = _swallows(kind, "metrics")
        yield PlantedFault("metrics: 0 for an error", planted, "metrics: a failed request is an error", "made up")
    if "metrics_across" in has:
        planted = _changed(kind, "metrics_across", _all_zeros)
        check = "metrics: across communities as for one"
        yield PlantedFault(f"metrics_across: {said}", planted, check, MADE_UP)
    if "posts" in has:
        planted = _changed(kind, "posts", lambda page: replace(page, items=_in_posts(page.items)))
        yield PlantedFault(
            f"posts: {said}", planted, "metrics: the same in lists", "are unsupported, but|: 0 in the list"
        )
    if "updates" in has:
        planted = _changed(
            kind, "updates", lambda page: replace(page, items=tuple(_in_event(one) for one in page.items))
        )
        check = "metrics: the stream has no 0 for unknown"
        yield PlantedFault(f"updates: {said}", planted, check, "cannot be known")


SORTS: Final = {"order": _orders, "swallowed": _swallowed, "unknown": _zeros_for_unknown}
"""The kinds of faults; each applies to every adapter."""


def _faults() -> Iterator[PlantedFault]:
    for key, kind in sorted(adapters().items()):
        about = specimen(key)
        made = kind(httpx.AsyncClient(transport=httpx.AsyncBaseTransport()))  # sends no request
        calls = reads(made, about) | changes(made, about) | renewals(made)
        has = frozenset(name.partition(" ")[0] for name in calls)
        for sort, planted in SORTS.items():
            yield from (replace(one, sort=sort) for one in planted(kind, has))


PLANTED: Final = tuple(_faults())


def every_push() -> tuple[PlantedFault, ...]:
    """Faults for every push: all in `EVERY_PUSH`, and in one other adapter each fault that does not apply to those."""
    selected = {(one.fault, one.check): one for one in reversed(PLANTED)}
    rest = [
        one
        for fault, one in selected.items()
        if fault not in {(p.fault, p.check) for p in PLANTED if _in_every_push(p)}
    ]
    return tuple(one for one in PLANTED if _in_every_push(one) or one in rest)


def _in_every_push(one: PlantedFault) -> bool:
    return one.kind.spec.key in EVERY_PUSH
