"""Lists of which some items cannot be parsed.

What a server has stored of another server's may be invalid: a status whose author is gone (Pixelfed), or without a
date in an account's own list. Such an item is left out, so that the others can still be read. A response of which no
item can be parsed is `Malformed`.
"""

from typing import Annotated, Final, TypeVar

import httpx
from pydantic import Field, TypeAdapter

from app.platforms import wire
from app.platforms.contract import Malformed
from app.platforms.mastodon.wire_models import Context, Counted, Id, Notice, OwnStatus, Status

T = TypeVar("T")


class Unparsed(wire.Model):
    """An item of which only the id can be parsed, which paging needs."""

    id: Id


Item = Annotated[Status | Unparsed, Field(union_mode="left_to_right")]
OwnItem = Annotated[OwnStatus | Unparsed, Field(union_mode="left_to_right")]


class LenientContext(wire.Model):
    ancestors: list[Item | None]
    descendants: list[Item | None]


STATUSES: Final = TypeAdapter(list[OwnStatus])
STATUSES_LENIENT: Final = TypeAdapter(list[OwnItem | None])
COUNTED: Final = TypeAdapter(list[Counted])
COUNTED_LENIENT: Final = TypeAdapter(list[Annotated[Counted | Unparsed, Field(union_mode="left_to_right")] | None])
NOTICES: Final = TypeAdapter(list[Notice])
NOTICES_LENIENT: Final = TypeAdapter(list[Annotated[Notice | Unparsed, Field(union_mode="left_to_right")] | None])
CONTEXT: Final = TypeAdapter(Context)
CONTEXT_LENIENT: Final = TypeAdapter(LenientContext)


def parse_list(
    response: httpx.Response, strict: TypeAdapter[list[T]], lenient: TypeAdapter[list[T | Unparsed | None]]
) -> list[T | Unparsed]:
    """The items of a response in their order; `Malformed` where none of them can be parsed."""
    try:
        return [*wire.parse(strict, response)]
    except Malformed as error:
        failure = error
    entries = wire.parse(lenient, response)
    items = [entry for entry in entries if entry is not None]
    parsed = sum(not isinstance(item, Unparsed) for item in items)
    if not parsed:
        raise failure
    wire.left_out(len(entries) - parsed, failure.message)
    return items


def parse_context(response: httpx.Response) -> Context:
    """The statuses above and below one; `Malformed` where none of them can be parsed."""
    try:
        return wire.parse(CONTEXT, response)
    except Malformed as error:
        failure = error
    entries = wire.parse(CONTEXT_LENIENT, response)
    ancestors = [entry for entry in entries.ancestors if isinstance(entry, Status)]
    descendants = [entry for entry in entries.descendants if isinstance(entry, Status)]
    parsed = len(ancestors) + len(descendants)
    if not parsed:
        raise failure
    wire.left_out(len(entries.ancestors) + len(entries.descendants) - parsed, failure.message)
    return Context(ancestors=ancestors, descendants=descendants)
