"""Spend: rows by API and by CSV, each once, each with its currency; a wrong one is voided and stays."""

import uuid
from typing import Any

import httpx
import pytest

from tests.campaigns.conftest import campaign
from tests.campaigns.test_campaigns import topics
from tests.conftest import Agency

ROW: dict[str, Any] = {"day": "2026-10-02", "amount": "1250.50", "currency": "RUB", "external_id": "ads-1"}


async def rows(agency: Agency, path: str) -> list[Any]:
    """All rows of spend of a campaign."""
    data: list[Any] = (await agency.get(f"{path}/spend", limit=200))["data"]
    return data


async def upload(agency: Agency, path: str, text: str | bytes, status: int = 200, **params: Any) -> Any:
    """Send a CSV file; the answer."""
    content = text if isinstance(text, bytes) else text.encode()
    answer = await agency.http.post(
        f"{path}/spend/csv", content=content, headers={"Content-Type": "text/csv; charset=utf-8"}, params=params
    )
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_a_row_is_recorded_once(agency: Agency, path: str) -> None:
    made = await agency.post(f"{path}/spend", ROW)
    assert (made["amount"], made["currency"], made["day"]) == ("1250.50", "RUB", "2026-10-02")
    assert await agency.post(f"{path}/spend", ROW) == made
    refused = await agency.post(f"{path}/spend", {**ROW, "amount": "1250.51"}, status=409)
    assert refused["code"] == "external-id-taken"
    assert await rows(agency, path) == [made]
    assert await topics(agency, "spend.") == ["spend.recorded"]
    # Without an id of the caller's, two equal rows are two rows.
    for _ in range(2):
        await agency.post(f"{path}/spend", {**ROW, "external_id": None})
    assert len(await rows(agency, path)) == 3


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no currency": ({"currency": None}, "string-type"),
    "an unknown currency": ({"currency": "ABC"}, "unknown-currency"),
    "a negative amount": ({"amount": "-1"}, "negative-amount"),
    "three decimals": ({"amount": "1.234"}, "too-many-decimals"),
    "no amount": ({"amount": "much"}, "invalid-amount"),
    "a number": ({"amount": 5}, "string-type"),
    "before the campaign": ({"day": "2026-09-30"}, "outside-period"),
    "long after it": ({"day": "2026-12-02"}, "outside-period"),
    "tomorrow": ({"day": "2026-10-16"}, "in-the-future"),
    "no day": ({"day": "2026-10-32"}, "value-error"),
    "an unknown field": ({"clicks": 5}, "extra-forbidden"),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_rows_are_refused(name: str, agency: Agency, path: str) -> None:
    fields, code = BAD[name]
    refused = await agency.post(f"{path}/spend", {**ROW, **fields}, status=422)
    assert code in [error["code"] for error in refused["errors"]] or name == "no day"
    answer = await agency.post(f"{path}/spend/bulk", {"items": [{**ROW, **fields}]}, status=200)
    assert (answer["succeeded"], answer["failed"]) == (0, 1)
    assert answer["data"][0]["problem"]["errors"] == refused["errors"]
    assert await rows(agency, path) == []


async def test_spend_counts_until_a_month_after_the_last_day(agency: Agency, project_id: str) -> None:
    made = await campaign(agency, project_id, **{"from": "2026-08-01", "to": "2026-08-31"})
    path = f"/v1/campaigns/{made['id']}"
    for day in ("2026-08-01", "2026-10-01"):
        await agency.post(f"{path}/spend", {**ROW, "day": day, "external_id": day})
    refused = await agency.post(f"{path}/spend", {**ROW, "day": "2026-10-02"}, status=422)
    assert refused["code"] == "outside-period"


