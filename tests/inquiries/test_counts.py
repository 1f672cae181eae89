"""The numbers of inquiries are exact after whatever changed them."""

import uuid
from datetime import timedelta

from sqlalchemy import text

from app.kit.clock import SetClock
from app.platforms.contract import RemotePerson
from tests.conftest import Agency
from tests.inquiries.conftest import InquirySetup, connect_community

MINUTE = timedelta(minutes=1)


async def recount(agency: Agency) -> dict[tuple[str, str, str], int]:
    """The numbers of the stored inquiries by community, status and kind."""
    query = "SELECT community_id, status, kind, count(*) FROM inquiry GROUP BY 1, 2, 3"
    async with agency.resources.transaction(agency.workspace_id) as session:
        return {(str(c), status, kind): number for c, status, kind, number in await session.execute(text(query))}


async def counted(agency: Agency) -> dict[tuple[str, str, str], int]:
    """The same as the API counts them."""
    made = {}
    for kind in ("question", "problem", "thanks", "other"):
        answer = await agency.get(f"/v1/inquiries/counts?kind={kind}")
        assert sum(answer["by_status"].values()) == answer["total"]
        for community in answer["by_community"]:
            for status in ("open", "answered", "resolved"):
                if community[status]:
                    made[str(uuid.UUID(community["community_id"])), status, kind] = community[status]
    return made


async def test_they_are_those_of_the_stored_inquiries(setup: InquirySetup, agency: Agency, clock: SetClock) -> None:
    other, noon = await connect_community(agency), clock.now()
    texts = ("Сколько стоит?", "Спасибо!", "Не работает сайт", "Ок")
    for n, one in enumerate(texts):
        await setup.store_messages(setup.message(str(n), noon, one, thread_id=str(n)))
    await other.store_messages(other.message("9", noon, "Сколько стоит?"))
    assert await counted(agency) == await recount(agency)
    ids = {one["preview"]: one["id"] for one in await setup.inquiries()}
    actions = [
        {"action": "resolve", "id": ids[texts[0]], "reason": "By phone."},
        {"action": "classify", "id": ids[texts[1]], "kind": "problem"},
        {"action": "resolve", "id": ids[texts[3]], "reason": "Spam."},
    ]
    await agency.post("/v1/inquiries/bulk", {"items": actions}, status=200)
    assert await counted(agency) == await recount(agency)
    await agency.post(f"/v1/inquiries/{ids[texts[0]]}/reopen", {}, status=200)
    await setup.store_messages(setup.message("again", noon + MINUTE, "Не работает сайт", thread_id="3"))
    assert await counted(agency) == await recount(agency)
    await agency.recur("inquiries.compact-counts")
    await agency.work("inquiries.compact-counts-of-workspace")
    stored = await recount(agency)
    assert await counted(agency) == stored
    async with agency.resources.transaction(agency.workspace_id) as session:
        assert await session.scalar(text("SELECT count(*) FROM inquiry_count")) == len(stored), "a row for each number"
    whole = await agency.get("/v1/inquiries/counts")
    assert (whole["total"], whole["by_status"]) == (5, {"open": 5, "answered": 0, "resolved": 0})
    assert (await agency.get(f"/v1/inquiries/counts?community_id={other.ref.community_id}"))["total"] == 1
    assert (await agency.get(f"/v1/inquiries/counts?project_id={other.ref.project_id}&status=resolved"))["total"] == 0
    assert (await agency.get(f"/v1/inquiries/counts?project_id={uuid.uuid4()}"))["total"] == 0


async def test_they_are_exact_after_threads_turn_out_to_be_one(
    setup: InquirySetup, agency: Agency, clock: SetClock
) -> None:
    noon, by_name = clock.now(), RemotePerson("Olga", "Olga")
    await setup.store_messages(setup.message("1", noon, "Спасибо!", thread_id="by-name", by=by_name))
    await setup.store_messages(setup.message("2", noon + MINUTE, "Не работает", thread_id="by-id"))
    first, _ = await setup.inquiries()
    await agency.post(f"/v1/inquiries/{first['id']}/classify", {"kind": "problem"}, status=200)
    await setup.store_messages(setup.message("1", noon, "Спасибо!", thread_id="by-id", renames_thread=True))
    assert len(await setup.inquiries()) == 1
    assert await counted(agency) == await recount(agency)


async def test_another_workspace_counts_its_own(setup: InquirySetup, rival: Agency, clock: SetClock) -> None:
    await setup.store_messages(setup.message("1", clock.now()))
    assert (await rival.get("/v1/inquiries/counts"))["total"] == 0
