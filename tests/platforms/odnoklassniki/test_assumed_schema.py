"""The wire models against the assumed format of Odnoklassniki's responses."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from pydantic import TypeAdapter, ValidationError

from app.platforms.odnoklassniki import wire_models as ok
from tests.platforms.odnoklassniki.assumed_schema import ASSUMED

PARSERS: Final[Mapping[str, TypeAdapter[Any]]] = {
    "error": ok.FAILURE,
    "oauth": ok.GRANTED,
    "oauth error": ok.OAUTH_FAILURE,
    "url.getInfo": ok.TARGET,
    "group.getInfo": ok.GROUPS,
    "group.getStatTopics": ok.STATS,
    "mediatopic.getByIds": ok.TOPICS,
    "mediatopic.post": ok.MADE_TOPIC,
    "discussions.getComments": ok.COMMENTS,
    "discussions.addDiscussionComment": ok.MADE_COMMENT,
    "photosV2.getUploadUrl": ok.UPLOAD,
    "upload": ok.UPLOADED,
    "users.hasAppPermission": ok.PERMITTED,
    "graph info": ok.OWNER,
    "graph chats": ok.CHATS,
    "graph messages": ok.MESSAGES,
    "graph send": ok.SENT_MESSAGE,
    "graph subscriptions": ok.HOOKS,
    "graph done": ok.DONE,
    "hook": ok.MESSAGE,
}
"""The parser of each response that the adapter reads."""


def _answers() -> Iterator[Any]:
    for name, parser in PARSERS.items():
        yield pytest.param(parser, ASSUMED[name].example, id=name)
        for path, reduced in ASSUMED[name].without_each_optional():
            yield pytest.param(parser, reduced, id=f"{name} without {path}")


@pytest.mark.parametrize(("parser", "answer"), list(_answers()))
def test_optional_fields_may_be_missing(parser: TypeAdapter[Any], answer: object) -> None:
    parser.validate_json(json.dumps(answer))


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_another_response_is_rejected(name: str) -> None:
    """An error above all is no valid response. Null is valid where a list is expected."""
    others = [{"error_code": 1, "error_msg": "x"}, None, {}, [1], {"id": None}]
    accepted = {"error": others[:1], "oauth error": others[:1], "group.getInfo": others[1:2]}.get(name, [])
    for other in [one for one in others if one not in accepted]:
        with pytest.raises(ValidationError):
            PARSERS[name].validate_json(json.dumps(other))


def test_a_wrong_type_is_rejected_in_most_fields() -> None:
    rejected = 0
    for name, parser in PARSERS.items():
        for wrong in _with_one_value_spoilt(ASSUMED[name].example):
            try:
                parser.validate_json(json.dumps(wrong))
            except ValidationError:
                rejected += 1
    assert rejected >= 50, "most fields are read"


def _with_one_value_spoilt(example: Any) -> Iterator[Any]:
    """The example with each value in turn replaced by one of a wrong type."""
    if isinstance(example, dict):
        for name, value in example.items():
            yield from ({**example, name: wrong} for wrong in _with_one_value_spoilt(value))
    elif isinstance(example, list):
        yield from ([wrong, *example[1:]] for wrong in _with_one_value_spoilt(example[0]))
    else:
        yield {"unlike": "anything"}


@pytest.mark.parametrize("name", sorted(ASSUMED))
def test_every_assumption_has_a_source_and_a_valid_example(name: str) -> None:
    assert ASSUMED[name].source
    assert not ASSUMED[name].problems(ASSUMED[name].example)


LISTS: Final = {
    "group.getInfo": "", "group.getStatTopics": "topics", "mediatopic.getByIds": "media_topics",
    "discussions.getComments": "comments", "graph chats": "chats", "graph messages": "messages",
    "graph subscriptions": "subscriptions",
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_is_null_is_empty(name: str) -> None:
    """According to the documentation of the REST API."""
    parsed = PARSERS[name].validate_json(json.dumps({LISTS[name]: None} if LISTS[name] else None))
    assert (getattr(parsed, LISTS[name]) if LISTS[name] else parsed) == ()


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_optional_fields_may_be_null(name: str) -> None:
    """Each optional field may be null."""
    for path in sorted(ASSUMED[name].optional):
        PARSERS[name].validate_json(json.dumps(_nulled(ASSUMED[name].example, path.split("."))))


def _nulled(example: Any, path: list[str]) -> Any:
    if isinstance(example, list):
        return [_nulled(one, path) for one in example]
    first, *rest = path
    return {name: (_nulled(it, rest) if rest else None) if name == first else it for name, it in example.items()}


@pytest.mark.parametrize("form", ["MTIz", {"comment_id": "MTIz"}, {"id": "MTIz"}, {"comment": {"id": "MTIz"}}])
def test_the_id_of_a_new_comment_in_every_format(form: object) -> None:
    assert ok.MADE_COMMENT.validate_json(json.dumps(form)) == "MTIz"
