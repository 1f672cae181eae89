"""Sending requests and parsing responses, for every adapter."""

from contextlib import suppress
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pydantic_core import PydanticCustomError
from structlog.testing import capture_logs

from app.kit import telemetry
from app.platforms import wire
from app.platforms.contract import Malformed, OutcomeUnknown, PlatformError


class Thing(wire.Model):
    id: wire.Id
    size: wire.Count
    at: wire.Moment
    since: wire.UnixTime = datetime(2000, 1, 1, tzinfo=UTC)
    text: wire.StorableText = ""


class Small(wire.Model):
    id: wire.Id


THING = TypeAdapter(Thing)
GOOD = {"id": "1", "size": 3, "at": "2026-01-01T00:00:00Z"}


def parse_thing(**changes: object) -> Thing:
    return wire.parse(THING, httpx.Response(200, json={**GOOD, **changes}))


def test_valid_values_are_parsed() -> None:
    thing = parse_thing(since=1700000000, text="a\x00b", new_field={"anything": 1})
    assert thing.size == 3
    assert thing.at == datetime(2026, 1, 1, tzinfo=UTC)
    assert thing.since == datetime.fromtimestamp(1700000000, UTC)
    assert thing.text == "ab"


@pytest.mark.parametrize(
    "changes",
    [
        {"size": True},
        {"size": -1},
        {"size": "3"},
        {"size": 3.5},
        {"size": None},
        {"size": 2**63},
        {"id": 1},
        {"id": ""},
        {"id": "../../secret"},
        {"id": "1\x00"},
        {"at": "2026-01-01T00:00:00"},
        {"at": 0},
        {"at": "yesterday"},
        {"since": True},
        {"since": -1},
        {"since": 10**18},
        {"since": 10**400},
        {"since": "1700000000"},
        {"text": 5},
    ],
)
def test_invalid_values_are_malformed_and_not_quoted(changes: dict[str, object]) -> None:
    with pytest.raises(Malformed) as caught:
        parse_thing(**changes)
    assert next(iter(changes)) in caught.value.message
    for value in changes.values():
        assert not isinstance(value, str) or len(value) < 4 or value not in caught.value.message
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_malformed(body: bytes) -> None:
    with suppress(Malformed):
        wire.parse_bytes(THING, body)


def test_a_deep_answer_is_malformed() -> None:
    with pytest.raises(Malformed):
        wire.parse_bytes(THING, b"[" * 1_000_000)


class Dated(wire.Model):
    at: wire.Moment
    edited: wire.LenientMoment = None
    seen: wire.LenientUnixTime = None
    answers: "tuple[Dated, ...]" = ()


class DatedList(wire.Model):
    items: tuple[Dated, ...]


DATED = TypeAdapter(DatedList)
FAR = "9999-12-31T23:59:59.999999Z"


def parse_dated(*items: object) -> DatedList:
    return wire.parse_lenient(DATED, httpx.Response(200, json={"items": items}))


@pytest.mark.parametrize("per_second", [1, 1000])
@pytest.mark.parametrize("value", [10**400, -(10**400), -1, 10**15], ids=["huge", "huge negative", "negative", "large"])
def test_a_unix_time_out_of_bounds_is_refused_however_large(value: int, per_second: int) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        wire.since_1970(value, per_second)
    assert caught.value.type == wire.OUT_OF_BOUNDS


def test_an_item_out_of_bounds_is_left_out_and_counted() -> None:
    sound = {"at": "2026-01-01T00:00:00Z"}
    before = telemetry.ITEMS_LEFT_OUT._value.get()
    with capture_logs() as logs:
        parsed = parse_dated(
            {"at": FAR}, sound, {**sound, "answers": [{"at": FAR}, sound, {"at": "0001-01-01T00:00:00Z"}]}
        )
    assert [len(one.answers) for one in parsed.items] == [0, 1]
    assert telemetry.ITEMS_LEFT_OUT._value.get() == before + 3
    assert [line["items"] for line in logs if line["event"] == "answer.items_left_out"] == [3]
    assert parse_dated({"at": FAR}).items == ()


def test_an_optional_moment_out_of_bounds_becomes_none() -> None:
    for far, seconds in ((FAR, 2**70), ("0001-01-01T00:00:00+14:00", -1)):
        (one,) = parse_dated({"at": "2026-01-01T00:00:00Z", "edited": far, "seen": seconds}).items
        assert (one.edited, one.seen) == (None, None)
    (one,) = parse_dated({"at": "2026-01-01T03:00:00+03:00", "edited": "2026-01-01T03:00:00+0300", "seen": 1}).items
    assert one.edited == one.at == datetime(2026, 1, 1, tzinfo=UTC)
    assert one.seen == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize("item", [{"at": "soon"}, {"at": "2026-01-01T00:00:00"}, {}, {"at": FAR, "edited": "soon"}])
