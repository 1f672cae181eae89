"""Tokens that expire are renewed once, by one worker, and never lost."""

import asyncio
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text

from app.communities import tokens
from app.communities.models import CommunityToken
from app.kit import events, instants
from app.kit import jobs as kit_jobs
from app.kit.clock import SetClock
from app.platforms import adapters
from app.platforms.capabilities import IssuedToken, TokenState
from app.platforms.contract import (
    AuthExpired,
    CommunitySnapshot,
    Credentials,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    Spec,
    Token,
)
from tests.communities.conftest import Fake, World, register_adapters
from tests.conftest import Agency

POLL = "communities.poll"
ACCESS, REFRESH, USER = Token.COMMUNITY, Token.REFRESH, Token.USER


@dataclass
class FakePlatform:
    """The token endpoint of the platform: each refresh token is accepted once."""

    good: str = "access-0"
    refresh: str = "refresh-0"
    issued: int = 0
    calls: int = 0
    lifetime: timedelta | None = timedelta(hours=1)
    fail: list[PlatformError] = field(default_factory=list)
    states: dict[Token, TokenState] = field(default_factory=dict)
    before: Any = None
    """Awaited during a refresh."""
    inspecting: Any = None
    """Awaited during an inspection of tokens."""


class Renewing(Fake):
    spec: ClassVar[Spec] = replace(Fake.spec, key="renewing", tokens=frozenset({ACCESS, REFRESH, USER}), public=False)
    fake_platform: ClassVar[FakePlatform]

    @classmethod
    def renewable(cls, tokens: Collection[Token], app: Collection[str]) -> frozenset[Token]:
        return frozenset({ACCESS, REFRESH}) if REFRESH in tokens else frozenset()

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        fake_platform = self.fake_platform
        fake_platform.calls += 1
        if fake_platform.before is not None:
            await fake_platform.before()
        if fake_platform.fail:
            raise fake_platform.fail.pop(0)
        if c.tokens[REFRESH] != fake_platform.refresh:
            raise AuthExpired("the refresh token was used before", token=REFRESH)
        fake_platform.issued += 1
        fake_platform.good, fake_platform.refresh = f"access-{fake_platform.issued}", f"refresh-{fake_platform.issued}"
        return {
            ACCESS: IssuedToken(fake_platform.good, fake_platform.lifetime),
            REFRESH: IssuedToken(fake_platform.refresh, None),
        }

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        states = self.fake_platform.states
        if self.fake_platform.inspecting is not None:
            await self.fake_platform.inspecting()
        return states

    async def community(self, c: Credentials) -> CommunitySnapshot:
        snapshot = await super().community(c)
        if c.tokens.get(ACCESS) != self.fake_platform.good:
            raise AuthExpired("the token has ended", token=ACCESS)
        # One community for each address.
        return replace(snapshot, external_id=c.address.rpartition("/")[2])


@pytest.fixture
def fake_platform(world: World, monkeypatch: pytest.MonkeyPatch) -> FakePlatform:
    made = FakePlatform()
    kind = type("RenewingHere", (Renewing,), {"world": world, "fake_platform": made})
    register_adapters(monkeypatch, {**adapters(), "renewing": kind})
    return made


async def connect(agency: Agency, project_id: str, name: str = "name", **tokens: str) -> dict[str, Any]:
    body = {
        "project_id": project_id,
        "platform": "renewing",
        "address": f"https://fake.test/{name}",
        "credentials": {"community": "access-0", "refresh": "refresh-0", **tokens},
    }
    made: dict[str, Any] = await agency.post("/v1/communities", body)
    return made


async def health(agency: Agency, community: dict[str, Any]) -> Any:
    return await agency.get(f"/v1/communities/{community['id']}/health")


async def texts(agency: Agency, community: dict[str, Any]) -> dict[Token, str]:
    async with agency.resources.transaction(agency.workspace_id) as session:
        return dict((await tokens.load(session, agency.resources.keyring, community["id"])).texts)


