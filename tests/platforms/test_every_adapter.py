"""Tests for every adapter: its behaviour against faulty servers.

What the tests need to know about a platform is in `specimens`.
"""

import asyncio
import logging
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cache

import httpx
import pytest

from app.kit import registry
from app.kit.http import MIB, client
from app.platforms import FOLDER, NOT_ADAPTERS, adapter, adapters
from app.platforms.contract import (
    Adapter,
    Gone,
    Malformed,
    Metric,
    MissingPermission,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    Throttled,
    Transient,
)
from tests.kit.test_http import says, serving
from tests.platforms.calls import Call, changes, listing, reads, renewals
from tests.platforms.every_push import marks_for
from tests.platforms.faults import (
    FAULT_PROPERTY,
    FAULTS,
    LARGE,
    NEVER_ACCEPTED,
    Deadlines,
    RequestCounts,
    faulty_handler,
    raw_response,
    server_that_accepts_nothing,
)
from tests.platforms.specimens import Refusal, Specimen, specimen

MEMORY = 4 * MIB
"""The most bytes that a call may use at its peak, with a client that accepts responses of one MiB."""


@dataclass(frozen=True, slots=True)
class Case:
    """One call of one adapter, by its name in `calls`."""

    kind: type[Adapter]
    about: Specimen
    name: str

    def call(self, http: httpx.AsyncClient) -> Call:
        made = self.kind(http)
        return (reads(made, self.about) | changes(made, self.about) | renewals(made))[self.name]

    @property
    def id(self) -> str:
        return f"{self.kind.spec.key} {self.name}"

    @property
    def reads(self) -> bool:
        return self.name in reads(_unconnected(self.kind), self.about)

    @property
    def renews(self) -> bool:
        return self.name == "refresh"

    def before(self, request: httpx.Request) -> httpx.Response | None:
        """The valid response to a request before the change; None for the request under test."""
        return None if self.reads else self.about.before(request)


RecordFault = Callable[[Case, str], None]
"""Records for the table that a call was tested with a fault."""


@cache
def _unconnected(kind: type[Adapter]) -> Adapter:
    """An adapter without a connection, to inspect its capabilities."""
    return kind(httpx.AsyncClient(transport=httpx.AsyncBaseTransport()))


def _with_specimens() -> Iterator[tuple[str, type[Adapter], Specimen]]:
    """Adapters with a specimen; `test_every_adapter_has_a_specimen` fails for the others."""
    for key, kind in sorted(adapters().items()):
        with suppress(LookupError):
            yield key, kind, specimen(key)


def _cases(*groups: str) -> list[object]:
    return [pytest.param(case, id=case.id) for case in _all(groups)]


def _cases_per_fault(*groups: str) -> list[object]:
    """The same for tests that run with each fault: marked long for all adapters except `EVERY_PUSH`."""
    return [pytest.param(case, id=case.id, marks=marks_for(case.kind.spec.key)) for case in _all(groups)]


def _all(groups: tuple[str, ...]) -> Iterator[Case]:
    for _, kind, about in _with_specimens():
        made = _unconnected(kind)
        names = {"reads": reads(made, about), "changes": changes(made, about), "renewals": renewals(made)}
        for group in groups:
            for name in names[group]:
                yield Case(kind, about, name)


def test_every_push_has_reads_changes_and_renewals() -> None:
    """The adapters of `EVERY_PUSH` have calls of every group."""
    often = {
        group
        for group in ("reads", "changes", "renewals")
        for case in _all((group,))
        if not marks_for(case.kind.spec.key)
    }
    assert often == {"reads", "changes", "renewals"}


@pytest.fixture
def deadlines(monkeypatch: pytest.MonkeyPatch) -> Deadlines:
    made = Deadlines()
    monkeypatch.setattr("app.kit.http.asyncio", made)
    return made


@pytest.fixture
def record_fault(record_property: Callable[[str, object], None]) -> RecordFault:
    return lambda case, fault: record_property(FAULT_PROPERTY, (case.kind.spec.key, fault))


def assert_no_secret(about: Specimen, error: BaseException, logged: str, heads: list[bytes]) -> None:
    """Assert that no secret is in the error, the log or the URLs requested."""
    text = f"{error} {error!r} {error.__dict__} {error.__cause__!r} {error.__context__!r} {logged}"
    urls = [head.decode("latin-1").partition("\r\n")[0].split(" ")[1] for head in heads]
    text += " ".join(url for url in urls if not about.token_in_url(url.partition("?")[0]))
    assert not {secret for secret in about.secrets if secret in text}


