"""Tokens under a new key: none is lost, none that is renewed meanwhile is overwritten."""

import asyncio
import uuid
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import select, text

from app.communities import service, tokens
from app.kit.actors import SYSTEM
from app.kit.crypto import Keyring
from app.platforms.contract import Token
from app.settings import Settings
from tests.conftest import Agency


def new_secret() -> SecretStr:
    return SecretStr(Fernet.generate_key().decode())


@pytest.fixture
def old() -> SecretStr:
    return new_secret()


@pytest.fixture
async def connected(agency: Agency, project_id: str, configuration: Settings, old: SecretStr) -> uuid.UUID:
    """A community with two tokens, sealed with the old key."""
    async with agency.resources.transaction(agency.workspace_id) as session:
        made = await service.connect(
            session,
            SYSTEM,
            configuration,
            Keyring([old]),
            project_id=uuid.UUID(project_id),
            platform="vk",
            address="https://vk.com/coffee",
            tokens={Token.USER: SecretStr("user's"), Token.COMMUNITY: SecretStr("own")},
            backfill_days=1,
        )
        return made.id


async def opened(agency: Agency, community_id: uuid.UUID, *keys: SecretStr) -> dict[Token, str]:
    """The tokens that these keys decrypt."""
    async with agency.resources.transaction(agency.workspace_id) as session:
        held = await tokens.load(session, Keyring(keys), community_id)
    assert held.lost == {Token.USER, Token.COMMUNITY} - held.texts.keys()
    return dict(held.texts)


async def reseal(agency: Agency, *keys: SecretStr) -> service.ResealResult:
    async with agency.resources.transaction(agency.workspace_id) as session:
        return await service.reseal(session, SYSTEM, Keyring(keys))


async def test_a_resealed_token_needs_the_old_key_no_more(
    agency: Agency, rival: Agency, connected: uuid.UUID, old: SecretStr
) -> None:
    new = new_secret()
    assert await opened(agency, connected, new) == {}
    assert await reseal(rival, new) == service.ResealResult(0, frozenset()), "another workspace's are not seen"
    for _ in range(2):
        assert await reseal(agency, new, old) == service.ResealResult(2, frozenset())
    assert await opened(agency, connected, new) == {Token.USER: "user's", Token.COMMUNITY: "own"}
    assert await opened(agency, connected, old) == {}


async def test_a_token_that_cannot_be_opened_is_named_and_left(
    agency: Agency, connected: uuid.UUID, old: SecretStr
) -> None:
    new = new_secret()
    assert await reseal(agency, new) == service.ResealResult(0, frozenset({connected}))
    assert await opened(agency, connected, new, old) == {Token.USER: "user's", Token.COMMUNITY: "own"}


async def test_a_token_renewed_meanwhile_is_not_overwritten(
    agency: Agency, connected: uuid.UUID, old: SecretStr
) -> None:
    new = new_secret()
    renewed: dict[Any, SecretStr] = {Token.COMMUNITY: SecretStr("renewed"), Token.USER: SecretStr("too")}
    async with agency.resources.transaction(agency.workspace_id) as session:
        await service.reconnect(session, SYSTEM, Keyring([new, old]), community_id=connected, tokens=renewed)
        pid = await session.scalar(select(text("pg_backend_pid()")))
        resealing = asyncio.create_task(reseal(agency, new, old))
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND :pid = ANY (pg_blocking_pids(pid))")
        async with asyncio.timeout(60):
            while not await session.scalar(waiting, {"pid": pid}):
                assert not resealing.done(), "it does not wait for the row"
    assert (await resealing).tokens == 2
    assert await opened(agency, connected, new) == {Token.USER: "too", Token.COMMUNITY: "renewed"}