async def test_a_token_is_renewed_before_it_ends(
    agency: Agency, project_id: str, fake_platform: FakePlatform, clock: SetClock
) -> None:
    community = await connect(agency, project_id)
    fake_platform.good = "access-none"
    await agency.work(POLL)
    assert fake_platform.calls == 1, "refused once, renewed once"
    assert (await health(agency, community))["state"] == "healthy"
    for _ in range(12):
        clock.advance(timedelta(minutes=10))
        await agency.work(POLL)
        assert (await health(agency, community))["state"] == "healthy"
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
        assert (seen["state"], seen["code"]) == ("healthy", None)
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
    assert (seen["state"], seen["code"]) == ("healthy", None)
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
    assert (seen["state"], seen["code"]) == ("reauth_required", "auth-expired")
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
        assert (await health(agency, community))["state"] != "reauth_required"
        clock.advance(timedelta(minutes=1))
    await agency.work(POLL)
    assert (await health(agency, community))["state"] == "healthy"
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
    assert ends == {f"{instants.after(clock.now(), timedelta.max):%FT%T.%fZ}"}


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


# ── a person in the middle ────────────────────────────────────────────────────────────────────────


async def reconnect(agency: Agency, its: dict[str, Any], /, **tokens: str) -> None:
    await agency.post(f"/v1/communities/{its['id']}/reconnect", {"credentials": tokens}, status=200)


async def test_what_a_person_gives_while_a_renewal_is_under_way_is_kept(
    agency: Agency, project_id: str, fake_platform: FakePlatform, clock: SetClock
) -> None:
    """The new token is of another grant. Communities of the old grant get the renewed tokens."""
    a, b = await connect(agency, project_id, "a"), await connect(agency, project_id, "b")
    fake_platform.good = "access-none"

    async def person() -> None:
        fake_platform.before = None
        await reconnect(agency, a, community="theirs", refresh="theirs-too", user="and-this")

    fake_platform.before = person
    first, *_ = await agency.due(POLL)
    await kit_jobs.perform(agency.resources, first)
    assert await texts(agency, a) == {ACCESS: "theirs", REFRESH: "theirs-too", USER: "and-this"}
    assert await texts(agency, b) == {ACCESS: "access-1", REFRESH: "refresh-1"}
    assert await rows(agency, "SELECT count(*) FROM community_token WHERE renewing_until IS NOT NULL") == [(0,)]


async def test_a_failed_renewal_leaves_the_state_of_a_refused_token(
    agency: Agency, project_id: str, fake_platform: FakePlatform, clock: SetClock
) -> None:
    """The token was not used: it stays refused, whatever error the renewal had."""
    community = await connect(agency, project_id)
    await agency.work(POLL)
    fake_platform.good = "access-none"
    async with agency.resources.transaction(agency.workspace_id) as session:
        of_access = "UPDATE community_token SET expires_at = :at WHERE kind = 'community'"
        await session.execute(text(of_access), {"at": clock.now() + timedelta(hours=1)})
        await session.execute(text("UPDATE community SET state = 'reauth_required', state_code = 'auth-expired'"))
    clock.advance(timedelta(hours=2))
    fake_platform.fail = [Rejected("not today")]
    await agency.work(POLL)
    seen = await health(agency, community)
    assert fake_platform.fail == []
    assert (seen["state"], seen["code"]) == ("reauth_required", "auth-expired")
    clock.advance(timedelta(hours=1))
    await agency.work(POLL)
    assert (await health(agency, community))["state"] == "healthy", "it was renewed"


