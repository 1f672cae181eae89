"""Mastodon's behaviour that its schema does not describe."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.platforms.specimens import PIXEL
from tests.sandbox.conftest import SandboxClient

ACCOUNT = "109300000000000001"


async def test_pages_join_without_gap_or_repeat(client: SandboxClient) -> None:
    whole = list(map(str, reversed(client.world.communities["coffee"].authored)))
    seen: list[str] = []
    url = f"/api/v1/accounts/{ACCOUNT}/statuses?limit=7"
    while url:
        answer = await client.http.get(url)
        seen += [one["id"] for one in answer.json()]
        url = answer.links.get("next", {}).get("url", "")
    assert seen == whole


async def test_min_id_gives_what_is_just_above_and_since_id_the_newest(client: SandboxClient) -> None:
    ids = list(map(str, reversed(client.world.communities["coffee"].authored)))
    path = f"/api/v1/accounts/{ACCOUNT}/statuses?limit=3"
    above = (await client.http.get(f"{path}&min_id={ids[20]}")).json()
    assert [one["id"] for one in above] == ids[17:20]
    latest = (await client.http.get(f"{path}&since_id={ids[20]}")).json()
    assert [one["id"] for one in latest] == ids[:3]


async def test_notifications_walk_forward_by_min_id(client: SandboxClient) -> None:
    bearer, path = client.bearer(), "/api/v1/notifications?types[]=mention&limit=80"
    last = (await client.http.get(path, headers=bearer)).json()[0]["id"]
    made = [await client.act("coffee", "comment", text=f"Question {n}") for n in range(5)]
    seen: list[str] = []
    while True:
        answer = await client.http.get(f"{path.replace('80', '2')}&min_id={last}", headers=bearer)
        if not answer.json():
            break
        seen += [one["status"]["id"] for one in reversed(answer.json())]
        last = answer.json()[0]["id"]
    assert seen == [one["id"] for one in made]


async def test_a_strangers_private_words_are_filtered_until_they_are_answered(client: SandboxClient) -> None:
    async def latest(**query: str) -> Any:
        answer = await client.http.get("/api/v1/notifications", params=query, headers=client.bearer())
        return answer.json()[0]["status"]

    seen = await client.act("coffee", "comment", text="In public", person=910_003)
    first = await client.act("coffee", "message", text="In private", person=910_004)
    assert (await latest())["id"] == seen["id"]
    unfiltered = await latest(include_filtered="true")
    assert unfiltered["id"] == first["id"]
    form = {"status": f"@{unfiltered['account']['acct']} Yes", "in_reply_to_id": first["id"], "visibility": "direct"}
    assert (await client.http.post("/api/v1/statuses", data=form, headers=client.bearer())).is_success
    then = await client.act("coffee", "message", text="Thanks", person=910_004)
    assert (await latest())["id"] == then["id"]


async def test_a_deleted_status_and_a_taken_back_favourite_leave_no_notification(client: SandboxClient) -> None:
    async def latest() -> list[tuple[str, str]]:
        page: list[Any] = (await client.http.get("/api/v1/notifications?limit=2", headers=client.bearer())).json()
        return [(one["type"], one["account"]["id"]) for one in page]

    before = await latest()
    comment = await client.act("coffee", "comment", text="Nonsense", person=910_001)
    like = await client.act("coffee", "react", person=910_002)
    account = {one: str(109_400_000_001_000_000 + one) for one in (910_001, 910_002)}
    assert await latest() == [("favourite", account[910_002]), ("mention", account[910_001])]
    await client.act("coffee", "delete_comment", id=comment["id"])
    assert (await latest())[0] == ("favourite", account[910_002])
    await client.act("coffee", "unreact", id=like["id"], person=910_002)
    assert await latest() == before


async def test_a_direct_message_is_between_two(client: SandboxClient) -> None:
    message = await client.act("coffee", "message", text="Are you there?")
    url, bearer = f"/api/v1/statuses/{message['id']}", client.bearer()
    assert (await client.http.get(url)).status_code == 404
    assert (await client.http.get(url, headers=client.bearer("lingua"))).status_code == 404
    own = (await client.http.get(url, headers=bearer)).json()
    assert (own["visibility"], own["mentions"][0]["acct"]) == ("direct", "coffee")
    assert own["content"].endswith(" Are you there?</p>")

    async def last() -> Any:
        return (await client.http.get("/api/v1/conversations?limit=1", headers=bearer)).json()[0]

    assert (await last())["unread"] is True
    unnamed = {"status": "Yes", "visibility": "direct", "in_reply_to_id": message["id"]}
    await client.http.post("/api/v1/statuses", headers=bearer, data=unnamed)
    assert (await last())["last_status"]["id"] == message["id"], "who is not named hears nothing"
    named = {**unnamed, "status": f"@{own['account']['acct']} Yes"}
    sent = (await client.http.post("/api/v1/statuses", headers=bearer, data=named)).json()
    assert (await last())["last_status"]["id"] == sent["id"]
    assert (await last())["unread"] is False


async def test_one_idempotency_key_writes_once_within_the_hour(client: SandboxClient) -> None:
    async def write() -> Any:
        headers = {**client.bearer(), "Idempotency-Key": "one"}
        return (await client.http.post("/api/v1/statuses", headers=headers, data={"status": "Hi"})).json()["id"]

    first = await write()
    assert await write() == first
    client.manual_clock.at += 3601
    assert await write() != first
    assert len([one for one in client.records() if one["type"] == "post" and one["origin"] == "api"]) == 2


@pytest.mark.parametrize(
    ("data", "status", "error"),
    [
        ({"status": " "}, 422, "Validation failed: Text can't be blank"),
        ({"status": "x" * 501}, 422, "Validation failed: Text character limit of 500 exceeded"),
        (
            {"status": "x", "in_reply_to_id": "1"},
            404,
            "The post you are trying to reply to does not appear to exist.",
        ),
    ],
)
async def test_refusals_of_a_status(client: SandboxClient, data: dict[str, str], status: int, error: str) -> None:
    answer = await client.http.post("/api/v1/statuses", headers=client.bearer(), data=data)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


async def test_json_and_multipart_bodies_are_forms_too(client: SandboxClient) -> None:
    json = await client.http.post("/api/v1/statuses", headers=client.bearer(), json={"status": "Ein Gruß"})
    parts = {"status": (None, "Привет"), "visibility": (None, "unlisted")}
    multipart = await client.http.post("/api/v1/statuses", headers=client.bearer(), files=parts)
    assert json.json()["content"] == "<p>Ein Gruß</p>"
    assert (multipart.json()["content"], multipart.json()["visibility"]) == ("<p>Привет</p>", "unlisted")


async def test_scopes_and_ended_tokens(client: SandboxClient) -> None:
    made = await client.http.post("/_sandbox/tokens", json={"community": "coffee", "scopes": ["read"]})
    token = made.json()["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    refused = await client.http.post("/api/v1/statuses", headers=bearer, data={"status": "x"})
    assert refused.status_code == 403
    await client.http.post("/_sandbox/tokens/state", json={"token": token, "state": "revoked"})
    ended = await client.http.get(f"/api/v1/accounts/{ACCOUNT}", headers=bearer)
    assert (ended.status_code, ended.json()) == (401, {"error": "The access token was revoked"})


async def test_twenty_statuses_at_once_and_no_more(client: SandboxClient) -> None:
    ids = client.world.communities["coffee"].posts[:21]
    twenty = await client.http.get("/api/v1/statuses", params={"id[]": [*ids[:19], 5]})
    assert [one["id"] for one in twenty.json()] == [str(one) for one in ids[:19]]
    assert (await client.http.get("/api/v1/statuses", params={"id[]": ids})).status_code == 422


async def test_the_rate_limit_is_told_and_kept(client: SandboxClient) -> None:
    client.sandbox.network.limits["mastodon_calls"] = 3
    answers = [await client.http.get("/api/v1/instance") for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert [one.headers["x-ratelimit-remaining"] for one in answers] == ["2", "1", "0", "0"]
    assert (answers[3].json(), "retry-after" in answers[3].headers) == ({"error": "Throttled"}, False)
    reset = datetime.fromisoformat(answers[3].headers["x-ratelimit-reset"])
    assert reset == datetime.fromtimestamp(client.manual_clock.at // 300 * 300 + 300, UTC)
    client.manual_clock.at = reset.timestamp()
    assert (await client.http.get("/api/v1/instance")).status_code == 200


async def test_a_status_shows_its_pictures_described(client: SandboxClient) -> None:
    bearer = client.bearer()
    made = []
    for number in range(2):
        files = {"file": ("dot.png", PIXEL, "image/png")}
        answer = await client.http.post(
            "/api/v2/media", headers=bearer, files=files, data={"description": f"dot {number}"}
        )
        assert answer.status_code == 200
        made.append(answer.json()["id"])
    again = (await client.http.get(f"/api/v1/media/{made[0]}", headers=bearer)).json()
    assert (again["id"], again["description"]) == (made[0], "dot 0")
    wrote = await client.http.post("/api/v1/statuses", headers=bearer, data={"media_ids[]": made[::-1]})
    assert [one["id"] for one in wrote.json()["media_attachments"]] == made[::-1]
    assert [one["count"] for one in client.records() if one["type"] == "media"] == [len(PIXEL)] * 2


@pytest.mark.parametrize(
    ("kind", "content", "error"),
    [
        ("text/html", PIXEL, "File content type is invalid"),
        ("image/png", b"", "File can't be blank"),
        ("image/png", b"x" * (16_777_216 + 1), "File file size must be less"),
    ],
)
async def test_refusals_of_a_picture(client: SandboxClient, kind: str, content: bytes, error: str) -> None:
    files = {"file": ("x", content, kind)}
    answer = await client.http.post("/api/v2/media", headers=client.bearer(), files=files)
    assert (answer.status_code, error in answer.json()["error"]) == (422, True)


async def test_pictures_are_their_communitys_and_four_at_most(client: SandboxClient) -> None:
    files = {"file": ("dot.png", PIXEL, "image/png")}
    own = (await client.http.post("/api/v2/media", headers=client.bearer(), files=files)).json()["id"]
    assert (await client.http.post("/api/v2/media", files=files)).status_code == 401
    assert (await client.http.get(f"/api/v1/media/{own}", headers=client.bearer("lingua"))).status_code == 404
    for ids, key in (([own] * 5, "coffee"), ([own], "lingua"), (["1"], "coffee"), (["x"], "coffee")):
        data = {"status": "x", "media_ids[]": ids}
        refused = await client.http.post("/api/v1/statuses", headers=client.bearer(key), data=data)
        assert refused.status_code == 422, ids


async def test_uploads_have_a_limit_of_their_own(client: SandboxClient) -> None:
    client.sandbox.network.limits.update(mastodon_media=2)
    files = {"file": ("dot.png", PIXEL, "image/png")}
    answers = [await client.http.post("/api/v2/media", headers=client.bearer(), files=files) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert [one.headers["x-ratelimit-remaining"] for one in answers] == ["1", "0", "0"]
    reset = datetime.fromisoformat(answers[2].headers["x-ratelimit-reset"])
    assert reset == datetime.fromtimestamp(client.manual_clock.at // 1800 * 1800 + 1800, UTC)
    read = await client.http.get("/api/v1/instance", headers=client.bearer())
    assert (read.status_code, read.headers["x-ratelimit-limit"]) == (200, "1000000")


async def test_what_an_application_may_do_is_told(client: SandboxClient) -> None:
    response = await client.http.get("/api/v1/apps/verify_credentials", headers=client.bearer())
    assert response.json()["scopes"] == ["read", "write"]
    assert (await client.http.get("/api/v1/apps/verify_credentials")).status_code == 401
