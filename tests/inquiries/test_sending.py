"""A reply is delivered at most once, whatever fails."""

import random
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from sqlalchemy import select

from app import platforms
from app.communities.polling.rate_limits import RateLimitReached
from app.inquiries import reply_copies, sending
from app.inquiries.jobs import ATTEMPTS
from app.kit import jobs
from app.kit.clock import SetClock
from app.kit.jobs import Job, Snooze
from app.platforms.contract import (
    Attachment,
    AttachmentKind,
    AuthExpired,
    Gone,
    LimitScope,
    Malformed,
    MessageKind,
    MissingPermission,
    OutcomeUnknown,
    Rejected,
    SendReceipt,
    TextLimit,
    TextUnit,
    Throttled,
    TokenMissing,
    Transient,
)
from tests.conftest import Agency
from tests.inquiries.conftest import OURS, InquirySetup, Post, connect_community

NOON = datetime(2026, 10, 15, 12, 0, tzinfo=UTC)
"""Now, by the clock of the tests."""
MINUTE = timedelta(minutes=1)


class Killed(BaseException):
    """Stands for the end of the worker's process."""


async def open_inquiry(setup: InquirySetup) -> str:
    """A customer's message is ingested; returns the inquiry's path."""
    await setup.store_messages(setup.message("1", NOON - 10 * MINUTE))
    return f"/v1/inquiries/{(await setup.only())['id']}"


async def answer(setup: InquirySetup, path: str, text: str = "Пять рублей.", **more: Any) -> str:
    """Reply to an inquiry; returns the message's id."""
    made = await setup.agency.post(f"{path}/messages", {"text": text, **more}, status=202)
    assert (made["delivery"], made["external_id"], made["direction"]) == ("queued", None, "agency")
    return str(made["id"])


async def agency_messages(setup: InquirySetup, path: str) -> list[Any]:
    return [message for message in (await setup.agency.get(path))["messages"] if message["direction"] == "agency"]


async def test_an_answer_goes_out_and_the_wait_ends_when_it_was_sent(
    setup: InquirySetup, agency: Agency, post: Post, clock: SetClock
) -> None:
    path = await open_inquiry(setup)
    message_id = await answer(setup, path)
    assert (await agency.get(path))["status"] == "open"
    clock.advance(2 * MINUTE)
    post.behave = lambda _: SendReceipt(
        "remote-7", sent_at=clock.now() + timedelta(seconds=3), url="https://p.example/7"
    )
    await agency.work("inquiries.send")
    ((to, text, key),) = post.sent
    assert (to.external_id, to.thread_id, to.post_id, to.author.external_id) == ("1", "thread", "post-1", "olga")
    assert (text, key) == ("Пять рублей.", message_id)
    seen = await agency.get(path)
    (message,) = await agency_messages(setup, path)
    assert (message["delivery"], message["external_id"], message["url"]) == ("sent", "remote-7", "https://p.example/7")
    assert (seen["status"], seen["first_answered_at"]) == ("answered", "2026-10-15T12:02:03Z")
    assert [wait["working_seconds"] for wait in seen["waits"]] == [12 * 60 + 3]
    assert [event["type"] for event in (await agency.get(f"{path}/events"))["data"]] == ["sent", "replied"]


