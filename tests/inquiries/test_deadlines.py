"""What is owed until when: the list, the counts and the explanation of each deadline."""

import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from app.kit.clock import SetClock
from app.platforms.contract import RemotePerson
from tests.conftest import Agency
from tests.inquiries.conftest import OURS, InquirySetup, Post, connect_community

MINSK = ZoneInfo("Europe/Minsk")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MONDAY = datetime(2026, 10, 12, 12, tzinfo=MINSK)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
NINE_TO_FIVE: dict[str, Any] = {"week": {day: [{"opens": "09:00", "closes": "17:00"}] for day in WEEKDAYS}}
ALWAYS: dict[str, Any] = {
    "week": {day: [{"opens": "00:00", "closes": "24:00"}] for day in (*WEEKDAYS, "saturday", "sunday")}
}


def utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


async def agree(setup: InquirySetup, minutes: int, resolution: int | None = None, **hours: Any) -> None:
    """Agree on targets, and work at these hours."""
    path = f"/v1/projects/{setup.ref.project_id}"
    if hours:
        await setup.agency.put(f"{path}/working-hours", hours)
    body = {"first_response_minutes": minutes, "resolution_minutes": resolution}
    await setup.agency.put(f"{path}/response-targets", body)


@pytest.fixture
def clock(clock: SetClock) -> SetClock:
    """Monday noon in Minsk: targets hold from that day on."""
    clock.advance(MONDAY - clock.now())
    return clock


async def explained(setup: InquirySetup, language: str = "en") -> Any:
    """The deadlines of the only inquiry."""
    (inquiry,) = await setup.inquiries()
    path = f"/v1/inquiries/{inquiry['id']}/deadlines"
    return (await setup.agency.http.get(path, headers={"Accept-Language": language})).raise_for_status().json()


@pytest.mark.parametrize(
    ("began", "minutes", "hours", "due", "days"),
    [
        (
            datetime(2026, 10, 16, 16, 45, tzinfo=MINSK),
            30,
            NINE_TO_FIVE,
            datetime(2026, 10, 19, 9, 15, tzinfo=MINSK),
            [
                ("2026-10-16", "week", 900, "Counted from when it began."),
                ("2026-10-17", "week", 0, "Closed: a day off by the weekly hours."),
                ("2026-10-18", "week", 0, "Closed: a day off by the weekly hours."),
                ("2026-10-19", "week", 900, "Counted until it is due."),
            ],
        ),
        (
            datetime(2026, 10, 16, 16, 30, tzinfo=MINSK),
            60,
            NINE_TO_FIVE,
            datetime(2026, 10, 19, 9, 30, tzinfo=MINSK),
            [
                ("2026-10-16", "week", 1800, "Counted from when it began."),
                ("2026-10-17", "week", 0, "Closed: a day off by the weekly hours."),
                ("2026-10-18", "week", 0, "Closed: a day off by the weekly hours."),
                ("2026-10-19", "week", 1800, "Counted until it is due."),
            ],
        ),
        (
            datetime(2026, 10, 16, 23, 59, tzinfo=MINSK),
            2,
            ALWAYS,
            datetime(2026, 10, 17, 0, 1, tzinfo=MINSK),
            [
                ("2026-10-16", "week", 60, "Counted from when it began."),
                ("2026-10-17", "week", 60, "Counted until it is due."),
            ],
        ),
        (
            datetime(2026, 10, 16, 20, 0, tzinfo=MINSK),
            9 * 60,
            {
                **NINE_TO_FIVE,
                "holidays": ["2026-10-19"],
                "special_days": [
                    {"day": "2026-10-17", "hours": [{"opens": "10:00", "closes": "11:00"}]},
                    {"day": "2026-10-20", "hours": []},
                ],
            },
            datetime(2026, 10, 21, 17, 0, tzinfo=MINSK),
            [
                ("2026-10-16", "week", 0, "Nothing counts: it began after the working hours."),
                ("2026-10-17", "special_day", 3600, None),
                ("2026-10-18", "week", 0, "Closed: a day off by the weekly hours."),
                ("2026-10-19", "holiday", 0, "Closed: a holiday."),
                ("2026-10-20", "special_day", 0, "Closed: a special day without hours."),
                ("2026-10-21", "week", 8 * 3600, None),
            ],
        ),
    ],
    ids=["friday 16:45 and 30 minutes", "friday 16:30 and an hour", "midnight, day and night", "holidays"],
)
async def test_a_deadline_explains_itself(
    setup: InquirySetup,
    agency: Agency,
    clock: SetClock,
    post: Post,
    began: datetime,
    minutes: int,
    hours: dict[str, Any],
    due: datetime,
    days: list[tuple[str, str, int, str | None]],
) -> None:
    await agree(setup, minutes, **hours)
    clock.advance(began - clock.now())
    await setup.store_messages(setup.message("1", began))
    (inquiry,) = await setup.inquiries()
    assert (inquiry["due_at"], inquiry["due_target"], inquiry["overdue"]) == (utc(due), "first_response", False)
    answer = await explained(setup)
    assert (answer["due_at"], answer["timezone"]) == (utc(due), "Europe/Minsk")
    response, resolution = answer["deadlines"]
    assert (response["started_at"], response["due_at"], response["target_minutes"]) == (utc(began), utc(due), minutes)
    assert [(day["day"], day["rule"], day["seconds"], day["note"]) for day in response["days"]] == days
    assert response["working_seconds_left"] == 60 * minutes == sum(day["seconds"] for day in response["days"])
    assert all(len(day["periods"]) == (day["seconds"] > 0) for day in response["days"]), "nothing is split"
    assert response["days"][-1]["periods"][-1]["until"] == utc(due)
    assert response["hours_changed"] is False
    assert (resolution["due_at"], resolution["no_deadline"]["code"]) == (None, "no-target")
    clock.advance(due - clock.now())
    assert (await setup.only())["overdue"] is False, "an answer at that very instant is in time"
    clock.advance(timedelta(seconds=1))
    assert (await setup.only())["overdue"] is True
    late = (await explained(setup))["deadlines"][0]
    assert (late["overdue"], late["working_seconds_left"]) == (True, 0)


