"""Following a tracked link: the redirect, and what is counted."""

import asyncio
import uuid
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from app.kit.clock import SetClock
from app.kit.db import Database
from app.links import recording
from app.links.redirects import ROUTE_TTL, STALE_ROUTE_TTL
from tests.conftest import Agency
from tests.links.agents import BOTS, PEOPLE

WINDOW: dict[str, Any] = {"from": "2026-10-14", "to": "2026-10-16"}
TARGET = "https://shop.example/autumn?utm_source=vk&utm_campaign=autumn"


@pytest.fixture
async def link(agency: Agency, project_id: str, community_id: str) -> dict[str, str]:
    body = {"project_id": project_id, "community_id": community_id, "target": TARGET}
    made: dict[str, str] = await agency.post("/v1/links", body)
    return made


async def follow(
    stranger: httpx.AsyncClient, link: dict[str, str], browser: str = "Chrome", method: str = "GET", **headers: str
) -> httpx.Response:
    agent = {**PEOPLE, **{f"bot {name}": agent for name, agent in BOTS.items()}}[browser]
    return await stranger.request(method, f"/r/{link['slug']}", headers={"User-Agent": agent, **headers})


async def totals(agency: Agency, link: dict[str, str]) -> tuple[int, int, int]:
    totals = (await agency.get(f"/v1/links/{link['id']}/clicks"))["totals"]
    return totals["people"], totals["bots"], totals["repeats"]


async def test_a_visitor_arrives_at_exactly_the_target(stranger: httpx.AsyncClient, link: dict[str, str]) -> None:
    answer = await stranger.get(f"/r/{link['slug']}?utm_source=evil", headers={"User-Agent": PEOPLE["Firefox"]})
    assert answer.status_code == 302
    assert answer.headers["location"] == TARGET
    assert answer.headers["cache-control"] == "no-store, private"
    assert "etag" not in answer.headers


async def test_a_visitor_arrives_where_browsers_take_the_target(
    agency: Agency, stranger: httpx.AsyncClient, project_id: str
) -> None:
    made = await agency.post("/v1/links", {"project_id": project_id, "target": "https://faß.de/größe"})
    assert made["target"] == "https://faß.de/größe"
    answer = await stranger.get(f"/r/{made['slug']}", headers={"User-Agent": PEOPLE["Firefox"]})
    assert answer.headers["location"] == "https://xn--fa-hia.de/gr%C3%B6%C3%9Fe"


async def test_apps_without_mozilla_are_people_and_fetchers_are_not(
    agency: Agency, stranger: httpx.AsyncClient, link: dict[str, str]
) -> None:
    await follow(stranger, link, "in Facebook, Android, no Mozilla")
    await follow(stranger, link, "in Messenger, Orca")
    await follow(stranger, link, "bot Perplexity, for a person")
    await follow(stranger, link, "bot Gmail, a sample")
    await follow(stranger, link, "bot bare Mozilla")
    await follow(stranger, link, "Edge", **{"Sec-Purpose": "prerender"})
    assert await totals(agency, link) == (2, 4, 0)


async def test_people_and_bots_are_counted_apart(
    agency: Agency, stranger: httpx.AsyncClient, link: dict[str, str]
) -> None:
    await follow(stranger, link, "Chrome", Referer="https://vk.com/im?sel=1&token=secret")
    await follow(stranger, link, "in Telegram, iPhone")
    await follow(stranger, link, "bot Telegram")
    await follow(stranger, link, "Safari", method="HEAD")
    await follow(stranger, link, "Edge", **{"Sec-Purpose": "prefetch"})
    page = await agency.get(f"/v1/links/{link['id']}/clicks")
    assert page["totals"] == {"people": 2, "bots": 3, "repeats": 0}
    assert sorted(str(click["bot"]) for click in page["data"]) == ["None", "None", "head", "link-preview", "prefetch"]
    assert {click["referrer"] for click in page["data"]} == {None, "vk.com"}
    assert len({click["visitor"] for click in page["data"]}) == 5
    only = await agency.get(f"/v1/links/{link['id']}/clicks", people=True)
    assert len(only["data"]) == 2


async def test_a_double_click_counts_once(
    agency: Agency, stranger: httpx.AsyncClient, link: dict[str, str], clock: SetClock
) -> None:
    await follow(stranger, link)
    clock.advance(recording.REPEAT_WINDOW - timedelta(milliseconds=1))
    await follow(stranger, link)
    assert await totals(agency, link) == (1, 0, 1)
    clock.advance(timedelta(milliseconds=1))
    await follow(stranger, link)  # 5 s after the click that was counted, not after the repeat
    assert await totals(agency, link) == (2, 0, 1)
    await follow(stranger, link, "Firefox")  # another visitor
    assert await totals(agency, link) == (3, 0, 1)


