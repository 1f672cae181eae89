"""Who must answer is told before something is overdue, and when it is."""

from datetime import datetime, timedelta
from typing import Any

from app.alerts.service import WATCH
from app.kit import jobs
from app.kit.clock import SetClock
from app.kit.i18n import translate
from tests.conftest import Agency
from tests.inquiries.conftest import OURS, InquirySetup, Post

MINUTE = timedelta(minutes=1)


async def alerts(agency: Agency) -> list[Any]:
    """The alerts of deadlines, oldest first, after looking for them."""
    async with agency.resources.transaction(None) as session:
        await jobs.enqueue(session, WATCH, workspace_id=agency.workspace_id, key="watch")
    await agency.work(WATCH)
    listed = (await agency.get("/v1/alerts"))["data"]
    return [one for one in reversed(listed) if one["kind"] in {"inquiry-due-soon", "inquiry-overdue"}]


async def test_a_deadline_is_told_of_before_and_after(
    setup: InquirySetup, agency: Agency, clock: SetClock, post: Post
) -> None:
    path = f"/v1/projects/{setup.ref.project_id}/response-targets"
    await agency.put(path, {"first_response_minutes": 60, "resolution_minutes": 120})
    began = clock.now()
    await setup.store_messages(setup.message("1", began))
    clock.advance(29 * MINUTE)
    assert await alerts(agency) == []
    clock.advance(MINUTE)
    (soon,) = await alerts(agency)
    assert (soon["kind"], soon["status"]) == ("inquiry-due-soon", "open")
    assert soon["subject_id"] == (await setup.only())["id"]
    due_at = began + 60 * MINUTE
    assert soon["facts"] == {
        "community": "Coffee at Nina's",
        "owed": "the answer to a customer",
        "due_at": due_at.isoformat(),
    }
    clock.advance(30 * MINUTE)
    assert [one["kind"] for one in await alerts(agency)] == ["inquiry-due-soon"], "not overdue at that very instant"
    clock.advance(MINUTE)
    soon, over = await alerts(agency)
    assert [(one["kind"], one["status"]) for one in (soon, over)] == [
        ("inquiry-due-soon", "ended"),
        ("inquiry-overdue", "open"),
    ]
    assert datetime.fromisoformat(over["since"]) == due_at
    await setup.store_messages(setup.message("2", clock.now(), "Сто.", by=OURS))
    assert [one["status"] for one in await alerts(agency)] == ["ended", "ended"]
    clock.advance(40 * MINUTE)
    resolution = (await alerts(agency))[-1]
    assert (resolution["kind"], resolution["facts"]["owed"]) == ("inquiry-due-soon", "the resolution of an inquiry")


async def test_a_backlog_is_told_of_by_nobody(setup: InquirySetup, agency: Agency, clock: SetClock, post: Post) -> None:
    """It was due before the community was connected."""
    await agency.put(f"/v1/projects/{setup.ref.project_id}/response-targets", {"first_response_minutes": 30})
    await setup.store_messages(setup.message("1", clock.now() - 60 * MINUTE))
    assert (await setup.only())["overdue"] is True
    assert await alerts(agency) == []


def test_what_is_owed_is_translated() -> None:
    for each in ("the answer to a customer", "the resolution of an inquiry"):
        assert translate(each, "ru") != each