async def test_the_answer_and_its_job_are_one_unit_of_work(
    setup: InquirySetup, agency: Agency, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await open_inquiry(setup)

    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the job cannot be stored")

    monkeypatch.setattr("app.inquiries.service.enqueue", broken)
    await agency.post(f"{path}/messages", {"text": "Да."}, status=500)
    assert await agency_messages(setup, path) == []


async def test_an_automatic_reply_is_sent_and_does_not_count_as_an_answer(setup: InquirySetup, agency: Agency) -> None:
    path = await open_inquiry(setup)
    await answer(setup, path, automatic=True)
    await agency.work("inquiries.send")
    seen = await agency.get(path)
    assert (seen["status"], seen["handled_at"], seen["messages"][-1]["delivery"]) == ("open", None, "sent")


async def test_what_cannot_be_sent_is_refused_at_once(setup: InquirySetup, agency: Agency) -> None:
    path = await open_inquiry(setup)
    for text in ("", "  ", "x\0y"):
        await agency.post(f"{path}/messages", {"text": text}, status=422)
    long = await agency.post(f"{path}/messages", {"text": "x" * 101}, status=422)
    assert (long["code"], long["errors"][0]["field"]) == ("text-too-long", "text")
    await agency.post(f"/v1/inquiries/{uuid.uuid4()}/messages", {"text": "Да."}, status=404)
    await setup.store_messages(setup.message("1", NOON, "", deleted=True))
    assert (await agency.post(f"{path}/messages", {"text": "Да."}, status=409))["code"] == "nothing-to-answer"
    assert await agency.due("inquiries.send") == []


@pytest.mark.parametrize(
    ("unit", "fits", "long"),
    [
        (TextUnit.CHARACTERS, "Да, да", "Да, да!"),
        (TextUnit.UTF16, "Да 👍!", "Да 👍!!"),
        (TextUnit.GRAPHEMES, "Да 👨‍👩‍👧!!", "Да 👨‍👩‍👧!!!"),
        (TextUnit.BYTES, "Да!!", "Да!!!"),
    ],
)
async def test_an_answer_is_as_long_as_its_platform_counts(
    setup: InquirySetup, agency: Agency, monkeypatch: pytest.MonkeyPatch, unit: TextUnit, fits: str, long: str
) -> None:
    kind: Any = platforms.adapters()["forgetful"]
    monkeypatch.setattr(kind, "spec", replace(kind.spec, text_limit=1000, reply_limit=6, text_unit=unit))
    path = await open_inquiry(setup)
    refused = await agency.post(f"{path}/messages", {"text": long}, status=422)
    assert (refused["code"], refused["detail"]) == (
        "text-too-long",
        f"Forgetful takes answers of at most 6 {'bytes' if unit is TextUnit.BYTES else 'characters'}; these are 7.",
    )
    assert await agency_messages(setup, path) == []
    await agency.post(f"{path}/messages", {"text": fits}, status=202)


async def test_a_message_may_have_a_limit_of_its_own(
    setup: InquirySetup, agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: Any = platforms.adapters()["forgetful"]
    limited = replace(kind.spec, text_limit=20, message_limit=TextLimit(12, TextUnit.BYTES))
    monkeypatch.setattr(kind, "spec", limited)
    comment = await open_inquiry(setup)
    await agency.post(f"{comment}/messages", {"text": "Да, до шести"}, status=202)
    await setup.store_messages(replace(setup.message("9", NOON, "?"), kind=MessageKind.MESSAGE, thread_id="mail"))
    (mail,) = [one for one in await setup.inquiries() if one["channel"] == "message"]
    refused = await agency.post(f"/v1/inquiries/{mail['id']}/messages", {"text": "Да, до шести"}, status=422)
    assert refused["detail"] == "Forgetful takes answers of at most 12 bytes; these are 21."


@pytest.mark.parametrize(
    ("age", "automatic", "code", "late"),
    [
        (timedelta(hours=24), True, None, False),
        (timedelta(hours=24, seconds=1), True, "reply-window-closed", True),
        (timedelta(hours=24), False, None, False),
        (timedelta(days=7), False, None, True),
        (timedelta(days=7, seconds=1), False, "reply-window-closed", True),
    ],
)
async def test_messages_may_be_answered_for_a_time(
    setup: InquirySetup,
    agency: Agency,
    post: Post,
    monkeypatch: pytest.MonkeyPatch,
    clock: SetClock,
    age: timedelta,
    automatic: bool,
    code: str | None,
    late: bool,
) -> None:
    """By a script for a day, by a person for a week; the inbox says until when, and sending says that it is late."""
    kind: Any = platforms.adapters()["forgetful"]
    windows = {"reply_window": timedelta(days=1), "person_reply_window": timedelta(days=7)}
    monkeypatch.setattr(kind, "spec", replace(kind.spec, **windows))
    await setup.store_messages(
        setup.message("0", NOON - timedelta(days=20), kind=MessageKind.MESSAGE),
        setup.message("1", NOON - timedelta(hours=1), kind=MessageKind.MESSAGE),
    )
    path = f"/v1/inquiries/{(await setup.only())['id']}"
    clock.advance(age - timedelta(hours=1))
    seen = await agency.get(path)
    assert seen["reply_until"] == "2026-10-22T11:00:00Z", "that of a person"
    assert (seen["reply_refusal"] is None) == (age <= timedelta(days=7))
    status = 202 if code is None else 409
    made = await agency.post(f"{path}/messages", {"text": "Да.", "automatic": automatic}, status=status)
    assert made.get("code") == code
    await agency.work("inquiries.send")
    assert [(to.late, to.by_person) for to, *_ in post.sent] == ([] if code is not None else [(late, not automatic)])


async def test_without_a_limit_of_time_the_inbox_names_none(setup: InquirySetup, agency: Agency) -> None:
    seen = await agency.get(await open_inquiry(setup))
    assert (seen["reply_until"], seen["reply_refusal"]) == (None, None)


async def test_messages_that_cannot_be_answered_say_so(
    setup: InquirySetup, agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: Any = platforms.adapters()["forgetful"]
    monkeypatch.setattr(kind, "spec", replace(kind.spec, unanswerable={"tag-": "Tags cannot be answered."}))
    await setup.store_messages(setup.message("tag-1", NOON, kind=MessageKind.MENTION))
    path = f"/v1/inquiries/{(await setup.only())['id']}"
    expected = {"code": "not-answerable", "detail": "Tags cannot be answered."}
    assert (await agency.get(path))["reply_refusal"] == expected
    refused = await agency.post(f"{path}/messages", {"text": "Да."}, status=409)
    assert {name: refused[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("kind", "fits", "long", "detail"),
    [
        (MessageKind.COMMENT, "Да, да", "Да, да!", "at most 6 characters; these are 7"),
        (MessageKind.COMMENT, "👍", "👨‍👩‍👧", "at most 12 bytes; these are 18"),
        (MessageKind.MESSAGE, "Да, да, да", "Да, да, да!", "at most 10 characters; these are 11"),
    ],
)
async def test_a_direct_message_has_a_limit_of_its_own(
    setup: InquirySetup,
    agency: Agency,
    monkeypatch: pytest.MonkeyPatch,
    kind: MessageKind,
    fits: str,
    long: str,
    detail: str,
) -> None:
    platform: Any = platforms.adapters()["forgetful"]
    limits = {"text_unit": TextUnit.GRAPHEMES, "text_bytes": 12, "message_limit": TextLimit(10, TextUnit.GRAPHEMES)}
    monkeypatch.setattr(platform, "spec", replace(platform.spec, text_limit=6, **limits))
    await setup.store_messages(setup.message("1", NOON - 10 * MINUTE, kind=kind))
    path = f"/v1/inquiries/{(await setup.only())['id']}"
    refused = await agency.post(f"{path}/messages", {"text": long}, status=422)
    assert (refused["code"], refused["detail"]) == ("text-too-long", f"Forgetful takes answers of {detail}.")
    await agency.post(f"{path}/messages", {"text": fits}, status=202)


async def test_a_platform_without_replies_says_so(agency: Agency, post: Post) -> None:
    setup = await connect_community(agency, "silent")
    path = await open_inquiry(setup)
    refused = await agency.post(f"{path}/messages", {"text": "Да."}, status=409)
    assert refused["code"] == "replies-unsupported"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Rejected("no links, please"), "no links, please"),
        (MissingPermission("no", scopes=("write",)), "write"),
        (AuthExpired("no"), "refuses the token. Reconnect"),
        (TokenMissing("no"), "No token was given"),
        (Gone("no"), "does not exist"),
    ],
)
async def test_a_refusal_is_explained_in_delivery_detail(
    setup: InquirySetup, agency: Agency, post: Post, error: Exception, text: str
) -> None:
    path = await open_inquiry(setup)
    await answer(setup, path)
    post.behave = _raising(error)
    await agency.work("inquiries.send")
    (message,) = await agency_messages(setup, path)
    assert message["delivery"] == "failed"
    assert text in message["delivery_detail"]
    assert (await agency.get(path))["status"] == "open"
    assert await _waiting(agency) == []


def _raising(error: BaseException, times: int = 1_000_000) -> Callable[[str], None]:
    left = [times]

    def behave(_: str) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise error

    return behave


async def _waiting(agency: Agency) -> list[Any]:
    """When the sending jobs that are not done run again."""
    async with agency.resources.db.read_connection(None) as connection:
        query = select(Job.run_at).where(
            Job.workspace_id == agency.workspace_id, Job.kind == "inquiries.send", Job.state != "dead"
        )
        return list(await connection.scalars(query))


async def test_a_throttled_reply_waits_for_retry_after(
    setup: InquirySetup, agency: Agency, post: Post, clock: SetClock
) -> None:
    path = await open_inquiry(setup)
    await answer(setup, path)
    post.behave = _raising(Throttled("slow down", retry_after=90, scope=LimitScope.TOKEN), times=1)
    await agency.work("inquiries.send")
    assert (await agency_messages(setup, path))[0]["delivery"] == "queued"
    assert await _waiting(agency) == [clock.now() + timedelta(seconds=90)]
    clock.advance(timedelta(seconds=90))
    await agency.work("inquiries.send")
    assert (await agency_messages(setup, path))[0]["delivery"] == "sent"


async def test_an_unavailable_platform_is_retried_up_to_the_limit(
    setup: InquirySetup, agency: Agency, post: Post, clock: SetClock
) -> None:
    path = await open_inquiry(setup)
    await answer(setup, path)
    post.behave = _raising(Transient("out of reach"), times=2)
    for _ in range(3):
        await agency.work("inquiries.send")
        clock.advance(MINUTE)
    assert ((await agency_messages(setup, path))[0]["delivery"], len(post.sent)) == ("sent", 3)
    await answer(setup, path, "Ещё что-нибудь?")
    post.behave = _raising(Transient("out of reach"))
    for _ in range(12):
        await agency.work("inquiries.send")
        clock.advance(timedelta(hours=1))
    (message,) = [one for one in await agency_messages(setup, path) if one["text"] == "Ещё что-нибудь?"]
    assert (message["delivery"], "Send it anew" in message["delivery_detail"]) == ("failed", True)
    assert await _waiting(agency) == []


async def test_an_unknown_outcome_is_never_sent_again_and_is_found_by_polling(
    setup: InquirySetup, agency: Agency, post: Post, clock: SetClock
) -> None:
    path = await open_inquiry(setup)
    message_id = await answer(setup, path)
    post.behave = _raising(OutcomeUnknown("no answer came"))
    await agency.work("inquiries.send")
    clock.advance(30 * MINUTE)
    await agency.work()
    assert (await agency_messages(setup, path))[0]["delivery"] == "outcome_unknown"
    assert len(post.sent) == 1
    copy = setup.message("r1", NOON + timedelta(seconds=2), "@olga  Пять рублей.\n", by=OURS)
    await setup.store_messages(
        setup.message("r0", NOON - MINUTE * 5, "Пять рублей.", by=OURS)
    )  # before the intent: another one
    assert (await agency_messages(setup, path))[-1]["delivery"] == "outcome_unknown"
    await setup.store_messages(copy)
    await setup.store_messages(copy)
    messages = await agency_messages(setup, path)
    assert [(m["id"] == message_id, m["external_id"], m["delivery"]) for m in messages] == [
        (False, "r0", None),
        (True, "r1", "sent"),
    ]
    assert messages[1]["text"] == "Пять рублей."
    assert messages[1]["sent_at"] == "2026-10-15T12:00:02Z"
    clock.advance(timedelta(hours=30))
    await agency.work()
    assert ((await agency_messages(setup, path))[1]["delivery"], len(post.sent)) == ("sent", 1)


async def test_a_reply_not_found_by_polling_needs_review_and_may_be_found_later(
    setup: InquirySetup, agency: Agency, post: Post, clock: SetClock
) -> None:
    path = await open_inquiry(setup)
    await answer(setup, path)
    post.behave = _raising(OutcomeUnknown("no answer came"))
    await agency.work("inquiries.send")
    clock.advance(timedelta(hours=1))
    await agency.work()
    (message,) = await agency_messages(setup, path)
    assert message["delivery"] == "needs_review"
    assert "answer again" in message["delivery_detail"]
    await setup.store_messages(setup.message("r1", NOON + timedelta(seconds=2), "Пять рублей.", by=OURS))
    assert [m["delivery"] for m in await agency_messages(setup, path)] == ["sent"]


@pytest.mark.parametrize(
    "change",
    [{}, {"text": "Шесть.", "edited_at": NOON + timedelta(seconds=3)}, {"deleted": True}],
    ids=["as sent", "edited", "deleted"],
)
async def test_a_copy_polled_before_our_commit_is_the_same_answer(
    setup: InquirySetup, agency: Agency, post: Post, clock: SetClock, change: dict[str, Any]
) -> None:
    path = await open_inquiry(setup)
    message_id = await answer(setup, path)

    async def seen_at_once() -> SendReceipt:
        price_list = Attachment(AttachmentKind.PICTURE, "https://platform.example/1.png")
        copy = setup.message("r1", NOON + timedelta(seconds=2), "@olga Пять рублей.", by=OURS)
        copy = replace(copy, hidden=True, attachments=(price_list,))
        await setup.store_messages(copy)
        await setup.store_messages(replace(copy, **change))
        return SendReceipt("r1", sent_at=NOON + timedelta(seconds=2))

    post.behave = lambda _: seen_at_once()
    await agency.work("inquiries.send")
    (message,) = await agency_messages(setup, path)
    assert (message["id"], message["external_id"], message["delivery"]) == (message_id, "r1", "sent")
    assert message["text"] == change.get("text", "Пять рублей.")
    assert (message["hidden"], [one["kind"] for one in message["attachments"]]) == (True, ["picture"])
    assert (message["edited_at"] is not None, message["deleted_at"] is not None) == (
        "edited_at" in change,
        "deleted" in change,
    )


async def test_a_copy_polled_after_our_commit_is_the_same_answer(
    setup: InquirySetup, agency: Agency, post: Post
) -> None:
    path = await open_inquiry(setup)
    message_id = await answer(setup, path)
    post.behave = lambda _: SendReceipt("r1")
    await agency.work("inquiries.send")
    await setup.store_messages(setup.message("r1", NOON + timedelta(seconds=4), "@olga Пять рублей.", by=OURS))
    (message,) = await agency_messages(setup, path)
    assert (message["id"], message["text"], message["sent_at"]) == (
        message_id,
        "Пять рублей.",
        "2026-10-15T12:00:04Z",
    )
    assert [wait["working_seconds"] for wait in (await agency.get(path))["waits"]] == [604]


async def _die(setup: InquirySetup, post: Post, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> str:
    """A worker is killed between the platform's response and its commit; its lease ends."""
    path = await open_inquiry(setup)
    await answer(setup, path)

    async def killed(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(sending, "delivered", killed)
        with pytest.raises(Killed):
            await setup.agency.work("inquiries.send")
    assert [m["delivery"] for m in await agency_messages(setup, path)] == ["sending"]
    clock.advance(MINUTE)
    return path


async def _run_job_again(agency: Agency) -> None:
    async with agency.resources.db.read_connection(None) as connection:
        query = select(Job.id).where(Job.workspace_id == agency.workspace_id, Job.kind == "inquiries.send")
        for job_id in list(await connection.scalars(query)):
            assert await jobs.perform(agency.resources, job_id)


async def test_after_a_crash_a_deduplicating_platform_gets_the_same_key_again(
    agency: Agency, post: Post, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = await connect_community(agency, "mindful")
    path = await _die(setup, post, clock, monkeypatch)
    await _run_job_again(agency)
    assert [m["delivery"] for m in await agency_messages(setup, path)] == ["sent"]
    assert len(post.sent) == 2
    assert post.sent[0] == post.sent[1]


async def test_after_the_dedup_window_it_is_not_sent_again(
    agency: Agency, post: Post, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = await connect_community(agency, "mindful")
    path = await _die(setup, post, clock, monkeypatch)
    clock.advance(timedelta(hours=1))
    await _run_job_again(agency)
    assert [m["delivery"] for m in await agency_messages(setup, path)] == ["outcome_unknown"]
    assert len(post.sent) == 1


async def test_after_a_crash_a_platform_without_dedup_gets_no_repeat(
    setup: InquirySetup, agency: Agency, post: Post, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await _die(setup, post, clock, monkeypatch)
    await _run_job_again(agency)
    assert [m["delivery"] for m in await agency_messages(setup, path)] == ["outcome_unknown"]
    assert len(post.sent) == 1


async def test_after_a_crash_a_reply_polled_meanwhile_is_recognised(
    setup: InquirySetup, agency: Agency, post: Post, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await _die(setup, post, clock, monkeypatch)
    await setup.store_messages(setup.message("r1", NOON + timedelta(seconds=2), "Пять рублей.", by=OURS))
    await _run_job_again(agency)
    assert [(m["delivery"], m["external_id"]) for m in await agency_messages(setup, path)] == [("sent", "r1")]
    assert (await agency.get(path))["status"] == "answered"


async def test_a_customer_message_with_the_same_text_is_not_our_reply(
    setup: InquirySetup, agency: Agency, post: Post
) -> None:
    path = await open_inquiry(setup)
    await answer(setup, path)
    post.behave = _raising(OutcomeUnknown("no answer came"))
    await agency.work("inquiries.send")
    await setup.store_messages(setup.message("2", NOON + MINUTE, "Пять рублей."))
    assert [m["delivery"] for m in await agency_messages(setup, path)] == ["outcome_unknown"]


async def test_a_reply_whose_job_is_gone_does_not_stay_queued(
    setup: InquirySetup, agency: Agency, clock: SetClock
) -> None:
    path = await open_inquiry(setup)
    await answer(setup, path)
    clock.advance(timedelta(hours=25))
    await agency.work("inquiries.reconcile")
    assert [m["delivery"] for m in await agency_messages(setup, path)] == ["failed"]


async def test_a_job_that_dies_midway_leaves_no_reply_sending(
    setup: InquirySetup, agency: Agency, post: Post, clock: SetClock
) -> None:
    path = await open_inquiry(setup)
    await answer(setup, path)
    post.behave = _raising(TimeoutError())  # as where the job times out during the call
    await agency.work("inquiries.send")
    assert [m["delivery"] for m in await agency_messages(setup, path)] == ["sending"]
    clock.advance(MINUTE)
    await agency.work("inquiries.send")
    assert ([m["delivery"] for m in await agency_messages(setup, path)], len(post.sent)) == (["outcome_unknown"], 1)
    clock.advance(timedelta(hours=1))
    await agency.work()
    assert [m["delivery"] for m in await agency_messages(setup, path)] == ["needs_review"]


@pytest.mark.parametrize("end", [Killed(), TimeoutError(), RuntimeError("a fault of ours")])
async def test_a_reply_whose_workers_all_died_is_searched_for(
    agency: Agency, post: Post, clock: SetClock, end: BaseException
) -> None:
    setup = await connect_community(agency, "mindful")
    path = await open_inquiry(setup)
    await answer(setup, path)
    post.behave = _raising(end)
    for _ in range(ATTEMPTS + 1):
        with suppress(Killed):
            await _once(agency, clock)
    assert await _waiting(agency) == []
    assert [m["delivery"] for m in await agency_messages(setup, path)] == ["outcome_unknown"]
    clock.advance(timedelta(hours=1))
    await agency.work()
    assert [m["delivery"] for m in await agency_messages(setup, path)] == ["needs_review"]


async def test_a_reply_that_no_worker_started_to_send_has_failed(
    setup: InquirySetup, agency: Agency, post: Post, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await open_inquiry(setup)
    await answer(setup, path)

    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("nothing can be intended")

    monkeypatch.setattr(sending, "record_intent", broken)
    while await _once(agency, clock):
        pass
    (message,) = await agency_messages(setup, path)
    assert (message["delivery"], "Send it anew" in message["delivery_detail"], post.sent) == ("failed", True, [])


def test_an_attempt_cannot_last_as_long_as_the_sending_grace() -> None:
    assert jobs.kinds["inquiries.send"].timeout < reply_copies.SENDING_GRACE


async def test_a_worker_that_dies_renewing_a_token_has_sent_nothing(
    setup: InquirySetup, agency: Agency, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await open_inquiry(setup)
    await answer(setup, path)
    post.behave = _raising(AuthExpired("no"), times=1)
    monkeypatch.setattr("app.communities.platform_calls.reauthorised", _killed)
    with pytest.raises(Killed):
        await agency.work("inquiries.send")
    assert [m["delivery"] for m in await agency_messages(setup, path)] == ["queued"]


@pytest.mark.parametrize(
    ("error", "delivery", "minutes"),
    [
        (Throttled("slow down", retry_after=600, scope=LimitScope.TOKEN), "queued", 10),
        (RateLimitReached(NOON + 20 * MINUTE), "queued", 20),
        (Snooze(NOON + 5 * MINUTE, "another worker renews it"), "queued", 5),
        (Transient("the server of tokens is out of reach"), "queued", None),
        (AuthExpired("the refresh token has expired"), "failed", None),
    ],
)
async def test_what_hinders_renewing_a_refused_token_decides_what_becomes_of_the_reply(
    setup: InquirySetup,
    agency: Agency,
    post: Post,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    delivery: str,
    minutes: int | None,
) -> None:
    path = await open_inquiry(setup)
    await answer(setup, path)
    post.behave = _raising(AuthExpired("no"), times=1)

    async def reauthorised(*_: Any) -> bool:
        raise error

    monkeypatch.setattr("app.communities.platform_calls.reauthorised", reauthorised)
    await agency.work("inquiries.send")
    assert [m["delivery"] for m in await agency_messages(setup, path)] == [delivery]
    run_at = await _waiting(agency)
    assert bool(run_at) == (delivery == "queued")
    if minutes is not None:
        assert run_at == [NOON + minutes * MINUTE]


async def test_a_throttled_reply_is_seen_in_the_communitys_health(
    setup: InquirySetup, agency: Agency, post: Post
) -> None:
    path = await open_inquiry(setup)
    await answer(setup, path)
    post.behave = _raising(Throttled("slow down", retry_after=90, scope=LimitScope.TOKEN), times=1)
    await agency.work("inquiries.send")
    community = (await agency.get(path))["community_id"]
    health = await agency.get(f"/v1/communities/{community}/health")
    assert health["throttled_until"] == "2026-10-15T12:01:30Z"


async def test_the_platforms_confirmation_overrides_a_match_by_text(
    setup: InquirySetup, agency: Agency, post: Post, clock: SetClock
) -> None:
    path = await open_inquiry(setup)
    first = await answer(setup, path)
    post.behave = _raising(OutcomeUnknown("no answer came"))
    await agency.work("inquiries.send")
    clock.advance(MINUTE)
    second = await answer(setup, path)

    async def seen_at_once() -> SendReceipt:
        await setup.store_messages(setup.message("r2", clock.now(), "Пять рублей.", by=OURS))
        assert {m["id"]: m["external_id"] for m in await agency_messages(setup, path)} == {first: "r2", second: None}
        return SendReceipt("r2", sent_at=clock.now())

    post.behave = lambda _: seen_at_once()
    await agency.work("inquiries.send")
    deliveries = {m["id"]: (m["external_id"], m["delivery"]) for m in await agency_messages(setup, path)}
    assert deliveries == {first: (None, "outcome_unknown"), second: ("r2", "sent")}
    await setup.store_messages(setup.message("r1", NOON, "Пять рублей.", by=OURS))
    deliveries = {m["id"]: (m["external_id"], m["delivery"]) for m in await agency_messages(setup, path)}
    assert deliveries == {first: ("r1", "sent"), second: ("r2", "sent")}


async def test_the_message_it_replies_to_may_disappear_while_the_outcome_is_unknown(
    agency: Agency, post: Post, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = await connect_community(agency, "mindful")
    path = await _die(setup, post, clock, monkeypatch)

    async def nothing(*_: Any) -> None:
        return None

    monkeypatch.setattr(sending, "_answered_message", nothing)
    await _run_job_again(agency)
    assert [m["delivery"] for m in await agency_messages(setup, path)] == ["outcome_unknown"]


async def _once(agency: Agency, clock: SetClock) -> bool:
    """Advance the clock until the sending job is due or its lease has ended, and run it; False where there is none."""
    async with agency.resources.db.read_connection(None) as connection:
        query = select(Job.id, Job.run_at, Job.leased_until).where(
            Job.workspace_id == agency.workspace_id, Job.kind == "inquiries.send", Job.state != "dead"
        )
        row = (await connection.execute(query)).one_or_none()
    if row is None:
        return False
    at = max(row.run_at, row.leased_until or row.run_at)
    clock.advance(max(at - clock.now(), timedelta(0)) + timedelta(seconds=1))
    await jobs.perform(agency.resources, row.id)
    return True


# ── the law ───────────────────────────────────────────────────────────────────────────────────────

TOWNS: Final = 30
UNSENT: Final[tuple[Callable[[datetime], Exception], ...]] = (
    lambda at: Throttled("slow down", retry_after=90, scope=LimitScope.TOKEN),
    lambda at: Throttled("slow down", retry_after=7200, scope=LimitScope.TOKEN),
    lambda at: RateLimitReached(at + 5 * MINUTE),
    lambda at: Snooze(at + MINUTE, "not now"),
    lambda at: Transient("out of reach"),
    lambda at: Malformed("what is that"),
    lambda at: AuthExpired("no"),
    lambda at: MissingPermission("no"),
    lambda at: Gone("no"),
    lambda at: Rejected("no"),
)
"""Errors after which the reply was certainly not sent."""
MIDWAY: Final[tuple[Callable[[], BaseException], ...]] = (
    Killed,
    TimeoutError,
    lambda: RuntimeError("a fault of ours"),
    lambda: OutcomeUnknown("no answer came"),
)
"""Errors after which the outcome is unknown."""
STEPS: Final = ("delivered", "requeue", "failed", "unknown")
"""Steps before whose commit a worker may die."""


@dataclass
class Platform:
    """A platform with a ledger of accepted replies, and random failures."""

    clock: SetClock
    rng: random.Random
    remembered: timedelta | None
    trouble: float
    """The probability of a failure."""
    taken: int = 0
    taken_at: datetime | None = None

    def take(self) -> SendReceipt:
        repeated = (
            self.remembered is not None
            and self.taken_at is not None
            and self.clock.now() < self.taken_at + self.remembered
        )
        if not repeated:
            self.taken, self.taken_at = self.taken + 1, self.clock.now()
        return SendReceipt("remote", sent_at=self.taken_at)

    def behave(self, _: str) -> SendReceipt:
        if self.rng.random() > self.trouble:
            return self.take()
        kind = self.rng.choice(("unsent", "unsent", "before", "after"))
        if kind == "unsent":
            why = self.rng.choice(UNSENT)
            raise why(self.clock.now())
        if kind == "after":
            self.take()
        end = self.rng.choice(MIDWAY)
        raise end()


async def test_no_fault_leads_to_a_wrong_state_or_a_second_delivery(
    agency: Agency, post: Post, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    rng = random.Random(seed)
    ends: Counter[tuple[str, int]] = Counter()
    for _ in range(TOWNS):
        setup = await connect_community(agency, rng.choice(("mindful", "mindful", "forgetful")))
        remembered = platforms.adapter(setup.ref.platform).spec.replies_dedup_window
        platform = Platform(clock, rng, remembered and timedelta(hours=1), rng.choice((0.5, 0.8, 0.95)))
        post.behave = platform.behave
        await setup.store_messages(setup.message("1", clock.now() - MINUTE))
        path = f"/v1/inquiries/{(await setup.only())['id']}"
        await answer(setup, path)
        story: list[str] = []
        going = True
        while going:
            with monkeypatch.context() as patched:
                if rng.random() < 0.3:
                    patched.setattr(sending, rng.choice(STEPS), _killed)
                with suppress(Killed):
                    going = await _once(agency, clock)
            story.append(await _delivery_state(setup, path, platform, f"seed {seed}: {story}"))
            if platform.taken and rng.random() < 0.1:
                await _poll_reply(setup, platform)
                story.append("found")
            clock.advance(rng.choice((timedelta(0), MINUTE, 20 * MINUTE)))
        clock.advance(timedelta(hours=2))
        await agency.work("inquiries.reconcile")
        last = await _delivery_state(setup, path, platform, f"seed {seed}: {story}")
        assert last in {"sent", "failed", "needs_review"}, f"seed {seed}: {story}"
        assert platform.taken or last != "sent", f"seed {seed}: {story}"
        ends[last, platform.taken] += 1
        if platform.taken:
            await _poll_reply(setup, platform)
            assert await _delivery_state(setup, path, platform, f"seed {seed}: {story}") == "sent", (
                f"seed {seed}: {story}"
            )
    assert {"sent", "needs_review"} <= {last for last, _ in ends}, f"seed {seed}: {ends}"


async def _killed(*_: Any, **__: Any) -> None:
    raise Killed


async def _poll_reply(setup: InquirySetup, platform: Platform) -> None:
    """A poll finds the reply on the platform."""
    assert platform.taken_at is not None
    await setup.store_messages(setup.message("remote", platform.taken_at, "@olga Пять рублей.", by=OURS))


async def _delivery_state(setup: InquirySetup, path: str, platform: Platform, story: str) -> str:
    """The delivery state of the reply, asserted not to contradict the platform."""
    (message,) = [one for one in await agency_messages(setup, path) if one["delivery"] is not None]
    delivery = str(message["delivery"])
    assert platform.taken <= 1, f"{story}: sent twice"
    assert not platform.taken or delivery not in {"failed", "queued"}, f"{story}: {delivery}"
    events = [event["type"] for event in (await setup.agency.get(f"{path}/events"))["data"]]
    assert not platform.taken or "failed" not in events, story
    return delivery


async def test_a_reply_that_waits_is_not_sent_once_its_community_is_disconnected(
    setup: InquirySetup, agency: Agency, post: Post
) -> None:
    await setup.store_messages(setup.message("1", agency.resources.clock.now()))
    path = f"/v1/inquiries/{(await setup.only())['id']}"
    await agency.post(f"{path}/messages", {"text": "Сто."}, status=202)
    await agency.post(f"/v1/communities/{setup.ref.community_id}/disconnect", status=200)
    await agency.work("inquiries.send")
    assert post.sent == []
    reply = (await agency.get(path))["messages"][-1]
    assert (reply["delivery"], "disconnected" in reply["delivery_detail"]) == ("failed", True)