@pytest.mark.parametrize("key", sorted(adapters()))
def test_every_adapter_has_a_specimen(key: str) -> None:
    about, spec = specimen(key), adapter(key).spec
    assert about.tokens.keys() == spec.tokens, "there must be one token of each kind"
    assert about.app.keys() == spec.app_settings
    assert about.address == adapter(key).address(about.address).canonical
    assert about.public_settings & about.app.keys() <= about.app.keys()
    texts = [*about.tokens.values(), *about.app.values()]
    assert len(set(texts)) == len(texts)
    assert all(len(secret) >= 12 for secret in about.secrets), "too short: a match could be accidental"
    assert {"community", "posts", "metrics", "conversations", "comments"} >= about.not_offered
    kinds = {refusal.means for refusal in about.refusals}
    assert kinds >= {Throttled, Rejected, Gone, MissingPermission, Transient}, "there must be a refusal of each class"
    assert all((refusal.means is Throttled) == (refusal.scope is not None) for refusal in about.refusals)


def test_adapters_are_found_by_their_files() -> None:
    assert {"mastodon", "vk"} <= set(adapters())
    for key, adapter_class in adapters().items():
        assert adapter_class.spec.key == key
        assert adapter_class in registry.declared(FOLDER, "ADAPTER", type, exclude=NOT_ADAPTERS).values()
        assert adapter_class.spec.metrics <= set(Metric)
        assert adapter_class.spec.metrics_batch > 0
        assert adapter_class.address(adapter_class.spec.address_hint).canonical
    with pytest.raises(KeyError):
        adapter("no such platform")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("case", _cases_per_fault("reads"))
async def test_a_read_that_fails_has_its_class(
    case: Case,
    fault: str,
    deadlines: Deadlines,
    caplog: pytest.LogCaptureFixture,
    record_fault: RecordFault,
) -> None:
    caplog.set_level(logging.DEBUG)
    record_fault(case, fault)
    expected = FAULTS[fault]
    async with (
        serving(expected.handler(deadlines)) as server,
        client(allow=[server.address], deadline=7, max_bytes=MIB) as http,
    ):
        with pytest.raises(expected.to_a_read) as caught:
            await case.call(http)(case.about.credentials(f"http://{server.address}"))
    # aiohttp itself repeats a GET if the connection closed before the response.
    again = fault == "closed without an answer" and server.heads[0].startswith(b"GET")
    assert len(server.heads) == 1 + again, "the request must be sent exactly once"
    assert set(deadlines.seconds) == {7}
    if isinstance(caught.value, Throttled):
        assert caught.value.retry_after == expected.retry_after
    assert_no_secret(case.about, caught.value, caplog.text, server.heads)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("case", _cases_per_fault("changes", "renewals"))
async def test_a_failed_change_is_sent_once_and_classified(
    case: Case,
    fault: str,
    deadlines: Deadlines,
    caplog: pytest.LogCaptureFixture,
    record_fault: RecordFault,
) -> None:
    caplog.set_level(logging.DEBUG)
    record_fault(case, fault)
    expected, counted = FAULTS[fault], RequestCounts()
    handler = faulty_handler(expected.handler(deadlines), case.before, lambda: server, counted)
    async with (
        serving(handler) as server,
        client(allow=[server.address], deadline=7, max_bytes=MIB) as http,
    ):
        with pytest.raises(expected.to_a_renewal if case.renews else expected.to_a_change) as caught:
            await case.call(http)(case.about.credentials(f"http://{server.address}"))
    # The HTTP client repeats a GET by itself; a change by GET has to bear that (Instagram's renewal does).
    again = fault == "closed without an answer" and server.heads[-1].startswith(b"GET")
    assert counted.changes == 1 + again
    assert set(deadlines.seconds) == {7}
    if isinstance(caught.value, Throttled):
        assert caught.value.retry_after == expected.retry_after
    assert_no_secret(case.about, caught.value, caplog.text, server.heads)


@pytest.mark.parametrize("case", _cases("reads", "changes", "renewals"))
async def test_a_connection_never_accepted_is_transient(case: Case, record_fault: RecordFault) -> None:
    """The (real) deadline includes connecting; a change may then be repeated safely."""
    record_fault(case, NEVER_ACCEPTED)
    async with server_that_accepts_nothing() as address, client(allow=[address], deadline=0.02) as http:
        with pytest.raises(Transient, match="in time"):
            await case.call(http)(case.about.credentials(f"http://{address}"))


@pytest.mark.parametrize("case", _cases("changes"))
async def test_a_request_before_a_change_fails_as_a_read(case: Case) -> None:
    """Each of the lookups and uploads before a change fails once."""
    truncated, failed = FAULTS["truncated"].handler(Deadlines()), 0
    while True:
        counted = RequestCounts()
        handler = faulty_handler(truncated, case.before, lambda: server, counted, first=failed + 1)
        async with serving(handler) as server, client(allow=[server.address]) as http:
            with pytest.raises((Transient, OutcomeUnknown)) as caught:
                await case.call(http)(case.about.credentials(f"http://{server.address}"))
        if counted.changes:
            assert isinstance(caught.value, OutcomeUnknown)
            break
        assert isinstance(caught.value, Transient)
        failed += 1
        assert counted.before == failed, "a request was repeated"


