"""News: what follows from an event is committed with it, or not at all."""

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
class Told(Event):
    """An event of these tests."""

    topic: ClassVar[str | None] = "test.told"
    subject_id: uuid.UUID


@pytest.fixture(autouse=True)
def _no_one_listens() -> Iterator[None]:
    yield
    events._handlers.pop(Told, None)


async def kept(agency: Agency) -> list[EventRecord]:
    async with agency.resources.transaction(agency.workspace_id) as session:
        query = select(EventRecord).where(
            in_workspace(EventRecord, agency.workspace_id), EventRecord.topic == "test.told"
        )
        return list((await session.scalars(query)).all())


async def test_an_event_is_told_and_kept_in_one_commit(agency: Agency) -> None:
    heard: list[Told] = []

    @subscribe(Told)
    async def listen(session: AsyncSession, event: Told) -> None:
        heard.append(event)

    subject = uuid.uuid4()
    async with agency.resources.transaction(agency.workspace_id) as session:
        await publish(session, Told(subject))
        assert heard == [Told(subject)], "heard before the commit, in the same unit of work"
    assert [record.data for record in await kept(agency)] == [{"subject_id": str(subject)}]


async def test_a_subscriber_that_fails_undoes_everything(agency: Agency) -> None:
    @subscribe(Told)
    async def refuse(session: AsyncSession, event: Told) -> None:
        raise ValueError("no")

    async def tell() -> None:
        async with agency.resources.transaction(agency.workspace_id) as session:
            await publish(session, Told(uuid.uuid4()))

    with pytest.raises(ValueError, match="no"):
        await tell()
    assert await kept(agency) == []
