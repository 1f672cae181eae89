"""Lists of which some item is not understood.

There are many servers, and what one of them has kept of another's may be odd: a status whose author is gone
(Pixelfed), or without a date. Such an item is left out, for it must not hide the others; where nothing of
an answer is understood, the answer is not.
"""

from typing import Annotated, Final, TypeVar

import httpx
from pydantic import Field, TypeAdapter

from app.platforms import wire
from app.platforms.contract import Malformed
from app.platforms.mastodon.wire_models import Context, Counted, Id, Notice, Status

T = TypeVar("T")


class Unclear(wire.Shape):
    """An item of which no more is understood than which it is; a list is paged by that."""

    id: Id


Item = Annotated[Status | Unclear, Field(union_mode="left_to_right")]


class ContextApart(wire.Shape):
    ancestors: list[Item | None]
    descendants: list[Item | None]


STATUSES: Final = TypeAdapter(list[Status])
STATUSES_APART: Final = TypeAdapter(list[Item | None])
COUNTED: Final = TypeAdapter(list[Counted])
COUNTED_APART: Final = TypeAdapter(list[Annotated[Counted | Unclear, Field(union_mode="left_to_right")] | None])
NOTICES: Final = TypeAdapter(list[Notice])
NOTICES_APART: Final = TypeAdapter(list[Annotated[Notice | Unclear, Field(union_mode="left_to_right")] | None])
CONTEXT: Final = TypeAdapter(Context)
CONTEXT_APART: Final = TypeAdapter(ContextApart)


def parse_list(
    response: httpx.Response, whole: TypeAdapter[list[T]], apart: TypeAdapter[list[T | Unclear | None]]
) -> list[T | Unclear]:
    """The items of an answer in their order; `Malformed` where none of them is clear."""
    try:
        return [*wire.parse(whole, response)]
    except Malformed as error:
        failure = error
    entries = wire.parse(apart, response)
    found = [one for one in entries if one is not None]
    clear = sum(not isinstance(one, Unclear) for one in found)
    if not clear:
        raise failure
    wire.left_out(len(entries) - clear, failure.message)
    return found


def around(response: httpx.Response) -> Context:
    """The statuses above and below one; `Malformed` where none of them is clear."""
    try:
        return wire.parse(CONTEXT, response)
    except Malformed as error:
        failure = error
    found = wire.parse(CONTEXT_APART, response)
    above, below = ([one for one in part if isinstance(one, Status)] for part in (found.ancestors, found.descendants))
    if not above and not below:
        raise failure
    wire.left_out(len(found.ancestors) + len(found.descendants) - len(above) - len(below), failure.message)
    return Context(ancestors=above, descendants=below)
