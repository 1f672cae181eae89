"""Making, listing, changing and cancelling campaigns; their status follows their days."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.kit.clock import SetClock
from app.kit.events import EventRecord
from tests.campaigns.conftest import BODY, campaign
from tests.conftest import Agency
from tests.links.conftest import add_community


async def topics(agency: Agency, prefix: str = "campaign.") -> list[str]:
    """The topics of the agency's stored events, in order."""
    query = select(EventRecord.topic).where(EventRecord.workspace_id == agency.workspace_id).order_by(EventRecord.id)
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        return [topic for topic in (await connection.scalars(query)).all() if topic.startswith(prefix)]


async def test_a_campaign_is_made_and_read_again(agency: Agency, project_id: str, community_id: str) -> None:
    made = await campaign(
        agency, project_id, community_ids=[community_id], budget={"amount": "50000", "currency": "RUB"}
    )
    assert made["budget"] == {"amount": "50000.00", "currency": "RUB"}
    assert made["community_ids"] == [community_id]
    assert made["slug"] == "autumn-beans"
    assert made["status"] == "running"
    assert (made["from"], made["to"], made["timezone"]) == ("2026-10-01", "2026-10-31", "Europe/Minsk")
    assert (made["starts_at"], made["ends_at"]) == ("2026-09-30T21:00:00Z", "2026-10-31T21:00:00Z")
    assert await agency.get(f"/v1/campaigns/{made['id']}") == made
    assert (await agency.get("/v1/campaigns"))["data"] == [made]
    everywhere = await campaign(agency, project_id)
    assert everywhere["community_ids"] is None
    assert await topics(agency) == ["campaign.created", "campaign.created"]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "ends before it begins": ({"to": "2026-09-30"}, "invalid-period"),
    "too long": ({"to": "2027-10-31"}, "period-too-long"),
    "money without a currency": ({"budget": {"amount": "5"}}, "missing"),
    "an unknown currency": ({"budget": {"amount": "5", "currency": "RUR"}}, "unknown-currency"),
    "a currency in small letters": ({"budget": {"amount": "5", "currency": "rub"}}, "string-pattern-mismatch"),
    "a negative amount": ({"budget": {"amount": "-5", "currency": "RUB"}}, "negative-amount"),
    "a third decimal": ({"budget": {"amount": "5.001", "currency": "RUB"}}, "too-many-decimals"),
    "a decimal of yen": ({"budget": {"amount": "5.1", "currency": "JPY"}}, "too-many-decimals"),
    "a number": ({"budget": {"amount": 5.1, "currency": "RUB"}}, "string-type"),
    "an exponent": ({"budget": {"amount": "5e3", "currency": "RUB"}}, "string-pattern-mismatch"),
    "an unknown type": ({"type": "billboard"}, "enum"),
    "no community": ({"community_ids": []}, "too-short"),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_campaigns_are_refused(name: str, agency: Agency, project_id: str) -> None:
    fields, code = BAD[name]
    refused = await agency.post("/v1/campaigns", {"project_id": project_id, **BODY, **fields}, status=422)
    assert [error["code"] for error in refused["errors"]] == [code]
    assert (await agency.get("/v1/campaigns"))["data"] == []


async def test_communities_are_of_the_project(agency: Agency, rival: Agency, project_id: str) -> None:
    other = (await agency.post("/v1/projects", {"title": "Other", "timezone": "Europe/Minsk"}))["id"]
    foreign = await add_community(agency, other)
    body = {"project_id": project_id, **BODY, "community_ids": [foreign]}
    assert (await agency.post("/v1/campaigns", body, status=422))["code"] == "community-of-another-project"
    await agency.post("/v1/campaigns", {**body, "community_ids": [str(uuid.uuid4())]}, status=404)
    await rival.post("/v1/campaigns", {**body, "community_ids": None}, status=404)