def test_an_invalid_moment_is_malformed(item: object) -> None:
    with pytest.raises(Malformed):
        parse_dated({"at": "2026-01-01T00:00:00Z"}, item, {"at": FAR})


def test_a_stored_cursor_with_a_moment_out_of_bounds_is_loaded_without_it() -> None:
    """It was stored when such moments were still accepted."""
    cursor = wire.load(Dated, '{"at": "2026-01-01T00:00:00Z", "edited": "9999-12-31T23:59:59.999999Z"}')
    assert cursor is not None
    assert cursor.edited is None


DATE = "Sun, 22 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "reset", "seconds"),
    [
        ({"retry-after": "30"}, None, 30.0),
        ({"retry-after": "30", "date": DATE}, "2026-11-22T10:05:00Z", 30.0),
        ({"date": DATE}, "2026-11-22T10:05:00.500Z", 300.5),
        ({"date": DATE}, "2026-11-22T09:00:00Z", 0.0),
        ({"date": DATE, "retry-after": "Sun, 22 Nov 2026 10:01:00 GMT"}, None, 60.0),
        ({}, "2026-11-22T10:05:00Z", None),
        ({"date": DATE}, None, None),
        ({"date": DATE}, "2026-11-22T10:05:00", None),
        ({"date": "nonsense", "retry-after": "-5"}, "nonsense", None),
        ({"retry-after": "9" * 400}, None, None),
        ({"date": DATE, "retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, None, None),
        ({"date": "Fri, 31 Dec 9999 23:59:59 GMT"}, "2026-11-22T10:05:00Z", None),
        ({"date": DATE}, "9999-12-31T23:59:59-14:00", None),
    ],
)
def test_the_time_to_wait(headers: dict[str, str], reset: str | None, seconds: float | None) -> None:
    assert wire.retry_after(httpx.Response(429, headers=headers), wire.iso_date(reset)) == seconds


@given(st.text(min_size=6, max_size=40), st.text(max_size=300), st.text(max_size=300))
def test_an_explanation_never_holds_a_secret(secret: str, before: str, after: str) -> None:
    if secret in "[…]" or not secret.strip():
        return
    explained = wire.explanation(before + secret + after, [secret])
    assert secret not in explained.replace("[…]", "")
    assert len(explained) <= wire.LONGEST_EXPLANATION


def test_a_foreign_cursor_is_refused() -> None:
    with pytest.raises(ValueError, match="validation error"):
        wire.load(Thing, "not a cursor")
    assert wire.load(Thing, None) is None


# ── lists ─────────────────────────────────────────────────────────────────────────────────────────

MANY = TypeAdapter(wire.LenientList[Small])


def test_a_malformed_item_hides_no_others_and_is_counted() -> None:
    before = telemetry.ITEMS_LEFT_OUT._value.get()
    with capture_logs() as logs:
        items = wire.parse_bytes(MANY, b'[{"id": "1"}, {"id": 2}, {"id": "3"}, {"name": "Ann"}]')
    assert [one.id for one in items] == ["1", "3"]
    assert telemetry.ITEMS_LEFT_OUT._value.get() == before + 2
    [line] = logs
    assert (line["event"], line["items"]) == ("answer.items_left_out", 2)
    assert line["detail"] == "an item is not understood at id: string_type"
    assert "Ann" not in str(line)


def test_a_valid_list_is_not_logged() -> None:
    with capture_logs() as logs:
        assert wire.parse_bytes(MANY, b"[]") == []
        assert len(wire.parse_bytes(MANY, b'[{"id": "1"}]')) == 1
        with pytest.raises(Malformed):
            wire.parse_bytes(MANY, b'[{"id": 1}, {}]')
    assert logs == []


@pytest.mark.parametrize(
    ("status", "of_a_change"), [(200, OutcomeUnknown), (303, OutcomeUnknown), (502, OutcomeUnknown), (404, Malformed)]
)
async def test_an_unparsed_response_to_a_change_is_an_unknown_outcome(
    status: int, of_a_change: type[PlatformError]
) -> None:
    def classify(_: httpx.Response) -> PlatformError:
        return Malformed("what is that")

    answering = httpx.MockTransport(lambda _: httpx.Response(status, text="<html>"))
    async with httpx.AsyncClient(transport=answering) as http:
        request = http.build_request("POST", "https://platform.example/")
        with pytest.raises(of_a_change):
            await wire.write(http, request, classify)
        with pytest.raises(Malformed):
            await wire.read(http, request, classify)
