"""None lost, none twice: by the ledgers of a mail server and of the sandbox, whatever fails between us and them.

Each fault has a control: the same, with the guard that it is about taken away, fails.
"""

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

import pytest

from app.alerts import channels, sending
from app.alerts.deliveries import enqueue_delivery
from app.kit import mail
from app.kit.ids import uuid7
from app.platforms import adapters
from tests.alerts.conftest import DAY, HOUR, MINUTE, Killed, Setup

MANY: Final = 40
"""More attempts than any delivery has."""


async def open_alert(setup: Setup) -> None:
    """A customer has waited too long; nobody was told yet."""
    await setup.wait()
    setup.clock.advance(HOUR)
    await setup.watch()


async def settle(setup: Setup) -> None:
    """Run the sending jobs until there is none."""
    for _ in range(MANY):
        if not await setup.attempt():
            return
    raise AssertionError("it is still sent")


# ── mail ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_mail_server_that_refuses_for_now_gets_it_once(setup: Setup) -> None:
    setup.server.on_recipient = ["450 greylisted"] * 3
    setup.server.on_data = ["451 later"] * 2
    await open_alert(setup)
    await settle(setup)
    assert len(setup.server.accepted) == 1
    (delivery,) = (await setup.alert())["deliveries"]
    assert (delivery["status"], delivery["detail"]) == ("sent", None)


async def test_what_waits_for_another_attempt_says_why(setup: Setup) -> None:
    setup.server.on_recipient = ["450 greylisted"]
    await open_alert(setup)
    await setup.attempt()
    (delivery,) = (await setup.alert())["deliveries"]
    assert delivery["status"] == "planned"
    assert "450: greylisted" in delivery["detail"]


async def test_a_mail_server_that_is_away_for_days_is_given_up(setup: Setup) -> None:
    setup.server.on_recipient = ["450 greylisted"] * 1000
    await open_alert(setup)
    began = setup.clock.now()
    await settle(setup)
    assert DAY <= setup.clock.now() - began < DAY + 2 * HOUR
    (delivery,) = (await setup.alert())["deliveries"]
    assert delivery["status"] == "failed"
    assert "not accepted for a day" in delivery["detail"]


async def test_a_mail_server_that_refuses_for_good_is_asked_once(setup: Setup) -> None:
    setup.server.on_recipient = ["550 no such person"]
    await open_alert(setup)
    await settle(setup)
    assert setup.server.accepted == []
    (delivery,) = (await setup.alert())["deliveries"]
    assert (delivery["status"], delivery["detail"]) == ("failed", "the mail server says 550: no such person.")


