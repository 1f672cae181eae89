"""The adapter's expectations against what is written down of Odnoklassniki's answers."""

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
"""What understands each answer. The adapter does not ask for the others."""


def _answers() -> Iterator[Any]:
    for name, parser in PARSERS.items():
        yield pytest.param(parser, ASSUMED[name].example, id=name)
        for path, lean in ASSUMED[name].without_each_optional():
            yield pytest.param(parser, lean, id=f"{name} without {path}")


@pytest.mark.parametrize(("parser", "answer"), list(_answers()))
def test_the_adapter_needs_nothing_that_may_be_missing(parser: TypeAdapter[Any], answer: object) -> None:
    parser.validate_json(json.dumps(answer))


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_the_adapter_takes_no_answer_for_another(name: str) -> None:
    """An error, above all, is never a good answer. Null is an empty list, where a list is answered."""
    others = [{"error_code": 1, "error_msg": "x"}, None, {}, [1], {"id": None}]
    accepted = {"error": others[:1], "oauth error": others[:1], "group.getInfo": others[1:2]}.get(name, [])
    for other in [one for one in others if one not in accepted]:
        with pytest.raises(ValidationError):
            PARSERS[name].validate_json(json.dumps(other))


def test_a_wrong_type_is_seen_in_every_field_that_is_read() -> None:
    seen = 0
    for name, parser in PARSERS.items():
        for wrong in _with_one_value_spoilt(ASSUMED[name].example):
            try:
                parser.validate_json(json.dumps(wrong))
            except ValidationError:
                seen += 1
    assert seen >= 50, "of the fields, most are read"


def _with_one_value_spoilt(example: Any) -> Iterator[Any]:
    """The example with one value in turn of a type that it never has."""
    if isinstance(example, dict):
        for name, value in example.items():
            yield from ({**example, name: wrong} for wrong in _with_one_value_spoilt(value))
    elif isinstance(example, list):
        yield from ([wrong, *example[1:]] for wrong in _with_one_value_spoilt(example[0]))
    else:
        yield {"unlike": "anything"}


@pytest.mark.parametrize("name", sorted(ASSUMED))
def test_every_assumption_says_where_it_was_seen(name: str) -> None:
    assert ASSUMED[name].source
    assert not ASSUMED[name].problems(ASSUMED[name].example)


LISTS: Final = {
    "group.getInfo": "", "group.getStatTopics": "topics", "mediatopic.getByIds": "media_topics",
    "discussions.getComments": "comments", "graph chats": "chats", "graph messages": "messages",
    "graph subscriptions": "subscriptions",
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_is_null_is_empty(name: str) -> None:
    """Says the documentation of the REST API."""
    parsed = PARSERS[name].validate_json(json.dumps({LISTS[name]: None} if LISTS[name] else None))
    assert (getattr(parsed, LISTS[name]) if LISTS[name] else parsed) == ()


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_null_is_as_good_as_nothing(name: str) -> None:
    """Each part that need not be there may be null."""
    for path in sorted(ASSUMED[name].optional):
        PARSERS[name].validate_json(json.dumps(_nulled(ASSUMED[name].example, path.split("."))))


def _nulled(example: Any, path: list[str]) -> Any:
    if isinstance(example, list):
        return [_nulled(one, path) for one in example]
    first, *rest = path
    return {name: (_nulled(it, rest) if rest else None) if name == first else it for name, it in example.items()}


@pytest.mark.parametrize("form", ["MTIz", {"comment_id": "MTIz"}, {"id": "MTIz"}, {"comment": {"id": "MTIz"}}])
def test_whatever_a_new_comment_is_answered_with(form: object) -> None:
    assert ok.MADE_COMMENT.validate_json(json.dumps(form)) == "MTIz"
