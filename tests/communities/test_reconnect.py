"""Tokens that a person replaces: what is given is used, and nothing of the grant before it."""

import uuid
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from app.communities import tokens
from app.kit import jobs as kit_jobs
from app.kit.clock import SetClock
from app.platforms import adapters
from app.platforms.capabilities import TokenState
from app.platforms.contract import (
    Rejected,
    Token,
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
        await session.execute(text("UPDATE community SET status = 'reauth_required', status_code = 'auth-expired'"))
    clock.advance(timedelta(hours=2))
    fake_platform.fail = [Rejected("not today")]
    await agency.work(POLL)
    seen = await health(agency, community)
    assert fake_platform.fail == []
    assert (seen["status"], seen["code"]) == ("reauth_required", "auth-expired")
    clock.advance(timedelta(hours=1))
    await agency.work(POLL)
    assert (await health(agency, community))["status"] == "healthy", "it was renewed"


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
        await reconnect(agency, community, user="theirs")

    fake_platform.before = person
    first, *_ = await agency.due(POLL)
    await kit_jobs.perform(agency.resources, first)
    assert await texts(agency, community) == {ACCESS: "access-1", REFRESH: "refresh-1", USER: "theirs"}


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
    assert (await health(agency, community))["status"] == "healthy"


async def test_new_tokens_are_tried_at_once(
    agency: Agency, project_id: str, fake_platform: FakePlatform, clock: SetClock
) -> None:
    """Right after a poll nothing is due: a token that was never used would count as accepted."""
    community = await connect(agency, project_id)
    await agency.work(POLL)
    assert (await health(agency, community))["status"] == "healthy"
    fake_platform.states = {ACCESS: TokenState(missing_scopes=("stats",))}
    await reconnect(agency, community, community="wrong", refresh="wrong")
    await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["status"], seen["code"]) == ("degraded", "auth-expired")
    fake_platform.good = "right"
    await reconnect(agency, community, community="right", refresh="right")
    await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["status"], seen["code"], seen["reason"]) == ("healthy", None, None)
    assert seen["missing_scopes"] == ["stats"], "and the platform is asked what they may do"


# ── what is given is used ─────────────────────────────────────────────────────────────────────────


async def test_a_wrong_refresh_token_is_not_hidden_by_the_access_token_before_it(
    agency: Agency, project_id: str, fake_platform: FakePlatform
) -> None:
    community = await connect(agency, project_id)
    await agency.work(POLL)
    assert (await health(agency, community))["status"] == "healthy"
    await reconnect(agency, community, refresh="wrong")
    await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["status"], seen["code"]) == ("degraded", "auth-expired")
    fake_platform.refresh = "right"
    await reconnect(agency, community, refresh="right")
    await agency.work(POLL)
    assert (await health(agency, community))["status"] == "healthy"
    assert await texts(agency, community) == {ACCESS: "access-1", REFRESH: "refresh-1"}


async def test_a_wrong_access_token_is_not_hidden_by_the_refresh_token_before_it(
    agency: Agency, project_id: str, fake_platform: FakePlatform
) -> None:
    community = await connect(agency, project_id, user="unrelated")
    await agency.work(POLL)
    await reconnect(agency, community, community="wrong")
    await agency.work(POLL)
    assert (await health(agency, community))["code"] == "auth-expired"
    assert fake_platform.calls == 0
    assert await texts(agency, community) == {ACCESS: "wrong", USER: "unrelated"}


async def test_a_renewal_with_a_replaced_token_stores_nothing(
    agency: Agency, project_id: str, fake_platform: FakePlatform
) -> None:
    """Neither in place of what was given, nor where there was nothing."""
    community = await connect(agency, project_id)
    await reconnect(agency, community, refresh="refresh-0")

    async def person() -> None:
        fake_platform.before = None
        await reconnect(agency, community, refresh="theirs")

    fake_platform.before = person
    first, *_ = await agency.due(POLL)
    await kit_jobs.perform(agency.resources, first)
    assert fake_platform.issued == 1
    assert await texts(agency, community) == {REFRESH: "theirs"}


REPLACED: list[tuple[str, set[Token], set[Token], set[Token]]] = [
    ("bluesky", {Token.PASSWORD}, {Token.PASSWORD, Token.COMMUNITY, Token.REFRESH}, {Token.COMMUNITY, Token.REFRESH}),
    ("youtube", {Token.REFRESH}, {Token.APP, Token.COMMUNITY, Token.REFRESH}, {Token.COMMUNITY}),
    ("youtube", {Token.COMMUNITY}, {Token.APP, Token.COMMUNITY, Token.REFRESH}, {Token.REFRESH}),
    ("youtube", {Token.APP}, {Token.APP, Token.COMMUNITY, Token.REFRESH}, set()),
    ("facebook", {Token.USER}, {Token.USER, Token.COMMUNITY}, {Token.COMMUNITY}),
    ("facebook", {Token.COMMUNITY}, {Token.USER, Token.COMMUNITY}, {Token.USER}),
    ("instagram", {Token.USER}, {Token.USER, Token.COMMUNITY}, set()),
    ("vk", {Token.COMMUNITY}, {Token.USER, Token.COMMUNITY, Token.REFRESH}, set()),
    ("vk", {Token.REFRESH}, {Token.USER, Token.COMMUNITY, Token.REFRESH}, {Token.USER}),
    ("vk", {Token.USER, Token.REFRESH}, {Token.USER, Token.COMMUNITY, Token.REFRESH}, set()),
    ("odnoklassniki", {Token.USER}, {Token.USER, Token.COMMUNITY, Token.REFRESH}, {Token.REFRESH}),
]


@pytest.mark.parametrize(("platform", "replacing", "stored", "dropped"), REPLACED)
def test_tokens_of_the_grant_before_are_dropped(
    platform: str, replacing: set[Token], stored: set[Token], dropped: set[Token]
) -> None:
    assert tokens.of_replaced_grant(adapters()[platform], replacing, stored) == dropped


async def test_a_session_is_opened_with_the_password_that_was_given(
    agency: Agency, project_id: str, fake_platform: FakePlatform
) -> None:
    """Bluesky's real adapter: the old session is gone when its password is replaced."""
    body = {"project_id": project_id, "platform": "bluesky", "address": "https://bsky.app/profile/coffee.example"}

    community = await agency.post("/v1/communities", body | {"credentials": {"password": "old"}})
    async with agency.resources.transaction(agency.workspace_id) as session:
        opened = {ACCESS: SecretStr("access"), REFRESH: SecretStr("refresh")}
        await tokens.store(session, agency.resources.keyring, uuid.UUID(community["id"]), opened)
    await reconnect(agency, community, password="new")
    assert await texts(agency, community) == {Token.PASSWORD: "new"}