@pytest.mark.parametrize("case", _cases("changes", "renewals"))
async def test_a_change_that_was_never_sent_may_be_tried_again(case: Case) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        async with client(allow=[address]) as http:
            with pytest.raises(Transient):
                await case.call(http)(case.about.credentials(f"http://{address}"))


@pytest.mark.parametrize("fault", sorted(LARGE))
@pytest.mark.parametrize("case", _cases_per_fault("reads", "changes", "renewals"))
async def test_an_answer_takes_no_more_memory_than_it_may(case: Case, fault: str, record_fault: RecordFault) -> None:
    record_fault(case, fault)
    handler = faulty_handler(FAULTS[fault].handler(Deadlines()), case.before, lambda: server, RequestCounts())
    async with serving(handler) as server, client(allow=[server.address], max_bytes=MIB) as http:
        tracemalloc.start()
        try:
            with pytest.raises((Malformed, OutcomeUnknown)):
                await case.call(http)(case.about.credentials(f"http://{server.address}"))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < MEMORY, f"{peak} bytes at the peak"


def _refusals() -> Iterator[object]:
    """Every refusal in response to its read and to the first change, and those of a token endpoint to a renewal."""
    for key, kind, about in _with_specimens():
        made = _unconnected(kind)
        change = next(iter(changes(made, about)), None)
        for refusal in about.refusals:
            names = [refusal.of] if refusal.refuses != "changes" else []
            names += [change] if change is not None and refusal.refuses != "reads" else []
            for name in names:
                yield pytest.param(Case(kind, about, name), refusal, id=f"{key} {name}: {refusal.name}")
        for refusal in about.refresh_refusals:
            yield pytest.param(Case(kind, about, "refresh"), refusal, id=f"{key} refresh: {refusal.name}")


@pytest.mark.parametrize(("case", "refusal"), list(_refusals()))
async def test_a_documented_error_has_its_class(case: Case, refusal: Refusal, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw_response(refusal.answer))

    counted = RequestCounts()
    handler = faulty_handler(refuse, case.before, lambda: server, counted)
    async with serving(handler) as server, client(allow=[server.address]) as http:
        with pytest.raises(PlatformError) as caught:
            await case.call(http)(case.about.credentials(f"http://{server.address}"))
    assert counted.changes == len(counted.tokens), "a request was repeated"
    error = caught.value
    assert type(error) is (refusal.means if case.reads else refusal.to_a_change or refusal.means)
    if isinstance(error, Throttled):
        assert (error.retry_after, error.scope) == (refusal.retry_after, refusal.scope)
    if isinstance(error, MissingPermission) and refusal.scopes is not None:
        assert error.scopes == refusal.scopes
    assert_no_secret(case.about, error, caplog.text, server.heads)


@pytest.mark.parametrize("case", _cases("reads", "changes", "renewals"))
async def test_an_inner_address_is_refused(case: Case) -> None:
    async with serving(says(b"{}")) as server, client() as http:
        with pytest.raises(Rejected):
            await case.call(http)(case.about.credentials(f"http://{server.address}"))
        assert server.connections == 0


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b'{"response": null, "result": null, "data": null}'])
@pytest.mark.parametrize("case", _cases("reads"))
async def test_nothing_hides_an_error_as_an_empty_answer(case: Case, body: bytes) -> None:
    """A read is empty only if the response contains an empty list."""
    is_valid = body == b"{}" and case.name in case.about.empty_as_object
    async with serving(says(body)) as server, client(allow=[server.address]) as http:
        with nullcontext() if is_valid else pytest.raises((Malformed, Gone)):
            await case.call(http)(case.about.credentials(f"http://{server.address}"))


@pytest.mark.parametrize(
    ("key", "name"), [(key, name) for key, _, about in _with_specimens() for name in sorted(about.not_offered)]
)
async def test_reads_that_a_platform_does_not_offer_send_no_request(key: str, name: str) -> None:
    kind, about = adapter(key), specimen(key)
    async with client() as http:  # this client may reach no address
        made, c = kind(http), about.credentials("https://nowhere.example")
        if name == "metrics":
            (measured,) = await made.metrics(c, about.post_ids[:1])
            assert not measured.counters
            assert set(measured.missing) == set(Metric)
        else:
            page = await listing(made, name, about)(c)
            assert (page.items, page.more) == ((), False)
