"""Promo codes: unique in their project while they are active; redemptions, each once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from app.kit.clock import SetClock
from tests.campaigns.conftest import campaign
from tests.campaigns.test_campaigns import topics
from tests.conftest import Agency

USE: dict[str, Any] = {
    "at": "2026-10-12T09:30:00Z",
    "amount": {"amount": "990", "currency": "RUB"},
    "external_id": "order-1",
}


async def test_a_code_is_unique_while_it_is_active(agency: Agency, project_id: str, path: str) -> None:
    made = await agency.post(f"{path}/promo-codes", {"code": "Autumn10"})
    assert made["code"] == "Autumn10"
    other = f"/v1/campaigns/{(await campaign(agency, project_id))['id']}"
    for there in (path, other):
        refused = await agency.post(f"{there}/promo-codes", {"code": "AUTUMN10"}, status=409)
        assert refused["code"] == "code-taken"
        assert "Autumn beans" in refused["detail"]
    elsewhere = (await agency.post("/v1/projects", {"title": "Other", "timezone": "Europe/Minsk"}))["id"]
    third = f"/v1/campaigns/{(await campaign(agency, elsewhere))['id']}"
    await agency.post(f"{third}/promo-codes", {"code": "AUTUMN10"})
    retired = await agency.post(f"{path}/promo-codes/autumn10/retire", status=200)
    assert retired["retired_at"] is not None
    assert (await agency.post(f"{path}/promo-codes/autumn10/retire", status=409))["code"] == "code-retired"
    taken = await agency.post(f"{other}/promo-codes", {"code": "AUTUMN10"})
    # Cancelling a campaign frees its codes.
    await agency.post(f"{other}/cancel", status=200)
    again = await agency.post(f"{path}/promo-codes", {"code": "autumn10"})
    assert [row["id"] for row in (await agency.get(f"{path}/promo-codes"))["data"]] == [again["id"], made["id"]]
    assert [row["id"] for row in (await agency.get(f"{other}/promo-codes"))["data"]] == [taken["id"]]
    await agency.post(f"{other}/promo-codes", {"code": "NEW"}, status=409)


async def test_a_redemption_is_recorded_once(agency: Agency, rival: Agency, path: str) -> None:
    await agency.post(f"{path}/promo-codes", {"code": "AUTUMN10"})
    there = f"{path}/promo-codes/autumn10/redemptions"
    made = await agency.post(there, USE)
    assert made["amount"] == {"amount": "990.00", "currency": "RUB"}
    assert await agency.post(there, USE) == made
    refused = await agency.post(there, {**USE, "amount": None}, status=409)
    assert refused["code"] == "external-id-taken"
    await agency.post(there, {"at": "2026-10-13T09:30:00Z"})
    data = (await agency.get(there))["data"]
    assert [row["external_id"] for row in data] == [None, "order-1"]
    assert await topics(agency, "redemption.") == ["redemption.recorded"] * 2
    await rival.post(there, USE, status=404)
    await agency.post(f"{path}/promo-codes/WINTER/redemptions", USE, status=404)
    await agency.get(f"{path}/promo-codes/WINTER/redemptions", status=404)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "in the future": ({"at": "2026-10-15T12:00:01Z"}, "in-the-future"),
    "before the campaign": ({"at": "2026-09-30T20:59:59Z"}, "outside-period"),
    "money without a currency": ({"amount": {"amount": "5"}}, "missing"),
    "a negative amount": ({"amount": {"amount": "-5", "currency": "RUB"}}, "negative-amount"),
    "a third decimal": ({"amount": {"amount": "0.001", "currency": "RUB"}}, "too-many-decimals"),
    "an unknown currency": ({"amount": {"amount": "5", "currency": "EUX"}}, "unknown-currency"),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_redemptions_are_refused(name: str, agency: Agency, path: str) -> None:
    fields, code = BAD[name]
    await agency.post(f"{path}/promo-codes", {"code": "AUTUMN10"})
    there = f"{path}/promo-codes/AUTUMN10/redemptions"
    refused = await agency.post(there, {**USE, **fields}, status=422)
    assert [error["code"] for error in refused["errors"]] == [code]
    items = [USE, {**USE, **fields, "external_id": "order-2"}]
    refused = await agency.post(f"{there}/bulk?atomic=true", {"items": items}, status=422)
    assert refused["code"] == "bulk-refused"
    assert (await agency.get(there))["data"] == []
    answer = await agency.post(f"{there}/bulk", {"items": items}, status=200)
    assert (answer["succeeded"], answer["failed"]) == (1, 1)


async def test_a_retired_code_takes_no_redemptions(agency: Agency, clock: SetClock, path: str) -> None:
    await agency.post(f"{path}/promo-codes", {"code": "AUTUMN10"})
    there = f"{path}/promo-codes/AUTUMN10"
    await agency.post(f"{there}/redemptions", USE)
    await agency.post(f"{there}/retire", status=200)
    clock.advance(timedelta(minutes=1))
    refused = await agency.post(f"{there}/redemptions", {**USE, "external_id": "order-2"}, status=409)
    assert refused["code"] == "code-retired"
    assert len((await agency.get(f"{there}/redemptions"))["data"]) == 1
    # A shop that has lost the answer sends it again: it was recorded, and it is told so.
    again = await agency.post(f"{there}/redemptions", USE)
    assert again["external_id"] == USE["external_id"]
    many = await agency.post(
        f"{there}/redemptions/bulk", {"items": [USE, {**USE, "external_id": "order-3"}]}, status=200
    )
    assert [one["problem"] and one["problem"]["code"] for one in many["data"]] == [None, "code-retired"]
    assert len((await agency.get(f"{there}/redemptions"))["data"]) == 1


async def test_one_order_sent_twice_at_once_is_one(agency: Agency, path: str) -> None:
    await agency.post(f"{path}/promo-codes", {"code": "AUTUMN10"})
    there = f"{path}/promo-codes/AUTUMN10/redemptions"
    made = await asyncio.gather(*(agency.http.post(there, json=USE) for _ in range(5)))
    assert {one.status_code for one in made} == {201}
    assert len({one.json()["id"] for one in made}) == 1
    assert len((await agency.get(there))["data"]) == 1
