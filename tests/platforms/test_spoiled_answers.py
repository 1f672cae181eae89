"""Corrupted responses: an adapter parses what is valid, or raises a typed error, and invents no values.

Every read is run once against the sandbox and its responses are recorded; then one of them is corrupted in one
place and the read repeated. `test_spoiled_recordings` does the same to recorded responses of the platforms.
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
from tests.platforms.every_push import marks_for
from tests.platforms.specimens import Specimen

Json = Any
TEXT: Final = "JSON in a text"
T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, object]], object]

FEW_EXAMPLES: Final = 20
"""For each platform, at every push."""
EXAMPLES: Final = 100
"""For each platform, in long runs."""
EXAMPLE_COUNTS: Final = (
    pytest.param(FEW_EXAMPLES, id="few"),
    pytest.param(EXAMPLES, id="many", marks=pytest.mark.long),
)
PAGES: Final = 3
"""The number of further pages read of a list, if that takes at most `MOST_RESPONSES`."""
MOST_RESPONSES: Final = 10
DAY: Final = 86_400
RARE_METRICS: Final = frozenset({Metric.SHARES, Metric.QUOTES, Metric.SAVES})
"""Metrics that may be 0 in the sandbox after a day."""
NUL: Final = "a\x00b"
TOO_LARGE: Final = 2**70
STRANGE: Final[tuple[Json, ...]] = (
    None, True, 0, -1, 7, 1.5, 2**70, -(2**70), 10**400, "", "x", "7", "\x00", "\ud800", "9" * 300,
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "x" * 10_000,
    [], {}, [None], [[]], [{}], {"": None}, {"\x00": "\x00"},
)  # fmt: skip


@dataclass(frozen=True)
class RecordedCall:
    """A read, and the responses that it received."""

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
        """Repeat the read with these responses; the last one also serves any further requests."""
        remaining = iter(answers)

        def server(_: httpx.Request) -> httpx.Response:
            return httpx.Response(200, headers=self.headers, content=next(remaining, answers[-1]))

        made = kind(httpx.AsyncClient(transport=httpx.MockTransport(server)))
        return await _read_pages(reads(made, self.about)[self.name], made, self)


async def _read_pages(
    call: Callable[[Credentials], Awaitable[object]], made: Adapter, recorded: RecordedCall
) -> object:
    """The result of a call; of a list, up to `recorded.pages` further pages."""
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


# ── what is corrupted ──────────────────────────────────────────────────────────────────────────────


async def _create_content(subject: Subject) -> None:
    """Create a post, comments and messages, and let a day pass for reactions to them."""
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
        await _create_content(subject)
        made = subject.adapter()
        posts = [one.external_id for one in (await made.posts(subject.c, None)).items]
        about = replace(
            subject.about, post_ids=tuple(posts[-1:]) or subject.about.post_ids, external_id=str(subject.c.external_id)
        )
        for name, call in reads(made, about).items():
            for pages in (0, PAGES):
                before = len(subject.transport.responses)
                await _read_pages(call, made, RecordedCall(name, subject.c, about, (), pages=pages))
                responses = subject.transport.responses[before:]
                if len(responses) > MOST_RESPONSES:
                    break
            answers = tuple(decoded(json.loads(one.content)) for one in responses)
            if answers:
                calls.append(
                    RecordedCall(name, subject.c, about, answers, (("date", responses[0].headers["date"]),), pages)
                )
    return tuple(calls)


def decoded(value: Json) -> Json:
    """A document with JSON inside strings (as in Graph's batches) decoded too; `reencoded` is the inverse."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        with suppress(ValueError):
            return {TEXT: decoded(json.loads(value))}
    if isinstance(value, dict):
        return {name: decoded(inner) for name, inner in value.items()}
    return [decoded(inner) for inner in value] if isinstance(value, list) else value


def reencoded(value: Json) -> Json:
    if isinstance(value, dict):
        whole = {name: reencoded(inner) for name, inner in value.items()}
        return json.dumps(whole[TEXT]) if list(whole) == [TEXT] else whole
    return [reencoded(inner) for inner in value] if isinstance(value, list) else value


def encoded(document: Json) -> bytes:
    return json.dumps(reencoded(document)).encode()


def places(document: Json, here: tuple[int | str, ...] = ()) -> Iterator[tuple[int | str, ...]]:
    yield here
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for name, value in inner:
        yield from places(value, (*here, name))


@dataclass(frozen=True)
class Corruption:
    """A corruption of one place in one response; both indexes are taken modulo the number there is."""

    answer: int
    place: int
    how: str
    value: Json = field(default=None)

    def __call__(self, recorded: RecordedCall) -> tuple[bytes, ...]:
        at = self.answer % len(recorded.answers)
        corrupted = self._corrupt(copy.deepcopy(recorded.answers[at]))
        return (*recorded.whole[:at], corrupted, *recorded.whole[at + 1 :])

    def _corrupt(self, document: Json) -> bytes:
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


def each_corruption(answers: tuple[Json, ...]) -> Iterator[Corruption]:
    """Every place once removed, null, an unstorable text and an unstorable number. Items of a list, and responses
    with the same fields, count as one place."""
    by_shape: dict[object, tuple[int, int]] = {}
    for answer, document in enumerate(answers):
        kind = tuple(document) if isinstance(document, dict) else ()
        for n, place in enumerate(places(document)):
            by_shape[kind, tuple(name for name in place if isinstance(name, str))] = answer, n
    for answer, n in by_shape.values():
        yield Corruption(answer, n, "dropped")
        yield Corruption(answer, n, "null")
        yield Corruption(answer, n, "strange", NUL)
        yield Corruption(answer, n, "strange", TOO_LARGE)


KINDS: Final = ("dropped", "strange", "nested", "repeated", "as text", "with more", "cut off")
NUMBERS = st.integers(0, 10**6)


CORRUPTIONS = st.builds(Corruption, NUMBERS, NUMBERS, st.sampled_from(KINDS), st.sampled_from(STRANGE))


# ── what is parsed ────────────────────────────────────────────────────────────────────────────────


def assert_storable(value: object) -> None:
    """Assert that PostgreSQL can store it: texts without NUL, datetimes with a zone, integers of 64 bits."""
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
                assert_storable(one)
        case Mapping():
            for name, one in value.items():
                assert_storable(name)
                assert_storable(one)
        case _ if is_dataclass(value):
            for one in fields(value):
                assert_storable(getattr(value, one.name))
        case _:
            pass


def counters(result: object) -> dict[tuple[str, str], int]:
    """Every counter of a result, by post and metric."""
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


def invented_zeros(before: object, after: object, about: Specimen) -> dict[tuple[str, str], int]:
    """The counters that are 0 after the corruption and were not before."""
    counts_before, never = counters(before), {str(metric) for metric in about.absent_if_none}
    return {
        name: count
        for name, count in counters(after).items()
        if not count and counts_before.get(name) and name[1] not in never
    }


async def parse_corrupted(kind: type[Adapter], recorded: RecordedCall, corruption: Corruption) -> object:
    """The result of a read with a corrupted response; None if it raised a typed error."""
    try:
        result = await recorded.call(kind, corruption(recorded))
    except PlatformError as error:
        assert_storable(error.message)
        return None
    assert_storable(result)
    return result


@pytest.mark.parametrize("key", [pytest.param(key, marks=marks_for(key)) for key in sorted(adapters())])
def test_a_left_out_field_becomes_no_zero(key: str, run: Run) -> None:
    kind, counted = adapter(key), set()
    for one in recorded_calls(key):
        sound = run(one.call(kind, one.whole))
        counted |= {metric for (_, metric), count in counters(sound).items() if count}
        for corruption in each_corruption(one.answers):
            result = run(parse_corrupted(kind, one, corruption))
            assert invented_zeros(sound, result, one.about) == {}, f"{one.name}: {corruption}"
    polled = kind.spec.metrics - kind.spec.pushed_metrics - kind.spec.counted_metrics - RARE_METRICS
    assert counted >= {"size"} | polled, "the sandbox returned no counter to leave out"


@pytest.mark.parametrize("examples", EXAMPLE_COUNTS)
@pytest.mark.parametrize("key", sorted(adapters()))
def test_a_corrupted_response_of_the_sandbox_is_parsed_or_refused(key: str, examples: int, run: Run) -> None:
    check_corrupted(adapter(key), recorded_calls(key), run, examples)


def check_corrupted(kind: type[Adapter], calls: tuple[RecordedCall, ...], run: Run, examples: int) -> None:
    """Assert that any corruption of these responses is parsed, or raises a typed error."""

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(NUMBERS, CORRUPTIONS)
    def holds(which: int, corruption: Corruption) -> None:
        run(parse_corrupted(kind, calls[which % len(calls)], corruption))

    holds()
