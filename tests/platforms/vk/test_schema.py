"""VK's published schema: every error code is classified."""

import json
from collections import Counter
from typing import Any

import httpx

from app.platforms.contract import (
    AuthExpired,
    Gone,
    MissingPermission,
    PlatformError,
    Rejected,
    Throttled,
    Transient,
    Unreadable,
)
from app.platforms.errors import ErrorMeaning
from app.platforms.vk.adapter import Vk
from app.platforms.vk.errors import CODES
from tests.platforms.data import data
from tests.platforms.vk.server import FakeVk
from tests.platforms.vk.test_joins import JOINS

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


def test_every_answer_to_a_community_is_known() -> None:
    definitions = json.loads(data("vk/schema/callback/objects.json").read_text())["definitions"]
    assert definitions["callback_group_join_type"]["enum"] == list(JOINS)
