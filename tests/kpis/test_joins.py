"""Attracted users: first joins of all kinds, what of them campaigns prove, and joins that were not received."""

import random
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from app.communities.events import CommunityRef, SeenMember
from app.communities.models import Community
from app.kpis.inputs import joins
from tests.kpis.conftest import Client

KEY = "attracted_users"
LINK = "https://t.me/+AbCdEfGhIjKlMnOp"
DAY = timedelta(days=1)
NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
"""Of the first day, in Minsk."""
OCTOBER: dict[str, Any] = {"from": "2026-10-02", "to": "2026-10-14"}


def joined(number: int, at: datetime, link: str | None = None, *, stays: bool = True) -> SeenMember:
    """Somebody joined, or left."""
    return SeenMember(number.to_bytes(2, "big"), at, stays, link)


async def join_daily(client: Client, place: CommunityRef, *, days: int = 14, each: int = 4, lost: int = 0) -> None:
    """So many join on each day, and the size says so; of the first `lost` days the events are lost."""
    await client.members(place, [joined(0, NOON - 2 * DAY)])
    await client.size(place, NOON - DAY + timedelta(hours=6), 500)
    for number in range(days):
        at = NOON + number * DAY
        if number >= lost:
            await client.members(place, [joined(1 + number * each + one, at) for one in range(each)])
        await client.size(place, at + timedelta(hours=6), 500 + (number + 1) * each)
    await client.mark_polled(place)


def gaps(answer: Any) -> list[tuple[str, str, str]]:
    """What is missing: reason and days."""
    return [(one["reason"], one["from"], one["to"]) for one in answer["coverage"]["gaps"]]


async def campaign(client: Client, place: CommunityRef) -> str:
    """A campaign with an invite link; its id."""
    period = {"from": "2026-10-05", "to": "2026-10-07"}
    body = {"project_id": client.project_id, "type": "ad", "title": "Autumn", **period}
    made = await client.agency.post("/v1/campaigns", body)
    invite = {"community_id": str(place.community_id), "address": LINK}
    await client.agency.post(f"/v1/campaigns/{made['id']}/invite-links", invite)
    return str(made["id"])


# ── what counts ───────────────────────────────────────────────────────────────────────────────────


async def test_all_first_joins_count_and_campaigns_prove_some_of_them(client: Client) -> None:
    vk, telegram, mastodon = [await client.connect(one) for one in ("vk", "telegram", "mastodon")]
    made = await campaign(client, telegram)
    at = NOON + 4 * DAY
    await client.members(
        vk, [joined(1, NOON - DAY), *(joined(one, at) for one in (1, 2, 3)), joined(3, at, stays=False)]
    )
    await client.members(
        telegram,
        [joined(1, NOON - DAY), joined(2, at), joined(3, at, LINK), joined(3, at + DAY, LINK), joined(4, NOON, LINK)],
    )
    for place in (vk, telegram, mastodon):
        await client.mark_polled(place)
    answer = await client.kpi(KEY, **{**OCTOBER, "from": "2026-10-01"})
    assert (answer["version"], answer["value"], answer["variants"]["attributed"]) == (2, 5, 1)
    assert (answer["status"], answer["reason"]) == ("partial", "joins-not-counted"), "of one platform nothing is known"
    assert answer["coverage"]["seen"] == answer["coverage"]["expected"] * 2 // 3
    each = {one["platform"]: one for one in answer["breakdown"]}
    assert {key: (one["value"], one["variants"]["attributed"]) for key, one in each.items()} == {
        "vk": (2, None),
        "telegram": (3, 1),
        "mastodon": (None, None),
    }
    assert (each["vk"]["status"], each["mastodon"]["reason"]) == ("ok", "joins-not-counted")
    by_day = {point["from"]: (point["value"], point["variants"]["attributed"]) for point in answer["series"]}
    assert (by_day["2026-10-01"], by_day["2026-10-05"], by_day["2026-10-06"]) == ((1, 0), (4, 1), (0, 0))

    explained = await client.agency.get(f"{client.path}/{KEY}/explain", **{**OCTOBER, "from": "2026-10-01"})
    reasons = {(one["community_id"], one["symbol"]): (one["amount"], one["reason"]) for one in explained["inputs"]}
    assert reasons[str(vk.community_id), "A"] == (None, "joins-not-attributed")
    assert reasons[str(telegram.community_id), "A"] == (1, None)
    assert reasons[None, "J"] == (5, None)

    rows = await client.evidence(KEY, **{**OCTOBER, "from": "2026-10-01"})
    assert len(rows) == answer["value"]
    assert [row["campaign_id"] for row in rows if row["campaign_id"] is not None] == [made]
    results = (await client.agency.get(f"/v1/campaigns/{made}/results"))["proven"]["joins"]
    assert results["joined"] == answer["variants"]["attributed"], "campaigns count what is proven alone"


