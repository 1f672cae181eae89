"""Requests to YouTube by Google's discovery document: methods, parameters and bodies."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.platforms.contract.stage import Subject
from tests.platforms.sent_requests import SentRequest
from tests.platforms.sent_requests.texts import text_problems
from tests.sandbox import test_youtube_schema as discovery

Json = Any

OTHER: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    "/token": (frozenset({"grant_type", "refresh_token", "client_id"}), frozenset({"client_secret"})),
    "/tokeninfo": (frozenset({"access_token"}), frozenset()),
}
"""Addresses outside the document, with required and optional parameters, by the documentation of Google's OAuth 2.0."""
EXCEPTIONS: Final[Mapping[str, Mapping[str, str]]] = {"youtube": {}}


def problems(sent: SentRequest, _: Subject) -> list[str]:
    return list(_other(sent) if sent.path in OTHER else _problems(sent))


def _other(sent: SentRequest) -> Iterator[str]:
    required, optional = OTHER[sent.path]
    names = {name for name, _ in (*sent.query, *sent.form)}
    yield from (f"{sent.path}: {name} is no parameter" for name in sorted(names - required - optional))
    yield from (f"{sent.path}: {name} is missing" for name in sorted(required - names))


def _problems(sent: SentRequest) -> Iterator[str]:
    document = discovery.document()
    described = next((
        one for resource in document["resources"].values() for one in resource.get("methods", {}).values()
        if (one["httpMethod"], f"/{one['flatPath']}") == (sent.method, sent.path)
    ), None)  # fmt: skip
    if described is None:
        yield f"{sent.method} {sent.path}: no such method"
        return
    at, parameters = described["id"], {**document["parameters"], **described["parameters"]}
    named: dict[str, list[str]] = {}
    for name, value in sent.query:
        named.setdefault(name, []).append(value)
        if name not in parameters:
            yield f"{at}: {name} is no parameter"
        else:
            yield from (f"{at}: {one}" for one in text_problems(name, value, parameters[name]))
    yield from (f"{at}: {name} is repeated" for name in named if len(named[name]) > 1 and name in parameters
                and not parameters[name].get("repeated"))  # fmt: skip
    yield from (f"{at}: {name} is missing" for name, one in parameters.items() if one.get("required")
                and name not in named)  # fmt: skip
    if "request" in described:
        yield from (f"{at}: {one}" for one in discovery.problems(described["request"]["$ref"], sent.json))
    elif sent.content:
        yield f"{at}: has no body"
