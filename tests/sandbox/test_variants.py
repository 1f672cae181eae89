"""The kinds of server that a wire format can play."""

from typing import Any

import pytest

from sandbox.bluesky import chat
from sandbox.server import build
from tests.sandbox.conftest import ManualClock, SandboxClient

ACCOUNT = "109300000000000001"


@pytest.fixture(scope="session")
def platforms() -> tuple[str, ...]:
    return ("mastodon", "bluesky")


async def use(client: SandboxClient, **variants: str) -> None:
    answer = await client.http.post("/_sandbox/variants", json=variants)
    assert answer.status_code == 200, answer.text


async def test_a_variant_is_chosen_at_the_start_or_later(client: SandboxClient, manual_clock: ManualClock) -> None:
    assert (await client.http.get("/api/v1/instance")).json()["version"] == "4.4.3"
    await use(client, mastodon="takahe")
    assert (await client.http.get("/api/v1/instance")).json()["version"] == "0.11.0"
    for refused in ({"mastodon": "nothing"}, {"vk": "takahe"}):
        assert (await client.http.post("/_sandbox/variants", json=refused)).status_code == 400
    built = build(
        seed=7, real=manual_clock, tick=None, platforms=["mastodon"], alive=False, variants={"mastodon": "gotosocial"}
    )
    built.network.world.ledger.close()
    assert built.network.variants == {"mastodon": "gotosocial"}


@pytest.mark.parametrize("variant", ["mastodon", "gotosocial", "takahe"])
async def test_each_reports_its_software_without_a_token(client: SandboxClient, variant: str) -> None:
    await use(client, mastodon=variant)
    (link,) = (await client.http.get("/.well-known/nodeinfo")).json()["links"]
    software = (await client.http.get(link["href"])).json()["software"]
    versions = [(await client.http.get(f"/api/v{number}/instance")).json()["version"] for number in (1, 2)]
    assert software["name"] == variant
    assert versions == [software["version"]] * 2


@pytest.mark.parametrize(
    ("variant", "refusal", "missing"),
    [
        ("gotosocial", "Unauthorized: token not supplied", "Forbidden: token has insufficient scope permission"),
        ("takahe", "identity_token_required", "out_of_scope_for_token"),
    ],
)
async def test_the_relatives_want_a_token_and_lack_some_endpoints(
    client: SandboxClient, variant: str, refusal: str, missing: str
) -> None:
    await use(client, mastodon=variant)
    for path in (f"accounts/{ACCOUNT}", f"accounts/{ACCOUNT}/statuses", "accounts/lookup?acct=coffee"):
        refused = await client.http.get(f"/api/v1/{path}")
        assert (refused.status_code, refused.json()["error"]) == (401, refusal)
    bearer = client.bearer()
    assert (await client.http.get("/api/v1/accounts/lookup?acct=coffee", headers=bearer)).is_success
    assert (await client.http.get("/api/v1/apps/verify_credentials", headers=bearer)).status_code == 404
    post = client.world.communities["coffee"].posts[-1]
    assert (await client.http.get(f"/api/v1/statuses?id[]={post}", headers=bearer)).status_code == 405
    made = (await client.http.post("/_sandbox/tokens", json={"community": "coffee", "scopes": ["read"]})).json()
    reader = {"Authorization": f"Bearer {made['token']}"}
    written = await client.http.post("/api/v1/statuses", headers=reader, data={"status": "Hi"})
    assert (written.status_code, written.json()["error"]) == (403, missing)


@pytest.mark.parametrize(("variant", "times"), [("mastodon", 1), ("gotosocial", 2), ("takahe", 2)])
async def test_only_mastodon_drops_a_repeated_key(client: SandboxClient, variant: str, times: int) -> None:
    await use(client, mastodon=variant)
    headers = {**client.bearer(), "Idempotency-Key": "one"}
    written = [await client.http.post("/api/v1/statuses", headers=headers, data={"status": "Hi"}) for _ in range(2)]
    assert len({one.json()["id"] for one in written}) == times