async def test_without_invite_links_nothing_is_attributed(client: Client) -> None:
    telegram = await client.connect("telegram")
    await client.members(telegram, [joined(1, NOON - DAY), joined(2, NOON, LINK)])
    await client.mark_polled(telegram)
    answer = await client.kpi(KEY, **{**OCTOBER, "from": "2026-10-01"})
    assert (answer["value"], answer["status"], answer["variants"]["attributed"]) == (1, "ok", None)
    explained = await client.agency.get(f"{client.path}/{KEY}/explain", **OCTOBER)
    assert {one["reason"] for one in explained["inputs"] if one["symbol"] == "A"} == {"no-invite-links"}


@pytest.mark.parametrize(
    ("platform", "reason"), [("vk", "no-join-seen"), ("telegram", "no-join-seen"), ("mastodon", "joins-not-counted")]
)
async def test_before_a_first_event_nothing_is_known(client: Client, platform: str, reason: str) -> None:
    place = await client.connect(platform)
    await client.mark_polled(place)
    answer = await client.kpi(KEY, **OCTOBER)
    assert (answer["value"], answer["status"], answer["reason"]) == (None, "unknown", reason)
    assert await client.evidence(KEY, **OCTOBER) == []


async def test_a_past_answer_is_of_what_was_known_then(client: Client) -> None:
    """A join that is received late takes the first join from a later day, of answers from then on."""
    telegram = await client.connect("telegram")
    await client.members(telegram, [joined(9, NOON - DAY), joined(1, NOON + 2 * DAY), joined(2, NOON + 2 * DAY)])
    await client.mark_polled(telegram)
    before = await client.kpi(KEY, **OCTOBER)
    clock: Any = client.agency.resources.clock
    clock.advance(timedelta(minutes=1))
    await client.members(telegram, [joined(1, NOON + DAY), joined(3, NOON + 2 * DAY)])
    after = await client.kpi(KEY, **OCTOBER)
    past = await client.agency.get(before["links"]["explain"])
    counted = [{point["from"]: point["value"] for point in one["series"]} for one in (before, after)]
    assert [(one["2026-10-02"], one["2026-10-03"]) for one in counted] == [(0, 2), (1, 2)]
    assert (before["value"], past["value"], after["value"]) == (2, 2, 3)
    rows = (await client.agency.get(before["links"]["evidence"]))["data"]
    assert sorted(row["day"] for row in rows) == ["2026-10-03", "2026-10-03"]


# ── what was not received ─────────────────────────────────────────────────────────────────────────


async def test_a_complete_count_is_complete(client: Client) -> None:
    vk = await client.connect("vk")
    await join_daily(client, vk)
    answer = await client.kpi(KEY, **OCTOBER)
    assert (answer["value"], answer["status"], answer["variants"]["unexplained_growth"]) == (52, "ok", 0)
    assert gaps(answer) == []


