"""API keys are cached for a few seconds; a revoked or expired one is refused all the same."""

from datetime import timedelta

import pytest

from app.access import service
from app.access.models import ApiKeyScope
from app.access.service import Authenticator
from app.kit.actors import SYSTEM
from app.kit.clock import SetClock
from app.kit.errors import Unauthenticated
from tests.conftest import Agency


class CountingAuthenticator(Authenticator):
    """Counts its database lookups."""

    lookups = 0

    async def _look_up(self, prefix: str) -> service.StoredKey:
        self.lookups += 1
        return await super()._look_up(prefix)


@pytest.fixture
def authenticator(agency: Agency) -> CountingAuthenticator:
    """An authenticator as another process of the installation has one."""
    return CountingAuthenticator(agency.resources)


async def test_a_key_is_looked_up_once(agency: Agency, authenticator: CountingAuthenticator) -> None:
    for _ in range(5):
        assert (await authenticator.authenticate(agency.key)).workspace_id == agency.workspace_id
    assert authenticator.lookups == 1


async def test_a_known_prefix_with_another_secret_is_refused(
    agency: Agency, authenticator: CountingAuthenticator
) -> None:
    await authenticator.authenticate(agency.key)
    wrong = agency.key[:-1] + ("a" if agency.key[-1] != "a" else "b")
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(wrong)


async def test_unknown_keys_are_not_cached(agency: Agency, authenticator: CountingAuthenticator) -> None:
    for number in range(20):
        with pytest.raises(Unauthenticated):
            await authenticator.authenticate(f"isk_{number:012}_{'x' * 43}")
    assert (authenticator.lookups, len(authenticator.keys)) == (20, 0)


async def test_a_key_revoked_by_another_process_is_refused_when_the_cache_expires(
    agency: Agency, authenticator: CountingAuthenticator, clock: SetClock
) -> None:
    made = await agency.post("/v1/api-keys", {"title": "script"})
    await authenticator.authenticate(made["key"])
    await agency.post(f"/v1/api-keys/{made['id']}/revoke", status=200)
    await authenticator.authenticate(made["key"])
    clock.advance(timedelta(seconds=Authenticator.CACHE_SECONDS))
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(made["key"])


async def test_a_cached_key_expires_on_time(
    agency: Agency, authenticator: CountingAuthenticator, clock: SetClock
) -> None:
    async with agency.resources.transaction(agency.workspace_id) as session:
        _, text = await service.create_key(
            session, SYSTEM, title="short", scopes=[ApiKeyScope.READ], expires_at=clock.now() + timedelta(seconds=10)
        )
    await authenticator.authenticate(text)
    clock.advance(timedelta(seconds=10))
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(text)


async def test_the_cache_is_bounded(agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Authenticator, "CACHE_SIZE", 2)
    authenticator = Authenticator(agency.resources)
    for number in range(4):
        made = await agency.post("/v1/api-keys", {"title": f"script {number}"})
        await authenticator.authenticate(made["key"])
        assert len(authenticator.keys) <= 2
