"""Domain events: a room publishes them, rooms above it subscribe, so that no room imports a higher one.

A room declares its events as frozen dataclasses in its `events.py` and `publish`es them; a higher room
registers handlers with `subscribe` in its own `subscribers.py`. Handlers run in the publisher's
transaction: a change and what follows from it are committed together or not at all. For what must not
prolong the transaction (a call to a platform, say) a handler enqueues a job.
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
    """Something that happened. With a `topic` (`post.published`) it is stored, and can be read over the API."""

    topic: ClassVar[str | None] = None


E = TypeVar("E", bound=Event)
Handler = Callable[[AsyncSession, E], Awaitable[None]]

_handlers: defaultdict[type[Event], list[Handler[Any]]] = defaultdict(list)


def subscribe(event_class: type[E]) -> Callable[[Handler[E]], Handler[E]]:
    """Call the decorated function for every event of this class, in the publisher's transaction."""

    def register(handler: Handler[E]) -> Handler[E]:
        _handlers[event_class].append(handler)
        return handler

    return register


def listen() -> None:
    """Import every room's `subscribers.py`; each process does so once at its start."""
    for _ in rooms("subscribers"):
        pass


class EventRecord(Owned, Base):
    """A stored event of a workspace, to be read over the API."""

    __tablename__ = "event"
    __table_args__ = (Index(None, "workspace_id", "topic", "id"),)

    topic: Mapped[str]
    data: Mapped[dict[str, Any]]
    at: Mapped[datetime]


async def publish(session: AsyncSession, *events: Event) -> None:
    """Run the events' subscribers, then store the events that have a topic."""
    for event in events:
        for handler in _handlers[type(event)]:
            await handler(session, event)
    records = [
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
    if records:
        await session.execute(insert(EventRecord), records)
