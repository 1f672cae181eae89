"""Inquiries are found by words, whatever way the words' frequency makes the search take."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.communities.events import MessagesDeleted
from app.inquiries.models import InquiryLexeme
from app.kit import search
from app.kit.events import publish
from app.platforms.contract import RemotePerson
from tests.conftest import Agency
from tests.inquiries.conftest import OURS, InquirySetup

NOON = datetime(2026, 10, 15, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WAYS = {
    "few": (5_000, 40_000, 0.005),
    "found": (1, 40_000, 0.005),
    "some": (0, 40_000, 0),
    "walk": (0, 0, 0),
    "seldom": (1, 1, 0.005),
}
"""`FEW`, `SOME` and `TOGETHER` with which all words, however rare they are, take one way."""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The way that a search takes."""
    few, some, together = WAYS[request.param]
    monkeypatch.setattr(search, "FEW", few)
    monkeypatch.setattr(search, "SOME", some)
    monkeypatch.setattr(search, "TOGETHER", together)
    return str(request.param)


async def previews(agency: Agency, q: str, **params: Any) -> list[str]:
    """The previews of the inquiries found, in the order of the list."""
    return [inquiry["preview"] for inquiry in (await agency.get("/v1/inquiries", q=q, **params))["data"]]


async def test_words_are_found_in_any_form(setup: InquirySetup, agency: Agency, rival: Agency, way: str) -> None:
    pyotr = RemotePerson("petr", "Пётр Чехов")
    texts = ["Где мои заказы?", "Ordered twice, never delivered", "Заказ не привезли, верните деньги"]
    for n, text in enumerate(texts):
        by = {"by": pyotr} if n == 2 else {}
        await setup.store_messages(setup.message(str(n), NOON + n * MINUTE, text, thread_id=str(n), **by))
    answer = setup.message("3", NOON + 5 * MINUTE, "Доставим вечером", by=OURS, thread_id="0")
    await setup.store_messages(answer)
    in_order = [texts[0], texts[2], texts[1]]
    assert await previews(agency, "ЗАКАЗА") == [texts[0], texts[2]]
    assert await previews(agency, "order delivering") == [texts[1]]
    assert await previews(agency, "заказ доставить") == [texts[0]], "words of different messages of one thread"
    assert await previews(agency, "деньги заказ привозить") == []
    assert await previews(agency, "петр") == await previews(agency, "Чехов ПЁТР") == [texts[2]]
    assert await previews(agency, "Olga") == [texts[0], texts[1]]
    assert await previews(agency, "заказ", sort="waiting_since") == [texts[2]], "the other one is answered"
    assert await previews(agency, "заказ", kind="question") == [texts[0]]
    assert await previews(agency, "зак") == [], "words, not parts of words"
    assert (await rival.get("/v1/inquiries", q="заказ"))["data"] == []
    refused = await agency.get("/v1/inquiries", 422, q="и the в")
    assert (refused["code"], refused["errors"][0]["field"]) == ("no-word", "q")
    assert [one["preview"] for one in (await agency.get("/v1/inquiries"))["data"]] == in_order


async def test_pages_follow_each_other(setup: InquirySetup, agency: Agency, way: str) -> None:
    for n in range(7):
        text = f"Заказ {n}" if n % 2 else f"Срочный заказ {n}"
        await setup.store_messages(setup.message(str(n), NOON + n * MINUTE, text, thread_id=str(n)))
    seen: list[str] = []
    page = await agency.get("/v1/inquiries", q="заказ срочно", limit=2)
    seen += [one["preview"] for one in page["data"]]
    assert (await agency.get("/v1/inquiries", 422, q="заказ", limit=2, cursor=page["next_cursor"]))["code"]
    rest = await agency.get("/v1/inquiries", q="заказ срочно", limit=2, cursor=page["next_cursor"])
    assert seen + [one["preview"] for one in rest["data"]] == [f"Срочный заказ {n}" for n in (6, 4, 2, 0)]
    assert rest["next_cursor"] is None


async def test_edits_deletions_and_restorations_are_followed(setup: InquirySetup, agency: Agency) -> None:
    first = setup.message("1", NOON, "Сколько стоит чайник?")
    await setup.store_messages(first, setup.message("2", NOON + MINUTE, "А доставка?"))
    assert len(await previews(agency, "чайник доставка")) == 1
    await setup.store_messages(dataclasses.replace(first, text="Сколько стоит кофейник?", edited_at=NOON + 2 * MINUTE))
    assert await previews(agency, "чайник") == []
    assert len(await previews(agency, "кофейники")) == 1
    async with agency.resources.transaction(agency.workspace_id) as session:
        await publish(session, MessagesDeleted(setup.ref, ("2",)))
    assert await previews(agency, "доставка") == []
    assert len(await previews(agency, "кофейник")) == 1
    restored = dataclasses.replace(setup.message("2", NOON + MINUTE, "А доставка?"), restored=True)
    await setup.store_messages(restored)
    assert len(await previews(agency, "доставка кофейник")) == 1


async def test_an_inquiry_has_the_words_of_those_merged_into_it(setup: InquirySetup, agency: Agency) -> None:
    by_name, by_id = RemotePerson("guest", "guest"), RemotePerson("9001", "guest")
    await setup.store_messages(setup.message("c1", NOON, "Чайник", by=by_name, thread_id="c1-guest"))
    await setup.store_messages(setup.message("c2", NOON + MINUTE, "Заварка", by=by_id, thread_id="c1-9001"))
    assert await previews(agency, "чайник заварка") == []
    listed = setup.message("c1", NOON, "Чайник", by=by_id, thread_id="c1-9001")
    await setup.store_messages(dataclasses.replace(listed, renames_thread=True))
    assert await previews(agency, "чайник заварка") == ["Заварка"]
    async with agency.resources.transaction(agency.workspace_id) as session:
        indexed = set(await session.scalars(select(InquiryLexeme.inquiry_id)))
    assert {str(inquiry_id) for inquiry_id in indexed} == {(await setup.only())["id"]}


async def test_a_status_change_keeps_the_words(setup: InquirySetup, agency: Agency) -> None:
    await setup.store_messages(setup.message("1", NOON, "Чайник"))
    await agency.post(f"/v1/inquiries/{(await setup.only())['id']}/resolve", {"reason": "Spam."}, status=200)
    assert await previews(agency, "чайник") == ["Чайник"]
