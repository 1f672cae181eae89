"""Events: what follows from an event is committed with it, or not at all."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit import events
from app.kit.db import in_workspace
from app.kit.events import Event, EventRecord, publish, subscribe
from tests.conftest import Agency


@dataclass(frozen=True, slots=True)
class SubjectChanged(Event):
    """An event of these tests."""

    topic: ClassVar[str | None] = "test.subject_changed"
    subject_id: uuid.UUID


@pytest.fixture(autouse=True)
def _no_subscribers() -> Iterator[None]:
    yield
    events._handlers.pop(SubjectChanged, None)


async def stored(agency: Agency) -> list[EventRecord]:
    async with agency.resources.transaction(agency.workspace_id) as session:
        query = select(EventRecord).where(
            in_workspace(EventRecord, agency.workspace_id), EventRecord.topic == "test.subject_changed"
        )
        return list((await session.scalars(query)).all())


async def test_an_event_is_handled_and_stored_in_one_commit(agency: Agency) -> None:
    received: list[SubjectChanged] = []

    @subscribe(SubjectChanged)
    async def receive(session: AsyncSession, event: SubjectChanged) -> None:
        received.append(event)

    subject = uuid.uuid4()
    async with agency.resources.transaction(agency.workspace_id) as session:
        await publish(session, SubjectChanged(subject))
        assert received == [SubjectChanged(subject)], "before the commit, in the same transaction"
    assert [record.data for record in await stored(agency)] == [{"subject_id": str(subject)}]


async def test_a_failing_subscriber_rolls_everything_back(agency: Agency) -> None:
    @subscribe(SubjectChanged)
    async def refuse(session: AsyncSession, event: SubjectChanged) -> None:
        raise ValueError("no")

    async def publish_one() -> None:
        async with agency.resources.transaction(agency.workspace_id) as session:
            await publish(session, SubjectChanged(uuid.uuid4()))

    with pytest.raises(ValueError, match="no"):
        await publish_one()
    assert await stored(agency) == []
