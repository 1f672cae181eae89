"""What is of no use any more is deleted daily: responses of expired idempotency keys, sessions, links, counters."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from app.access import account_links, sessions
from app.access import jobs as access_jobs
from app.access.models import AccountLink, LinkPurpose, SignInFailure, UserSession
from app.kit.clock import SetClock
from app.kit.idempotency import RETENTION, IdempotentAnswer
from tests.access.people import invited
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


async def test_ended_sessions_used_links_and_counters_are_deleted_after_a_while(
    app: FastAPI, agency: Agency, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_jobs, "PAGE", 2)
    people = [await invited(app, agency, name) for name in ("Boris", "Clara", "Dora", "Emil")]
    for person in people[1:]:
        assert (await person.http.post("/v1/sessions/sign-out")).is_success
    wrong = {"email": people[0].email, "password": "not that one"}
    assert (await people[0].http.post("/v1/sessions", json=wrong)).status_code == 401
    ids = [uuid.UUID(person.id) for person in people]

    async def left() -> tuple[int, int, int]:
        async with agency.resources.transaction(None) as session:
            return (
                await session.scalar(select(func.count()).where(UserSession.user_id.in_(ids))) or 0,
                await session.scalar(select(func.count()).where(AccountLink.workspace_id == agency.workspace_id)) or 0,
                await session.scalar(
                    select(func.count()).select_from(SignInFailure).where(SignInFailure.until <= clock.now())
                )
                or 0,
            )

    await agency.recur("access.tidy_accounts")
    assert await left() == (4, 4, 0), "nothing has ended long ago"
    clock.advance(account_links.LIFETIMES[LinkPurpose.INVITATION] + account_links.KEPT + timedelta(seconds=1))
    assert (await left())[2] > 0
    await agency.recur("access.tidy_accounts")
    assert await left() == (4, 0, 0)
    clock.advance(sessions.KEPT)
    await agency.recur("access.tidy_accounts")
    assert await left() == (1, 0, 0), "the one who did not sign out may still come back"
    for person in people:
        await person.http.aclose()
