"""Every Graph response of the sandbox is valid by Meta's lists of fields, edges and types."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

import httpx
import pytest

from sandbox.graph import ids
from sandbox.graph.api import GRAPH
from sandbox.graph.call import app_secret
from sandbox.graph.insights import MEDIA, POST
from tests.platforms.data import data
from tests.sandbox.conftest import SandboxClient

SPECS: Mapping[str, tuple[str, ...]] = {
    "page": ("Page",), "managed": ("Page",), "post": ("PagePost",), "comment": ("Comment",), "photo": ("Photo",),
    "user": ("User",), "application": ("Application",), "thread": ("UnifiedThread",), "media": ("IGMedia",),
    "child": ("IGMedia",), "tagged": ("IGMedia",), "ig_comment": ("IGComment",),
    "account": ("IGUser", "IGUserForIGOnlyAPI"), "container": ("ShadowIGMediaBuilder",),
}  # fmt: skip
"""The specification of each kind of node; that of a message is not published."""
WITH_ID = {"mentioned_media", "mentioned_comment"}
"""Fields that are read with an id, as edges are, and are no lists."""
RECORDED = {"tasks"}
"""Part of `/me/accounts` in the recordings; in no specification."""

BELOW = {
    "posts": "PagePost", "feed": "PagePost", "published_posts": "PagePost", "comments": "Comment", "accounts": "Page",
    "media": "IGMedia", "tags": "IGMedia", "children": "IGMedia", "replies": "IGComment",
}  # fmt: skip
"""The kind of node of each edge."""


@pytest.fixture(scope="module")
def platforms() -> tuple[str, ...]:
    return ("facebook", "instagram")


@pytest.fixture(autouse=True)
def _data() -> None:
    data()


@cache
def fields_of(name: str) -> dict[str, str]:
    """The fields of a specification with their types; the type of an edge is `edge`."""
    spec = json.loads(data(f"meta/api_specs/{name}.json").read_text())
    edges = {(api.get("endpoint") or "").strip("/"): "edge" for api in spec["apis"] if api["method"] == "GET"}
    return edges | {one["name"]: one["type"] for one in spec["fields"]}


def problems(node: Mapping[str, Any], specs: tuple[str, ...], where: str = "") -> list[str]:
    """Fields that are in no specification, and values of a wrong type."""
    types = {name: type_ for spec in specs for name, type_ in fields_of(spec).items()}
    findings: list[str] = []
    for name, value in node.items():
        place = f"{where}/{name}"
        if name not in types and name not in RECORDED:
            findings.append(f"{place}: no such field")
        elif name in types and not fits(value, types[name]):
            findings.append(f"{place}: {value!r} is no {types[name]}")
        elif isinstance(value, dict) and types.get(name, "") in {"Comment", "IGUser", "IGMedia", "IGCommentFromUser"}:
            findings += problems(value, (types[name],), place)
    return findings


def fits(value: object, type_: str) -> bool:
    if type_.startswith("list"):
        return isinstance(value, list)
    match type_:
        case "string":
            return isinstance(value, str)
        case "int" | "unsigned int":
            return isinstance(value, int) and not isinstance(value, bool) and value >= 0
        case "bool":
            return isinstance(value, bool)
        case "datetime":
            return isinstance(value, str) and datetime.strptime(value, "%Y-%m-%dT%H:%M:%S%z").tzinfo is not None
        case "edge":
            return isinstance(value, dict) and set(value) <= {"data", "paging", "summary"}
    return isinstance(value, dict)


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"id": "1", "fan_count": 3}, []),
        ({"id": 1}, ["/id: 1 is no string"]),
        ({"fan_count": "3"}, ["/fan_count: '3' is no unsigned int"]),
        ({"fans": 3}, ["/fans: no such field"]),
        ({"feed": []}, ["/feed: [] is no edge"]),
    ],
)
def test_the_check_finds_what_is_wrong(node: dict[str, Any], said: list[str]) -> None:
    assert problems(node, ("Page",)) == said


# ── every kind of node ────────────────────────────────────────────────────────────────────────────


async def _made(client: SandboxClient) -> AsyncIterator[tuple[str, str, str, str]]:
    """One node of each kind: its kind, id, and the community and kind of the token that may read it."""
    page, account = (client.world.communities[key] for key in ("cornercafe", "corner.cafe"))
    for kind in ("page", "user"):
        yield kind, "me", "cornercafe", "community" if kind == "page" else "user"
    yield "account", "me", "corner.cafe", "user"
    comment = await client.act("cornercafe", "comment")
    below = await client.act("cornercafe", "comment", post=comment["post"], parent=comment["id"])
    await client.act("cornercafe", "react", post=comment["post"])
    await client.act("cornercafe", "share", post=comment["post"])
    message = await client.act("cornercafe", "message")
    yield "post", ids.post(page, int(comment["post"])), "cornercafe", "community"
    for one in (comment, below):
        yield "comment", ids.comment(page, int(one["post"]), int(one["id"])), "cornercafe", "community"
    yield "thread", ids.thread(page, page.dialogs[message["person"]].number), "cornercafe", "community"
    yield "message", ids.message(page, int(message["id"])), "cornercafe", "community"
    files = {"source": ("a.png", b"12345", "image/png")}
    photo = await _post(client, "me/photos", "cornercafe", {"published": "false"}, files=files)
    yield "photo", photo["id"], "cornercafe", "community"

    remark = await client.act("corner.cafe", "comment")
    answer = await client.act("corner.cafe", "comment", post=remark["post"], parent=remark["id"])
    mention = await client.act("corner.cafe", "mention")
    yield "media", ids.make(ids.MEDIA, account, int(remark["post"])), "corner.cafe", "community"
    for one in (remark, answer):
        yield "ig_comment", ids.make(ids.IG_COMMENT, account, int(one["id"])), "corner.cafe", "community"
    yield "tagged", ids.make(ids.TAGGED, account, int(mention["id"])), "corner.cafe", "community"
    picture = {"image_url": "https://example.org/a.jpg", "caption": "Bun"}
    container = await _post(client, f"{account.profile.external_id}/media", "corner.cafe", picture)
    yield "container", container["id"], "corner.cafe", "community"
    yield "child", ids.make(ids.CHILD, account, 1), "corner.cafe", "community"


async def _post(client: SandboxClient, path: str, community: str, form: Mapping[str, str], **more: Any) -> Any:
    answer = await client.http.post(f"/v26.0/{path}", data=form, headers=_bearer(client, community), **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _bearer(client: SandboxClient, community: str, kind: str = "community") -> dict[str, str]:
    return {"Authorization": f"Bearer {client.token(community, kind)}"}


async def test_every_field_of_every_node_is_as_specified(client: SandboxClient) -> None:
    seen: set[str] = set()
    async for kind, object_id, community, token in _made(client):
        spec = GRAPH.kinds[kind]
        edges = [name for name in spec.edges if name not in {"insights", "conversations", "subscribed_apps", *WITH_ID}]
        fields = ",".join([*spec.fields, *(f"{name}.limit(2).summary(true)" for name in edges)])
        answer = await client.http.get(
            f"/v26.0/{object_id}", params={"fields": fields}, headers=_bearer(client, community, token)
        )
        assert answer.status_code == 200, answer.text
        if kind in SPECS:
            assert problems(answer.json(), SPECS[kind]) == [], kind
            usual = await client.http.get(f"/v26.0/{object_id}", headers=_bearer(client, community, token))
            assert problems(usual.json(), SPECS[kind]) == [], kind
        for edge in edges:
            below = "IGComment" if (kind, edge) == ("media", "comments") else BELOW.get(edge, "")
            for one in answer.json().get(edge, {}).get("data", []) if below else []:
                assert problems(one, (below,)) == [], (kind, edge)
        seen.add(kind)
    assert seen | {"managed", "application"} == set(GRAPH.kinds)


async def test_the_pages_of_a_person_and_the_application(client: SandboxClient) -> None:
    for key in ("cornercafe", "corner.cafe"):
        body = await client.http.get("/v26.0/me/accounts", headers=_bearer(client, "cornercafe", "user"))
        recorded = json.loads(data("meta/python-facebook/testdata/base/user_accounts_token.json").read_text())
        assert set(body.json()["data"][0]) == set(recorded["data"][0]), key
        assert problems(body.json()["data"][0], ("Page",)) == []
    token = f"{ids.APP}|{app_secret(client.world)}"
    application = await client.http.get(f"/v26.0/{ids.APP}", params={"access_token": token})
    assert problems(application.json(), ("Application",)) == []


async def test_a_message_is_as_recorded(client: SandboxClient) -> None:
    """Without a specification, its fields are those of the recordings."""
    recorded = json.loads(
        data("meta/python-facebook/testdata/facebook/apidata/messages/messages_info.json").read_text()
    )
    types = next(iter(recorded.values()))
    message = await client.act("cornercafe", "message")
    page = client.world.communities["cornercafe"]
    answer = await client.http.get(
        f"/v26.0/{ids.message(page, int(message['id']))}", params={"fields": "from,to,tags,created_time"},
        headers=_bearer(client, "cornercafe"),
    )  # fmt: skip
    body = answer.json()
    assert set(body) <= set(types)
    assert set(body["from"]) == set(types["from"])
    assert set(body["to"]["data"][0]) == set(types["to"]["data"][0])
    assert datetime.strptime(body["created_time"], "%Y-%m-%dT%H:%M:%S%z")


@pytest.mark.parametrize(
    ("community", "metrics", "spec"),
    [("cornercafe", POST, "InsightsResult"), ("corner.cafe", MEDIA, "InstagramInsightsResult")],
)
async def test_insights_are_as_specified(
    client: SandboxClient, community: str, metrics: Mapping[str, Any], spec: str
) -> None:
    c = client.world.communities[community]
    object_id = ids.post(c, c.posts[0]) if spec == "InsightsResult" else ids.make(ids.MEDIA, c, c.posts[0])
    answer = await client.http.get(
        f"/v26.0/{object_id}/insights", params={"metric": ",".join(metrics)}, headers=_bearer(client, community)
    )
    body = answer.json()["data"]
    assert [one["name"] for one in body] == list(metrics)
    for one in body:
        assert problems(one, (spec,)) == []
        assert set(one["values"][0]) <= set(fields_of("InsightsValue"))
    if spec == "InstagramInsightsResult":
        metric_names = json.loads(data("meta/insights-metrics-v26.json").read_text())
        assert set(metrics) <= set(metric_names["ig_metric"])


async def test_edges_are_those_of_the_specifications(client: SandboxClient) -> None:
    """Edges can be read, and created by POST, exactly where Meta's lists have them."""
    for kind, specs in SPECS.items():
        for method, names in (("GET", GRAPH.kinds[kind].edges), ("POST", GRAPH.kinds[kind].changes)):
            metric_names = {
                (api.get("endpoint") or "").strip("/")
                for spec in specs
                for api in json.loads(data(f"meta/api_specs/{spec}.json").read_text())["apis"]
                if api["method"] == method
            }
            assert set(names) - {"", *WITH_ID} <= metric_names | {"likes", "reactions"}, (kind, method)
            assert not WITH_ID & set(names) or set(fields_of("IGUser")) >= WITH_ID
    assert client.world.communities


async def test_errors_are_as_recorded(client: SandboxClient) -> None:
    recorded = json.loads(data("meta/python-facebook/testdata/base/error_data.json").read_text())["error"]
    answers: list[httpx.Response] = [
        await client.http.get("/v26.0/me", headers={"Authorization": "Bearer nonsense"}),
        await client.http.get("/v26.0/1", headers=_bearer(client, "cornercafe")),
        await client.http.get("/v26.0/me?fields=colour", headers=_bearer(client, "cornercafe")),
    ]
    for answer in answers:
        body = answer.json()["error"]
        assert set(recorded) <= set(body) <= {*recorded, "error_subcode", "is_transient"}
        assert [type(body[name]) for name in recorded] == [type(recorded[name]) for name in recorded]