async def test_many_at_once_are_all_stored_and_each_person_counts_once(
    agency: Agency, stranger: httpx.AsyncClient, link: dict[str, str]
) -> None:
    names = list(PEOPLE)[:10]
    answers = await asyncio.gather(*(follow(stranger, link, name) for name in names * 5))
    assert {answer.status_code for answer in answers} == {302}
    assert await totals(agency, link) == (10, 0, 40)


async def test_two_processes_count_a_person_once(agency: Agency, link: dict[str, str], db: Database) -> None:
    visit = recording.Visit(
        agency.workspace_id, uuid.UUID(link["id"]), db.clock.now(), date(2026, 10, 15), b"v" * 16, None, None
    )
    await asyncio.gather(*(recording.ClickRecorder(db).record(visit) for _ in range(5)))
    assert await totals(agency, link) == (1, 0, 4)


async def test_a_click_belongs_to_the_projects_local_day(
    agency: Agency, stranger: httpx.AsyncClient, link: dict[str, str], clock: SetClock, project_id: str
) -> None:
    clock.advance(timedelta(hours=9) - timedelta(seconds=1))  # 23:59:59 in Minsk
    await follow(stranger, link)
    clock.advance(timedelta(seconds=1))
    await follow(stranger, link, "Firefox")
    days = await agency.get(f"/v1/links/{link['id']}/clicks/days", **WINDOW)
    assert days["window"] == {**WINDOW, "timezone": "Europe/Minsk"}
    assert [(row["day"], row["people"]) for row in days["data"]] == [
        ("2026-10-14", 0),
        ("2026-10-15", 1),
        ("2026-10-16", 1),
    ]
    # In Lisbon (UTC+1) both are of the 15th.
    await agency.patch(f"/v1/projects/{project_id}", {"timezone": "Europe/Lisbon"})
    clock.advance(2 * ROUTE_TTL)
    await agency.work("links.redate")
    days = await agency.get(f"/v1/links/{link['id']}/clicks/days", **WINDOW)
    assert [row["people"] for row in days["data"]] == [0, 2, 0]
    assert {click["day"] for click in (await agency.get(f"/v1/links/{link['id']}/clicks"))["data"]} == {"2026-10-15"}


async def test_a_dead_link_is_a_page_for_people_and_a_problem_for_programs(
    agency: Agency, stranger: httpx.AsyncClient, link: dict[str, str]
) -> None:
    await follow(stranger, link)
    await agency.patch(f"/v1/links/{link['id']}", {"archived": True})
    for path, status, code in (
        ("/r/nothing-here", 404, "not-found"),
        ("/r/%00%00%00", 404, "not-found"),
        ("/r/" + "a" * 200, 404, "not-found"),
        (f"/r/{link['slug']}", 410, "link-archived"),
    ):
        page = await stranger.get(path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        assert (page.status_code, page.headers["content-type"]) == (status, "text/html; charset=utf-8")
        assert page.headers["cache-control"] == "no-store, private"
        response = await stranger.get(path, headers={"Accept": "application/json"})
        assert (response.status_code, response.json()["code"]) == (status, code)
        assert (await stranger.head(path)).status_code == status
    assert await totals(agency, link) == (1, 0, 0)
    await agency.patch(f"/v1/links/{link['id']}", {"archived": False})
    assert (await follow(stranger, link)).status_code == 302


async def test_links_work_while_the_database_is_unavailable(
    agency: Agency,
    stranger: httpx.AsyncClient,
    link: dict[str, str],
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await follow(stranger, link)
    lost = recording.CLICKS.labels("lost")._value

    def away(*_: object) -> None:
        raise ConnectionRefusedError

    before = lost.get()
    with monkeypatch.context() as broken:
        broken.setattr(Database, "transaction", away)
        broken.setattr(Database, "read_connection", away)
        clock.advance(ROUTE_TTL)
        answer = await follow(stranger, link, "Firefox")
        assert (answer.status_code, answer.headers["location"]) == (302, TARGET)
        assert lost.get() == before + 1
        unknown = await stranger.get("/r/never-asked")
        assert (unknown.status_code, unknown.json()["code"]) == (503, "database-away")
        clock.advance(STALE_ROUTE_TTL)
        assert (await follow(stranger, link)).status_code == 503
    assert (await follow(stranger, link)).status_code == 302
    assert await totals(agency, link) == (2, 0, 0)
