"""A fake Graph API server: objects, paged lists, insights and error responses.

It returns the requested fields of the objects that a test stores in it, and records every request. A cursor becomes
invalid when the item that it points to is deleted.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qs, unquote

import httpx

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
NOW = "Mon, 23 Nov 2026 06:00:00 GMT"
Node = dict[str, Any]


def graph_time(minutes: float) -> str:
    """A time in Graph's format, `minutes` after `START`."""
    return (START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S+0000")


def graph_error(code: int, subcode: int | None = None, message: str = "of Meta's", **more: object) -> Node:
    extra = {} if subcode is None else {"error_subcode": subcode}
    return {"error": {"message": message, "type": "OAuthException", "code": code, **extra, **more}}


class ErrorResponse(Exception):
    def __init__(self, body: Node, status: int = 400) -> None:
        super().__init__(json.dumps(body))
        self.response = httpx.Response(status, json=body)


NOT_FOUND = graph_error(100, 33, "Unsupported get request. Object with ID 'x' does not exist, missing permissions")


def field_names(fields: str) -> list[str]:
    """The names on the top level of a `fields` parameter, without modifiers and nested fields."""
    names, depth, name = [], 0, ""
    for letter in fields + ",":
        depth += (letter in "({") - (letter in ")}")
        if letter == "," and not depth:
            names.append(re.split(r"[.({]", name)[0])
            name = ""
        else:
            name += letter
    return names


@dataclass
class FakeGraph:
    """Accepts `tokens`; serves `nodes` by id and `lists` by path, each list latest first."""

    tokens: frozenset[str]
    nodes: dict[str, Node] = field(default_factory=dict)
    lists: dict[str, list[Node]] = field(default_factory=dict)
    insights: dict[str, dict[str, int | None]] = field(default_factory=dict)
    """By post, then metric; None if Graph has not counted it yet."""
    metrics: set[str] = field(default_factory=set)
    """The names of insights that exist."""
    unknown_metric_error: Node = field(
        default_factory=lambda: graph_error(100, None, "(#100) The value must be a valid insights metric")
    )
    """The error for any other name of an insight."""
    bodies: dict[str, Node | Callable[[], Node]] = field(default_factory=dict)
    """Responses to paths that are neither a node nor a list, by the end of the path."""
    overrides: dict[str, httpx.Response] = field(default_factory=dict)
    """Responses that take precedence, by a part of the path and query."""
    unfinished_part: str = ""
    """Batch requests whose URL contains this get null instead of a response."""
    requests: list[httpx.Request] = field(default_factory=list)
    sent: list[tuple[str, Node]] = field(default_factory=list)
    """Path and form fields of each POST."""
    page_size: int = 1000

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self._handle))

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        path = request.url.path.removeprefix("/v26.0").strip("/")
        in_query = path == "refresh_access_token"
        assert in_query or not any(token and token in str(request.url) for token in self.tokens), "a token in a URL"
        for url_part, answer in self.overrides.items():
            if url_part in f"{path}?{request.url.query.decode()}":
                return answer
        try:
            return httpx.Response(200, json=self._answer(request, path), headers={"date": NOW})
        except ErrorResponse as error:
            return error.response

    def _answer(self, request: httpx.Request, path: str) -> Any:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        token = token or request.url.params.get("access_token", "")
        if token not in self.tokens:
            raise ErrorResponse(graph_error(190, 463), 401)
        if request.method == "POST":
            self.sent.append((path, form(request)))
        query = dict(request.url.params)
        if "ids" in query:
            raise ErrorResponse(graph_error(100, None, "The ids query parameter is deprecated in v26.0+"), 500)
        if request.method == "POST" and not path:
            return [self._part(one["relative_url"]) for one in json.loads(self.sent.pop()[1]["batch"])]
        if request.method == "GET" and path in self.lists:
            return self._list(path, query)
        if request.method == "GET" and path in self.nodes:
            return self._node(path, query)
        for end, answer in self.bodies.items():
            if path.endswith(end):
                return answer() if callable(answer) else answer
        raise ErrorResponse(NOT_FOUND)

    def _part(self, url: str) -> Node | None:
        """The response to one request of a batch."""
        if self.unfinished_part and self.unfinished_part in unquote(url):
            return None
        subrequest = httpx.URL(f"https://graph.example/{url}")
        answer = next((override for url_part, override in self.overrides.items() if url_part in unquote(url)), None)
        try:
            node_id = subrequest.path.removeprefix("/v26.0/")
            answer = answer or httpx.Response(200, json=self._node(node_id, dict(subrequest.params)))
        except ErrorResponse as error:
            answer = error.response
        return {"code": answer.status_code, "body": answer.text}

    def _node(self, node_id: str, query: Mapping[str, str]) -> Node:
        if node_id not in self.nodes:
            raise ErrorResponse(NOT_FOUND)
        node = select_fields(self.nodes[node_id], query["fields"])
        if (match := re.search(r"insights\.metric\(([a-z_,]+)\)", query["fields"])) is not None:
            requested = match[1].split(",")
            if not set(requested) <= self.metrics:
                raise ErrorResponse(self.unknown_metric_error)
            insights = self.insights.get(node_id, {})
            if not set(requested) <= insights.keys():
                raise ErrorResponse(graph_error(100, 2_108_006, "Media posted before business account conversion"))
            node["insights"] = {
                "data": [
                    {"name": name, "period": "lifetime", "values": [{"value": value}]}
                    for name in requested
                    if (value := insights[name]) is not None
                ]
            }
        return node

    def _list(self, path: str, query: Mapping[str, str]) -> Node:
        items = self.lists[path]
        start = 0
        if "after" in query:
            last = base64.urlsafe_b64decode(query["after"]).decode()
            positions = [position for position, item in enumerate(items) if item["id"] == last]
            if not positions:
                raise ErrorResponse(graph_error(100, None, "(#100) Invalid cursor"))
            start = positions[0] + 1
        size = min(self.page_size, int(query["limit"]))
        visible = items[start : start + size]
        answer: Node = {"data": [select_fields(item, query["fields"]) for item in visible]}
        if visible:
            after = base64.urlsafe_b64encode(visible[-1]["id"].encode()).decode()
            answer["paging"] = {"cursors": {"before": "b", "after": after}}
            if start + size < len(items):
                answer["paging"]["next"] = f"https://graph.facebook.com/v26.0/{path}?access_token=x&after={after}"
        return answer


def select_fields(node: Node, fields: str) -> Node:
    """The requested fields of a node."""
    return {name: value for name, value in node.items() if name in field_names(fields)}


def form(request: httpx.Request) -> Node:
    """The form fields of a request, files as bytes, without `appsecret_proof`."""
    kind = request.headers["content-type"]
    if kind == "application/x-www-form-urlencoded":
        values: Node = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
    else:
        parts = message_from_bytes(b"content-type: " + kind.encode() + b"\r\n\r\n" + request.content)
        values = {}
        for part in parts.get_payload():
            assert not isinstance(part, str)
            name = str(part.get_param("name", header="content-disposition"))
            body = part.get_payload(decode=True)
            assert isinstance(body, bytes)
            values[name] = body if part.get_filename() else body.decode()
    return {name: value for name, value in values.items() if name != "appsecret_proof"}