async def test_days_whose_joins_were_lost_are_missing(client: Client) -> None:
    """The callbacks were off for three days."""
    vk = await client.connect("vk")
    await join_daily(client, vk, lost=4)
    answer = await client.kpi(KEY, **OCTOBER)
    assert (answer["value"], answer["status"], answer["reason"]) == (40, "partial", "joins-missed")
    assert answer["variants"]["unexplained_growth"] == 12
    assert gaps(answer) == [("joins-missed", f"2026-10-0{day}", f"2026-10-0{day}") for day in (2, 3, 4)]
    assert (answer["coverage"]["expected"], answer["coverage"]["seen"]) == (13, 10)
    by_day = {point["from"]: (point["value"], point["status"]) for point in answer["series"]}
    assert (by_day["2026-10-04"], by_day["2026-10-05"]) == ((0, "partial"), (4, "ok"))
    assert answer["breakdown"][0]["variants"]["unexplained_growth"] == 12
    rest = await client.kpi(KEY, **{**OCTOBER, "from": "2026-10-05"})
    assert (rest["status"], rest["variants"]["unexplained_growth"]) == ("ok", 0)


async def test_few_lost_each_day_are_many_in_a_month(client: Client) -> None:
    """Each day is within what is tolerated, all together are not."""
    vk = await client.connect("vk")
    await join_daily(client, vk, each=2, lost=14)
    answer = await client.kpi(KEY, **OCTOBER)
    assert (answer["value"], answer["status"], answer["reason"]) == (0, "partial", "joins-missed")
    assert gaps(answer) == [("joins-missed", "2026-10-02", "2026-10-14")]
    assert {point["status"] for point in answer["series"]} == {"ok"}, "of one day two are no proof"
    assert answer["coverage"]["seen"] == 0


async def test_removed_accounts_hide_no_lost_day(client: Client) -> None:
    vk = await client.connect("vk")
    await join_daily(client, vk, lost=2)
    await client.size(vk, NOON + 14 * DAY - timedelta(hours=2), 400)  # the platform removed 156 of them
    answer = await client.kpi(KEY, **{**OCTOBER, "to": "2026-10-15"})
    assert gaps(answer) == [("joins-missed", "2026-10-02", "2026-10-02")]
    assert answer["variants"]["unexplained_growth"] == 4 - 156


async def test_days_without_a_poll_are_missing_together(client: Client) -> None:
    vk = await client.connect("vk")
    await client.members(vk, [joined(0, NOON - 2 * DAY)])
    for day, size in ((-1, 500), (5, 520), (6, 520)):
        await client.size(vk, NOON + day * DAY, size)
    await client.mark_polled(vk)
    answer = await client.kpi(KEY, **{**OCTOBER, "from": "2026-10-03"})
    assert gaps(answer) == [("joins-missed", "2026-10-03", "2026-10-06")], "from the day after the poll before"


@pytest.mark.parametrize(("joins_of_day", "size", "most"), [(0, 100, 3), (100, 1000, 5), (10, 100_000, 10)])
def test_little_is_tolerated(joins_of_day: int, size: int, most: int) -> None:
    assert joins.tolerance(joins_of_day, size) == most


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_lost_beyond_the_tolerance_never_looks_complete(client: Client, seed: int) -> None:
    """Random joins, leaves, polls at any hours; and nothing that was received is called lost."""
    chance = random.Random(seed)
    vk = await client.connect("vk")
    await client.members(vk, [joined(0, NOON - 3 * DAY)])
    lost_from, lost_until = (NOON + chance.uniform(1, 12) * DAY for _ in range(2))
    number, size = 0, 1000
    polls = sorted({NOON + timedelta(hours=chance.randrange(-24, 13 * 24)) for _ in range(60)})
    at = NOON - DAY
    for poll in polls:
        received = []
        while (at := at + timedelta(minutes=chance.expovariate(1 / 50))) < poll:
            stays = chance.random() < 0.7
            number += stays
            size += 1 if stays else -1
            if not lost_from < at < lost_until:
                received.append(joined(number if stays else chance.randrange(1, number + 2), at, stays=stays))
        at = poll
        if received:
            await client.members(vk, received)
        await client.size(vk, poll, size)
    await client.mark_polled(vk)
    answer = await client.kpi(KEY, **OCTOBER)
    lost_days = {date.fromisoformat(day) for _, first, last in gaps(answer) for day in _each(first, last)}
    outage = {lost_from + number * timedelta(hours=1) for number in range(int((lost_until - lost_from) / DAY * 24))}
    allowed = {client.day(hour) + number * DAY for hour in outage for number in (0, 1, 2)}
    assert lost_days <= allowed, "what was received is not called lost"
    unexplained = answer["variants"]["unexplained_growth"]
    assert (answer["status"] == "partial") == bool(lost_days)
    assert bool(lost_days) or unexplained <= joins.tolerance(answer["value"], size)