async def test_an_explanation_is_in_the_readers_language(setup: InquirySetup, clock: SetClock, post: Post) -> None:
    await agree(setup, 30, **{**NINE_TO_FIVE, "holidays": ["2026-10-13"]})
    clock.advance(MONDAY.replace(hour=17) - clock.now())
    await setup.store_messages(setup.message("1", clock.now()))
    first, second = (await explained(setup, "ru"))["deadlines"]
    assert [day["note"] for day in first["days"]] == [
        "Не учитывается: началось после рабочих часов.",
        "Закрыто: праздничный день.",
        "Учтено до срока.",
    ]
    assert second["no_deadline"]["detail"] == "В день, когда это началось, цель не действовала."


async def test_where_nobody_works_nothing_is_due(setup: InquirySetup, clock: SetClock, post: Post) -> None:
    await agree(setup, 30, 60, week={})
    await setup.store_messages(setup.message("1", clock.now()))
    inquiry = await setup.only()
    assert (inquiry["due_at"], inquiry["due_target"], inquiry["overdue"]) == (None, None, False)
    assert [one["no_deadline"]["code"] for one in (await explained(setup))["deadlines"]] == ["no-working-time"] * 2
    await agree(setup, 30, 60, **ALWAYS)
    assert (await setup.only())["due_at"] == utc(clock.now() + 30 * MINUTE), "now somebody does"
    await setup.store_messages(setup.message("2", clock.now() + MINUTE, by=OURS))
    assert (await setup.only())["due_at"] == utc(clock.now() + 60 * MINUTE)


