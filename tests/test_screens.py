"""A screen is a call: an inbox, a plan and a portfolio are rendered out of one answer each.

The number of SQL statements of a list does not depend on the number of its rows, and its rows are as declared.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import pytest
from pydantic import BaseModel
from sqlalchemy import Engine, event

from app.communities.schemas import CommunityRead
from app.inquiries.schemas import InquiryRead
from app.kit.statement import Statement
from app.links.schemas import ClickRead, LinkRead
from app.posts.schemas import PostRead
from app.projects.schemas import ProjectRead
from tests.conftest import Agency
from tests.inquiries.conftest import connect_community
from tests.inquiries.conftest import post as post
from tests.posts.conftest import remote, store

MINUTE: Final = timedelta(minutes=1)


@contextmanager
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The SQL statements sent meanwhile, of SQLAlchemy and of `Statement`."""
    sent: list[str] = []

    def on_execute(_: Any, __: Any, text: str, *rest: Any) -> None:
        sent.append(text)

    rows = Statement.rows

    async def recorded(self: Statement, *arguments: Any) -> list[Any]:
        sent.append(self.text)
        return await rows(self, *arguments)

    event.listen(Engine, "before_cursor_execute", on_execute)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Statement, "rows", recorded)
            yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", on_execute)


@pytest.fixture
async def filled(agency: Agency) -> str:
    """An agency with a project that has inquiries, posts with counters, links with clicks. The project's id."""
    setup = await connect_community(agency, "mastodon")
    noon = agency.resources.clock.now()
    for number in range(3):
        text = f"Question {number}?"
        await setup.store_messages(setup.message(str(number), noon + number * MINUTE, text, thread_id=str(number)))
    ref = setup.ref
    await store(agency, str(ref.community_id), *(remote(str(n), at=noon - n * MINUTE) for n in range(3)))
    for number in range(3):
        body = {"project_id": str(ref.project_id), "target": f"https://shop.example/{number}", "title": "Autumn"}
        link = await agency.post("/v1/links", body)
        await agency.http.get(f"/r/{link['slug']}", headers={"User-Agent": "curl/8"})
    for name in ("Second", "Third"):
        await agency.post("/v1/projects", {"title": name, "timezone": "Europe/Minsk"})
    await connect_community(agency, "mastodon")
    return str(ref.project_id)


async def test_an_inbox_is_one_call(agency: Agency, filled: str) -> None:
    page = await agency.get("/v1/inquiries?status=open&sort=waiting_since")
    lines = [
        f"{one['customer']['name']} in {one['community_title']} ({one['platform']}), {one['kind']}, {one['status']}: "
        f"{one['last_message']['direction']} {one['last_message']['author_name']}: {one['last_message']['preview']} "
        f"since {one['waiting_since']}, until {one['reply_until']}, {one['reply_refusal']}"
        for one in page["data"]
    ]
    at = agency.resources.clock.now()
    assert lines == [
        f"Olga in Coffee at Nina's (mastodon), question, open: customer Olga: Question {number}? "
        f"since {at + number * MINUTE:%Y-%m-%dT%H:%M:%SZ}, until None, None"
        for number in range(3)
    ]


async def test_a_plan_is_one_call(agency: Agency, filled: str) -> None:
    plan = await agency.get(f"/v1/projects/{filled}/calendar", include="metrics")
    lines = [
        f"{day['day']}: {one['text']} in {one['community_title']} ({one['platform']}), {one['status']}, "
        f"{one['category']}, {one['planned_for'] or one['published_at']}, "
        + ", ".join(f"{each['metric']} {each['value']}" for each in one["metrics"] if each["status"] == "ok")
        for day in plan["data"]
        for one in day["posts"]
    ]
    assert len(lines) == 3
    assert lines[-1] == (
        "2026-10-15: As it stands there in Coffee at Nina's (mastodon), published, None, 2026-10-15T12:00:00Z, "
        "reactions 7, comments 0"
    )


async def test_a_portfolio_is_one_call(agency: Agency, filled: str) -> None:
    portfolio = await agency.get("/v1/portfolio/kpis", keys="open_backlog,first_response_time")
    kpis = {kpi["key"]: kpi for kpi in portfolio["kpis"]}
    lines = [
        f"{kpis[value['key']]['title']} ({kpis[value['key']]['unit']}, {kpis[value['key']]['direction']}): "
        f"{value['value']} {value['status']} {value['reason']}, before {value['previous']['value']}"
        for project in portfolio["data"]
        for value in project["kpis"]
    ]
    assert len(lines) == 8
    assert lines[1].startswith("First response time (seconds, lower_is_better): None unknown")


LISTS: Final[dict[str, type[BaseModel] | None]] = {
    "/v1/inquiries": InquiryRead,
    "/v1/inquiries?sort=waiting_since&status=open&kind=question&q=que": InquiryRead,
    "/v1/posts?include=metrics": PostRead,
    "/v1/posts?sort=published_at&origin=found&categorised=false&q=stands": PostRead,
    "/v1/links?include=clicks&q=AUTUMN&archived=false": LinkRead,
    "/v1/communities?include=health&status=healthy&q=nina": CommunityRead,
    "/v1/projects?archived=false": ProjectRead,
    "/v1/portfolio/kpis?keys=clicks": None,
}
"""Lists with all their filters, and the declared form of their rows."""


async def test_a_list_takes_as_many_statements_for_one_row_as_for_many_and_its_rows_are_as_declared(
    agency: Agency, filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, declared in LISTS.items():
        counts = []
        for limit in (1, 1, 50):
            with statements(monkeypatch) as sent:
                page = await agency.get(f"{path}{'&' if '?' in path else '?'}limit={limit}")
            counts.append(len(sent))
        assert len(page["data"]) > 1, path
        assert counts[1] == counts[2], (path, counts)
        for row in page["data"] if declared is not None else ():
            assert declared is not None
            assert declared.model_validate(row).model_dump(mode="json", by_alias=True) == row, path


async def test_pages_follow_each_other(agency: Agency, filled: str) -> None:
    for path in LISTS:
        whole = await agency.get(path)
        paged: list[Any] = []
        cursor = ""
        while True:
            page = await agency.get(f"{path}{'&' if '?' in path else '?'}limit=1{cursor}")
            paged += page["data"]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert paged == whole["data"], path


async def test_clicks_are_listed_as_declared(agency: Agency, filled: str) -> None:
    (link, *_) = (await agency.get("/v1/links", include="clicks"))["data"]
    assert link["clicks"] == {"people": 0, "bots": 1, "repeats": 0}
    page = await agency.get(f"/v1/links/{link['id']}/clicks", people=False)
    assert page["totals"] == link["clicks"]
    assert [ClickRead.model_validate(row).model_dump(mode="json") for row in page["data"]] == page["data"]
    assert await agency.get("/v1/links", slug=link["slug"]) == {"data": [{**link, "clicks": None}], "next_cursor": None}
    assert (await agency.get("/v1/links", slug=uuid.uuid4().hex))["data"] == []


async def test_projects_are_found_by_a_part_of_their_title(agency: Agency, filled: str) -> None:
    page = await agency.get("/v1/projects", q="THI")
    assert [project["title"] for project in page["data"]] == ["Third"]
    assert (await agency.get("/v1/projects", q="%%"))["data"] == []
