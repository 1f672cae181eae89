"""Goals over HTTP: proposed, changed, withdrawn, listed."""

from tests.conftest import Agency
from tests.goals.conftest import Setup


async def test_a_goal_is_proposed_with_a_measured_baseline(agency: Agency, setup: Setup) -> None:
    made = await setup.goal()
    # On 9 October, the 39th day, the size was 1,380.
    assert made["baseline"] == {
        "source": "measured",
        "level": 1380.0,
        "value": 1380.0,
        "from": "2026-09-12",
        "to": "2026-10-09",
        "known_days": 28,
        "status": "ok",
        "as_of": "2026-10-15T12:00:00Z",
        "reason": None,
    }
    assert (made["status"], made["revision"], made["agreed_revision"], made["changes"]) == ("proposed", 1, None, [])
    assert (made["proposed_by"], made["pace"]) == ("Anna", "unknown")
    assert await agency.get(f"/v1/goals/{made['id']}") == made
    assert (await agency.get("/v1/goals"))["data"] == [made]