async def test_what_is_owed_follows_the_conversation(
    setup: InquirySetup, agency: Agency, clock: SetClock, post: Post
) -> None:
    """An answer, then the resolution; nothing after it; a reopening owes both again."""
    await agree(setup, 30, 120, **ALWAYS)
    began = clock.now()

    async def owed() -> tuple[str | None, str | None]:
        inquiry = await setup.only()
        answer = await explained(setup)
        assert {name: answer[name] for name in ("due_at", "due_target", "overdue")} == {
            name: inquiry[name] for name in ("due_at", "due_target", "overdue")
        }
        return inquiry["due_at"], inquiry["due_target"]

    await setup.store_messages(setup.message("1", began))
    assert await owed() == (utc(began + 30 * MINUTE), "first_response")
    await setup.store_messages(setup.message("2", began + 10 * MINUTE, by=OURS))
    assert await owed() == (utc(began + 120 * MINUTE), "resolution")
    await setup.store_messages(setup.message("3", began + 20 * MINUTE))
    assert await owed() == (utc(began + 50 * MINUTE), "first_response")
    await setup.store_messages(setup.message("4", began + 110 * MINUTE))
    clock.advance(60 * MINUTE)
    assert (await setup.only())["overdue"] is True
    path = f"/v1/inquiries/{(await setup.only())['id']}"
    done = await agency.post(f"{path}/resolve", {"reason": "By phone."}, status=200)
    assert (done["due_at"], done["due_target"], done["overdue"]) == (None, None, False)
    assert (await explained(setup))["deadlines"] == []
    clock.advance(60 * MINUTE)
    again = clock.now()
    opened = await agency.post(f"{path}/reopen", {}, status=200)
    assert (opened["due_at"], opened["due_target"]) == (utc(again + 30 * MINUTE), "first_response")
    await setup.store_messages(setup.message("5", again + MINUTE, by=OURS))
    assert await owed() == (utc(again + 120 * MINUTE), "resolution"), "from the reopening on"


async def test_a_deleted_message_owes_nothing(setup: InquirySetup, clock: SetClock, post: Post) -> None:
    await agree(setup, 30, 120, **ALWAYS)
    await setup.store_messages(setup.message("1", clock.now()))
    await setup.store_messages(setup.message("1", clock.now(), deleted=True))
    inquiry = await setup.only()
    assert (inquiry["status"], inquiry["due_at"]) == ("resolved", None)


async def test_threads_that_are_one_owe_once(setup: InquirySetup, clock: SetClock, post: Post) -> None:
    await agree(setup, 30, None, **ALWAYS)
    by_name, began = RemotePerson("Olga", "Olga"), clock.now()
    await setup.store_messages(setup.message("1", began, thread_id="by-name", by=by_name))
    await setup.store_messages(setup.message("2", began + 5 * MINUTE, thread_id="by-id"))
    await setup.store_messages(setup.message("1", began, thread_id="by-id", renames_thread=True))
    assert (await setup.only())["due_at"] == utc(began + 30 * MINUTE)


