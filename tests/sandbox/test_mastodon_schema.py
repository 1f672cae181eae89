"""Every Mastodon response of an active world is valid by the OpenAPI, and complete."""

from typing import Any

from tests.platforms.specimens import PIXEL
from tests.sandbox.conftest import SandboxClient
from tests.sandbox.schemas import mastodon_problems


async def test_every_endpoint_answers_as_the_openapi_says(client: SandboxClient) -> None:
    c = client.world.communities["coffee"]
    account, post = "109300000000000001", str(c.posts[-1])
    comment = await client.act("coffee", "comment", text="Open on Sunday? <b>&", post=post)
    await client.act("coffee", "comment", text="Same question", post=post, parent=comment["id"])
    await client.act("coffee", "mention", text="Lovely place")
    await client.act("coffee", "message", text="Hello")
    await client.act("coffee", "share")
    bearer = client.bearer()
    gets: tuple[tuple[str, str], ...] = (
        ("/api/v1/instance", "/api/v1/instance"),
        ("/api/v2/instance", "/api/v2/instance"),
        ("/api/v1/accounts/verify_credentials", "/api/v1/accounts/verify_credentials"),
        ("/api/v1/apps/verify_credentials", "/api/v1/apps/verify_credentials"),
        ("/api/v1/accounts/lookup", "/api/v1/accounts/lookup?acct=coffee"),
        ("/api/v1/accounts/{id}", f"/api/v1/accounts/{account}"),
        ("/api/v1/accounts/{id}", f"/api/v1/accounts/{109_400_000_000_000_000 + comment['person']}"),
        ("/api/v1/accounts/{id}/statuses", f"/api/v1/accounts/{account}/statuses?limit=40"),
        ("/api/v1/statuses/{id}", f"/api/v1/statuses/{comment['id']}"),
        ("/api/v1/statuses", f"/api/v1/statuses?id[]={post}&id[]={comment['id']}"),
        ("/api/v1/statuses/{id}/context", f"/api/v1/statuses/{post}/context"),
        ("/api/v1/statuses/{id}/context", f"/api/v1/statuses/{comment['id']}/context"),
        ("/api/v1/notifications", "/api/v1/notifications?limit=80"),
        ("/api/v1/notifications", "/api/v1/notifications?limit=80&types[]=mention"),
        ("/api/v1/conversations", "/api/v1/conversations?limit=40"),
    )
    for path, url in gets:
        answer = await client.http.get(url, headers=bearer)
        assert answer.status_code == 200, url
        content: Any = answer.json()
        assert content, url
        assert mastodon_problems(path, "get", 200, content) == [], url
        assert answer.headers["x-ratelimit-reset"].endswith("Z")

    files = {"file": ("dot.png", PIXEL, "image/png")}
    media = await client.http.post("/api/v2/media", headers=bearer, files=files, data={"description": "a dot"})
    assert mastodon_problems("/api/v2/media", "post", 200, media.json()) == []
    picture = await client.http.get(f"/api/v1/media/{media.json()['id']}", headers=bearer)
    assert mastodon_problems("/api/v1/media/{id}", "get", 200, picture.json()) == []
    said = {"status": "Hello #coffee", "media_ids[]": [media.json()["id"]]}
    wrote = await client.http.post("/api/v1/statuses", headers=bearer, data=said)
    assert wrote.json()["media_attachments"]
    assert mastodon_problems("/api/v1/statuses", "post", 200, wrote.json()) == []
    gone = await client.http.delete(f"/api/v1/statuses/{wrote.json()['id']}", headers=bearer)
    assert mastodon_problems("/api/v1/statuses/{id}", "delete", 200, gone.json()) == []
    assert gone.json()["text"] == "Hello #coffee"


async def test_what_people_attach_is_as_the_openapi_says(client: SandboxClient) -> None:
    attachments = [{"kind": kind, "name": "Our table"} for kind in ("picture", "video", "file")]
    comment = await client.act("coffee", "comment", attachments=attachments)
    answer = await client.http.get(f"/api/v1/statuses/{comment['id']}", headers=client.bearer())
    assert [one["type"] for one in answer.json()["media_attachments"]] == ["image", "video", "unknown"]
    assert mastodon_problems("/api/v1/statuses/{id}", "get", 200, answer.json()) == []


async def test_errors_answer_as_the_openapi_says(client: SandboxClient) -> None:
    get = client.http.get
    unknown = await get("/api/v1/accounts/lookup?acct=nobody")
    assert (unknown.status_code, unknown.json()) == (404, {"error": "Record not found"})
    assert mastodon_problems("/api/v1/accounts/lookup", "get", 404, unknown.json()) == []
    anonymous = await get("/api/v1/notifications")
    assert (anonymous.status_code, anonymous.json()) == (401, {"error": "The access token is invalid"})
    assert mastodon_problems("/api/v1/notifications", "get", 401, anonymous.json()) == []
