"""VK's published schema: every error code is classified, and the fake server's responses match it."""

import copy
import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft4Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

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
    Transient,
)
from app.platforms.errors import ErrorMeaning
from app.platforms.vk.adapter import Vk
from app.platforms.vk.errors import CODES
from tests.platforms.data import data
from tests.platforms.specimens import PIXEL
from tests.platforms.vk.server import GROUP, GROUP_TOKEN, METHODS, UPLOADED, USER_TOKEN, FakeVk, comment, message, post
from tests.platforms.vk.test_adapter import credentials, list_comments, list_messages, list_posts

CLASSES: dict[ErrorMeaning, type[PlatformError]] = {
    ErrorMeaning.THROTTLED: Throttled,
    ErrorMeaning.AUTH_EXPIRED: AuthExpired,
    ErrorMeaning.FORBIDDEN: MissingPermission,
    ErrorMeaning.GONE: Gone,
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
        "wall_access": ErrorMeaning.FORBIDDEN,
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


def without_boolean_required(schema: Any) -> Any:
    """VK's schema as JSON Schema, without the boolean `required` and `additionalProperties` of VK's own dialect.

    Missing properties are thus no error, since live responses lack some that the schema requires; nor are
    additional ones, since the schema forbids them in objects that it extends elsewhere.
    """
    if isinstance(schema, dict):
        return {
            key: without_boolean_required(value)
            for key, value in schema.items()
            if not (key in {"required", "additionalProperties"} and isinstance(value, bool))
        }
    return [without_boolean_required(value) for value in schema] if isinstance(schema, list) else schema


@cache
def registry() -> Registry[Any]:
    folder: Path = data("vk/schema")
    resources = [
        (path.as_uri(), Resource.from_contents(without_boolean_required(json.loads(path.read_text())), DRAFT4))
        for path in folder.rglob("*.json")
    ]
    return Registry[Any]().with_resources(resources)


def schema_errors(answer: object, file: str, name: str) -> list[str]:
    uri = f"{(data('vk/schema') / file).as_uri()}#/definitions/{name}"
    validator = Draft4Validator({"$ref": uri}, registry=registry())
    return [f"{'.'.join(map(str, e.absolute_path))}: {e.message}" for e in validator.iter_errors(answer)]


SERVER = {"url": "https://instep.example/", "title": "Instep", "secret_key": "s"}
FORMS: dict[str, tuple[str, dict[str, str]]] = {
    "groups.getById": ("groups_getById_object_response", {"group_id": "77"}),
    "wall.get": ("wall_get_response", {"owner_id": f"-{GROUP}", "offset": "0", "count": "100"}),
    "wall.getById": ("wall_getById_response", {"posts": f"-{GROUP}_1"}),
    "wall.getComments": (
        "wall_getComments_extended_response",
        {"offset": "0", "count": "100", "thread_items_count": "10"},
    ),
    "wall.createComment": ("wall_createComment_response", {}),
    "stats.getPostReach": ("stats_getPostReach_response", {"post_ids": "1"}),
    "messages.getConversations": ("messages_getConversations_response", {"offset": "0", "count": "200"}),
    "messages.getHistory": (
        "messages_getHistory_extended_response",
        {"offset": "0", "count": "200", "peer_id": "5"},
    ),
    "messages.send": ("messages_send_deprecated_response", {}),
    "photos.getWallUploadServer": ("photos_getWallUploadServer_response", {}),
    "photos.saveWallPhoto": (
        "photos_saveWallPhoto_response",
        {name: str(value) for name, value in UPLOADED.items()},
    ),
    "wall.post": ("wall_post_response", {}),
    "account.getAppPermissions": ("account_getAppPermissions_response", {}),
    "groups.getTokenPermissions": ("groups_getTokenPermissions_response", {}),
    "groups.getCallbackConfirmationCode": ("groups_getCallbackConfirmationCode_response", {}),
    "groups.getCallbackServers": ("groups_getCallbackServers_response", {}),
    "groups.addCallbackServer": ("groups_addCallbackServer_response", SERVER),
    "groups.editCallbackServer": ("groups_editCallbackServer_response", {"server_id": "1", **SERVER}),
    "groups.setCallbackSettings": ("groups_setCallbackSettings_response", {"server_id": "1"}),
    "groups.getCallbackSettings": ("groups_getCallbackSettings_response", {"server_id": "1"}),
}
OK = {"groups_editCallbackServer_response", "groups_setCallbackSettings_response"}
"""Methods that return 1."""


def populated_vk() -> FakeVk:
    return FakeVk(
        posts=[post(2), post(1, is_pinned=1, edited=1_760_000_100)],
        comments=[comment(10, 5), comment(11, -GROUP, (10,), reply_to_user=5, reply_to_comment=10)],
        messages=[message(1, 5), message(2, 5, out=True)],
        servers=[{**SERVER, "id": 1, "creator_id": 1, "status": "ok", "events": {"message_new"}}],
    )


async def answer(method: str, form: dict[str, str]) -> Any:
    token = USER_TOKEN if USER_TOKEN in METHODS[method] else GROUP_TOKEN
    async with populated_vk().client() as http:
        response = await http.post(
            f"https://api.vk.ru/method/{method}",
            data={"v": "5.199", **form},
            headers={"authorization": f"Bearer {token}"},
        )
    return response.json()


@pytest.mark.parametrize("method", FORMS)
async def test_responses_of_the_fake_match_the_schema(method: str) -> None:
    name, form = FORMS[method]
    file = f"{method.partition('.')[0]}/responses.json"
    if name in OK:
        file, name = "base/responses.json", "base_ok_response"
    response = await answer(method, form)
    assert schema_errors(response, file, name) == []
    broken = copy.deepcopy(response)
    broken["response"] = "not this"
    assert schema_errors(broken, file, name) != []


@pytest.mark.parametrize("method", METHODS)
def test_each_method_is_called_with_a_token_that_the_schema_allows(method: str) -> None:
    methods = json.loads(data(f"vk/schema/{method.partition('.')[0]}/methods.json").read_text())["methods"]
    [documented] = [m for m in methods if m["name"] == method]
    allowed = {"user": USER_TOKEN, "group": GROUP_TOKEN}
    if method == "wall.post":  # VK lets a community's token post, which its schema does not say
        documented["access_token_type"].append("group")
    assert {allowed[kind] for kind in documented["access_token_type"] if kind in allowed} >= METHODS[method]


async def test_parameters_are_in_the_schema() -> None:
    """Every parameter that the adapter sends is documented for its method."""
    fake = populated_vk()
    adapter = Vk(fake.client())
    await adapter.community(credentials())
    await list_posts(adapter)
    await adapter.metrics(credentials(), ("1",))
    await list_comments(adapter)
    await list_messages(adapter)
    ann = RemotePerson("5", "Ann")
    await adapter.reply(credentials(), ReplyTo("message-1", "t", MessageKind.MESSAGE, ann, None), "x", "k")
    await adapter.reply(credentials(), ReplyTo("comment-10", "t", MessageKind.COMMENT, ann, "1"), "x", "k")
    await adapter.publish(credentials(), OutgoingPost("Open", (Picture(PIXEL, "image/png"),)), "k")
    await adapter.inspect(credentials())
    for _ in range(2):
        await adapter.subscribe(credentials(), "https://instep.example/hook", {"secret": "s", "confirmation": ""})
    assert (await adapter.subscription(credentials(), "https://instep.example/hook")).subscribed
    assert {method for method, _ in fake.calls} == set(METHODS) == {*FORMS, "execute"}
    # The schema merges `owner_id` of wall.get into `domain`; the documentation has both. It knows no parameter
    # of execute.
    unlisted = {"wall.get": {"owner_id"}, "execute": {"code"}}
    for method, form in fake.calls:
        methods = json.loads(data(f"vk/schema/{method.partition('.')[0]}/methods.json").read_text())["methods"]
        [documented] = [m for m in methods if m["name"] == method]
        allowed = {p["name"] for p in documented.get("parameters", [])} | {"v"} | unlisted.get(method, set())
        assert set(form) <= allowed, (method, set(form) - allowed)
