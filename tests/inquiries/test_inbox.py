"""The inbox over HTTP."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.kit.clock import SetClock
from tests.conftest import Agency
from tests.inquiries.conftest import OURS, InquirySetup, Post, connect_community

NOON = datetime(2026, 10, 15, 10, 0, tzinfo=UTC)
"""Two hours before the clock of the tests."""
MINUTE = timedelta(minutes=1)


async def test_the_list_is_filtered_and_paged_newest_first(setup: InquirySetup, agency: Agency, post: Post) -> None:
    other = await connect_community(agency)
    texts = ["Сколько стоит?", "Спасибо за 100%!", "Не работает сайт"]
    for n, text in enumerate(texts):
        await setup.store_messages(setup.message(str(n), NOON + n * MINUTE, text, thread_id=str(n)))
    await other.store_messages(other.message("9", NOON - MINUTE, "Ок"))

    async def previews(**filters: Any) -> list[str]:
        return [inquiry["preview"] for inquiry in (await agency.get("/v1/inquiries", **filters))["data"]]

    assert await previews() == [*texts[::-1], "Ок"]
    assert await previews(kind="thanks") == [texts[1]]
    assert await previews(project_id=str(other.ref.project_id)) == ["Ок"]
    for status, count in (("answered", 0), ("open", 4)):
        assert len((await agency.http.get(f"/v1/inquiries?status={status}")).json()["data"]) == count
    assert await previews(q="РАБОТАЕТ") == [texts[2]]
    assert await previews(q="0%") == [texts[1]]
    assert await previews(q="__") == []
    assert await previews(q="olg") == [*texts[::-1], "Ок"]
    page = await agency.get("/v1/inquiries", limit=3)
    rest = await agency.get("/v1/inquiries", limit=3, cursor=page["next_cursor"])
    assert [inquiry["preview"] for inquiry in rest["data"]] == ["Ок"]
    await agency.get("/v1/inquiries", 422, kind="anger")


async def test_a_person_classifies_and_no_rule_overwrites_it(setup: InquirySetup, agency: Agency) -> None:
    await setup.store_messages(setup.message("1", NOON))
    path = f"/v1/inquiries/{(await setup.only())['id']}"
    changed = await agency.post(f"{path}/classify", {"kind": "thanks"}, status=200)
    assert (changed["kind"], changed["kind_by"]) == ("thanks", "person")
    await setup.store_messages(setup.message("2", NOON + MINUTE, "Ничего не работает"))
    assert (await agency.get(path))["kind"] == "thanks"
    event = (await agency.get(f"{path}/events"))["data"][0]
    assert (event["type"], event["data"]) == ("classified", {"kind": "thanks", "before": "question"})
    assert event["actor"].startswith("key:")


async def test_resolving_ends_the_wait_and_counts_as_handled(
    setup: InquirySetup, agency: Agency, clock: SetClock
) -> None:
    await setup.store_messages(setup.message("1", NOON))
    path = f"/v1/inquiries/{(await setup.only())['id']}"
    await agency.post(f"{path}/resolve", {}, status=422)
    done = await agency.post(f"{path}/resolve", {"reason": "By phone."}, status=200)
    assert (done["status"], done["resolution"], done["resolved_automatically"]) == ("resolved", "By phone.", False)
    assert done["handled_at"] == done["resolved_at"] == "2026-10-15T12:00:00Z"
    (wait,) = (await agency.get(path))["waits"]
    # From 13:00 to 15:00 in Minsk, a Thursday.
    assert (wait["ended_by"], wait["working_seconds"]) == ("resolution", 7200)
    again = await agency.post(f"{path}/resolve", {"reason": "Again."}, status=409)
    assert again["code"] == "already-resolved"
    clock.advance(10 * MINUTE)
    opened = await agency.post(f"{path}/reopen", {}, status=200)
    assert (opened["status"], opened["resolved_at"], opened["handled_at"]) == ("open", None, done["handled_at"])
    assert [wait["opening"] for wait in (await agency.get(path))["waits"]] == [True, True]
    assert (await agency.post(f"{path}/reopen", {}, status=409))["code"] == "already-open"
    await setup.store_messages(setup.message("2", clock.now() + 5 * MINUTE, "Да.", by=OURS))
    assert [wait["working_seconds"] for wait in (await agency.get(path))["waits"]] == [7200, 300]


async def test_an_automatic_resolution_is_not_handling_and_a_person_may_confirm_it(
    setup: InquirySetup, agency: Agency
) -> None:
    await setup.store_messages(setup.message("1", NOON))
    path = f"/v1/inquiries/{(await setup.only())['id']}"
    done = await agency.post(f"{path}/resolve", {"reason": "Old.", "automatic": True}, status=200)
    assert (done["resolved_automatically"], done["handled_at"]) == (True, None)
    await agency.post(f"{path}/resolve", {"reason": "Old.", "automatic": True}, status=409)
    confirmed = await agency.post(f"{path}/resolve", {"reason": "Looked at."}, status=200)
    assert confirmed["handled_at"] is not None
    assert confirmed["resolution"] == "Looked at."


async def test_a_reopened_inquiry_is_resolved_again(setup: InquirySetup, agency: Agency, clock: SetClock) -> None:
    await setup.store_messages(setup.message("1", NOON))
    path = f"/v1/inquiries/{(await setup.only())['id']}"
    await agency.post(f"{path}/resolve", {"reason": "By phone."}, status=200)
    clock.advance(10 * MINUTE)
    assert (await agency.post(f"{path}/reopen", {}, status=200))["status"] == "open"
    clock.advance(10 * MINUTE)
    again = await agency.post(f"{path}/resolve", {"reason": "By letter."}, status=200)
    assert (again["status"], again["resolution"]) == ("resolved", "By letter.")
    assert [wait["ended_by"] for wait in (await agency.get(path))["waits"]] == ["resolution", "resolution"]


async def test_status_changes_of_one_instant_count_in_their_order(setup: InquirySetup, agency: Agency) -> None:
    """The clock does not advance between them."""
    await setup.store_messages(setup.message("1", NOON))
    path = f"/v1/inquiries/{(await setup.only())['id']}"
    for turn in range(6):
        resolved = await agency.post(f"{path}/resolve", {"reason": f"Reason {turn}."}, status=200)
        assert (resolved["status"], resolved["resolution"]) == ("resolved", f"Reason {turn}.")
        assert (await agency.post(f"{path}/reopen", {}, status=200))["status"] == "open"
    listed: list[tuple[str, str | None]] = []
    cursor: str | None = None
    while True:
        following = "" if cursor is None else f"&cursor={cursor}"
        page = await agency.get(f"{path}/events?limit=5{following}")
        listed += [(event["type"], event["data"].get("reason")) for event in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    expected = [change for turn in range(6) for change in (("resolved", f"Reason {turn}."), ("reopened", None))]
    assert [change for change in listed if change[0] in {"resolved", "reopened"}] == expected[::-1]


async def test_a_message_ingested_later_is_not_resolved(setup: InquirySetup, agency: Agency, clock: SetClock) -> None:
    await setup.store_messages(setup.message("1", NOON))
    path = f"/v1/inquiries/{(await setup.only())['id']}"
    await agency.post(f"{path}/resolve", {"reason": "By phone."}, status=200)
    await setup.store_messages(setup.message("2", clock.now() - MINUTE, "И ещё вопрос?"))
    assert (await agency.get(path))["status"] == "open"


async def test_the_thread_is_paged_oldest_first(setup: InquirySetup, agency: Agency) -> None:
    await setup.store_messages(*(setup.message(str(n), NOON + n * MINUTE, f"Вопрос {n}") for n in range(5)))
    path = f"/v1/inquiries/{(await setup.only())['id']}/messages"
    page = await agency.get(path, limit=3)
    rest = await agency.get(path, limit=3, cursor=page["next_cursor"])
    assert [m["external_id"] for m in [*page["data"], *rest["data"]]] == ["0", "1", "2", "3", "4"]


async def test_bulk_reports_each_result(setup: InquirySetup, agency: Agency, rival: Agency, post: Post) -> None:
    elsewhere = await connect_community(rival)
    await elsewhere.store_messages(elsewhere.message("1", NOON))
    foreign = (await elsewhere.only())["id"]
    await setup.store_messages(*(setup.message(str(n), NOON + n * MINUTE, thread_id=str(n)) for n in range(3)))
    ids = [inquiry["id"] for inquiry in await setup.inquiries()]
    items = [
        {"action": "resolve", "id": ids[0], "reason": "Spam."},
        {"action": "classify", "id": ids[1], "kind": "problem"},
        {"action": "reopen", "id": ids[2]},
        {"action": "resolve", "id": foreign, "reason": "Spam."},
    ]
    refused = await agency.post("/v1/inquiries/bulk?atomic=true", {"items": items}, status=422)
    assert [(error["field"], error["code"]) for error in refused["errors"]] == [
        ("items.2", "already-open"),
        ("items.3", "not-found"),
    ]
    assert {inquiry["status"] for inquiry in await setup.inquiries()} == {"open"}
    done = (await agency.post("/v1/inquiries/bulk", {"items": items}, status=200))["data"]
    assert [result["index"] for result in done] == [0, 1, 2, 3]
    assert [result["problem"] is None for result in done] == [True, True, False, False]
    assert done[0]["inquiry"]["status"] == "resolved"
    assert done[1]["inquiry"]["kind"] == "problem"
    assert done[3]["problem"]["code"] == "not-found"
    assert (await elsewhere.only())["status"] == "open"


@pytest.mark.parametrize(
    "body",
    [
        {"items": []},
        {"items": [{"action": "explode", "id": str(uuid.uuid4())}]},
        {"items": [{"action": "resolve", "id": str(uuid.uuid4())}]},
        {"items": [{"action": "reopen", "id": "01a206f6-aedc-75ca-a9a8-0814336de1dd"}] * 2},
        {"items": [{"action": "reopen", "id": str(uuid.uuid4())} for _ in range(501)]},
    ],
)
async def test_invalid_bulk_is_refused(agency: Agency, body: dict[str, Any]) -> None:
    await agency.post("/v1/inquiries/bulk", body, status=422)


async def test_the_list_shows_who_has_waited_longest(setup: InquirySetup, agency: Agency, clock: SetClock) -> None:
    for n, thread in enumerate("abc"):
        await setup.store_messages(setup.message(thread, NOON + n * MINUTE, thread_id=thread))
    await setup.store_messages(setup.message("again", NOON + 5 * MINUTE, "Ну что?", thread_id="a"))
    await setup.store_messages(setup.message("b2", NOON + 6 * MINUTE, "Да.", thread_id="b", by=OURS))
    by_waiting = (await agency.get("/v1/inquiries", sort="waiting_since"))["data"]
    assert [(one["preview"], one["waiting_since"]) for one in by_waiting] == [
        ("Ну что?", "2026-10-15T10:00:00Z"),
        ("Сколько стоит?", "2026-10-15T10:02:00Z"),
    ]
    answered = (await agency.get("/v1/inquiries"))["data"][0]
    assert (answered["waiting_since"], answered["last_message"]["direction"]) == (None, "agency")
    assert (answered["last_message"]["preview"], answered["preview"]) == ("Да.", "Сколько стоит?")
    path = f"/v1/inquiries/{answered['id']}"
    await agency.post(f"{path}/resolve", {"reason": "Done."}, status=200)
    reopened = await agency.post(f"{path}/reopen", {}, status=200)
    assert reopened["waiting_since"] == f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"


async def test_a_reply_that_is_not_sent_is_the_last_message(setup: InquirySetup, agency: Agency) -> None:
    await setup.store_messages(setup.message("1", NOON))
    path = f"/v1/inquiries/{(await setup.only())['id']}"
    await agency.post(f"{path}/messages", {"text": "Сто."}, status=202)
    (inquiry,) = await setup.inquiries()
    assert (inquiry["last_message"]["preview"], inquiry["last_message"]["delivery"]) == ("Сто.", "queued")
    assert inquiry["status"] == "open"


async def test_a_weekends_wait_is_shown_by_the_clock_too(setup: InquirySetup) -> None:
    """From Saturday noon in Minsk to Monday, five minutes before work begins."""
    saturday, monday = datetime(2026, 10, 10, 9, tzinfo=UTC), datetime(2026, 10, 12, 5, 55, tzinfo=UTC)
    await setup.store_messages(setup.message("1", saturday), setup.message("2", monday, "Да.", by=OURS))
    seen = await setup.only()
    assert (seen["first_response_working_seconds"], seen["first_response_seconds"]) == (0, 161700)
    (wait,) = seen["waits"]
    assert (wait["working_seconds"], wait["seconds"]) == (0, 161700)
