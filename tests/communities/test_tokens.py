"""Tokens that expire are renewed once, by one worker, and never lost."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text

from app.communities import tokens
from app.communities.models import CommunityToken
from app.kit import events, instants
from app.kit import jobs as kit_jobs
from app.kit.clock import SetClock
from app.platforms.capabilities import IssuedToken, TokenState
from app.platforms.contract import (
    OutcomeUnknown,
)
from tests.communities.renewing import (
    ACCESS,
    POLL,
    REFRESH,
    USER,
    FakePlatform,
    connect,
    health,
    reconnect,
    rows,
    texts,
)
from tests.conftest import Agency


async def test_a_token_is_renewed_before_it_ends(
    agency: Agency, project_id: str, fake_platform: FakePlatform, clock: SetClock
) -> None:
    community = await connect(agency, project_id)
    fake_platform.good = "access-none"
    await agency.work(POLL)
    assert fake_platform.calls == 1, "refused once, renewed once"
    assert (await health(agency, community))["status"] == "healthy"
    for _ in range(12):
        clock.advance(timedelta(minutes=10))
        await agency.work(POLL)
        assert (await health(agency, community))["status"] == "healthy"
    assert 2 <= fake_platform.issued <= 4, "about once an hour, ten minutes ahead"
    assert await texts(agency, community) == {ACCESS: fake_platform.good, REFRESH: fake_platform.refresh}


async def test_many_workers_renew_once(
    agency: Agency, project_id: str, fake_platform: FakePlatform, clock: SetClock
) -> None:
    """Ten communities of one grant, whose refresh token is accepted once, are polled concurrently."""
    communities = [await connect(agency, project_id, f"n{n}") for n in range(10)]
    fake_platform.good = "access-none"
    arrived = asyncio.Event()

    async def slowly() -> None:
        arrived.set()
        await asyncio.sleep(0)

    fake_platform.before = slowly
    for _ in range(6):  # workers that find them claimed wait two seconds
        jobs = await agency.due(POLL)
        await asyncio.gather(*(kit_jobs.perform(agency.resources, one) for one in jobs))
        clock.advance(timedelta(seconds=2))
    assert fake_platform.calls == fake_platform.issued == 1
    for community in communities:
        seen = await health(agency, community)
        assert (seen["status"], seen["code"]) == ("healthy", None)
        assert await texts(agency, community) == {ACCESS: "access-1", REFRESH: "refresh-1"}


async def test_the_loser_does_not_blame_the_token(
    agency: Agency, project_id: str, fake_platform: FakePlatform, clock: SetClock
) -> None:
    """A worker that read the old token is refused after another has stored the new one."""
    community = await connect(agency, project_id)
    await agency.work(POLL)
    clock.advance(timedelta(hours=2))
    # Another worker renews meanwhile: the tokens that this one has read are refused.
    fake_platform.good, fake_platform.refresh, fake_platform.issued = "access-1", "refresh-1", 1
    stored = False

    async def other() -> None:
        nonlocal stored
        if not stored:
            stored = True
            async with agency.resources.transaction(agency.workspace_id) as session:
                issued = {ACCESS: SecretStr("access-1"), REFRESH: SecretStr("refresh-1")}
                await tokens.store(session, agency.resources.keyring, uuid.UUID(community["id"]), issued)

    fake_platform.before = other
    await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["status"], seen["code"]) == ("healthy", None)
    assert await texts(agency, community) == {ACCESS: "access-1", REFRESH: "refresh-1"}


async def test_a_refused_refresh_requires_a_reconnect_and_overwrites_nothing(
    agency: Agency, project_id: str, fake_platform: FakePlatform, clock: SetClock
) -> None:
    community = await connect(agency, project_id, refresh="revoked")
    fake_platform.good = "access-none"
    for _ in range(4):
        await agency.work(POLL)
        clock.advance(timedelta(minutes=5))
    seen = await health(agency, community)
    assert (seen["status"], seen["code"]) == ("reauth_required", "auth-expired")
    assert await texts(agency, community) == {ACCESS: "access-0", REFRESH: "revoked"}


@pytest.mark.parametrize("died", [True, False])
async def test_a_refresh_whose_answer_is_lost_is_tried_again(
    agency: Agency, project_id: str, fake_platform: FakePlatform, clock: SetClock, died: bool
) -> None:
    community = await connect(agency, project_id)
    fake_platform.good = "access-none"
    if died:

        class Killed(BaseException):
            pass

        async def die() -> None:
            fake_platform.before = None
            raise Killed

        fake_platform.before = die
        with pytest.raises(Killed):
            await agency.work(POLL)
        clock.advance(tokens.RENEWAL_LEASE)
        async with agency.resources.db.read_connection(None) as connection:
            left = select(kit_jobs.Job.id).where(kit_jobs.Job.workspace_id == agency.workspace_id)
            for job in (await connection.scalars(left)).all():
                assert await kit_jobs.perform(agency.resources, job)
    else:
        fake_platform.fail.append(OutcomeUnknown("no answer"))
        await agency.work(POLL)
        assert (await health(agency, community))["status"] != "reauth_required"
        clock.advance(timedelta(minutes=1))
    await agency.work(POLL)
    assert (await health(agency, community))["status"] == "healthy"
    assert await texts(agency, community) == {ACCESS: "access-1", REFRESH: "refresh-1"}


def test_a_token_is_never_empty_and_never_shown() -> None:
    with pytest.raises(ValueError, match="never empty"):
        IssuedToken("", None)
    assert "hidden" not in repr(IssuedToken("hidden", None))


async def test_a_token_that_is_said_to_last_for_ever_ends_within_bounds(
    agency: Agency, project_id: str, fake_platform: FakePlatform, clock: SetClock
) -> None:
    community = await connect(agency, project_id, user="user-0")
    fake_platform.good, fake_platform.lifetime = "access-none", timedelta.max
    fake_platform.states = {USER: TokenState(lifetime=timedelta.max)}
    await agency.work(POLL)
    ends = {one["expires_at"] for one in (await health(agency, community))["tokens"]} - {None}
    assert ends == {f"{instants.after(clock.now(), timedelta.max):%FT%TZ}"}


async def test_a_token_is_announced_seven_days_before_it_expires(
    agency: Agency, project_id: str, fake_platform: FakePlatform, clock: SetClock
) -> None:
    """It is announced once, and only for tokens that are not renewed automatically."""
    community = await connect(agency, project_id, user="user-0")
    fake_platform.states = {
        USER: TokenState(missing_scopes=("stats",), lifetime=timedelta(days=8)),
        REFRESH: TokenState(lifetime=timedelta(days=1)),
    }
    announced: list[Any] = []

    async def topics() -> list[dict[str, Any]]:
        async with agency.resources.transaction(agency.workspace_id) as session:
            rows = await session.scalars(
                select(events.EventRecord).where(events.EventRecord.topic == "community.token-expiring")
            )
            return [row.data for row in rows]

    await agency.work(POLL)
    assert await topics() == announced
    seen = await health(agency, community)
    assert seen["missing_scopes"] == ["stats"]
    ends = clock.now() + timedelta(days=8)
    fake_platform.states = {}
    clock.advance(timedelta(days=1))
    for _ in range(3):
        await agency.work(POLL)
        clock.advance(timedelta(hours=2))
    (event,) = await topics()
    assert (event["kind"], event["community_id"]) == ("user", community["id"])
    assert event["expires_at"].startswith(ends.strftime("%Y-%m-%dT%H:%M"))
    async with agency.resources.transaction(agency.workspace_id) as session:
        rows = await session.execute(select(CommunityToken.kind, CommunityToken.warned_at))
        assert {kind for kind, warned_at in rows if warned_at is not None} == {"user"}


# ── what cannot be opened, and what ends ──────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["community", "refresh"])
async def test_a_token_that_no_key_opens_is_renewed_or_requires_a_reconnect(
    agency: Agency, project_id: str, fake_platform: FakePlatform, clock: SetClock, kind: str
) -> None:
    community = await connect(agency, project_id)
    await agency.work(POLL)
    async with agency.resources.transaction(agency.workspace_id) as session:
        await session.execute(text("UPDATE community_token SET sealed = 'lost' WHERE kind = :kind"), {"kind": kind})
    for _ in range(3):
        clock.advance(timedelta(minutes=5))
        await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["status"], seen["code"]) == {
        "community": ("healthy", None),
        "refresh": ("reauth_required", "auth-expired"),
    }[kind]
    failed = f"SELECT count(*) FROM job WHERE error IS NOT NULL AND workspace_id = '{agency.workspace_id}'"
    assert await rows(agency, failed) == [(0,)]
    await reconnect(agency, community, community=fake_platform.good, refresh=fake_platform.refresh)
    await agency.work(POLL)
    assert (await health(agency, community))["status"] == "healthy"


async def test_each_token_is_announced_once_and_a_prolonged_one_again(
    agency: Agency, project_id: str, fake_platform: FakePlatform, clock: SetClock
) -> None:
    community = await connect(agency, project_id, user="user-0")

    async def announced() -> int:
        await agency.work(POLL)
        ((number,),) = await rows(agency, "SELECT count(*) FROM event WHERE topic = 'community.token-expiring'")
        return int(number)

    fake_platform.states = {USER: TokenState(lifetime=timedelta(days=6))}
    assert [await announced(), await announced()] == [1, 1]
    await reconnect(agency, community, user="user-1")
    assert await announced() == 1, "the note of a token's end is worked out hourly"
    clock.advance(timedelta(hours=1))
    assert await announced() == 2
    fake_platform.states = {USER: TokenState(lifetime=timedelta(days=60))}
    clock.advance(timedelta(days=1))
    assert await announced() == 2
    fake_platform.states = {USER: TokenState(lifetime=timedelta(days=7))}
    for _ in range(3):
        clock.advance(timedelta(days=1))
        assert await announced() == 3
