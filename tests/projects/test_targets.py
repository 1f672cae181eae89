"""Targets for responses, by the day from which they hold."""

from datetime import timedelta
from typing import Any

import pytest

from app.kit.clock import SetClock
from tests.conftest import Agency

TODAY = "2026-10-15"


async def _project(agency: Agency, timezone: str = "Europe/Minsk") -> str:
    made = await agency.post("/v1/projects", {"title": "Nina's", "timezone": timezone})
    return f"/v1/projects/{made['id']}/response-targets"


async def test_nothing_is_agreed_until_it_is(agency: Agency, rival: Agency) -> None:
    path = await _project(agency)
    assert await agency.get(path) == {"timezone": "Europe/Minsk", "current": None, "versions": []}
    await rival.get(path, 404)
    await rival.put(path, {"first_response_minutes": 60}, 404)
    assert (await agency.get(path))["versions"] == []


async def test_every_version_is_kept_with_its_day(agency: Agency, clock: SetClock) -> None:
    path = await _project(agency)
    first = await agency.put(path, {"first_response_minutes": 60, "resolution_minutes": 960})
    expected = {
        "holds_from": TODAY,
        "first_response_minutes": 60,
        "resolution_minutes": 960,
        "updated_at": "2026-10-15T12:00:00Z",
    }
    assert first == {"timezone": "Europe/Minsk", "current": expected, "versions": [expected]}
    later = await agency.put(path, {"first_response_minutes": 30, "holds_from": "2026-11-01"})
    assert later["current"] == expected
    assert [one["holds_from"] for one in later["versions"]] == [TODAY, "2026-11-01"]
    # The targets of that very day are replaced.
    again = await agency.put(path, {"first_response_minutes": 45, "holds_from": TODAY})
    assert [one["first_response_minutes"] for one in again["versions"]] == [45, 30]
    clock.advance(timedelta(days=20))
    assert (await agency.get(path))["current"]["first_response_minutes"] == 30


async def test_the_past_is_not_agreed_on_anew(agency: Agency, clock: SetClock) -> None:
    path = await _project(agency, "Pacific/Auckland")  # it is the 16th there already
    refused = await agency.put(path, {"first_response_minutes": 60, "holds_from": TODAY}, 422)
    assert (refused["code"], refused["errors"][0]["field"]) == ("target-in-the-past", "holds_from")
    assert (await agency.get(path))["versions"] == []
    made = await agency.put(path, {"first_response_minutes": 60})
    assert made["current"]["holds_from"] == "2026-10-16"


async def test_a_stale_version_is_refused(agency: Agency) -> None:
    path = await _project(agency)
    tag = (await agency.http.get(path)).headers["ETag"]
    body = {"first_response_minutes": 60}
    changed = await agency.http.put(path, json=body, headers={"If-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag
    other = await agency.http.put(path, json={"first_response_minutes": 5}, headers={"If-Match": tag})
    assert other.status_code == 412
    same = await agency.http.put(path, json=body, headers={"If-Match": changed.headers["ETag"]})
    assert same.headers["ETag"] == changed.headers["ETag"], "nothing has changed"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"first_response_minutes": 0},
        {"first_response_minutes": None},
        {"first_response_minutes": 1.5},
        {"first_response_minutes": 60, "resolution_minutes": -1},
        {"first_response_minutes": 60, "holds_from": "soon"},
        {"first_response_minutes": 60, "hold_from": TODAY},
    ],
)
async def test_invalid_targets_are_refused(agency: Agency, wrong: dict[str, Any]) -> None:
    path = await _project(agency)
    await agency.put(path, wrong, 422)
    assert (await agency.get(path))["versions"] == []
