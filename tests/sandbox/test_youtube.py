"""YouTube's behaviour that its discovery document does not describe."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.server import build
from sandbox.youtube import ids
from sandbox.youtube.channels import Channels
from sandbox.youtube.tokens import client_credentials
from tests.sandbox.conftest import ManualClock, SandboxClient
from tests.sandbox.test_youtube_schema import API, ask


@pytest.fixture(scope="session")
def platforms() -> tuple[str, ...]:
    return ("youtube",)


def reason(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


def video(client: SandboxClient, post: str) -> str:
    return ids.video(client.world.communities["beanlab"].wall[int(post)])


async def test_ids_are_read_back(client: SandboxClient) -> None:
    c = client.world.communities["beanlab"]
    assert len(c.profile.external_id) == 24
    root_comment = await client.act("beanlab", "comment")
    below = await client.act("beanlab", "comment", post=root_comment["post"], parent=root_comment["id"])
    one, other = c.wall[int(root_comment["id"])], c.wall[int(below["id"])]
    assert len(ids.video(one)) == 11
    assert ids.entry_of(ids.video(one)) == one.id
    assert (len(ids.comment(one, one)), len(ids.comment(one, other))) == (26, 49)
    assert ids.comment_of(ids.comment(one, one)) == one.id
    assert ids.comment_of(ids.comment(one, other)) == other.id
    for nonsense in ("", "Ugx", "é", "AAAAAAAAAA/", "Ugx.", "AAAAAAAAAAB"):
        assert ids.entry_of(nonsense) is None
        assert ids.comment_of(nonsense) is None


async def test_who_may_and_who_may_not(client: SandboxClient) -> None:
    c = client.world.communities["beanlab"]
    channel = {"part": "id", "id": c.profile.external_id}
    keyless = await client.http.get(f"{API}/channels", params=channel)
    assert reason(keyless) == (403, "forbidden")
    assert keyless.json()["error"]["message"] == "The request is missing a valid API key."
    assert reason(await client.http.get(f"{API}/channels", params={**channel, "key": "no"})) == (400, "badRequest")
    nobody = {"authorization": "Bearer no"}
    assert reason(await client.http.get(f"{API}/channels", params=channel, headers=nobody)) == (401, "authError")
    refresh = {"authorization": f"Bearer {client.token('beanlab', 'refresh')}"}
    assert reason(await client.http.get(f"{API}/channels", params=channel, headers=refresh)) == (401, "authError")
    said = {"snippet": {"parentId": "x", "textOriginal": "x"}}
    key = {"x-goog-api-key": client.token("beanlab", "app")}
    wrong = await client.http.post(f"{API}/comments", params={"part": "snippet"}, json=said, headers=key)
    assert reason(wrong) == (401, "required")
    narrow = client.sandbox.network.grants.make(c, "community", ["https://www.googleapis.com/auth/youtube.readonly"])
    reading = {"authorization": f"Bearer {narrow}"}
    assert (await client.http.get(f"{API}/channels", params=channel, headers=reading)).status_code == 200
    threads = {"part": "id", "allThreadsRelatedToChannelId": c.profile.external_id}
    refused = await client.http.get(f"{API}/commentThreads", params=threads, headers=reading)
    assert reason(refused) == (403, "insufficientPermissions")


async def test_a_refresh_token_gets_tokens_of_an_hour(client: SandboxClient) -> None:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": client.token("beanlab", "refresh"),
        **client_credentials(client.sandbox.network),
    }
    made = (await client.http.post("/token", data=form)).json()
    assert (made["token_type"], made["expires_in"]) == ("Bearer", 3599)
    headers = {"authorization": f"Bearer {made['access_token']}"}
    token_info = (await client.http.post("/tokeninfo", data={"access_token": made["access_token"]})).json()
    assert (token_info["expires_in"], token_info["scope"], token_info["aud"]) == (
        "3599",
        made["scope"],
        form["client_id"],
    )
    again = (await client.http.post("/token", data=form)).json()
    assert again["access_token"] != made["access_token"]
    own = {"part": "id", "mine": "true"}
    assert (await client.http.get(f"{API}/channels", params=own, headers=headers)).json()["items"][0]["id"] == (
        client.world.communities["beanlab"].profile.external_id
    )
    client.manual_clock.at += 3600
    assert reason(await client.http.get(f"{API}/channels", params=own, headers=headers)) == (401, "authError")
    assert (await client.http.get("/tokeninfo", params={"access_token": made["access_token"]})).status_code == 400
    for changed, error in (
        ({"client_secret": "no"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"refresh_token": made["access_token"]}, "invalid_grant"),
    ):
        assert (await client.http.post("/token", data={**form, **changed})).json()["error"] == error
    client.sandbox.network.grants.end(form["refresh_token"], "revoked")
    assert (await client.http.post("/token", data=form)).json()["error"] == "invalid_grant"


async def test_the_quota_is_in_units_and_by_project_and_ends_at_midnight_in_california(client: SandboxClient) -> None:
    client.sandbox.network.limits["youtube_units"] = 60
    c = client.world.communities["beanlab"]
    comment_entry = c.wall[int((await client.act("beanlab", "comment"))["id"])]
    said = {"snippet": {"parentId": ids.comment(comment_entry, comment_entry), "textOriginal": "Yes"}}

    async def answering(community: str) -> httpx.Response:
        headers = client.bearer(community)
        return await client.http.post(f"{API}/comments", params={"part": "snippet"}, json=said, headers=headers)

    assert (await answering("beanlab")).status_code == 200
    refused = await answering("veloshkola")  # the application's, whosever the token
    assert reason(refused) == (403, "quotaExceeded")
    assert refused.headers["date"] == "Mon, 23 Nov 2026 06:00:00 GMT"
    reads = [(await ask(client, "channels", part="id", id="x")).status_code for _ in range(61)]
    assert reads == [200] * 60 + [403]
    client.manual_clock.at += 2 * 3600 - 1
    assert (await ask(client, "channels", part="id", id="x")).status_code == 403
    client.manual_clock.at += 1
    assert (await ask(client, "channels", part="id", id="x")).status_code == 200


async def test_uploads_are_paged_by_offset_and_comments_by_place(client: SandboxClient) -> None:
    c = client.world.communities["beanlab"]

    async def uploads(**more: Any) -> Any:
        return (await ask(client, "playlistItems", part="snippet", playlistId=ids.uploads(c), **more)).json()

    first = await uploads(maxResults=10)
    assert first["nextPageToken"] == "CAoQAA"
    doomed = c.posts[-1]
    await client.act("beanlab", "delete_post", id=str(doomed))
    second = await uploads(maxResults=10, pageToken="CAoQAA")
    assert [one["snippet"]["position"] for one in second["items"]] == list(range(10, 20))
    numbers = [ids.entry_of(one["snippet"]["resourceId"]["videoId"]) for one in second["items"]]
    assert numbers == c.posts[::-1][10:20], "the eleventh has slipped onto the first page"
    assert second["prevPageToken"] == "CAAQAQ"
    last = await uploads(maxResults=50, pageToken="CKwCEAA")
    assert "items" not in last
    bad = await ask(client, "playlistItems", part="id", playlistId=ids.uploads(c), pageToken="x")
    assert reason(bad) == (400, "invalidPageToken")

    made = [int((await client.act("beanlab", "comment", text=str(n)))["id"]) for n in range(7)]
    post = video(client, str(c.posts[-1]))

    async def threads(**more: Any) -> Any:
        query: dict[str, Any] = {
            "part": "id,snippet",
            "videoId": post,
            "maxResults": 3,
            "textFormat": "plainText",
            **more,
        }
        return (await ask(client, "commentThreads", **query)).json()

    page = await threads()
    numbers = [ids.comment_of(one["id"]) for one in page["items"]]
    assert numbers == made[:-4:-1]
    await client.act("beanlab", "delete_comment", id=str(made[-3]))
    await client.act("beanlab", "comment", text="newer")
    page = await threads(pageToken=page["nextPageToken"])
    assert [ids.comment_of(one["id"]) for one in page["items"]] == made[3:0:-1]


async def test_answers_stand_on_one_level_and_go_with_their_comment(client: SandboxClient) -> None:
    c = client.world.communities["beanlab"]
    root_comment = await client.act("beanlab", "comment", text="First")
    made = []
    above = root_comment["id"]
    for number in range(7):
        above = (await client.act("beanlab", "comment", text=f"A{number}", post=root_comment["post"], parent=above))[
            "id"
        ]
        made.append(above)
    thread_id = ids.comment(c.wall[int(root_comment["id"])], c.wall[int(root_comment["id"])])
    post = video(client, root_comment["post"])

    async def thread() -> Any:
        response = await ask(client, "commentThreads", part="snippet,replies", videoId=post, maxResults=100)
        return next((one for one in response.json().get("items", []) if one["id"] == thread_id), None)

    visible_thread = await thread()
    assert visible_thread["snippet"]["totalReplyCount"] == 7
    assert len(visible_thread["replies"]["comments"]) == 5
    listed = (await ask(client, "comments", part="snippet", parentId=thread_id, maxResults=100)).json()["items"]
    assert [str(ids.comment_of(one["id"])) for one in listed] == made[::-1]
    assert {one["snippet"]["parentId"] for one in listed} == {thread_id}
    counted = c.wall[int(root_comment["post"])].comments
    await client.act("beanlab", "delete_comment", id=root_comment["id"])
    assert await thread() is None
    assert c.wall[int(root_comment["post"])].comments == counted - 8
    gone = await ask(client, "comments", part="snippet", parentId=thread_id)
    assert reason(gone) == (404, "commentNotFound")


async def test_what_owners_switch_off(client: SandboxClient) -> None:
    c = client.world.communities["beanlab"]
    off = await client.act("beanlab", "post", text="Quiet", category="comments_off")
    shy = await client.act("beanlab", "post", text="Shy", category="likes_hidden")
    await client.act("beanlab", "comment", post=off["id"])
    quiet = await ask(client, "commentThreads", part="id", videoId=video(client, off["id"]))
    assert reason(quiet) == (403, "commentsDisabled")
    named = ",".join(video(client, one["id"]) for one in (off, shy))
    response = (await ask(client, "videos", part="statistics", id=named)).json()["items"]
    assert "commentCount" not in response[0]["statistics"]
    assert "likeCount" not in response[1]["statistics"]
    size: dict[str, Any] = {"part": "statistics", "id": c.profile.external_id}
    statistics = (await ask(client, "channels", **size)).json()["items"][0]["statistics"]
    assert statistics["subscriberCount"] == str(len(c.followers) // 10 * 10)
    client.world.emit("youtube_size", c, "control", kind="hidden")
    hidden = (await ask(client, "channels", **size)).json()["items"][0]["statistics"]
    assert (hidden["hiddenSubscriberCount"], "subscriberCount" in hidden) == (True, False)


async def test_private_videos_are_for_their_owner_until_they_are_public(client: SandboxClient) -> None:
    c = client.world.communities["beanlab"]
    soon = await client.act("beanlab", "post", text="Soon", category="public_after:60")
    name = video(client, soon["id"])

    async def seen(kind: str) -> tuple[bool, bool]:
        listed = await ask(client, "playlistItems", kind, part="contentDetails", playlistId=ids.uploads(c))
        response = (await ask(client, "videos", kind, part="snippet", id=name)).json()
        first = listed.json()["items"][0]["contentDetails"]
        return first["videoId"] == name, bool(response.get("items"))

    assert await seen("app") == (False, False)
    assert await seen("community") == (True, True)
    client.manual_clock.at += 61
    assert await seen("app") == (True, True)


async def test_only_a_comment_of_the_first_level_is_answered(client: SandboxClient) -> None:
    c = client.world.communities["beanlab"]
    root_comment = await client.act("beanlab", "comment")
    below = await client.act("beanlab", "comment", post=root_comment["post"], parent=root_comment["id"])
    one, other = c.wall[int(root_comment["id"])], c.wall[int(below["id"])]

    async def said(parent: str, text: str) -> httpx.Response:
        body = {"snippet": {"parentId": parent, "textOriginal": text}}
        headers = client.bearer("beanlab")
        return await client.http.post(f"{API}/comments", params={"part": "snippet"}, json=body, headers=headers)

    assert reason(await said(ids.comment(one, other), "Yes")) == (400, "operationNotSupported")
    assert reason(await said("Ugx", "Yes")) == (404, "parentCommentNotFound")
    assert reason(await said("", "Yes")) == (400, "parentIdMissing")
    assert reason(await said(ids.comment(one, one), " ")) == (400, "commentTextRequired")
    assert reason(await said(ids.comment(one, one), "x" * 10_001)) == (400, "commentTextTooLong")
    before = len(client.records())
    for _ in range(2):
        assert (await said(ids.comment(one, one), "Yes")).status_code == 200
    assert len(client.records()) == before + 2, "nothing drops a repeat"


async def test_what_happened_survives_a_restart(manual_clock: ManualClock, ledger_path: Path) -> None:
    """Hidden counts, replies deleted with their comment, and issued tokens."""
    token = ""
    for again in (False, True):
        sandbox = build(seed=7, real=manual_clock, tick=None, ledger=ledger_path, platforms=["youtube"])
        network = sandbox.network
        c = network.world.communities["beanlab"]
        if not again:
            post, person = str(c.posts[-1]), c.number_of(1)
            root_comment = network.world.emit("comment", c, "control", post=post, person=person, text="a", kind="other")
            network.world.emit(
                "comment", c, "control", post=post, parent=root_comment["id"], person=person, text="b", kind="x"
            )
            network.world.emit("comment_deleted", c, "control", id=root_comment["id"], post=post, person=person)
            network.world.emit("youtube_size", c, "control", kind="hidden")
            token = network.grants.make(c, "community", seconds=3599, origin="api")
            standing = {*c.wall}
        assert {*c.wall} == standing
        assert network.extra_state(Channels).hidden == {"beanlab"}
        assert network.grants.find(token, "youtube") is not None
        network.world.ledger.close()


async def test_rules_meet_keys_and_tokens(client: SandboxClient) -> None:
    """A fault can be limited to an API key as well as to a token."""
    rule = {"platform": "youtube", "token": "beanlab/app/0", "effect": {"type": "status", "status": 503}}
    assert (await client.http.post("/_sandbox/faults", json=rule)).status_code == 201
    assert (await ask(client, "channels", part="id", id="x")).status_code == 503
    assert (await ask(client, "channels", "community", part="id", id="x")).status_code == 200
