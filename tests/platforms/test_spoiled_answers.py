"""Answers that have been spoiled: an adapter understands what is left, or says what is wrong, and makes nothing up.

Every read is carried out once against the sandbox, and its answers kept; then one of them is spoiled in one
place and the read repeated. `test_spoiled_recordings` does the same to recorded answers.
"""

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any, Final, TypeVar

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.platforms import adapter, adapters
from app.platforms.contract import (
    Adapter,
    CommunitySnapshot,
    Credentials,
    MessageKind,
    Metric,
    Page,
    PlatformError,
    PostMetrics,
)
from tests.platforms.calls import reads
from tests.platforms.contract.stage import Subject, staged
from tests.platforms.every_push import marks
from tests.platforms.specimens import Specimen

Json = Any
TEXT: Final = "JSON in a text"
T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, object]], object]

FEW_EXAMPLES: Final = 20
"""For each platform, at every push."""
EXAMPLES: Final = 100
"""For each platform, in long runs."""
BOTH: Final = (pytest.param(FEW_EXAMPLES, id="few"), pytest.param(EXAMPLES, id="many", marks=pytest.mark.long))
PAGES: Final = 3
"""How much further a list is walked than its first page, where that takes few calls."""
FEW: Final = 10
DAY: Final = 86_400
UNEVEN: Final = frozenset({Metric.SHARES, Metric.QUOTES, Metric.SAVES})
"""What people may not have done within a day."""
NUL: Final = "a\x00b"
VAST: Final = 2**70
STRANGE: Final[tuple[Json, ...]] = (
    None, True, 0, -1, 7, 1.5, 2**70, -(2**70), 10**400, "", "x", "7", "\x00", "\ud800", "9" * 300,
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "x" * 10_000,
    [], {}, [None], [[]], [{}], {"": None}, {"\x00": "\x00"},
)  # fmt: skip


@dataclass(frozen=True)
class RecordedCall:
    """A read, and what it was answered."""

    name: str
    c: Credentials
    about: Specimen
    answers: tuple[Json, ...]
    headers: tuple[tuple[str, str], ...] = ()
    pages: int = PAGES

    @cached_property
    def whole(self) -> tuple[bytes, ...]:
        return tuple(encoded(one) for one in self.answers)

    async def call(self, kind: type[Adapter], answers: tuple[bytes, ...]) -> object:
        """The same again, from these answers; the last one answers all that is asked besides."""
        remaining = iter(answers)

        def server(_: httpx.Request) -> httpx.Response:
            return httpx.Response(200, headers=self.headers, content=next(remaining, answers[-1]))

        made = kind(httpx.AsyncClient(transport=httpx.MockTransport(server)))
        return await _walked(reads(made, self.about)[self.name], made, self)


async def _walked(call: Callable[[Credentials], Awaitable[object]], made: Adapter, recorded: RecordedCall) -> object:
    """A list is walked to its end, or for some pages."""
    page = await call(recorded.c)
    if not isinstance(page, Page) or recorded.name == "updates":
        return page
    items = [*page.items]
    for _ in range(recorded.pages):
        if not page.more:
            break
        page = await _next(made, recorded, page.cursor)
        items += page.items
    return Page(tuple(items), page.cursor, page.more)


async def _next(made: Any, recorded: RecordedCall, cursor: str | None) -> Page[object]:
    where = (recorded.about.post_ids[0],) if recorded.name == "comments" else ()
    page: Page[object] = await getattr(made, recorded.name)(recorded.c, *where, cursor)
    return page


# ── what is spoiled ───────────────────────────────────────────────────────────────────────────────


async def _happenings(subject: Subject) -> None:
    """Something of everything, and a day for people to see it."""
    post = subject.post("Open on Sunday")
    first = subject.comment(post["id"])
    subject.comment(post["id"], "Until six", parent=first["id"], person=2)
    for kind, let in ((MessageKind.MESSAGE, subject.message), (MessageKind.MENTION, subject.mention)):
        if subject.lets(kind):
            let()
    subject.later(DAY)


