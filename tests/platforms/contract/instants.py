"""Moments near the ends of the calendar: an adapter returns none of them, and loses no other item for one."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from app.kit.instants import EARLIEST, LATEST
from app.platforms.capabilities import Event, Receives, Streams
from app.platforms.contract import Malformed, RemotePost
from tests.platforms.contract.checks import check, has
from tests.platforms.contract.finding import items_of, second_of, updates
from tests.platforms.contract.hooks import subscribe
from tests.platforms.contract.pagination import Listing, read_pages
from tests.platforms.contract.reading import of_each_list
from tests.platforms.contract.stage import Item, Subject

WRITTEN: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d.*")
ENDS: Final[Sequence[tuple[str, int]]] = (
    ("9999-12-31T23:59:59.999999", 253_402_300_799),
    ("2200-01-01T00:00:00", 7_258_118_400),
    ("0001-01-01T00:00:00", -62_135_596_800),
    ("1969-12-31T23:59:59", -1),
)
"""In ISO format, and in seconds since 1970."""
MOSCOW: Final = timezone(timedelta(hours=3))
"""The time zone of moments without an offset."""
YEAR: Final = 366 * 24 * 3600

Concerns = Callable[[int], bool]
"""Whether the moment at a second since 1970 is to be spoiled."""


def replace_moments(s: Subject, end: tuple[str, int], concerns: Concerns) -> Callable[[bytes], bytes]:
    """Returns a function that replaces moments in a JSON body by this one, in the platform's own format."""
    written, seconds = end
    last = s.now // 1000 + YEAR

    def spoil(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: spoil(one) for name, one in value.items()}
        if isinstance(value, list):
            return [spoil(one) for one in value]
        if isinstance(value, str):
            return _text(value)
        for per_second in (1, 1000):
            if type(value) is int and last - 4 * YEAR < value // per_second < last and concerns(value // per_second):
                return seconds * per_second
        return value

    def _text(value: str) -> str:
        if value[:1] in {"{", "["}:  # JSON inside a string
            try:
                return json.dumps(spoil(json.loads(value)))
            except ValueError:
                return value
        if value.isdigit() and len(value) in {10, 13}:
            return str(spoil(int(value)))
        if WRITTEN.fullmatch(value) is None:
            return value
        parsed = datetime.fromisoformat(value)
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=MOSCOW)
        second = int(parsed.timestamp())
        if not concerns(second):
            return value
        zone = re.search(r"(Z|[+-]\d\d:?\d\d)$", value)
        return (written if "T" in value else written.replace("T", " ")) + (zone[0] if zone is not None else "")

    def body(content: bytes) -> bytes:
        try:
            document = json.loads(content)
        except ValueError:
            return content
        made = spoil(document)
        return content if made == document else json.dumps(made).encode()

    return body


def within_bounds(items: Iterable[Item]) -> None:
    for item in items:
        moment = item.published_at if isinstance(item, RemotePost) else item.sent_at
        for one in (moment, item.edited_at):
            assert one is None or EARLIEST <= one < LATEST, f"the adapter returns {one}"


def events_within_bounds(events: Iterable[Event]) -> None:
    for event in events:
        within_bounds(items_of(event))
        assert event.at is None or EARLIEST <= event.at < LATEST, f"the adapter returns {event.at}"


def _create_few(s: Subject) -> None:
    """Create a few items of every kind: one page of each list."""
    post = s.post("Who comes along?")["id"]
    for number in range(1, 5):
        s.comment(post, f"Comment {number}", person=number)
    for number in range(5, 9):
        if "message" in s.community.profile.activities:
            s.message(f"Message {number}", person=number)
        if "mention" in s.community.profile.activities:
            s.mention(f"Mention {number}", person=number)
    for number in range(3):
        s.post(f"Post {number}")


@of_each_list("an extreme moment hides no others")
async def lists(s: Subject, listing: Listing) -> None:
    """With an extreme moment in the middle item of the list; then in all items."""
    _create_few(s)
    sound = (await read_pages(listing, s)).items
    assert len(sound) > 2, "too few items for the check"
    victim = sound[len(sound) // 2]
    others = {item.external_id for item in sound} - {victim.external_id}
    for end in ENDS:
        s.transport.spoils = replace_moments(s, end, lambda second: second == second_of(victim))
        items = (await read_pages(listing, s)).items
        within_bounds(items)
        hidden = others - {item.external_id for item in items}
        assert not hidden, f"{end[0]} hides {len(hidden)} of {len(others)} others"
        s.transport.spoils = replace_moments(s, end, lambda _: True)
        with suppress(Malformed):  # every item may be malformed
            within_bounds((await listing.page(s, None, None)).items)
        s.transport.spoils = lambda body: body


@check("stream: an extreme moment hides no others", has(Streams))
async def streamed(s: Subject) -> None:
    """With an extreme moment in one event, which must still be returned, if only as unparsed."""
    await updates(s)
    for end in ENDS:
        _create_few(s)
        now = s.now // 1000
        before, beside = s.stream, await updates(s)
        victim = beside[len(beside) // 2]
        moment = next((second_of(item) for item in items_of(victim)), now)
        s.stream = before
        s.transport.spoils = replace_moments(s, end, moment.__eq__)
        events = await updates(s)
        s.transport.spoils = lambda body: body
        events_within_bounds(events)
        received_ids = {item.external_id for event in events for item in items_of(event)}
        expected_ids = {item.external_id for event in beside if event is not victim for item in items_of(event)}
        assert expected_ids <= received_ids, f"{end[0]} hides others"
        assert len(events) == len(beside), f"{end[0]} is lost"


@check("hooks: an extreme moment is not returned", has(Receives))
async def hooks(s: Subject) -> None:
    """An event with one is kept: parsed without the moment, or as unparsed."""
    assert issubclass(s.kind, Receives)
    box = subscribe(s)
    _create_few(s)
    spoilt = 0
    for _, one in box.sent:
        sound = s.kind.parse_event(one.body)
        events_within_bounds(sound)
        for end in ENDS:
            body = replace_moments(s, end, lambda _: True)(one.body)
            spoilt += body != one.body
            events = s.kind.parse_event(body)
            events_within_bounds(events)
            assert events or not sound, f"an event with {end[0]} is lost"
    assert spoilt, "no event has a moment"
