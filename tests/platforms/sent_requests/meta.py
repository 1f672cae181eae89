"""Requests to Graph by the specifications of Meta's business SDK: objects, edges, fields and parameters.

The specifications have no ids of their own: what an id is of is taken from the sandbox's ids.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from app.platforms.contract import Token
from app.platforms.meta.calls import VERSION
from sandbox.graph import ids
from sandbox.graph.query import Field, parsed
from tests.platforms.contract.stage import Subject
from tests.platforms.data import data
from tests.platforms.sent_requests import SentRequest

Json = Any

OF_EVERY_READ: Final = {"fields": "string", "limit": "unsigned int", "after": "string", "before": "string"}
"""Parameters of Graph itself, which are in no specification: https://developers.facebook.com/docs/graph-api/results."""
OF_EVERY_REQUEST: Final = {"appsecret_proof": "string", "access_token": "string"}
OF_EDGES: Final = {"limit", "after", "filter", "order", "summary", "since"}
"""The modifiers of an edge within `fields`: those of Graph itself, and `summary`."""
FILES: Final = {"source"}
"""The field of an uploaded file; in no specification."""
OF_NODES: Final = {"mentioned_media": "media_id", "mentioned_comment": "comment_id"}
"""Fields that are read with an id, by the name of its modifier."""
ENDPOINTS: Final[Mapping[tuple[str, str], Mapping[str, str]]] = {
    ("GET", "debug_token"): {"input_token": "string"},
    ("POST", "oauth/access_token"): {
        "grant_type": "string", "client_id": "string", "client_secret": "string", "fb_exchange_token": "string",
    },
}  # fmt: skip
"""Endpoints outside the specifications, with their required parameters, by the documentation of access tokens."""
EXCEPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "facebook": {},
    "instagram": {
        "POST IGUserForIGOnlyAPI/media_publish: no such request":
            "the specification calls it `mediapublish`; the documentation of Instagram's own login `media_publish`",
    },
}  # fmt: skip
OUTSIDE: Final[Mapping[str, frozenset[str]]] = {
    "UnifiedMessage": frozenset({"id", "created_time", "from", "to", "message", "attachments", "shares"}),
    "ContentPublishingLimitResponse": frozenset({"quota_usage", "config"}),
}
"""Types of which Meta publishes no specification, with their documented fields:
https://developers.facebook.com/docs/graph-api/reference/message and
https://developers.facebook.com/docs/instagram-platform/instagram-graph-api/reference/ig-user/content_publishing_limit."""
RETURNS: Final[Mapping[tuple[str, str], str]] = {
    ("IGUserForIGOnlyAPI", "Media"): "IGMediaForIGOnlyAPI",
    ("IGMediaForIGOnlyAPI", "Comment"): "IGComment",
}
"""With Instagram's own login, the specifications call what its edges return by the name of another type."""
BY_LOGIN: Final = {
    Token.COMMUNITY: {"account": "IGUser", "media": "IGMedia"},
    Token.USER: {"account": "IGUserForIGOnlyAPI", "media": "IGMediaForIGOnlyAPI"},
}
"""The specifications of Instagram's account and media, by the kind of token."""
OF_IDS: Final = {
    ids.IG_COMMENT: "IGComment", ids.CONTAINER: "ShadowIGMediaBuilder", ids.TAGGED: "IGMedia", ids.CHILD: "IGMedia",
}  # fmt: skip


@cache
def specification(kind: str) -> Json:
    """None where Meta publishes none of this name."""
    path = data("meta/api_specs") / f"{kind}.json"
    return json.loads(path.read_text()) if path.exists() else None


def parameters(kind: str, method: str, edge: str) -> Mapping[str, Json] | None:
    """The parameters of a request by name; None where the object has no such edge or takes no such request."""
    for api in specification(kind)["apis"]:
        if api["method"] == method and (api.get("endpoint") or "").strip("/") == edge:
            return {one["name"]: one for one in api["params"]}
    return None