async def test_many_rows_each_have_a_result(agency: Agency, path: str) -> None:
    items: list[Any] = [ROW, {**ROW, "external_id": "ads-2", "day": "2026-09-01"}, ROW, {**ROW, "amount": "7"}]
    refused = await agency.post(f"{path}/spend/bulk?atomic=true", {"items": items}, status=422)
    assert refused["code"] == "bulk-refused"
    assert [(error["field"], error["code"]) for error in refused["errors"]] == [
        ("items.1.day", "outside-period"),
        ("items.3", "external-id-taken"),
    ]
    assert await rows(agency, path) == []
    answer = await agency.post(f"{path}/spend/bulk", {"items": items}, status=200)
    assert [one["problem"] and one["problem"]["code"] for one in answer["data"]] == [
        None,
        "outside-period",
        None,
        "external-id-taken",
    ]
    assert answer["data"][0]["spend"] == answer["data"][2]["spend"]
    assert len(await rows(agency, path)) == 1


async def test_a_wrong_row_is_voided_and_the_right_one_added(agency: Agency, rival: Agency, path: str) -> None:
    wrong = await agency.post(f"{path}/spend", ROW)
    there = f"{path}/spend/{wrong['id']}/void"
    await rival.post(there, {"reason": "…"}, status=404)
    void = await agency.post(there, {"reason": "Counted twice"}, status=200)
    assert (void["void_reason"], void["voided_at"] is not None) == ("Counted twice", True)
    assert (await agency.post(there, {"reason": "Again"}, status=409))["code"] == "spend-voided"
    right = await agency.post(f"{path}/spend", {**ROW, "amount": "625.25"})
    assert {row["id"]: row["voided_at"] is None for row in await rows(agency, path)} == {
        wrong["id"]: False,
        right["id"]: True,
    }
    # The old file sent once more does not come back.
    assert (await agency.post(f"{path}/spend", ROW, status=409))["code"] == "external-id-taken"


async def test_rows_of_another_campaign_are_not_found(agency: Agency, project_id: str, path: str) -> None:
    other = f"/v1/campaigns/{(await campaign(agency, project_id))['id']}"
    row = await agency.post(f"{path}/spend", ROW)
    await agency.post(f"{other}/spend/{row['id']}/void", {"reason": "…"}, status=404)
    await agency.get(f"/v1/campaigns/{uuid.uuid4()}/spend", status=404)
    assert await rows(agency, other) == []


FILE = 'day,amount,currency,note,external_id\r\n2026-10-02,1250.50,RUB,"VK Ads, two",a\r\n\r\n2026-10-03,7,USD,,b\r\n'


async def test_a_csv_file_is_recorded(agency: Agency, path: str) -> None:
    answer = await upload(agency, path, "\ufeff" + FILE)
    assert (answer["succeeded"], answer["failed"]) == (2, 0)
    by_id = {row["external_id"]: row for row in await rows(agency, path)}
    assert (by_id["a"]["note"], by_id["a"]["amount"]) == ("VK Ads, two", "1250.50")
    assert (by_id["b"]["note"], by_id["b"]["amount"], by_id["b"]["currency"]) == (None, "7.00", "USD")
    again = await upload(agency, path, FILE)
    assert again == answer
    assert len(await rows(agency, path)) == 2


async def test_a_file_of_a_spreadsheet_with_decimal_commas_is_recorded(agency: Agency, path: str) -> None:
    lines = [
        "day;amount;currency;note",
        "2026-10-02;1250,50;RUB;VK Ads, two",
        "2026-10-03;7;JPY;",
        "2026-10-03;7,5;JPY;",
    ]
    answer = await upload(agency, path, "\ufeff" + "\r\n".join(lines))
    assert (answer["succeeded"], answer["failed"]) == (2, 1)
    assert (answer["data"][0]["spend"]["amount"], answer["data"][0]["spend"]["note"]) == ("1250.50", "VK Ads, two")
    assert answer["data"][2]["problem"]["code"] == "too-many-decimals"
    assert answer["data"][2]["problem"]["detail"].startswith("Line 4:")
    # In a file with commas a decimal comma is a mistake, never another amount.
    answer = await upload(agency, path, 'day,amount,currency\n2026-10-02,"1,500",RUB\n')
    assert answer["data"][0]["problem"]["code"] == "invalid-amount"


