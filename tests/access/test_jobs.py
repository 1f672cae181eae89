"""Stored responses of expired idempotency keys are deleted daily, in every workspace."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from app.access import jobs as access_jobs
from app.kit.clock import SetClock
from app.kit.idempotency import RETENTION, IdempotentAnswer
from tests.conftest import Agency


async def stored_count(agency: Agency) -> int:
    async with agency.resources.transaction(agency.workspace_id) as session:
        return await session.scalar(select(func.count()).select_from(IdempotentAnswer)) or 0


async def send_requests(agency: Agency, times: int) -> None:
    for _ in range(times):
        key: dict[str, Any] = {"Idempotency-Key": uuid.uuid4().hex}
        await agency.post("/v1/api-keys", {"title": "script"}, **key)


async def test_expired_responses_are_deleted_and_others_kept(
    agency: Agency, rival: Agency, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_jobs, "PAGE", 2)
    await send_requests(agency, 5)
    await send_requests(rival, 1)
    clock.advance(RETENTION)
    await agency.recur("access.tidy")
    assert await agency.work("access.tidy_workspace") == 1
    assert await stored_count(agency) == 5, "after exactly a day nothing has expired"

    clock.advance(timedelta(milliseconds=1))
    await send_requests(agency, 1)
    await agency.recur("access.tidy")
    assert await agency.work("access.tidy_workspace") == 3, "two, two and one"
    assert (await stored_count(agency), await stored_count(rival)) == (1, 1)
    assert await rival.work("access.tidy_workspace") == 1
    assert await stored_count(rival) == 0