async def test_the_list_has_what_is_overdue_and_what_is_next(
    setup: InquirySetup, agency: Agency, clock: SetClock, post: Post
) -> None:
    other, noon = await connect_community(agency), clock.now()
    for one in (setup, other):
        await agree(one, 30, **ALWAYS)
    for number, preview in enumerate(("Сколько стоит?", "Не работает сайт", "Спасибо!")):
        await setup.store_messages(setup.message(str(number), noon - number * MINUTE, preview, thread_id=str(number)))
    await setup.store_messages(setup.message("a", noon, by=OURS, thread_id="2"))
    await other.store_messages(other.message("9", noon - 10 * MINUTE, "Ок"))

    async def previews(**filters: Any) -> list[str]:
        page = (await agency.http.get("/v1/inquiries", params=filters)).raise_for_status().json()
        assert all(one["overdue"] == filters.get("overdue", one["overdue"]) for one in page["data"])
        return [inquiry["preview"] for inquiry in page["data"]]

    async def numbers(**filters: Any) -> list[Any]:
        counted = (await agency.http.get("/v1/inquiries/counts", params=filters)).raise_for_status().json()
        for by in ("by_kind", "by_community"):
            assert sum(one["overdue"] for one in counted[by]) == counted["overdue"]
        assert counted["overdue"] == len(await previews(overdue=True, **filters))
        return [counted["total"], counted["overdue"]]

    assert await previews(sort="due_at") == ["Ок", "Не работает сайт", "Сколько стоит?"], "nothing is owed to thanks"
    assert await previews(overdue=True) == []
    assert await numbers() == [4, 0]
    clock.advance(29 * MINUTE + timedelta(seconds=1))
    assert await previews(overdue=True) == ["Не работает сайт", "Ок"]
    assert set(await previews(overdue=False)) == {"Сколько стоит?", "Спасибо!"}
    assert await previews(overdue=True, sort="due_at") == ["Ок", "Не работает сайт"]
    assert await previews(overdue=False, sort="due_at") == ["Сколько стоит?"]
    assert await previews(overdue=True, sort="waiting_since") == ["Ок", "Не работает сайт"]
    assert await previews(overdue=True, kind="problem") == ["Не работает сайт"]
    assert await previews(overdue=True, status="answered") == []
    assert await previews(overdue=True, q="работает") == ["Не работает сайт"]
    assert await previews(overdue=False, q="работает") == []
    assert await previews(overdue=True, project_id=str(other.ref.project_id)) == ["Ок"]
    assert await numbers() == [4, 2]
    assert await numbers(kind="problem") == [1, 1]
    assert await numbers(status="answered") == [1, 0]
    assert await numbers(project_id=str(other.ref.project_id)) == [1, 1]
    assert await numbers(community_id=str(setup.ref.community_id)) == [3, 1]
    assert await numbers(community_id=str(uuid.uuid4())) == [0, 0]
    page = await agency.get("/v1/inquiries", sort="due_at", limit=2)
    rest = await agency.get("/v1/inquiries", sort="due_at", limit=2, cursor=page["next_cursor"])
    assert [one["preview"] for one in rest["data"]] == ["Сколько стоит?"]
    await agency.get("/v1/inquiries", 422, overdue="perhaps")


async def test_another_agency_sees_nothing_of_it(
    setup: InquirySetup, rival: Agency, clock: SetClock, post: Post
) -> None:
    await agree(setup, 30, **ALWAYS)
    await setup.store_messages(setup.message("1", clock.now() - HOUR))
    assert (await rival.get("/v1/inquiries", overdue=True))["data"] == []
    assert (await rival.get("/v1/inquiries/counts"))["overdue"] == 0
    await rival.get(f"/v1/inquiries/{(await setup.only())['id']}/deadlines", 404)


@pytest.mark.parametrize("resolution", [None, 45])
async def test_the_kpi_counts_the_answers_that_are_overdue(
    setup: InquirySetup, agency: Agency, clock: SetClock, post: Post, resolution: int | None
) -> None:
    """The same inquiries where there is no target of resolution; with one, those of them in which an answer is due."""
    await agree(setup, 30, resolution, **ALWAYS)
    chance, values = random.Random(8), []
    for number in range(24):
        clock.advance(7 * MINUTE)
        by = OURS if chance.random() < 0.4 else RemotePerson(f"guest{number}", "Guest")
        await setup.store_messages(setup.message(str(number), clock.now(), thread_id=str(chance.randrange(9)), by=by))
        for inquiry in await setup.inquiries():
            if inquiry["status"] != "resolved" and chance.random() < 0.1:
                await agency.post(f"/v1/inquiries/{inquiry['id']}/resolve", {"reason": "Done."}, status=200)
        if number % 4:
            continue
        async with agency.resources.transaction(agency.workspace_id) as session:
            await session.execute(text("UPDATE community SET conversations_seen_at = :at"), {"at": clock.now()})
        kpi = await agency.get(f"/v1/projects/{setup.ref.project_id}/kpis/overdue")
        overdue = await setup.inquiries(overdue=True)
        answers_due = []
        for inquiry in overdue:
            explained_one = await agency.get(f"/v1/inquiries/{inquiry['id']}/deadlines")
            answers_due += [
                one for one in explained_one["deadlines"] if one["target"] == "first_response" and one["overdue"]
            ]
        assert kpi["value"] == len(answers_due)
        assert (await agency.get("/v1/inquiries/counts"))["overdue"] == len(overdue)
        values.append((len(answers_due), len(overdue)))
    assert max(values)[0] > 1
    assert all(answers == every for answers, every in values) == (resolution is None)