async def test_each_currency_has_its_own_decimals(agency: Agency, path: str) -> None:
    lines = [
        "day,amount,currency",
        "2026-10-02,1.234,KWD",
        "2026-10-02,12,JPY",
        "2026-10-02,0.5,EUR",
        "2026-10-03,2.001,KWD",
    ]
    await upload(agency, path, "\n".join(lines), atomic="true")
    spent = (await agency.get(f"{path}/results"))["costs"]["spend"]
    assert [(one["currency"], one["amount"]) for one in spent] == [("EUR", "0.50"), ("JPY", "12"), ("KWD", "3.235")]


async def test_a_budget_can_be_exceeded_and_says_so(agency: Agency, path: str) -> None:
    await agency.patch(path, {"budget": {"amount": "10.00", "currency": "RUB"}})
    await agency.post(f"{path}/spend", {**ROW, "amount": "12.05"})
    costs = (await agency.get(f"{path}/results"))["costs"]
    assert costs["remaining"] == {"amount": "-2.05", "currency": "RUB"}


async def test_a_bad_line_names_its_number(agency: Agency, path: str) -> None:
    lines = [
        "external_id,currency,amount,day",
        "a,RUB,1,2026-10-02",
        "b,RUB,-1,2026-10-02",
        "c,RUB,1",
        "d,XXX,1,2026-10-02",
        "e,RUB,1,2026-09-02",
    ]
    refused = await upload(agency, path, "\n".join(lines), status=422, atomic="true")
    assert refused["code"] == "bulk-refused"
    details = [error["detail"] for error in refused["errors"]]
    assert [detail.split(":")[0] for detail in details[:1]] == ["Line 3"]
    assert details[1].startswith("Line 4 has 3 cells")
    assert [detail.split(":")[0] for detail in details[2:]] == ["Line 5", "Line 6"]
    assert await rows(agency, path) == []
    answer = await upload(agency, path, "\n".join(lines))
    assert (answer["succeeded"], answer["failed"]) == (1, 4)
    assert answer["data"][1]["problem"]["code"] == "negative-amount"
    assert answer["data"][1]["problem"]["detail"].startswith("Line 3:")
    assert len(await rows(agency, path)) == 1


WRONG_FILES: dict[str, str | bytes] = {
    "nothing": "",
    "a header alone": "day,amount,currency\n",
    "no currency": "day,amount\n2026-10-02,1\n",
    "an unknown column": "day,amount,currency,clicks\n2026-10-02,1,RUB,5\n",
    "a column twice": "day,amount,currency,day\n2026-10-02,1,RUB,2026-10-02\n",
    "an open quote": 'day,amount,currency,note\n2026-10-02,1,RUB,"VK\n',
    "another encoding": "day,amount,currency,note\n2026-10-02,1,RUB,реклама\n".encode("cp1251"),
    "too many rows": "day,amount,currency\n" + "2026-10-02,1,RUB\n" * 5001,
}


@pytest.mark.parametrize("name", WRONG_FILES)
async def test_files_that_are_none_are_refused(name: str, agency: Agency, path: str) -> None:
    await upload(agency, path, WRONG_FILES[name], status=422)
    assert await rows(agency, path) == []


async def test_only_csv_is_taken_as_csv(agency: Agency, path: str) -> None:
    answer: httpx.Response = await agency.http.post(f"{path}/spend/csv", json={"items": []})
    assert (answer.status_code, answer.json()["detail"]) == (415, "Send the body as text/csv.")
    headers = {"Content-Type": "text/csv"}
    answer = await agency.http.post(f"{path}/spend", content=FILE, headers=headers)
    assert answer.status_code == 415
