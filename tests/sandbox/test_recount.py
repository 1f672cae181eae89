"""Counts computed from the ledger equal those of the wire formats, at any instant, whatever happened."""

from random import Random
from typing import Any

import pytest

from sandbox import instants, recount
from sandbox.entities import Community
from tests.sandbox.conftest import START, SandboxClient

PLATFORMS = {"coffee": "mastodon", "lingua": "mastodon", "velo_dvor": "vk", "kofe_zerno": "vk"}


async def _mastodon(client: SandboxClient, c: Community) -> tuple[int, dict[str, recount.Counters]]:
    account = (await client.http.get(f"/api/v1/accounts/lookup?acct={c.key}")).json()
    posts: dict[str, recount.Counters] = {}
    url = f"/api/v1/accounts/{account['id']}/statuses?limit=40&exclude_replies=true"
    while url:
        answer = await client.http.get(url)
        for one in answer.json():
            if one["in_reply_to_id"] is not None:
                continue  # Mastodon lists an account's answers below its own posts all the same
            posts[one["id"]] = recount.Counters(one["favourites_count"], one["replies_count"], one["reblogs_count"])
        url = answer.links.get("next", {}).get("url", "")
    return account["followers_count"], posts


async def _vk(client: SandboxClient, c: Community) -> tuple[int, dict[str, recount.Counters]]:
    owner = -220_000_000 - c.profile.number
    response = await client.vk("groups.getById", community=c.key, group_id=-owner, fields="members_count")
    items: list[Any] = []
    while True:
        wall = await client.vk("wall.get", community=c.key, owner_id=owner, count=100, offset=len(items))
        items += wall["response"]["items"]
        if len(items) >= wall["response"]["count"]:
            break
    posts: dict[str, recount.Counters] = {}
    for start in range(0, len(items), 30):
        part = items[start : start + 30]
        ids = ",".join(str(one["id"]) for one in part)
        reach = await client.vk("stats.getPostReach", community=c.key, owner_id=owner, post_ids=ids)
        by_id = {one["post_id"]: one["reach_total"] for one in reach["response"]}
        for one in part:
            posts[str(one["id"])] = recount.Counters(
                one["likes"]["count"], one["comments"]["count"], one["reposts"]["count"], one["views"]["count"],
                by_id[one["id"]],
            )  # fmt: skip
    return response["response"]["groups"][0]["members_count"], posts


async def _meddle(client: SandboxClient, rng: Random) -> None:
    """Do something from outside, through the control API or a platform's."""
    key = rng.choice(list(PLATFORMS))
    c = client.world.communities[key]
    post = str(rng.choice(c.posts[-10:]))
    match rng.randrange(9):
        case 0:
            comment = await client.act(key, "comment", post=post, person=rng.randrange(1, 900_000))
            await client.act(key, "comment", post=post, parent=comment["id"], text="Me too")
            if rng.random() < 0.5:
                await client.act(key, "delete_comment", id=comment["id"])
        case 1:
            await client.act(key, "react", id=post, person=910_000 + rng.randrange(80_000))
        case 2:
            reactors = sorted(c.wall[int(post)].reactors)
            if reactors:
                await client.act(key, "unreact", id=post, person=reactors[0] - c.number_of(0))
        case 3:
            await client.act(key, "share", id=post)
        case 4:
            await client.act(key, "follow", person=900_000 - len(c.followers))
        case 5:
            await client.act(key, "delete_post", id=post)
        case 6:
            await client.act(key, "post", text="Out of the blue")
        case _ if PLATFORMS[key] == "vk":
            owner = -220_000_000 - c.profile.number
            await client.vk("wall.createComment", "community", key, owner_id=owner, post_id=post, message="Да!")
        case _:
            said = {"status": "Yes!", "in_reply_to_id": post}
            await client.http.post("/api/v1/statuses", headers=client.bearer(key), data=said)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in (2, 3))])
async def test_what_the_ledger_adds_up_to_is_what_the_wire_says(client: SandboxClient, seed: int) -> None:
    rng = Random(seed)
    for _ in range(6):
        client.manual_clock.at += rng.choice((1, 20, 400, 5000, 90_000)) * rng.random()
        for _ in range(rng.randrange(8)):
            await _meddle(client, rng)
        client.sandbox.network.tick()
        tallies = recount.tallies(client.records(), client.world.now)
        for key, platform in PLATFORMS.items():
            c = client.world.communities[key]
            size, posts = await (_vk if platform == "vk" else _mastodon)(client, c)
            assert (size, posts) == (tallies[key].size, tallies[key].posts)


async def test_the_past_can_be_recounted(client: SandboxClient) -> None:
    """Counts read at an instant equal those that the ledger yields for it much later."""
    c = client.world.communities["velo_dvor"]
    client.manual_clock.at += 600
    seen = await _vk(client, c)
    at = client.world.now
    client.manual_clock.at += 7200
    assert await _vk(client, c) != seen
    tally = recount.tallies(client.records(), at)["velo_dvor"]
    assert (tally.size, tally.posts) == seen


async def test_what_customers_wrote_and_what_was_answered(client: SandboxClient) -> None:
    client.sandbox.network.tick()
    start = client.world.now
    client.manual_clock.at += 1
    comment = await client.act("coffee", "comment", text="Open?")
    message = await client.act("coffee", "message", text="Hello")
    client.manual_clock.at += 30
    said = {"status": "Yes", "in_reply_to_id": comment["id"]}
    await client.http.post("/api/v1/statuses", headers=client.bearer(), data=said)
    end = client.world.now
    records = client.records()
    window = [one for one in recount.customer_messages(records, "coffee", start, end) if one["origin"] == "control"]
    assert [one["id"] for one in window] == [comment["id"], message["id"]]
    assert [one["text"] for one in recount.answers(records, "coffee", start, end + 1)] == ["Yes"]
    first = recount.answered(records, "coffee", end)
    assert first[comment["id"]] == instants.text(end)
    assert message["id"] not in first


async def test_something_is_always_going_on(client: SandboxClient) -> None:
    """Within five minutes at speed 1, followers, reactions, views, comments and messages appear."""
    client.manual_clock.at = START + 300
    client.sandbox.network.tick()
    since = instants.text(client.world.born)
    for key in ("coffee", "velo_dvor"):
        kinds = [one["type"] for one in client.records() if one["at"] > since and one.get("community") == key]
        assert {"follow", "reaction", "comment", "message"} <= set(kinds)
        assert ("view" in kinds) == (key == "velo_dvor")


async def test_most_engagement_comes_early(client: SandboxClient) -> None:
    c = client.world.communities["kofe_zerno"]
    post = c.posts[len(c.posts) // 2]
    born = c.wall[post].at
    records = client.records()

    def reactions(at: int) -> int:
        counters = recount.counters(records, "kofe_zerno", str(post), at)
        assert counters is not None
        return counters.reactions

    hour, day, end = (reactions(born + span * instants.HOUR) for span in (1, 24, 24 * 10))
    assert 0.35 * end < hour < day <= end * 1.05
    assert day > 0.8 * end