async def test_lists_are_filtered_and_paged(agency: Agency, clock: SetClock, project_id: str) -> None:
    here, there = [await add_community(agency, project_id, f"https://social.example/@{n}") for n in range(2)]
    other = (await agency.post("/v1/projects", {"title": "Other", "timezone": "Europe/Minsk"}))["id"]
    made = {}
    planned: dict[str, dict[str, Any]] = {
        "ran": {"from": "2026-09-01", "to": "2026-09-02", "community_ids": [here]},
        "runs": {"community_ids": [there], "type": "giveaway"},
        "comes": {"from": "2026-11-01", "to": "2026-11-02"},
        "dead": {},
    }
    for name, fields in planned.items():
        clock.advance(timedelta(seconds=1))
        made[name] = (await campaign(agency, project_id, title=name, **fields))["id"]
    clock.advance(timedelta(seconds=1))
    made["else"] = (await campaign(agency, other, title="else"))["id"]
    await agency.post(f"/v1/campaigns/{made['dead']}/cancel", status=200)

    async def titles(**filters: Any) -> list[str]:
        rows: list[str] = []
        cursor: dict[str, Any] = {}
        while True:
            page = (await agency.http.get("/v1/campaigns", params={"limit": 2, **filters, **cursor})).json()
            rows += [row["title"] for row in page["data"]]
            if page["next_cursor"] is None:
                return rows
            cursor = {"cursor": page["next_cursor"]}

    assert await titles() == ["else", "dead", "comes", "runs", "ran"]
    assert await titles(project_id=project_id) == ["dead", "comes", "runs", "ran"]
    assert await titles(type="giveaway") == ["runs"]
    for status, expected in {
        "planned": ["comes"],
        "running": ["else", "runs"],
        "ended": ["ran"],
        "cancelled": ["dead"],
    }.items():
        assert await titles(status=status) == expected
    assert await titles(community_id=here) == ["dead", "comes", "ran"]
    assert await titles(community_id=there) == ["dead", "comes", "runs"]
    by_start = await titles(sort="starts_at")
    assert (by_start[0], by_start[-1]) == ("comes", "ran")
    assert await titles(sort="starts_at", since="2026-10-15T00:00:00Z") == ["comes"]
    assert await titles(sort="starts_at", until="2026-09-15T00:00:00Z") == ["ran"]
    assert await titles(community_id=str(uuid.uuid4())) == []


async def test_the_status_follows_the_days(agency: Agency, clock: SetClock, project_id: str) -> None:
    made = await campaign(agency, project_id, **{"from": "2026-10-16", "to": "2026-10-17"})
    path = f"/v1/campaigns/{made['id']}"
    assert made["status"] == "planned"
    assert await agency.work("campaigns.advance") == 0
    clock.at = datetime(2026, 10, 15, 21, 0, tzinfo=UTC)
    await agency.work("campaigns.advance")
    assert (await agency.get(path))["status"] == "running"
    later = await agency.patch(path, {"to": "2026-10-18"})
    assert later["ends_at"] == "2026-10-18T21:00:00Z"
    clock.at = datetime(2026, 10, 17, 21, 0, tzinfo=UTC)
    await agency.work("campaigns.advance")
    assert (await agency.get(path))["status"] == "running"
    clock.at = datetime(2026, 10, 18, 21, 0, tzinfo=UTC)
    await agency.work("campaigns.advance")
    assert (await agency.get(path))["status"] == "ended"
    assert await topics(agency) == ["campaign.created", "campaign.started", "campaign.changed", "campaign.ended"]


async def test_another_zone_has_other_midnights(agency: Agency, project_id: str) -> None:
    made = await campaign(agency, project_id)
    await agency.patch(f"/v1/projects/{project_id}", {"timezone": "Asia/Tokyo"})
    await agency.work("campaigns.redate")
    moved = await agency.get(f"/v1/campaigns/{made['id']}")
    assert (moved["starts_at"], moved["ends_at"]) == ("2026-09-30T15:00:00Z", "2026-10-31T15:00:00Z")
    assert (moved["from"], moved["to"]) == (made["from"], made["to"])


async def test_a_cancelled_campaign_stays_so(agency: Agency, clock: SetClock, path: str) -> None:
    cancelled = await agency.post(f"{path}/cancel", status=200)
    assert cancelled["status"] == "cancelled"
    assert cancelled["cancelled_at"] is not None
    assert (await agency.post(f"{path}/cancel", status=409))["code"] == "campaign-cancelled"
    assert (await agency.patch(path, {"title": "Again"}, status=409))["code"] == "campaign-cancelled"
    clock.advance(timedelta(days=60))
    await agency.work("campaigns.advance")
    assert (await agency.get(path))["status"] == "cancelled"
    # The money is spent all the same.
    await agency.post(f"{path}/spend", {"day": "2026-10-02", "amount": "5", "currency": "RUB"})


async def test_days_may_not_leave_out_what_is_recorded(agency: Agency, path: str) -> None:
    spend = await agency.post(f"{path}/spend", {"day": "2026-10-01", "amount": "5", "currency": "RUB"})
    refused = await agency.patch(path, {"from": "2026-10-02"}, status=409)
    assert refused["code"] == "recorded-outside-period"
    assert (await agency.get(path))["from"] == "2026-10-01"
    await agency.post(f"{path}/spend/{spend['id']}/void", {"reason": "Wrong day"}, status=200)
    assert (await agency.patch(path, {"from": "2026-10-02"}))["from"] == "2026-10-02"
    assert (await agency.patch(path, {"to": "2026-10-01"}, status=422))["code"] == "invalid-period"