def _each(first: str, last: str) -> list[str]:
    day, end = date.fromisoformat(first), date.fromisoformat(last)
    return [str(day + number * DAY) for number in range((end - day).days + 1)]


async def test_without_the_comparison_a_loss_would_look_complete(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: what the tests above see comes from the polled size."""
    vk = await client.connect("vk")
    await join_daily(client, vk, lost=14)
    assert (await client.kpi(KEY, **OCTOBER))["status"] == "partial"
    monkeypatch.setattr(joins, "TOLERATED", 10**6)
    answer = await client.kpi(KEY, **OCTOBER)
    assert (answer["value"], answer["status"]) == (0, "ok")


# ── hooks ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"subscribed": True, "delivering": True}, None),
        ({"subscribed": None, "delivering": None}, None),
        ({"subscribed": False}, "hook-not-delivering"),
        ({"subscribed": True, "delivering": False}, "hook-not-delivering"),
        (None, "no-hook"),
    ],
)
async def test_what_a_hook_does_not_get_is_not_nobody(client: Client, state: Any, reason: str | None) -> None:
    """Nobody joins any more where nothing can be received: Telegram's updates are polled then."""
    for platform in ("vk", "telegram"):
        place = await client.connect(platform)
        await client.members(place, [joined(1, NOON), joined(2, NOON + 3 * DAY)])
        await client.mark_polled(place, last_event_at=NOON + 5 * DAY)
        if state is not None:
            await client.open_hook(place, **state)
        else:
            await client.agency.http.delete(f"/v1/communities/{place.community_id}/hook")
            await client.mark_polled(place)
    answer = await client.kpi(KEY, **OCTOBER)
    each = {one["platform"]: (one["value"], one["status"], one["reason"]) for one in answer["breakdown"]}
    assert each["telegram"] == (1, "ok", None)
    assert each["vk"] == (1, "ok" if reason is None else "partial", reason)
    known_until = "2026-10-04" if reason == "no-hook" else "2026-10-06"
    following = str(date.fromisoformat(known_until) + DAY)
    assert gaps(answer) == ([] if reason is None else [(reason, following, "2026-10-14")])
    later = await client.kpi(KEY, **{**OCTOBER, "from": following})
    vk = next(one for one in later["breakdown"] if one["platform"] == "vk")
    assert (vk["value"], vk["reason"]) == ((0, None) if reason is None else (None, reason))


async def test_a_disconnected_community_expects_nothing(client: Client) -> None:
    vk, telegram = await client.connect("vk"), await client.connect("telegram")
    for place in (vk, telegram):
        await client.members(place, [joined(1, NOON), joined(2, NOON + 3 * DAY)])
        await client.mark_polled(place)
    async with client.agency.resources.transaction(client.agency.workspace_id) as session:
        values = {"status": "disconnected", "disconnected_at": NOON + 5 * DAY}
        await session.execute(update(Community).where(Community.id == vk.community_id).values(values))
    answer = await client.kpi(KEY, **OCTOBER)
    assert (answer["value"], answer["status"]) == (2, "ok")
    later = await client.kpi(KEY, **{**OCTOBER, "from": "2026-10-09"})
    assert (later["value"], later["status"]) == (0, "ok")


async def test_joins_of_another_project_are_its_own(client: Client) -> None:
    vk = await client.connect("vk")
    await client.members(vk, [joined(1, NOON), joined(2, NOON + DAY)])
    await client.mark_polled(vk)
    other = await client.agency.post("/v1/projects", {"title": "Other", "timezone": "Europe/Minsk"})
    answer = await client.agency.get(f"/v1/projects/{other['id']}/kpis/{KEY}", **OCTOBER)
    assert (answer["value"], answer["breakdown"]) == (None, [])
    assert uuid.UUID(other["id"]) != uuid.UUID(client.project_id)