@cache
def recorded_calls(key: str) -> tuple[RecordedCall, ...]:
    return asyncio.run(_record_calls(key))


async def _record_calls(key: str) -> tuple[RecordedCall, ...]:
    calls: list[RecordedCall] = []
    async with staged(key, adapter(key)) as subject:
        await _happenings(subject)
        made = subject.adapter()
        posts = [one.external_id for one in (await made.posts(subject.c, None)).items]
        about = replace(
            subject.about, post_ids=tuple(posts[-1:]) or subject.about.post_ids, external_id=str(subject.c.external_id)
        )
        for name, call in reads(made, about).items():
            for pages in (0, PAGES):
                before = len(subject.way.responses)
                await _walked(call, made, RecordedCall(name, subject.c, about, (), pages=pages))
                responses = subject.way.responses[before:]
                if len(responses) > FEW:
                    break
            answers = tuple(opened(json.loads(one.content)) for one in responses)
            if answers:
                calls.append(
                    RecordedCall(name, subject.c, about, answers, (("date", responses[0].headers["date"]),), pages)
                )
    return tuple(calls)


def opened(value: Json) -> Json:
    """JSON that stands in a text, as in a batch of Graph's, can be spoiled as well; `closed` undoes this."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        with suppress(ValueError):
            return {TEXT: opened(json.loads(value))}
    if isinstance(value, dict):
        return {name: opened(inner) for name, inner in value.items()}
    return [opened(inner) for inner in value] if isinstance(value, list) else value


def closed(value: Json) -> Json:
    if isinstance(value, dict):
        whole = {name: closed(inner) for name, inner in value.items()}
        return json.dumps(whole[TEXT]) if list(whole) == [TEXT] else whole
    return [closed(inner) for inner in value] if isinstance(value, list) else value


def encoded(document: Json) -> bytes:
    return json.dumps(closed(document)).encode()


def places(document: Json, here: tuple[int | str, ...] = ()) -> Iterator[tuple[int | str, ...]]:
    yield here
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for name, value in inner:
        yield from places(value, (*here, name))


@dataclass(frozen=True)
class Spoiling:
    """What is done to which answer; the numbers are taken modulo what there is."""

    answer: int
    place: int
    how: str
    value: Json = field(default=None)

    def __call__(self, recorded: RecordedCall) -> tuple[bytes, ...]:
        at = self.answer % len(recorded.answers)
        spoiled = self._spoiled(copy.deepcopy(recorded.answers[at]))
        return (*recorded.whole[:at], spoiled, *recorded.whole[at + 1 :])

    def _spoiled(self, document: Json) -> bytes:
        candidates = list(places(document))
        place = candidates[self.place % len(candidates)]
        if self.how == "cut off":
            text = encoded(document)
            return text[: self.place % (len(text) + 1)]
        if not place:
            return encoded(self.value)
        around = document
        for name in place[:-1]:
            around = around[name]
        match self.how:
            case "dropped":
                del around[place[-1]]
            case "nested":
                inner: Json = around[place[-1]]
                for _ in range(50 + self.place % 400):
                    inner = [inner]
                around[place[-1]] = inner
            case "repeated" if isinstance(around[place[-1]], list):
                around[place[-1]] *= 2
            case "as text":
                around[place[-1]] = str(around[place[-1]])
            case "with more" if isinstance(around[place[-1]], dict):
                around[place[-1]] |= {"": self.value, "unheard_of": self.value}
            case _:
                around[place[-1]] = self.value
        return encoded(document)


def each(answers: tuple[Json, ...]) -> Iterator[Spoiling]:
    """Every place once left out, null, a text and a number that cannot be kept. Items of a list, and answers with the
    same fields, are alike."""
    by_shape: dict[object, tuple[int, int]] = {}
    for answer, document in enumerate(answers):
        kind = tuple(document) if isinstance(document, dict) else ()
        for n, place in enumerate(places(document)):
            by_shape[kind, tuple(name for name in place if isinstance(name, str))] = answer, n
    for answer, n in by_shape.values():
        yield Spoiling(answer, n, "dropped")
        yield Spoiling(answer, n, "null")
        yield Spoiling(answer, n, "strange", NUL)
        yield Spoiling(answer, n, "strange", VAST)


HOWS: Final = ("dropped", "strange", "nested", "repeated", "as text", "with more", "cut off")
NUMBERS = st.integers(0, 10**6)


SPOILINGS = st.builds(Spoiling, NUMBERS, NUMBERS, st.sampled_from(HOWS), st.sampled_from(STRANGE))


# ── what comes of it ──────────────────────────────────────────────────────────────────────────────


def storable(value: object) -> None:
    """It can be kept: no NUL in a text, moments that have a zone and fit one, numbers of 63 bits."""
    match value:
        case str():
            assert "\x00" not in value
            value.encode()
        case datetime():
            assert value.tzinfo is not None
            value.astimezone(UTC)
        case bool():
            pass
        case int():
            assert -(2**63) <= value < 2**63
        case tuple() | list() | frozenset():
            for one in value:
                storable(one)
        case Mapping():
            for name, one in value.items():
                storable(name)
                storable(one)
        case _ if is_dataclass(value):
            for one in fields(value):
                storable(getattr(value, one.name))
        case _:
            pass


def counters(result: object) -> dict[tuple[str, str], int]:
    """Every number that is told of a post or of the community."""
    match result:
        case CommunitySnapshot():
            return {} if result.size is None else {("", "size"): result.size}
        case PostMetrics():
            return {(result.external_id, metric): count for metric, count in result.counters.items()}
        case Page():
            return counters(result.items)
        case tuple():
            return {name: count for one in result for name, count in counters(getattr(one, "metrics", one)).items()}
    return {}


def invented(before: object, after: object, about: Specimen) -> dict[tuple[str, str], int]:
    """What is 0 now and was not."""
    counts_before, never = counters(before), {str(metric) for metric in about.absent_if_none}
    return {
        name: count
        for name, count in counters(after).items()
        if not count and counts_before.get(name) and name[1] not in never
    }


async def tried(kind: type[Adapter], recorded: RecordedCall, spoiling: Spoiling) -> object:
    """What a spoiled answer is understood as; nothing where a typed error says what is wrong with it."""
    try:
        result = await recorded.call(kind, spoiling(recorded))
    except PlatformError as error:
        storable(error.message)
        return None
    storable(result)
    return result


@pytest.mark.parametrize("key", [pytest.param(key, marks=marks(key)) for key in sorted(adapters())])
def test_nothing_is_made_up_for_what_is_left_out(key: str, run: Run) -> None:
    kind, counted = adapter(key), set()
    for one in recorded_calls(key):
        sound = run(one.call(kind, one.whole))
        counted |= {metric for (_, metric), count in counters(sound).items() if count}
        for spoiling in each(one.answers):
            result = run(tried(kind, one, spoiling))
            assert invented(sound, result, one.about) == {}, f"{one.name}: {spoiling}"
    polled = kind.spec.metrics - kind.spec.pushed_metrics - kind.spec.counted_metrics - UNEVEN
    assert counted >= {"size"} | polled, "there was nothing to be left out"


@pytest.mark.parametrize("examples", BOTH)
@pytest.mark.parametrize("key", sorted(adapters()))
def test_an_answer_of_the_sandbox_may_be_spoiled(key: str, examples: int, run: Run) -> None:
    holds_when_spoiled(adapter(key), recorded_calls(key), run, examples)


def holds_when_spoiled(kind: type[Adapter], calls: tuple[RecordedCall, ...], run: Run, examples: int) -> None:
    """Whatever is done to one of these answers is understood, or told with a typed error."""

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(NUMBERS, SPOILINGS)
    def holds(which: int, spoiling: Spoiling) -> None:
        run(tried(kind, calls[which % len(calls)], spoiling))

    holds()