async def test_takahe_shows_ten_ancestors_and_lists_what_is_new_after_a_while(client: SandboxClient) -> None:
    made = await client.act("coffee", "comment", text="0")
    first = made["id"]
    for number in range(1, 13):
        made = await client.act("coffee", "comment", text=str(number), parent=made["id"])
    await use(client, mastodon="takahe")
    bearer, url = client.bearer(), f"/api/v1/statuses/{made['id']}/context"

    async def latest() -> Any:
        return (await client.http.get("/api/v1/notifications?limit=1", headers=bearer)).json()[0]["status"]["id"]

    async def below_first() -> list[str]:
        context = (await client.http.get(f"/api/v1/statuses/{first}/context", headers=bearer)).json()
        return [one["id"] for one in context["descendants"]]

    assert len((await client.http.get(url, headers=bearer)).json()["ancestors"]) == 10
    assert await below_first() == []
    assert await latest() != made["id"]
    client.manual_clock.at += 61
    assert await latest() == made["id"]
    assert len(await below_first()) == 12
    await use(client, mastodon="mastodon")
    assert len((await client.http.get(url, headers=bearer)).json()["ancestors"]) == 13


async def test_direct_answers_are_in_contexts_and_except_on_takahe_in_the_own_list(client: SandboxClient) -> None:
    question = await client.act("coffee", "message", text="Are you open?", person=77)
    answered = await client.act("coffee", "answer", text="We are.", person=77)
    client.manual_clock.at += 61
    for variant in ("mastodon", "gotosocial", "takahe"):
        await use(client, mastodon=variant)
        bearer = client.bearer()
        context = (await client.http.get(f"/api/v1/statuses/{question['id']}/context", headers=bearer)).json()
        assert [one["id"] for one in context["descendants"]] == [answered["id"]]
        own = (await client.http.get(f"/api/v1/accounts/{ACCOUNT}/statuses?limit=1", headers=bearer)).json()
        assert (own[0]["id"] == answered["id"]) == (variant != "takahe")
    await use(client, mastodon="mastodon")
    public = (await client.http.get(f"/api/v1/accounts/{ACCOUNT}/statuses?limit=1")).json()
    assert public[0]["id"] != answered["id"]


async def test_an_edit_shows_its_time_where_the_server_edits(client: SandboxClient) -> None:
    post = await client.act("coffee", "post", text="Old")
    await client.act("coffee", "edit", id=post["id"], text="New")
    for variant in ("mastodon", "gotosocial"):
        await use(client, mastodon=variant)
        status = (await client.http.get(f"/api/v1/statuses/{post['id']}", headers=client.bearer())).json()
        assert status["content"] == "<p>New</p>"
        assert (status["edited_at"] is None) == (variant == "gotosocial")
    refused = await client.http.post("/_sandbox/communities/windowseat", json={"act": "edit", "text": "New"})
    assert refused.status_code == 400


async def test_blueskys_chat_may_be_down_while_the_rest_answers(client: SandboxClient) -> None:
    await use(client, bluesky="chat_down")
    bearer = client.bearer("windowseat")
    convos = await client.http.get(
        "/xrpc/chat.bsky.convo.listConvos", headers={**bearer, "atproto-proxy": chat.SERVICE}
    )
    assert (convos.status_code, convos.json()["error"]) == (502, "UpstreamFailure")
    assert (await client.http.get("/xrpc/app.bsky.notification.listNotifications", headers=bearer)).is_success


async def test_one_suspended_account_fails_a_whole_batch(client: SandboxClient) -> None:
    async def uri(community: str) -> str:
        actor = client.world.communities[community].profile.external_id
        feed = await client.http.get("/xrpc/app.bsky.feed.getAuthorFeed", params={"actor": actor, "limit": "1"})
        return str(feed.json()["feed"][0]["post"]["uri"])

    good, suspended = await uri("windowseat"), await uri("velosreda")
    await use(client, bluesky="suspended_account")

    async def posts(*uris: str) -> int:
        return (await client.http.get("/xrpc/app.bsky.feed.getPosts", params={"uris": uris})).status_code

    assert [await posts(good), await posts(suspended), await posts(good, suspended)] == [200, 500, 500]
