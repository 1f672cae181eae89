"""A key is looked up once in a while, not at every request, and a revoked one is found out."""

from datetime import timedelta

import pytest

from app.access import service
from app.access.models import Scope
from app.access.service import Authenticator
from app.kit.clock import SetClock
from app.kit.errors import Unauthenticated
from tests.conftest import Agency


class Counting(Authenticator):
    """Counts how often it has to ask the database; its seconds pass when the test says so."""

    looked_up = 0
    passed = 0.0

    async def _look_up(self, prefix: str) -> service._Known | None:
        self.looked_up += 1
        return await super()._look_up(prefix)


@pytest.fixture
def keeper(agency: Agency) -> Counting:
    """A authenticator as another process has one."""
    made = Counting(agency.resources.db, lambda: made.passed)
    return made


async def test_a_key_is_looked_up_once(agency: Agency, keeper: Counting) -> None:
    for _ in range(5):
        assert (await keeper.admit(agency.key)).workspace_id == agency.workspace_id
    assert keeper.looked_up == 1


async def test_a_known_prefix_with_another_secret_is_refused(agency: Agency, keeper: Counting) -> None:
    await keeper.admit(agency.key)
    wrong = agency.key[:-1] + ("a" if agency.key[-1] != "a" else "b")
    with pytest.raises(Unauthenticated):
        await keeper.admit(wrong)


async def test_unknown_keys_are_not_remembered(agency: Agency, keeper: Counting) -> None:
    for number in range(20):
        with pytest.raises(Unauthenticated):
            await keeper.admit(f"isk_{number:012}_{'x' * 43}")
    assert keeper._known == {}


async def test_a_key_revoked_elsewhere_is_refused_after_the_memory(agency: Agency, keeper: Counting) -> None:
    made = await agency.post("/v1/api-keys", {"name": "script"})
    await keeper.admit(made["key"])
    await agency.post(f"/v1/api-keys/{made['id']}/revoke", status=200)
    keeper.passed = Authenticator.MEMORY + 0.1
    with pytest.raises(Unauthenticated):
        await keeper.admit(made["key"])


async def test_a_remembered_key_expires_on_time(agency: Agency, keeper: Counting, clock: SetClock) -> None:
    async with agency.resources.transaction(agency.workspace_id) as session:
        _, text = await service.create_key(
            session, name="short", scopes=[Scope.READ], expires_at=clock.now() + timedelta(seconds=10)
        )
    await keeper.admit(text)
    clock.advance(timedelta(seconds=10))
    with pytest.raises(Unauthenticated):
        await keeper.admit(text)


async def test_the_memory_is_bounded(agency: Agency, keeper: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Authenticator, "MOST", 2)
    for number in range(4):
        made = await agency.post("/v1/api-keys", {"name": f"script {number}"})
        await keeper.admit(made["key"])
        assert len(keeper._known) <= 2