# ── requests ──────────────────────────────────────────────────────────────────────────────────────


def problems(sent: SentRequest, s: Subject) -> list[str]:
    """What a request contains that is not in the specification of the object that it is sent to."""
    path = sent.path.removeprefix(f"/{VERSION}").strip("/")
    if path == "" and sent.method == "POST":
        return list(_batch(sent, s))
    named = [*sent.query, *sent.form]
    method = next((value.upper() for name, value in named if name == "method"), sent.method)
    return list(_request(s, method, path, [one for one in named if one[0] != "method"], sent.token, set(sent.files)))


def _batch(sent: SentRequest, s: Subject) -> Iterator[str]:
    form = dict(sent.form)
    unknown = form.keys() - {"batch", "include_headers", *OF_EVERY_REQUEST}
    yield from (f"a batch: {name} is no parameter" for name in sorted(unknown))
    for one in json.loads(form["batch"]):
        unknown = one.keys() - {"method", "relative_url", "body"}
        yield from (f"a batch: {name} is no part of a request" for name in sorted(unknown))
        path, _, query = one["relative_url"].partition("?")
        named = [(name, value) for name, _, value in (part.partition("=") for part in query.split("&"))]
        yield from _request(s, one["method"], path.removeprefix(f"{VERSION}/"), named, sent.token, set())


def _request(
    s: Subject, method: str, path: str, named: Sequence[tuple[str, str]], token: str, files: set[str]
) -> Iterator[str]:
    if (required := ENDPOINTS.get((method, path))) is not None:
        described = {name: {"type": type_, "required": True} for name, type_ in required.items()}
        yield from _named(f"{method} {path}", described, named, {})
        return
    node, _, edge = path.partition("/")
    kind = kind_of(s, node, token)
    if kind is None:
        yield f"{method} {re.sub(r'[0-9]+', 'N', path)}: no such object"
        return
    at = f"{method} {kind}/{edge}".rstrip("/")
    allowed = parameters(kind, method, edge)
    if allowed is None:
        yield f"{at}: no such request"
        allowed = {}
    else:
        yield from _named(at, allowed, named, OF_EVERY_READ if method == "GET" else {"fields": "string"})
    yield from (f"{at}: {name} is no file" for name in sorted(files - FILES))
    # A subscription has a parameter of its own of this name.
    if "fields" not in allowed and (fields := dict(named).get("fields")):
        yield from _fields(_result(kind, method, edge) if edge else kind, parsed(fields))


def _named(
    at: str, allowed: Mapping[str, Json], named: Sequence[tuple[str, str]], more: Mapping[str, str]
) -> Iterator[str]:
    """Unknown parameters, missing ones, and values of another type. `more`: types of further parameters."""
    types = {**OF_EVERY_REQUEST, **more, **{name: one["type"] for name, one in allowed.items()}}
    present: set[str] = set()
    for indexed, value in named:
        name = re.sub(r"\[\d+\]$", "", indexed)
        present.add(name)
        if name not in types:
            yield f"{at}: {name} is no parameter"
        elif not fits(value, types[name] if name == indexed else re.sub(r"^list<(.*)>$", r"\1", types[name])):
            yield f"{at}: {name} is no {types[name]}"
    for name, one in allowed.items():
        if one["required"] and name not in present:
            yield f"{at}: {name} is missing"


def fits(value: str, kind: str) -> bool:
    """Whether a parameter's text is of this type of the specifications."""
    if kind.startswith("list"):
        inner = kind[len("list<") : -1]
        if not value.startswith("["):
            return all(fits(one, inner) for one in value.split(","))
        try:
            return all(fits(one if isinstance(one, str) else json.dumps(one), inner) for one in json.loads(value))
        except ValueError:
            return False
    match kind:
        case "bool":
            return value in {"true", "false", "1", "0"}
        case "int" | "unsigned int":
            return re.fullmatch(r"-?\d+" if kind == "int" else r"\d+", value) is not None
        case "map":
            return value.startswith("{") and _is_object(value)
        case "Object":  # of an unnamed type: text, or an object
            return bool(value) and (not value.startswith("{") or _is_object(value))
    return bool(value)


