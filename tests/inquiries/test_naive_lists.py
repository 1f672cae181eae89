"""Lists of inquiries are those of a naive filter, whatever filters are combined, and whatever way a search takes."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.platforms.contract import RemotePerson
from tests.conftest import Agency
from tests.inquiries.conftest import OURS, InquirySetup, connect_community
from tests.naive_lists import assert_as_naive, descending, has_each

NOON = datetime(2026, 10, 15, 10, 0, tzinfo=UTC)
GOODS = ("чай", "пирог", "кофе")


async def test_each_filter_and_each_pair(setup: InquirySetup, agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    chance, places = random.Random(5), [setup, await connect_community(agency)]
    for place in places:
        targets = {"first_response_minutes": 100, "resolution_minutes": 110}
        await agency.put(f"/v1/projects/{place.ref.project_id}/response-targets", targets)
    for n in range(30):
        place, at = places[n % 2], NOON + n * timedelta(minutes=1)
        by = RemotePerson(f"guest{n}", chance.choice(("иван", "olga")))
        text = " ".join(word for word in GOODS if chance.random() < 0.6) or "торт"
        ending = chance.choice(("?", "", "", " спасибо"))
        question = place.message(str(n), at, f"{text} {ending}".strip(), by=by, thread_id=str(n))
        answer = place.message(f"{n}.2", at + timedelta(hours=1), "вкусно", by=OURS, thread_id=str(n))
        await place.store_messages(question, *([answer] if n % 3 == 0 else []))
    for n, one in enumerate((await agency.get("/v1/inquiries", limit=200))["data"]):
        if n % 4 == 0:
            await agency.post(f"/v1/inquiries/{one['id']}/classify", {"kind": "problem"}, status=200)
        if n % 5 == 0:
            await agency.post(f"/v1/inquiries/{one['id']}/resolve", {"reason": "By phone."}, status=200)

    def matches(row: Any, name: str, value: Any) -> bool:
        if name == "q":
            answer = " вкусно" if row["first_answered_at"] else ""
            return has_each(f"{row['preview']} {row['customer']['name']}{answer}".replace("?", ""), value)
        return bool(row[name] == value)

    await assert_as_naive(
        agency,
        "/v1/inquiries",
        {
            "project_id": [str(place.ref.project_id) for place in places],
            "community_id": [str(place.ref.community_id) for place in places],
            "status": ["open", "answered", "resolved"],
            "kind": ["question", "problem", "thanks"],
            "overdue": [True],
            "q": ["чай", "чай пирог", "кофе иван вкусно", "чай торт"],
        },
        {
            "last_message_at": lambda row: descending(row["last_message_at"], row["id"]),
            "due_at": lambda row: row["due_at"] and (row["due_at"], row["id"]),
            "waiting_since": lambda row: row["waiting_since"] and (row["waiting_since"], row["id"]),
        },
        matches,
        monkeypatch,
    )
