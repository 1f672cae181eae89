"""A fake VK API server: a wall that may change between requests, and the exact forms of what is sent.

It checks which token a method accepts. What it shares with VK otherwise is proved with the sandbox (`test_sandbox`).
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from app.platforms.contract import Credentials, Token
from app.platforms.vk.adapter import Vk

GROUP = 77
USER_TOKEN = "vk-user-token-123"
GROUP_TOKEN = "vk-group-token-456"
START = 1_760_000_000
METHODS = {
    "wall.get": {USER_TOKEN},
    "wall.getById": {USER_TOKEN},
    "wall.createComment": {USER_TOKEN, GROUP_TOKEN},
    "stats.getPostReach": {USER_TOKEN},
    "execute": {USER_TOKEN, GROUP_TOKEN},
    "messages.send": {GROUP_TOKEN},
    "photos.getWallUploadServer": {USER_TOKEN},
    "photos.saveWallPhoto": {USER_TOKEN},
    "wall.post": {USER_TOKEN, GROUP_TOKEN},
    "account.getAppPermissions": {USER_TOKEN},
    "groups.getTokenPermissions": {GROUP_TOKEN},
}
UPLOADED = {"server": 857416, "photo": '[{"photo": "5f3a"}]', "hash": "abc"}


def post(key: int, **changes: object) -> dict[str, Any]:
    return {
        "inner_type": "wall_wallpost",
        "id": key,
        "owner_id": -GROUP,
        "from_id": -GROUP,
        "date": START + key // 2,
        "text": f"post {key}",
        "post_type": "post",
        "likes": {"can_like": 1, "count": key, "user_likes": 0},
        "comments": {"count": 2},
        "reposts": {"count": 3},
        "views": {"count": 1000},
        **changes,
    }


def comment(key: int, by: int, stack: tuple[int, ...] = (), **changes: object) -> dict[str, Any]:
    return {
        "id": key,
        "from_id": by,
        "post_id": 1,
        "owner_id": -GROUP,
        "date": START + key,
        "text": f"comment {key}",
        "parents_stack": list(stack),
        **changes,
    }


def message(key: int, peer: int, *, out: bool = False, **changes: object) -> dict[str, Any]:
    return {
        "id": key,
        "peer_id": peer,
        "from_id": -GROUP if out else peer,
        "out": int(out),
        "date": START + key,
        "text": f"message {key}",
        "conversation_message_id": key,
        "version": 1,
        **changes,
    }


BOTH = {Token.USER: USER_TOKEN, Token.COMMUNITY: GROUP_TOKEN}


def credentials(tokens: Mapping[Token, str] = BOTH, external_id: str | None = str(GROUP)) -> Credentials:
    return Credentials("https://vk.com/coffee", "https://api.vk.ru", external_id, tokens)


def answering(answer: object) -> Vk:
    return Vk(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=answer))))


@dataclass
class FakeVk:
    """Serves its fields; `after_call` is called after each response and may change them."""

    posts: list[dict[str, Any]] = field(default_factory=list)
    """Latest first, the pinned post in its place by date."""
    reach_errors: dict[int, int] = field(default_factory=dict)
    """Error codes of `stats.getPostReach` by community."""
    errors: dict[str, int] = field(default_factory=dict)
    mask: int = (1 << 2) + (1 << 13) + (1 << 20)
    uploads: list[httpx.Request] = field(default_factory=list)
    uploaded: dict[str, Any] = field(default_factory=lambda: UPLOADED)
    after_call: Callable[[], None] = lambda: None
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/upload.php":
            self.uploads.append(request)
            return httpx.Response(200, json=self.uploaded)
        method = request.url.path.rpartition("/")[2]
        form = dict(httpx.QueryParams(request.content.decode()))
        assert request.method == "POST"
        assert form["v"] == "5.199"
        assert not request.url.query
        self.calls.append((method, form))
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in {USER_TOKEN, GROUP_TOKEN}:
            answer = self.error(5)
        elif token not in METHODS[method]:
            answer = self.error(27)
        elif method in self.errors:
            answer = self.error(self.errors[method])
        elif method == "execute":
            answer = self._execute(form)
        else:
            answer = {"response": getattr(self, "_" + method.replace(".", "_"))(form)}
        response = httpx.Response(200, json=answer)  # serialised before `after_call` changes the state
        self.after_call()
        return response

    @staticmethod
    def error(code: int) -> dict[str, Any]:
        params = [{"key": "access_token", "value": USER_TOKEN}]
        return {"error": {"error_code": code, "error_msg": f"no, {GROUP_TOKEN}", "request_params": params}}

    def wall(self) -> list[dict[str, Any]]:
        return sorted(self.posts, key=lambda p: not p.get("is_pinned", 0))

    def _wall_get(self, form: dict[str, str]) -> object:
        offset, count = int(form["offset"]), int(form["count"])
        assert count <= 100
        assert form["owner_id"] == f"-{GROUP}"
        return {"count": len(self.posts), "items": self.wall()[offset : offset + count]}

    def _wall_getById(self, form: dict[str, str]) -> object:  # noqa: N802 — VK's name
        requested = form["posts"].split(",")
        return {"items": [p for p in self.posts if f"{p['owner_id']}_{p['id']}" in requested]}

    def _execute(self, form: dict[str, str]) -> dict[str, Any]:
        """Runs calls of `stats.getPostReach`; `errors` apply to all of them, `reach_errors` to one community's."""
        calls = re.findall(r"API\.stats\.getPostReach\((\{.*?\})\)", form["code"])
        assert form["code"] == f"return [{','.join(f'API.stats.getPostReach({params})' for params in calls)}];"
        assert 0 < len(calls) <= 25
        self.calls += [("stats.getPostReach", json.loads(params)) for params in calls]
        results: list[object] = []
        errors = []
        for params in map(json.loads, calls):
            code = self.errors.get("stats.getPostReach", self.reach_errors.get(-params["owner_id"]))
            results.append(False if code is not None else self._stats_getPostReach(params))
            errors += [{"method": "stats.getPostReach", "error_code": code, "error_msg": "no"}] if code else []
        return {"response": results} | ({"execute_errors": errors} if errors else {})

    def _stats_getPostReach(self, form: dict[str, str]) -> object:  # noqa: N802 — VK's name
        ids = [int(part) for part in form["post_ids"].split(",")]
        assert len(ids) <= 30
        return [{"post_id": i, "reach_total": i * 10, "reach_subscribers": i} for i in ids]

    def _messages_send(self, form: dict[str, str]) -> object:
        return 900

    def _wall_createComment(self, form: dict[str, str]) -> object:  # noqa: N802 — VK's name
        return {"comment_id": 901, "parents_stack": []}

    def _photos_getWallUploadServer(self, form: dict[str, str]) -> object:  # noqa: N802 — VK's name
        return {"album_id": -14, "upload_url": "https://pu.vk.com/upload.php?act=do_add", "user_id": 1}

    def _photos_saveWallPhoto(self, form: dict[str, str]) -> object:  # noqa: N802 — VK's name
        assert {name: form[name] for name in UPLOADED} == {name: str(value) for name, value in UPLOADED.items()}
        photo = {"id": 70 + len(self.uploads), "owner_id": 1, "album_id": -14, "date": START, "has_tags": False}
        return [{**photo, "access_key": "key"}]

    def _wall_post(self, form: dict[str, str]) -> object:
        return {"post_id": 902}

    def _account_getAppPermissions(self, form: dict[str, str]) -> object:  # noqa: N802 — VK's name
        return self.mask

    def _groups_getTokenPermissions(self, form: dict[str, str]) -> object:  # noqa: N802 — VK's name
        return {"mask": 4096, "permissions": [{"name": "messages", "setting": 4096}]}
