"""Goals over HTTP: proposed, changed, withdrawn, listed."""

from fastapi import FastAPI

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
        "community_ids": [str(setup.place.community_id)],
    }
    assert (made["status"], made["revision"], made["agreed_revision"], made["changes"]) == ("proposed", 1, None, [])
    assert (made["proposed_by"], made["pace"]) == ("Anna", "unknown")
    assert await agency.get(f"/v1/goals/{made['id']}") == made
    assert (await agency.get("/v1/goals"))["data"] == [made]


async def test_what_the_clients_seat_sees_and_may_do(app: FastAPI, agency: Agency, setup: Setup) -> None:
    """All goals of their own project with progress and corrections, and none of another one; they agree, no more."""
    goal = await setup.goal()
    stated = {"value": 1000, "reason": "Counted."}
    other = await agency.post("/v1/projects", {"title": "Tea", "timezone": "Europe/Minsk"})
    foreign = await setup.goal(project_id=other["id"], stated_baseline=stated)
    correction = {"project_id": setup.project_id, "kpi": "net_growth", "hypothesis": "…", "change": "…"}
    made = await agency.post("/v1/corrections", {**correction, "review_on": "2026-10-22"})
    client = await setup.member(app)
    paths = [f"/v1/goals/{goal['id']}{part}" for part in ("", "/progress", "/revisions", "/agreements")]
    for path in [*paths, f"/v1/corrections/{made['id']}/effect"]:
        assert (await client.http.get(path)).status_code == 200, path
    for path in ("/v1/goals", "/v1/portfolio/goals"):
        (row,) = (await client.http.get(path)).json()["data"]
        assert goal["id"] in {row.get("id"), row.get("goal_id")}
    assert [one["id"] for one in (await client.http.get("/v1/corrections")).json()["data"]] == [made["id"]]
    for part in ("", "/progress", "/revisions", "/agreements"):
        assert (await client.http.get(f"/v1/goals/{foreign['id']}{part}")).status_code == 404
    refused = [
        await client.http.post("/v1/goals", json=setup.body()),
        await client.http.patch(f"/v1/goals/{goal['id']}", json={"target": 1}),
        await client.http.post(f"/v1/goals/{goal['id']}/withdraw"),
        await client.http.post("/v1/corrections", json={**correction, "review_on": "2026-10-22"}),
        await client.http.post(f"/v1/corrections/{made['id']}/withdraw"),
    ]
    assert [(one.status_code, one.json()["code"]) for one in refused] == [(403, "missing-seat")] * 5
    assert await agency.get(f"/v1/goals/{goal['id']}") == goal
    await client.http.aclose()


async def test_a_title_is_in_any_script(setup: Setup) -> None:
    for title in ("Больше гостей", "顾客更多", "المزيد من الزوار", "🎯 więcej"):
        assert (await setup.goal(title=title))["title"] == title
    for title in ("", "  ", "a\x00b", "x" * 500):
        assert (await setup.goal(422, title=title))["code"] == "invalid-input"