def _is_object(value: str) -> bool:
    try:
        return isinstance(json.loads(value), dict)
    except ValueError:
        return False


# ── fields ────────────────────────────────────────────────────────────────────────────────────────


def _result(kind: str, method: str, edge: str) -> str | None:
    """The kind of objects that an edge returns."""
    for api in specification(kind)["apis"]:
        if api["method"] == method and (api.get("endpoint") or "").strip("/") == edge:
            name = str(api["return"])
            return RETURNS.get((kind, name), name)
    return None


def _fields(kind: str | None, fields: Sequence[Field]) -> Iterator[str]:
    """The fields of a `fields` parameter that objects of this kind do not have."""
    spec = None if kind is None else specification(kind)
    if kind is None or spec is None:
        yield from (f"fields of {kind}: no {one.name}" for one in fields if one.name not in OUTSIDE.get(str(kind), ()))
        return
    types = {one["name"]: one["type"] for one in spec["fields"]}
    for one in fields:
        edge = parameters(kind, "GET", one.name)
        if one.name not in types and edge is None:
            yield f"fields of {kind}: no {one.name}"
            continue
        modifiers = OF_EDGES | edge.keys() if edge is not None else {OF_NODES.get(one.name)}
        yield from (f"fields of {kind}: {one.name} takes no {name}" for name in one.args if name not in modifiers)
        if one.name == "insights":
            yield from _insights(kind, one)
        if one.below is not None:
            yield from _fields(_result(kind, "GET", one.name) if edge is not None else types[one.name], one.below)


def _insights(kind: str, one: Field) -> Iterator[str]:
    """Metrics and periods that do not exist. Those of a Page's posts are published nowhere as data."""
    listed = json.loads(data("meta/insights-metrics-v26.json").read_text())
    names = one.args.get("metric", "").split(",") if kind.startswith("IG") else []
    yield from (f"insights of {kind}: no metric {name}" for name in names if name not in listed["ig_metric"])
    if one.args.get("period") not in listed["period"]:
        yield f"insights of {kind}: no period {one.args.get('period')}"


# ── what an id is of ──────────────────────────────────────────────────────────────────────────────


def kind_of(s: Subject, node: str, token: str) -> str | None:
    """The name of the specification of the object with this id; None for an unknown id."""
    c, login = s.community, next((kind for kind, text in s.c.tokens.items() if text == token), Token.APP)
    if node == ids.APP:
        return "Application"
    if node == ids.user(c):
        return "User"
    if node == "refresh_access_token":
        return "IGRefreshAccessTokenForIGOnlyAPI"
    if node in {ids.page(c), c.key} or (node == "me" and login is Token.COMMUNITY):
        return "Page"
    if node.startswith("t_") or ids.decoded(node).startswith("ig_thread:"):
        return "UnifiedThread"
    if ids.is_instagram(c):
        return _of_instagram(s, node, login)
    if node == "me":
        return "User"
    first, _, last = node.rpartition("_")
    if ids.read(last, [c]) is None:
        return None
    return "PagePost" if first == ids.page(c) else "Comment"


def _of_instagram(s: Subject, node: str, login: Token) -> str | None:
    c = s.community
    by_login = BY_LOGIN.get(login)
    if by_login is None:
        return None
    if node in {"me", c.profile.external_id, ids.app_scoped(c)}:
        return by_login["account"]
    parsed_id = ids.read(node, [c])
    if parsed_id is None:
        return None
    return by_login["media"] if parsed_id[0] == ids.MEDIA else OF_IDS.get(parsed_id[0])
