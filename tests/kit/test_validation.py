"""What is wrong with a request is said in texts of ours, not in pydantic's, which are for Python programmers."""

import re
from typing import Any, get_args

import pytest
from pydantic_core import core_schema
from pydantic_core._pydantic_core import list_all_errors

from app.kit.validation import TEXTS, field_errors, text
from tests.conftest import Agency

NOT_FROM_REQUESTS = {
    *("no_such_attribute", "needs_python_object", "recursion_loop", "frozen_field", "frozen_instance"),
    *("get_attribute_error", "dataclass_exact_type", "named_tuple_type", "default_factory_not_called"),
    *("iteration_error", "frozen_dict_type", "ordered_dict_type", "counter_type", "deque_type"),
    *("set_item_not_hashable", "missing_sentinel_error", "ellipsis_error", "is_instance_of", "is_subclass_of"),
    *("callable_type", "arguments_type", "missing_argument", "unexpected_keyword_argument"),
    *("missing_keyword_only_argument", "unexpected_positional_argument", "missing_positional_only_argument"),
    *("multiple_argument_values", "fraction_type", "fraction_parsing", "complex_type", "complex_str_parsing"),
}
"""pydantic's types of error of Python objects, which neither JSON nor a query can cause."""
OF_OURS = {"unknown_currency"}
"""Types of error that our validators add to pydantic's."""
OWN = {"value_error", "assertion_error"}
"""Those with a validator's own message."""
CONTEXTS: dict[str, Any] = {str(error["type"]): error["example_context"] or {} for error in list_all_errors()}
"""What pydantic tells of each type of error."""
LEAK = re.compile(r"Value error|Input should|dictionary|attribute|<\w+\.|[{}]")


def test_every_type_of_pydantic_has_a_text_or_cannot_occur() -> None:
    types = set(get_args(core_schema.ErrorType))
    assert set(TEXTS) - OF_OURS <= types
    assert types - set(TEXTS) - OWN == NOT_FROM_REQUESTS


@pytest.mark.parametrize("kind", sorted(TEXTS))
def test_a_text_has_what_pydantic_tells_of_the_error(kind: str) -> None:
    names = re.findall(r"{(\w+)}", TEXTS[kind])
    assert set(names) <= set(CONTEXTS.get(kind, ()))
    said = text({"type": kind, "ctx": dict.fromkeys(names, "7"), "msg": ""})
    assert said.endswith(".")
    assert not LEAK.search(said)
    assert all("7" in said for _ in names)


def test_members_of_enums_are_written_as_in_requests() -> None:
    expected = "<PlanStatus.DRAFT: 'draft'> or <PlanStatus.PLANNED: 'planned'>"
    assert text({"type": "literal_error", "ctx": {"expected": expected}}) == "Must be 'draft' or 'planned'."


def test_a_validators_own_message_becomes_a_sentence() -> None:
    assert text({"type": "value_error", "ctx": {"error": ValueError("must be a web address")}}) == (
        "Must be a web address."
    )
    assert text({"type": "value_error", "ctx": {"error": ValueError()}}) == text({"type": "of another version"})


def test_a_caller_cannot_make_the_answer_large_or_invalid() -> None:
    error: dict[str, Any] = {"type": "extra_forbidden", "loc": ("body", "\ud800" * 1000)}
    errors = field_errors([error] * 1000)
    assert len(errors) == 100
    assert errors[0]["field"] == "?" * 200


@pytest.mark.parametrize(
    ("path", "body", "field", "detail"),
    [
        ("/v1/projects", [], None, "Give a JSON object."),
        ("/v1/projects", {"title": 1, "timezone": "UTC"}, "title", "Give a string."),
        ("/v1/projects", {"title": "x", "timezone": "Mars"}, "timezone", "Must be the name of an IANA time zone"),
        ("/v1/api-keys", {"title": "x", "permissions": ["all"]}, "permissions.0", "Must be 'workspace:read', "),
        ("/v1/api-keys", {"title": "x", "expires_at": "tomorrow"}, "expires_at", "Must be written like 2026-10-01T"),
    ],
)
async def test_it_is_said_so_over_http(agency: Agency, path: str, body: Any, field: str | None, detail: str) -> None:
    problem = await agency.post(path, body, 422)
    (error,) = problem["errors"]
    assert error["field"] == field
    assert error["detail"].startswith(detail)


async def test_a_post_that_is_no_plan_is_told_the_plans(agency: Agency) -> None:
    """In a bulk call too, whose items are parsed one by one."""
    post = {"community_id": "x", "text": "x", "category": "engaging", "status": "published"}
    for problem in (
        await agency.post("/v1/posts", post, 422),
        await agency.post("/v1/posts/bulk?atomic=true", {"items": [post]}, 422),
    ):
        details = {one["field"].removeprefix("items.0."): one["detail"] for one in problem["errors"]}
        assert details["status"] == "Must be 'draft' or 'planned'."
        assert not any(LEAK.search(detail) for detail in details.values())


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("application/merge-patch+json", 201),
        ("Application/JSON", 201),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonx", 415),
        (None, 415),
    ],
)
async def test_a_body_must_say_that_it_is_json(agency: Agency, content_type: str | None, status: int) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = await agency.http.post("/v1/projects", content=b'{"title": "x", "timezone": "UTC"}', headers=headers)
    assert answer.status_code == status
    if status == 415:
        assert answer.json()["code"] == "unsupported-media-type"