async def kill(monkeypatch: pytest.MonkeyPatch, setup: Setup, when: str, times: int = 1) -> None:
    """Kill the worker before or after the mail server has the message, and run its job again when its lease ends."""
    send, left = mail.send, [times]

    async def killed(*arguments: Any) -> None:
        if not left[0]:
            await send(*arguments)
            return
        left[0] -= 1
        if when == "after":
            await send(*arguments)
        raise Killed

    monkeypatch.setattr(mail, "send", killed)
    for _ in range(times):
        with pytest.raises(Killed):
            await setup.attempt()
        # A worker that ends runs no `finally`: what a cancelled one would still do is not done.
        assert (await setup.job()) is not None


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_worker_killed_around_the_mail_loses_none_and_sends_none_twice(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """A receiver has it once by its `Message-ID`, and the repeat is the same to the last byte."""
    await open_alert(setup)
    await kill(monkeypatch, setup, when)
    assert await setup.statuses() == ["sending"]
    await settle(setup)
    assert len(setup.server.accepted) == (1 if when == "before" else 2)
    assert len(setup.server.distinct) == 1
    assert len(set(setup.server.raw)) == 1
    assert await setup.statuses() == ["sent"]


async def test_control_with_another_message_id_a_receiver_would_have_it_twice(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = sending._intent

    async def renamed(session: Any, pairs: Any) -> Any:
        intent: Any = await original(session, pairs)
        return dataclasses.replace(intent, message_id=uuid7())

    monkeypatch.setattr(sending, "_intent", renamed)
    await open_alert(setup)
    await kill(monkeypatch, setup, "after")
    await settle(setup)
    assert len(setup.server.distinct) == 2


async def test_control_without_the_repeat_it_would_be_lost(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    await open_alert(setup)
    await kill(monkeypatch, setup, "before")
    monkeypatch.setattr(channels, "recognises_repeats", lambda channel: False)
    await settle(setup)
    assert setup.server.accepted == []
    assert await setup.statuses() == ["unknown"]


async def test_a_worker_killed_twice_leaves_it_unknown(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    await open_alert(setup)
    await kill(monkeypatch, setup, "after", times=2)
    await settle(setup)
    assert len(setup.server.accepted) == 2
    assert len(setup.server.distinct) == 1
    assert await setup.statuses() == ["unknown"]


async def test_a_connection_lost_after_the_message_is_repeated_once_under_the_same_id(setup: Setup) -> None:
    """The choice for an unknown outcome: again, as what receivers recognise; and never a third time."""
    setup.server.on_data = [None]
    await open_alert(setup)
    await setup.attempt()
    assert await setup.statuses() == ["sending"]
    began = setup.clock.now()
    await settle(setup)
    assert setup.clock.now() - began >= sending.SETTLE
    assert (len(setup.server.accepted), len(setup.server.distinct)) == (2, 1)
    assert len(set(setup.server.raw)) == 1
    assert await setup.statuses() == ["sent"]


async def test_a_second_lost_connection_leaves_it_unknown(setup: Setup) -> None:
    setup.server.on_data = [None, None]
    await open_alert(setup)
    await settle(setup)
    assert (len(setup.server.accepted), len(setup.server.distinct)) == (2, 1)
    (delivery,) = (await setup.alert())["deliveries"]
    assert delivery["status"] == "unknown"
    assert "It is not known whether it arrived" in delivery["detail"]


@pytest.mark.parametrize(("answer", "status"), [("451 later", "sent"), ("554 no", "unknown")])
async def test_a_repeat_that_is_refused_does_not_deny_the_first_attempt(setup: Setup, answer: str, status: str) -> None:
    setup.server.on_data = [None, answer]
    await open_alert(setup)
    await settle(setup)
    assert len(setup.server.distinct) == 1
    assert await setup.statuses() == [status]


# ── the bot ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def linked(setup: Setup) -> Setup:
    """The community manager is told by the bot alone, if that works."""
    await setup.link(setup.manager)
    await setup.prefer(setup.manager, channels=["telegram"])
    setup.clock.advance(2 * MINUTE)
    return setup


async def test_the_bot_tells_once(linked: Setup) -> None:
    await open_alert(linked)
    for _ in range(3):
        await linked.watch()
        await linked.deliver()
    (text,) = linked.bot.received()
    assert "a customer has been waiting since" in text
    assert await linked.statuses("telegram") == ["sent"]
    assert linked.server.accepted == []


async def test_a_bot_that_is_throttled_waits_as_long_as_it_is_told(linked: Setup) -> None:
    await linked.bot.fault(path="sendMessage", count=3, effect={"type": "platform_error", "code": 429})
    await open_alert(linked)
    began = linked.clock.now()
    await settle(linked)
    assert (linked.clock.now() - began).total_seconds() >= 15
    assert len(linked.bot.received()) == 1
    assert await linked.statuses("telegram") == ["sent"]
    assert linked.server.accepted == []


async def test_a_long_wait_is_kept_to(linked: Setup) -> None:
    description, parameters = '"Too Many Requests: retry after 1800"', '{"retry_after":1800}'
    body = f'{{"ok":false,"error_code":429,"description":{description},"parameters":{parameters}}}'
    await linked.bot.fault(path="sendMessage", count=1, effect={"type": "status", "status": 429, "body": body})
    await open_alert(linked)
    await linked.attempt()
    waiting = await linked.job()
    assert (waiting.run_at - linked.clock.now()).total_seconds() >= 1800
    await settle(linked)
    assert len(linked.bot.received()) == 1


async def test_a_person_who_blocked_the_bot_is_mailed(linked: Setup) -> None:
    code = "403 bot was blocked by the user"
    await linked.bot.fault(path="sendMessage", count=1, effect={"type": "platform_error", "code": code})
    await open_alert(linked)
    for _ in range(4):
        await linked.deliver()
    assert linked.bot.received() == []
    assert len(linked.server.to(linked.manager.email)) == 1
    assert await linked.statuses("telegram") == ["failed"]
    assert await linked.statuses("mail") == ["sent"]


async def test_a_token_that_is_refused_is_shown_and_people_are_mailed(linked: Setup) -> None:
    await linked.bot.fault(path="sendMessage", count=1, effect={"type": "platform_error", "code": 401})
    await open_alert(linked)
    for _ in range(4):
        await linked.deliver()
    assert len(linked.server.accepted) == 1
    (bot,) = (await linked.agency.get("/v1/alert-bots"))["data"]
    assert bot["status"] == "refused"
    reachable = {one["channel"]: one for one in (await linked.manager.get("/v1/me/alerts"))["reachable"]}
    assert reachable["telegram"]["is_ready"] is False


async def kill_bot(monkeypatch: pytest.MonkeyPatch, setup: Setup, when: str) -> None:
    """Kill the worker before or after the platform has the message."""
    adapter_class: Any = adapters()["telegram"]
    notify: Callable[..., Awaitable[Any]] = adapter_class.notify
    left = [1]

    async def killed(self: Any, *arguments: Any) -> Any:
        if not left[0]:
            return await notify(self, *arguments)
        left[0] -= 1
        if when == "after":
            await notify(self, *arguments)
        raise Killed

    monkeypatch.setattr(adapter_class, "notify", killed)
    with pytest.raises(Killed):
        await setup.attempt()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_worker_killed_around_the_bots_message_loses_none_and_sends_none_twice(
    linked: Setup, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """A bot's message cannot be recognised: it is not repeated. The person is mailed, so that it is not lost."""
    await open_alert(linked)
    await kill_bot(monkeypatch, linked, when)
    linked.clock.advance(MINUTE)
    for _ in range(4):
        waiting = await linked.job()
        if waiting is not None:
            await linked.attempt()
    assert len(linked.bot.received()) == (0 if when == "before" else 1)
    assert len(linked.server.to(linked.manager.email)) == 1
    assert await linked.statuses("telegram") == ["unknown"]
    assert await linked.statuses("mail") == ["sent"]


async def test_control_a_bots_message_that_is_repeated_arrives_twice(
    linked: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "recognises_repeats", lambda channel: True)
    await open_alert(linked)
    await kill_bot(monkeypatch, linked, "after")
    linked.clock.advance(MINUTE)
    await settle(linked)
    assert len(linked.bot.received()) == 2


async def test_without_mail_what_is_in_doubt_is_shown(linked: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = linked.resources.settings.model_copy(update={"smtp_host": None})
    linked.agency.resources = dataclasses.replace(linked.resources, settings=settings)
    await open_alert(linked)
    await kill_bot(monkeypatch, linked, "before")
    linked.clock.advance(MINUTE)
    await settle(linked)
    (delivery,) = (await linked.alert())["deliveries"]
    assert (delivery["channel"], delivery["status"]) == ("telegram", "unknown")


async def test_a_lost_answer_of_the_platform_leaves_a_doubt(linked: Setup) -> None:
    await linked.bot.fault(path="sendMessage", count=1, when="after", effect={"type": "status", "status": 502})
    await open_alert(linked)
    for _ in range(4):
        await linked.deliver()
    assert len(linked.bot.received()) == 1
    assert await linked.statuses("telegram") == ["unknown"]
    assert len(linked.server.accepted) == 1


# ── two workers ───────────────────────────────────────────────────────────────────────────────────


async def test_a_repeated_job_and_a_repeated_watch_send_nothing_twice(setup: Setup) -> None:
    await open_alert(setup)
    for _ in range(3):
        async with setup.resources.transaction(setup.agency.workspace_id) as session:
            await enqueue_delivery(session, user_id=UUID(setup.manager.id), channel="mail", at=setup.clock.now())
        await setup.watch()
        await setup.deliver()
    assert len(setup.server.accepted) == 1