async def test_the_inspection_of_a_replaced_token_is_not_stored(
    agency: Agency, project_id: str, fake_platform: FakePlatform, clock: SetClock
) -> None:
    community = await connect(agency, project_id, user="old")
    old = TokenState(missing_scopes=("stats",), lifetime=timedelta(days=1))
    fake_platform.states = {USER: old, REFRESH: TokenState(lifetime=timedelta(days=40))}

    async def person() -> None:
        fake_platform.inspecting, fake_platform.states = None, {USER: TokenState(lifetime=timedelta(days=60))}
        await reconnect(agency, community, user="new")

    fake_platform.inspecting = person
    first, *_ = await agency.due(POLL)
    await kit_jobs.perform(agency.resources, first)
    of_user = "SELECT missing_scopes, expires_at, inspected_at FROM community_token WHERE kind = 'user'"
    assert await rows(agency, of_user) == [([], None, None)]
    of_refresh = "SELECT expires_at FROM community_token WHERE kind = 'refresh'"
    assert await rows(agency, of_refresh) == [(clock.now() + timedelta(days=40),)], "it is still the same"
    await agency.work(POLL)
    ((_, ends, _),) = await rows(agency, of_user)
    assert ends == clock.now() + timedelta(days=60), "the new one was asked about at once"


async def test_what_a_person_leaves_as_it_is_is_renewed_all_the_same(
    agency: Agency, project_id: str, fake_platform: FakePlatform, clock: SetClock
) -> None:
    community = await connect(agency, project_id)
    fake_platform.good = "access-none"

    async def person() -> None:
        fake_platform.before = None
        await reconnect(agency, community, community="theirs")

    fake_platform.before = person
    first, *_ = await agency.due(POLL)
    await kit_jobs.perform(agency.resources, first)
    assert await texts(agency, community) == {ACCESS: "theirs", REFRESH: "refresh-1"}, "the old one is used up"


async def test_a_token_of_a_person_is_renewed_at_once_however_lately_the_last_one_was(
    agency: Agency, project_id: str, fake_platform: FakePlatform, clock: SetClock
) -> None:
    community = await connect(agency, project_id)
    fake_platform.good = "access-none"
    await agency.work(POLL)
    assert fake_platform.calls == 1
    fake_platform.good, fake_platform.refresh = "access-9", "theirs"
    clock.advance(timedelta(minutes=1))
    await reconnect(agency, community, community="ended-long-ago", refresh="theirs")
    await agency.work(POLL)
    assert fake_platform.calls == 2
    assert (await health(agency, community))["state"] == "healthy"


async def test_new_tokens_are_tried_at_once(
    agency: Agency, project_id: str, fake_platform: FakePlatform, clock: SetClock
) -> None:
    """Right after a poll nothing is due: a token that was never used would count as accepted."""
    community = await connect(agency, project_id)
    await agency.work(POLL)
    assert (await health(agency, community))["state"] == "healthy"
    fake_platform.states = {ACCESS: TokenState(missing_scopes=("stats",))}
    await reconnect(agency, community, community="wrong", refresh="wrong")
    await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["state"], seen["code"]) == ("degraded", "auth-expired")
    fake_platform.good = "right"
    await reconnect(agency, community, community="right", refresh="right")
    await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["state"], seen["code"], seen["reason"]) == ("healthy", None, None)
    assert seen["missing_scopes"] == ["stats"], "and the platform is asked what they may do"


# ── what cannot be opened, and what ends ──────────────────────────────────────────────────────────


async def rows(agency: Agency, query: str) -> list[tuple[Any, ...]]:
    async with agency.resources.transaction(agency.workspace_id) as session:
        return [tuple(row) for row in await session.execute(text(query))]


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
    assert (seen["state"], seen["code"]) == {
        "community": ("healthy", None),
        "refresh": ("reauth_required", "auth-expired"),
    }[kind]
    failed = f"SELECT count(*) FROM job WHERE error IS NOT NULL AND workspace_id = '{agency.workspace_id}'"
    assert await rows(agency, failed) == [(0,)]
    await reconnect(agency, community, community=fake_platform.good, refresh=fake_platform.refresh)
    await agency.work(POLL)
    assert (await health(agency, community))["state"] == "healthy"


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
