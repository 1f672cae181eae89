"""Every YouTube response of an active world is valid by Google's discovery document."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from sandbox.youtube import ids
from sandbox.youtube.errors import REASONS
from tests.platforms.data import data
from tests.sandbox.conftest import SandboxClient

API = "/youtube/v3"
SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "uint64": {"pattern": r"^(0|[1-9]\d{0,19})$"},
    "uint32": {"minimum": 0, "maximum": 2**32 - 1},
    "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
    "date-time": {"pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"},
}


@pytest.fixture(scope="session")
def platforms() -> tuple[str, ...]:
    return ("youtube",)


def _strict(schema: Any) -> Any:
    """The document as JSON Schema: no unlisted properties, formats as patterns."""
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    kept = {name: schema[name] for name in ("type", "enum") if name in schema}
    if "items" in schema:
        kept["items"] = _strict(schema["items"])
    if "properties" in schema:
        kept["properties"] = {name: _strict(one) for name, one in schema["properties"].items()}
        kept["additionalProperties"] = False
    elif "additionalProperties" in schema:
        kept["additionalProperties"] = _strict(schema["additionalProperties"])
    return {**kept, **SCHEMAS.get(schema.get("format", ""), {})}


@lru_cache(maxsize=1)
def document() -> Any:
    return json.loads(data("youtube/discovery/youtube.v3.json").read_text())


@lru_cache(maxsize=1)
def _definitions() -> Any:
    return {name: _strict(schema) for name, schema in document()["schemas"].items()}


def problems(name: str, answer: object) -> list[str]:
    """The violations in a response of the schema of that name."""
    validator = Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": _definitions()})
    return [f"{'/'.join(map(str, one.absolute_path))}: {one.message[:200]}" for one in validator.iter_errors(answer)]


def parameters(resource: str, method: str = "list") -> set[str]:
    return set(document()["resources"][resource]["methods"][method]["parameters"])


async def ask(client: SandboxClient, path: str, kind: str = "app", **query: object) -> httpx.Response:
    token = client.token("beanlab", kind)
    headers = {"x-goog-api-key": token} if kind == "app" else {"authorization": f"Bearer {token}"}
    return await client.http.get(f"{API}/{path}", params={k: str(v) for k, v in query.items()}, headers=headers)


async def test_every_list_answers_as_the_document_says(client: SandboxClient) -> None:
    c = client.world.communities["beanlab"]
    comment = await client.act("beanlab", "comment", text="Is it <good>?\nReally?")
    for number in range(8):
        await client.act("beanlab", "comment", text=f"It is {number}", post=comment["post"], parent=comment["id"])
    off = await client.act("beanlab", "post", text="No words\nplease", category="comments_off")
    shy = await client.act("beanlab", "post", text="No likes", category="likes_hidden")
    soon = await client.act("beanlab", "post", text="Soon", category="public_after:3600")
    never = await client.act("beanlab", "post", text="Never", category="private")
    root_comment_id = ids.comment(c.wall[int(comment["id"])], c.wall[int(comment["id"])])
    videos = [ids.video(c.wall[int(one["id"])]) for one in (off, shy, soon, never)]
    everything = "id,snippet,contentDetails,status,statistics,replies"
    channel = c.profile.external_id
    calls: list[tuple[str, str, dict[str, object], int]] = [
        ("channels", "Channel", {"id": channel}, 1),
        ("channels", "Channel", {"forHandle": "@beanlab"}, 1),
        ("channels", "Channel", {"forUsername": "nobody"}, 0),
        ("playlistItems", "PlaylistItem", {"playlistId": ids.uploads(c), "maxResults": 50}, 50),
        ("videos", "Video", {"id": ",".join(videos)}, 4),
        ("videos", "Video", {"id": "AAAAAAAAAAA"}, 0),
        ("commentThreads", "CommentThread", {"allThreadsRelatedToChannelId": channel, "maxResults": 100}, 100),
        ("commentThreads", "CommentThread", {"videoId": ids.video(c.wall[int(comment["post"])])}, 0),
        ("comments", "Comment", {"parentId": root_comment_id, "maxResults": 5}, 5),
    ]
    for path, name, query, least in calls:
        assert set(query) <= parameters(path), path
        for kind in ("app", "community"):
            answer = await ask(client, path, kind, part=everything, **query)
            assert answer.status_code == 200, answer.text
            assert problems(f"{name}ListResponse", answer.json()) == [], (path, query)
            if kind == "community" or path != "videos":
                assert len(answer.json().get("items", [])) >= least, (path, query)


async def test_an_answer_is_a_comment_as_the_document_says(client: SandboxClient) -> None:
    c = client.world.communities["beanlab"]
    comment_entry = c.wall[int((await client.act("beanlab", "comment"))["id"])]
    said = {"snippet": {"parentId": ids.comment(comment_entry, comment_entry), "textOriginal": "Yes & no"}}
    assert problems("Comment", said) == []
    answer = await client.http.post(
        f"{API}/comments", params={"part": "snippet"}, json=said, headers=client.bearer("beanlab")
    )
    assert answer.status_code == 200
    assert problems("Comment", answer.json()) == []
    assert answer.json()["snippet"]["textDisplay"] == "Yes &amp; no"


async def test_what_is_checked_can_fail() -> None:
    assert problems("VideoStatistics", {"viewCount": "12"}) == []
    assert problems("VideoStatistics", {"viewCount": 12})
    assert problems("VideoStatistics", {"viewCount": "012"})
    assert problems("VideoStatistics", {"shareCount": "12"})
    assert problems("CommentSnippet", {"publishedAt": "yesterday"})


@pytest.mark.parametrize("reason", sorted(REASONS))
async def test_errors_have_the_form_of_those_recorded(client: SandboxClient, reason: str) -> None:
    recorded = json.loads(data("youtube/python-youtube/testdata/error_response.json").read_text())
    effect = {"type": "platform_error", "code": reason}
    made = await client.http.post("/_sandbox/faults", json={"platform": "youtube", "effect": effect})
    assert made.status_code == 201
    said = (await ask(client, "channels")).json()
    assert set(recorded["error"]) <= set(said["error"]) <= {*recorded["error"], "status", "details"}
    assert {name: type(value) for name, value in said["error"]["errors"][0].items()} == {
        name: type(value) for name, value in recorded["error"]["errors"][0].items()
    }
    assert said["error"]["errors"][0]["reason"] == reason
