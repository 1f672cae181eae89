"""What is kept beside the rows, numbers and words, is compared with them nightly, repaired, counted and logged."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from app.inquiries import lexemes as inquiry_lexemes
from app.kit import search, tallies
from app.kit.clock import SetClock
from app.links import lexemes as link_lexemes
from app.posts import lexemes as post_lexemes
from tests.conftest import Agency
from tests.inquiries.conftest import InquirySetup
from tests.inquiries.conftest import post as post
from tests.inquiries.conftest import setup as setup
from tests.inquiries.test_counts import counted, recount
from tests.links.conftest import add_community
from tests.posts.conftest import remote, store

_LEXEMES: Final[Mapping[str, tuple[search.WordIndex, search.Texts]]] = {
    "inquiries": (inquiry_lexemes.INQUIRY_LEXEMES, inquiry_lexemes.texts),
    "posts": (post_lexemes.POST_LEXEMES, post_lexemes.texts),
    "links": (link_lexemes.LINK_LEXEMES, link_lexemes.texts),
}


async def _execute(agency: Agency, sql: str) -> None:
    async with agency.resources.transaction(agency.workspace_id) as session:
        await session.execute(text(sql))


async def _nightly(agency: Agency, kind: str, of_workspace: str) -> list[Any]:
    """Run the nightly job and those of this workspace; what they log as errors."""
    with capture_logs() as logs:
        await agency.recur(kind)
        assert await agency.work(of_workspace) > 0
    return [one for one in logs if one["log_level"] == "error"]


async def test_numbers_of_inquiries(setup: InquirySetup, agency: Agency, rival: Agency, clock: SetClock) -> None:
    for n in range(4):
        await setup.store_messages(setup.message(str(n), clock.now(), "Сколько стоит?", thread_id=str(n)))
    jobs = ("inquiries.reconcile-counts", "inquiries.reconcile-counts-of-workspace")
    assert await _nightly(agency, *jobs) == []
    before = tallies.CORRECTED.labels("inquiry_count")._value.get()
    await _execute(
        agency, "UPDATE inquiry_count SET change = change + 2 WHERE id = (SELECT id FROM inquiry_count LIMIT 1)"
    )
    await _execute(
        agency,
        "INSERT INTO inquiry_count (workspace_id, id, community_id, project_id, status, kind, change) "
        "SELECT workspace_id, gen_random_uuid(), community_id, project_id, 'resolved', 'other', 5 FROM inquiry LIMIT 1",
    )
    assert await counted(agency) != await recount(agency)
    logged = await _nightly(agency, *jobs)
    assert [(one["event"], one["table"], one["kept"], one["counted"]) for one in logged] == [
        ("tally.corrected", "inquiry_count", 6, 4),
        ("tally.corrected", "inquiry_count", 5, 0),
    ]
    assert tallies.CORRECTED.labels("inquiry_count")._value.get() == before + 2
    assert await counted(agency) == await recount(agency)
    assert await _nightly(agency, *jobs) == []


async def test_numbers_of_publications(agency: Agency, clock: SetClock) -> None:
    project = await agency.post("/v1/projects", {"title": "Nina's", "timezone": "Europe/Minsk"})
    community_id = await add_community(agency, project["id"])
    yesterday = clock.now() - timedelta(days=1)

    async def number() -> int:
        return int((await agency.get(f"/v1/communities/{community_id}/health"))["publications"])

    for n in range(3):
        await store(agency, community_id, *(remote(str(k), at=yesterday) for k in range(n + 1)))
        assert await number() == n + 1
    await agency.recur("communities.compact-counts")
    await agency.work("communities.compact-counts-of-workspace")
    assert await number() == 3
    await _execute(agency, "DELETE FROM publication_count")
    assert await number() == 0
    jobs = ("communities.reconcile-counts", "communities.reconcile-counts-of-workspace")
    logged = await _nightly(agency, *jobs)
    assert [(one["event"], one["kept"], one["counted"]) for one in logged] == [("tally.corrected", 0, 3)]
    assert await number() == 3
    assert await _nightly(agency, *jobs) == []


async def _store_searched(agency: Agency, setup: InquirySetup, room: str, number: int) -> None:
    """Store an inquiry, a post or a link with the text "Где чайник?"."""
    if room == "inquiries":
        at, name = setup.agency.resources.clock.now(), str(number)
        await setup.store_messages(setup.message(name, at, "Где чайник?", thread_id=name))
    elif room == "posts":
        await agency.post("/v1/posts", {"community_id": str(setup.ref.community_id), "text": "Где чайник?"})
    else:
        project_id = str(setup.ref.project_id)
        made = {"project_id": project_id, "target": "https://shop.example", "title": "Где чайник?"}
        await agency.post("/v1/links", made)


@pytest.mark.parametrize("room", ["inquiries", "posts", "links"])
async def test_words(
    room: str, setup: InquirySetup, agency: Agency, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "PAGE", 2)
    owner = {"inquiries": "inquiry", "posts": "post", "links": "link"}[room]
    for n in range(5):
        await _store_searched(agency, setup, room, n)
    jobs = (f"{room}.reconcile-lexemes", f"{room}.reconcile-lexemes-of-workspace")

    async def number_found(q: str) -> int:
        return len((await agency.get(f"/v1/{room}", q=q))["data"])

    assert await _nightly(agency, *jobs) == []
    assert await number_found("чайники") == 5
    before = search.REPAIRED.labels(f"{owner}_lexeme")._value.get()
    first = f"(SELECT {owner}_id FROM {owner}_lexeme ORDER BY {owner}_id LIMIT 1)"
    await _execute(agency, f"DELETE FROM {owner}_lexeme WHERE lexeme = 'чайник' AND {owner}_id = {first}")
    await _execute(
        agency,
        f"INSERT INTO {owner}_lexeme (workspace_id, lexeme, project_id, {owner}_id) "
        f"SELECT workspace_id, 'кофейник', project_id, id FROM {owner}",
    )
    await _execute(  # of a row that is not there
        agency,
        f"INSERT INTO {owner}_lexeme (workspace_id, lexeme, project_id, {owner}_id) "
        f"SELECT workspace_id, 'кофейник', project_id, gen_random_uuid() FROM {owner} LIMIT 1",
    )
    assert (await number_found("чайник"), await number_found("кофейник")) == (4, 5)
    logged = await _nightly(agency, *jobs)
    assert {one["event"] for one in logged} == {"search.words_repaired"}
    assert sum(one["words"] for one in logged) == 7
    assert search.REPAIRED.labels(f"{owner}_lexeme")._value.get() == before + 7
    assert (await number_found("чайник"), await number_found("кофейник")) == (5, 0)
    assert await _nightly(agency, *jobs) == []


@pytest.mark.parametrize("room", ["inquiries", "posts", "links"])
async def test_words_of_a_row_that_is_stored_during_the_comparison_stay(
    room: str, setup: InquirySetup, agency: Agency
) -> None:
    index, texts_of = _LEXEMES[room]
    await _store_searched(agency, setup, room, 0)

    async def texts(session: AsyncSession, after: UUID, limit: int) -> Mapping[UUID, str]:
        page = await texts_of(session, after, limit)
        await _store_searched(agency, setup, room, 1)  # before the words are read
        return page

    async with agency.resources.transaction(agency.workspace_id) as session:
        assert await index.reconcile(session, texts, search.FIRST) == (0, None)
    assert len((await agency.get(f"/v1/{room}", q="чайники"))["data"]) == 2
