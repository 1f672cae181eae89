"""The agency's own bot, and how people link their chats with it."""

from datetime import timedelta

from sqlalchemy import text

from app.alerts.service import POLL_BOT
from app.cli import keys
from tests.alerts.conftest import CHAT, MINUTE, Setup
from tests.conftest import Agency


async def test_a_bot_is_set_and_a_chat_linked(setup: Setup) -> None:
    made = await setup.agency.put("/v1/alert-bots/telegram", {"token": setup.bot.token})
    assert (made["status"], made["username"]) == ("checking", None)
    assert setup.bot.token not in str(made)
    await setup.agency.work(POLL_BOT)
    (bot,) = (await setup.agency.get("/v1/alert-bots"))["data"]
    assert (bot["status"], bot["username"]) == ("ready", f"{CHAT}_bot")
    link = (await setup.manager.http.post("/v1/me/alerts/chats/telegram")).json()
    assert link["link"] == f"https://t.me/{CHAT}_bot?start={link['code']}"
    await setup.bot.act("Hello?", 900_001)
    await setup.bot.act(f"/start {link['code']}", 900_002)
    await setup.agency.work(POLL_BOT)
    reachable = {one["channel"]: one for one in (await setup.manager.get("/v1/me/alerts"))["reachable"]}
    assert reachable["telegram"]["is_ready"] is True
    await setup.manager.http.post("/v1/me/alerts/test")
    await setup.agency.work("alerts.try-channels", "alerts.deliver")
    assert len(setup.bot.received()) == 1
    assert len(setup.server.accepted) == 1
    unlinked = await setup.manager.http.delete("/v1/me/alerts/chats/telegram")
    assert unlinked.status_code == 204
    reachable = {one["channel"]: one for one in (await setup.manager.get("/v1/me/alerts"))["reachable"]}
    assert reachable["telegram"]["is_ready"] is False


async def test_a_code_is_used_once_and_expires(setup: Setup) -> None:
    await setup.agency.put("/v1/alert-bots/telegram", {"token": setup.bot.token})
    await setup.agency.work(POLL_BOT)
    late = (await setup.manager.http.post("/v1/me/alerts/chats/telegram")).json()["code"]
    setup.clock.advance(15 * MINUTE)
    await setup.bot.act(f"/start {late}", 900_001)
    await setup.agency.work(POLL_BOT)
    assert await setup.agency.due(POLL_BOT) == []
    assert await _chats(setup) == [None]
    code = (await setup.manager.http.post("/v1/me/alerts/chats/telegram")).json()["code"]
    await setup.bot.act(f"/start {code}", 900_001)
    await setup.bot.act(f"/start {code}", 900_002)
    await setup.agency.work(POLL_BOT)
    (chat,) = await _chats(setup)
    assert chat is not None
    assert str(chat).endswith("900001")


async def _chats(setup: Setup) -> list[str | None]:
    async with setup.resources.transaction(setup.agency.workspace_id) as session:
        return list((await session.scalars(text("SELECT chat_id FROM alert_chat"))).all())


async def test_the_bot_is_polled_only_while_a_code_is_not_used(setup: Setup) -> None:
    await setup.agency.put("/v1/alert-bots/telegram", {"token": setup.bot.token})
    await setup.agency.work(POLL_BOT)
    setup.clock.advance(timedelta(hours=1))
    assert await setup.agency.due(POLL_BOT) == []
    await setup.manager.http.post("/v1/me/alerts/chats/telegram")
    await setup.agency.work(POLL_BOT)
    setup.clock.advance(timedelta(seconds=5))
    assert len(await setup.agency.due(POLL_BOT)) == 1


async def test_a_token_that_is_none_is_refused(setup: Setup) -> None:
    await setup.agency.put("/v1/alert-bots/telegram", {"token": "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"})
    await setup.agency.work(POLL_BOT)
    (bot,) = (await setup.agency.get("/v1/alert-bots"))["data"]
    assert bot["status"] == "refused"
    refused = await setup.manager.http.post("/v1/me/alerts/chats/telegram")
    assert (refused.status_code, refused.json()["code"]) == (409, "no-bot")
    await setup.agency.put("/v1/alert-bots/vk", {"token": "110201543:AAHdqTcv"}, 404)


async def test_another_bot_has_no_chats_and_the_same_one_keeps_them(setup: Setup) -> None:
    await setup.link(setup.manager)
    await setup.agency.put("/v1/alert-bots/telegram", {"token": setup.bot.token})
    assert len(await _chats(setup)) == 1
    await setup.agency.put("/v1/alert-bots/telegram", {"token": "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"})
    assert await _chats(setup) == []
    assert (await setup.agency.http.delete("/v1/alert-bots/telegram")).status_code == 204
    assert (await setup.agency.get("/v1/alert-bots"))["data"] == []


async def test_a_member_sets_no_bot_and_a_rival_sees_none(setup: Setup, rival: Agency) -> None:
    await setup.link(setup.manager)
    assert (await setup.manager.http.get("/v1/alert-bots")).status_code == 403
    assert (await rival.get("/v1/alert-bots"))["data"] == []


async def test_neither_token_nor_code_is_stored_in_the_open(setup: Setup) -> None:
    await setup.agency.put("/v1/alert-bots/telegram", {"token": setup.bot.token})
    await setup.agency.work(POLL_BOT)
    code = (await setup.manager.http.post("/v1/me/alerts/chats/telegram")).json()["code"]
    async with setup.resources.transaction(setup.agency.workspace_id) as session:
        for table in ("alert_bot", "alert_chat", "job"):
            rows = str((await session.execute(text(f"SELECT {table}::text FROM {table}"))).all())
            assert setup.bot.token not in rows
            assert code not in rows


async def test_a_bots_token_is_sealed_anew_with_the_others(setup: Setup) -> None:
    await setup.link(setup.manager)
    query = text("SELECT sealed FROM alert_bot")
    async with setup.resources.transaction(setup.agency.workspace_id) as session:
        before = await session.scalar(query)
    assert (await keys.reseal(setup.resources.settings)).tokens >= 1
    async with setup.resources.transaction(setup.agency.workspace_id) as session:
        after = await session.scalar(query)
    assert before != after
    assert after is not None
    assert setup.resources.keyring.open(after) == setup.bot.token


async def test_a_message_is_as_long_as_the_platform_takes(setup: Setup) -> None:
    await setup.agency.patch(f"/v1/projects/{setup.project}", {"title": "Н" * 200})
    await setup.link(setup.manager)
    await setup.prefer(setup.manager, channels=["telegram"])
    for _ in range(30):
        await setup.wait()
    setup.clock.advance(timedelta(hours=1))
    await setup.watch()
    await setup.deliver()
    (message,) = setup.bot.received()
    assert "30 alerts" in message
    assert "alerts more" in message
    assert await setup.statuses("telegram") == ["sent"] * 30


async def test_people_of_two_agencies_have_their_own_preferences(setup: Setup, rival: Agency) -> None:
    await setup.prefer(setup.manager, timing="digest")
    assert (await rival.get("/v1/me/alerts"))["timing"] == "working_hours"
