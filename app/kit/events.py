"""News that travels upward: a room tells what happened, rooms above it act on it.

A room declares its events as frozen dataclasses in its `events.py` and `publish`es them; a higher
room registers handlers with `subscribe` in its own `subscribers.py`. Handlers run in the same
unit of work: what happened and what follows from it are committed together or not at all. What
must not hold up the unit of work (a call to a platform, say) is a job that the handler enqueues.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, ClassVar, TypeVar

import orjson
from sqlalchemy import Index, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped

from app.kit.db import Base, Owned, now, workspace_of
from app.kit.ids import uuid7
from app.kit.registry import rooms


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. With a `topic` (`post.published`) it is kept, and told to outsiders."""

    topic: ClassVar[str | None] = None


E = TypeVar("E", bound=Event)
Handler = Callable[[AsyncSession, E], Awaitable[None]]

_handlers: defaultdict[type[Event], list[Handler[Any]]] = defaultdict(list)


def subscribe(kind: type[E]) -> Callable[[Handler[E]], Handler[E]]:
    """Call the decorated function for every event of this kind, in the publisher's unit of work."""

    def register(handler: Handler[E]) -> Handler[E]:
        _handlers[kind].append(handler)
        return handler

    return register


def listen() -> None:
    """Load every room's subscribers; each process does so once at its start."""
    for _ in rooms("subscribers"):
        pass


class EventRecord(Owned, Base):
    """An event that is kept: what happened in a workspace, in the order it happened."""

    __tablename__ = "event"
    __table_args__ = (Index(None, "workspace_id", "topic", "id"),)

    topic: Mapped[str]
    data: Mapped[dict[str, Any]]
    at: Mapped[datetime]


async def publish(session: AsyncSession, *events: Event) -> None:
    """Tell what happened; returns when every subscriber has done its part."""
    for event in events:
        for handler in _handlers[type(event)]:
            await handler(session, event)
    kept = [
        {
            "workspace_id": workspace_of(session),
            "id": uuid7(),
            "topic": event.topic,
            # asyncpg's UUID is a subclass, which orjson would not take for one.
            "data": orjson.loads(orjson.dumps(asdict(event), default=str)),
            "at": now(session),
        }
        for event in events
        if event.topic is not None
    ]
    if kept:
        await session.execute(insert(EventRecord), kept)
