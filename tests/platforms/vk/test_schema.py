"""VK's published schema: every error code is classified, and the adapter's requests match it."""

import json
from collections import Counter
from contextlib import suppress
from typing import Any, Final

import httpx

from app.platforms.capabilities import OutgoingPost, Picture, ReplyTo
from app.platforms.contract import (
    AuthExpired,
    Gone,
    MessageKind,
    MissingPermission,
    PlatformError,
    Rejected,
    RemotePerson,
    Throttled,
    Token,
    Transient,
    Unreadable,
)
from app.platforms.errors import ErrorMeaning
from app.platforms.vk.adapter import Vk
from app.platforms.vk.errors import CODES
from tests.platforms.calls import reads
from tests.platforms.contract.stage import staged
from tests.platforms.data import data
from tests.platforms.specimens import PIXEL
from tests.platforms.vk.server import FakeVk

METHODS: Final = {
    *("groups.getById", "wall.get", "wall.getById", "wall.getComments", "wall.createComment", "wall.post", "execute"),
    *("messages.getConversations", "messages.getHistory", "messages.send", "photos.getWallUploadServer"),
    *("photos.saveWallPhoto", "account.getAppPermissions", "groups.getTokenPermissions"),
    *("groups.getCallbackConfirmationCode", "groups.getCallbackServers", "groups.addCallbackServer"),
    *("groups.editCallbackServer", "groups.setCallbackSettings", "groups.getCallbackSettings"),
}
"""Every method that the adapter calls by itself; stats.getPostReach is called within execute."""

CLASSES: dict[ErrorMeaning, type[PlatformError]] = {
    ErrorMeaning.THROTTLED: Throttled,
    ErrorMeaning.AUTH_EXPIRED: AuthExpired,
    ErrorMeaning.FORBIDDEN: MissingPermission,
    ErrorMeaning.GONE: Gone,
    ErrorMeaning.UNREADABLE: Unreadable,
    ErrorMeaning.UNAVAILABLE: Transient,
    ErrorMeaning.REJECTED: Rejected,
}


def errors() -> dict[str, dict[str, Any]]:
    documented: dict[str, dict[str, Any]] = json.loads(data("vk/schema/errors.json").read_text())["errors"]
    return documented


def test_every_documented_error_is_classified() -> None:
    adapter, counts = Vk(FakeVk().client()), Counter[str]()
    for error in errors().values():
        code = error["code"]
        assert code in CODES, f"{code} {error['description']}"
        classified = adapter.classify(httpx.Response(200, json={"error": {"error_code": code}}))
        assert type(classified) is CLASSES[CODES[code]]
        assert classified.platform_code == str(code)
        counts[type(classified).__name__] += 1
    print(counts)  # noqa: T201 — the counts are what this test is read for
    assert counts.total() == len(errors()) > 200


def test_errors_that_name_a_cause_have_its_class() -> None:
    """The names of errors in the schema against the table of codes."""
    meanings = {
        "access_token_has_expired": ErrorMeaning.AUTH_EXPIRED,
        "too_many": ErrorMeaning.THROTTLED,
        "flood": ErrorMeaning.THROTTLED,
        "rate_limit": ErrorMeaning.THROTTLED,
        "unknown_group": ErrorMeaning.GONE,
        "group_auth": ErrorMeaning.AUTH_EXPIRED,
        "api_error_permission": ErrorMeaning.FORBIDDEN,
        "wall_access": ErrorMeaning.UNREADABLE,
        "api_error_server": ErrorMeaning.UNAVAILABLE,
        "api_error_param": ErrorMeaning.REJECTED,
    }
    relevant = {name: error for name, error in errors().items() if error.get("global") or "wall_access" in name}
    for name_part, meaning in meanings.items():
        matches = [
            error for name, error in relevant.items() if name.endswith(name_part) or name_part == "wall_access" in name
        ]
        for error in matches:
            assert CODES[error["code"]] is meaning, error


async def test_requests_are_as_the_schema_says() -> None:
    """Every parameter that the adapter sends is documented for its method, and the token is one that it accepts."""
    async with staged("vk", Vk) as s:
        adapter = Vk(s.http)
        post = s.post()["id"]
        comment, message = s.comment(post), s.message()
        calls = reads(adapter, s.about)
        for name, call in calls.items():
            with suppress(PlatformError):  # the specimen's post does not exist
                await call(s.c)
            assert s.transport.requests, name
        await adapter.comments(s.c, post, None)
        await adapter.metrics(s.c, (post,))
        page = await adapter.conversations(s.c, None)
        await adapter.conversations(s.c, page.cursor)
        person = RemotePerson(str(message["person"]), "Ann")
        for external_id, message_kind, post_id in (
            (f"message-{message['id']}", MessageKind.MESSAGE, None),
            (f"comment-{comment['id']}", MessageKind.COMMENT, post),
        ):
            await adapter.reply(s.c, ReplyTo(external_id, "t", message_kind, person, post_id), "x", "k")
        await adapter.publish(s.c, OutgoingPost("Open", (Picture(PIXEL, "image/png"),)), "k")
        for _ in range(2):
            await adapter.subscribe(s.c, "https://instep.example/hook", {"secret": "s", "confirmation": ""})
        await adapter.subscription(s.c, "https://instep.example/hook")
        kinds = {
            token: {Token.USER: "user", Token.COMMUNITY: "group"}[kind]
            for kind, token in s.c.tokens.items()
            if kind is not Token.REFRESH
        }
        forms = [
            (
                request.url.path.rpartition("/")[2],
                dict(httpx.QueryParams(request.content.decode())),
                kinds[request.headers["authorization"].removeprefix("Bearer ")],
            )
            for request in s.transport.requests
            if request.url.path.startswith("/method/")
        ]
    # The schema merges `owner_id` of wall.get into `domain`; the documentation has both. It knows no parameter
    # of execute, and does not say that VK lets a community's token post.
    unlisted = {"wall.get": {"owner_id"}, "execute": {"code"}}
    assert {method for method, *_ in forms} == METHODS
    for method, form, kind in forms:
        methods = json.loads(data(f"vk/schema/{method.partition('.')[0]}/methods.json").read_text())["methods"]
        [documented] = [m for m in methods if m["name"] == method]
        allowed = {p["name"] for p in documented.get("parameters", [])} | {"v"} | unlisted.get(method, set())
        assert set(form) <= allowed, (method, set(form) - allowed)
        assert kind in documented["access_token_type"] or method == "wall.post", method
