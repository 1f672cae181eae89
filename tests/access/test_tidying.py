"""What is of no use any more is dropped every day, in every workspace."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from app.access import jobs as tidying
from app.kit.clock import SetClock
from app.kit.idempotency import KEPT, IdempotentAnswer
from tests.conftest import Agency


async def kept(agency: Agency) -> int:
    async with agency.resources.transaction(agency.workspace_id) as session:
        return await session.scalar(select(func.count()).select_from(IdempotentAnswer)) or 0


async def ask(agency: Agency, times: int) -> None:
    for _ in range(times):
        key: dict[str, Any] = {"Idempotency-Key": uuid.uuid4().hex}
        await agency.post("/v1/api-keys", {"name": "script"}, **key)


async def test_old_answers_are_dropped_and_young_ones_kept(
    agency: Agency, rival: Agency, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying, "PAGE", 2)
    await ask(agency, 5)
    await ask(rival, 1)
    clock.advance(KEPT)
    await agency.recur("access.tidy")
    assert await agency.work("access.tidy_workspace") == 1
    assert await kept(agency) == 5, "at a day sharp nothing is old"

    clock.advance(timedelta(milliseconds=1))
    await ask(agency, 1)
    await agency.recur("access.tidy")
    assert await agency.work("access.tidy_workspace") == 3, "two, two and one"
    assert (await kept(agency), await kept(rival)) == (1, 1)
    assert await rival.work("access.tidy_workspace") == 1
    assert await kept(rival) == 0
