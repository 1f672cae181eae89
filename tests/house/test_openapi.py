"""The OpenAPI document is complete, and generators of clients can read it."""

import copy
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from app.kit.openapi_schemas import REF
from tests.access.people import another_member
from tests.conftest import Agency
from tests.house.conftest import alert_id, customer_writes, goal_on_clicks

ID: Final = "0190f5a2-7c1e-7d3a-9b44-1f2e3d4c5b6a"
PEOPLE: Final = frozenset(
    {
        *("Owner", "UserRead", "CustomerRead", "MeUpdate", "MemberRead", "SeatRead", "AlertDeliveryRead"),
        *("GoalAgreementRead", "DirectionHolder"),
        *("ContactCreate", "ContactUpdate", "ContactRead", "ClientPageContact"),
        *("InvitationCreate", "InvitationRead", "InvitationMade", "InvitationAccept"),
    }
)
"""People have names; what people read of anything else is its title."""
SIGN_IN: Final = frozenset({"POST /v1/sessions", "POST /v1/invitations/accept"})
"""Public operations that refuse a wrong password."""
OTHER_NAMES: Final = frozenset({"AttachmentRead", "Limit", "RateLimitRemaining"})
"""A file's name, and what a limit counts: nobody gave them a title."""


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document."""
    return app.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def fields(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each field of each component: the component's name, the field's, its schema."""
    for name, schema in document["components"]["schemas"].items():
        for field, inner in schema.get("properties", {}).items():
            yield name, field, inner


def schemas(value: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each schema below a part of the document, with its place."""
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from schemas(one, f"{place}[{number}]")
    elif isinstance(value, dict):
        yield place, value
        for key, one in value.items():
            if key in {"example", "examples", "default", "enum", "const", "required"}:
                continue
            inner = one.items() if key == "properties" else ((key, one),)
            for part, each in inner:
                yield from schemas(each, f"{place}.{part}")


def kinds(schema: dict[str, Any]) -> set[str]:
    """The JSON types of a schema."""
    kind = schema.get("type", [])
    return set(kind) if isinstance(kind, list) else {kind}


# ── for people ────────────────────────────────────────────────────────────────────────────────────


def undescribed(document: dict[str, Any]) -> list[str]:
    """Fields and parameters without a description, and operations whose description only repeats their summary."""
    faults = [f"{name}.{field}" for name, field, schema in fields(document) if not schema.get("description")]
    for name, operation in operations(document):
        faults += [f"{name}: {one['name']}" for one in operation["parameters"] if not one.get("description")]
        summary, description = operation["summary"].rstrip("."), operation["description"].strip()
        if not description or description.rstrip(".") == summary or description.startswith(summary):
            faults.append(f"{name}: its description says no more than its summary")
    return faults


def test_everything_is_described(document: dict[str, Any]) -> None:
    """A field by `Field(description=…)`, an operation by what follows the first line of its docstring."""
    assert undescribed(document) == []


def test_what_is_not_described_is_found(document: dict[str, Any]) -> None:
    broken = copy.deepcopy(document)
    del broken["components"]["schemas"]["PostRead"]["properties"]["text"]["description"]
    listing = broken["paths"]["/v1/posts"]["get"]
    del listing["parameters"][0]["description"]
    listing["description"] = listing["summary"] + "."
    assert len(undescribed(broken)) == 3


# ── for generators ────────────────────────────────────────────────────────────────────────────────


def unreadable(document: dict[str, Any]) -> list[str]:
    """What generators of clients stumble over."""
    components = document["components"]["schemas"]
    titles = Counter(schema["title"] for schema in components.values())
    faults = [f"the title {title} stands {count} times" for title, count in titles.items() if count > 1]
    for name, schema in components.items():
        if schema["title"] != name or not name.isalnum():
            faults.append(f"{name} is titled {schema['title']}")
        for place, inner in schemas(schema, name):
            if inner is not schema and isinstance(inner.get("title"), str):
                faults.append(f"{place} has a title of its own")
            members = inner.get("anyOf", ())
            if inner.get("type") == "null" or (
                {"type": "null"} in members and not (len(members) == 2 and "$ref" in members[0])
            ):
                faults.append(f"{place}: null stands in a type array, or in two members with a reference")
    faults = [fault for fault in faults if ".anyOf[1]: null" not in fault]  # the member of such two
    for name, operation in operations(document):
        for one in operation["parameters"]:
            if "null" in str([inner.get("type") for _, inner in schemas(one["schema"])]):
                faults.append(f"{name}: the parameter {one['name']} can be left out, but not be null")
    return faults


def test_generators_can_read_it(document: dict[str, Any]) -> None:
    assert unreadable(document) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"title": "PostRead"},
        {"properties": {"a": {"title": "A", "type": "string"}}},
        {"properties": {"a": {"type": "null"}}},
        {"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}},
        {"properties": {"a": {"items": {"anyOf": [{"$ref": f"{REF}Me"}, {"$ref": f"{REF}Live"}, {"type": "null"}]}}}},
    ],
)
def test_what_generators_cannot_read_is_found(document: dict[str, Any], schema: dict[str, Any]) -> None:
    broken = copy.deepcopy(document)
    broken["components"]["schemas"]["Broken"] = {"title": "Broken", **schema}
    assert unreadable(broken)


def test_headers_and_security_are_declared(document: dict[str, Any]) -> None:
    """That what is sent is declared, all tests look at: `tests/declared.py`."""
    for name, operation in operations(document):
        answers = operation["responses"]
        parameters = {one["name"] for one in operation["parameters"]}
        assert "security" in operation, name
        assert ("401" in answers) == (bool(operation["security"]) or name in SIGN_IN), name
        for status, answer in answers.items():
            expected = {"401": "WWW-Authenticate", "409": "Retry-After", "429": "Retry-After", "503": "Retry-After"}
            assert status not in expected or expected[status] in answer["headers"], (name, status)
        if "If-None-Match" in parameters:
            assert "ETag" in answers["304"]["headers"], name
            assert "ETag" in answers["200"]["headers"], name
        if "If-Match" in parameters:
            assert "412" in answers, name
    polled = {
        name for name, one in operations(document) if any(p["name"] == "If-None-Match" for p in one["parameters"])
    }
    assert {"GET /v1/me", "GET /v1/projects/{project_id}/kpis", "GET /v1/posts/{post_id}"} <= polled
    headers = document["components"]["headers"]
    assert all(header["description"] for header in headers.values())


# ── names ─────────────────────────────────────────────────────────────────────────────────────────


def test_names_agree(document: dict[str, Any]) -> None:
    """As the design of the API has them: `title`, `status`, `since`/`until`, `from`/`to`."""
    called: dict[str, list[str]] = {"name": [], "state": []}
    for component, field, _ in fields(document):
        if field in called:
            called[field].append(component)
    assert set(called["name"]) == PEOPLE | OTHER_NAMES
    assert called["state"] == []
    described: dict[str, set[str]] = {"from": set(), "to": set()}
    for name, operation in operations(document):
        for one in operation["parameters"]:
            if one["in"] != "query":
                continue
            assert one["name"] not in {"state", "name"}, name
            if one["name"] in described:
                assert one["schema"]["format"] == "date", name
                described[one["name"]].add(one["description"])
            if one["name"] in {"since", "until"}:
                assert one["schema"]["format"] == "date-time", name
    assert [len(texts) for texts in described.values()] == [1, 1], "one default window, described once"


def test_bulk_calls_have_one_shape(document: dict[str, Any]) -> None:
    bulk = {name: one for name, one in operations(document) if name.endswith("/bulk")}
    assert len(bulk) >= 2
    components = document["components"]["schemas"]
    for name, operation in bulk.items():
        assert "atomic" in {one["name"] for one in operation["parameters"] if one["in"] == "query"}, name
        body = components[operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].removeprefix(REF)]
        assert set(body["properties"]) == {"items"}, name
        answer = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].removeprefix(REF)
        assert set(components[answer]["properties"]) == {"data", "succeeded", "failed"}, name
        result = components[components[answer]["properties"]["data"]["items"]["$ref"].removeprefix(REF)]
        thing = set(result["properties"]) - {"index", "problem"}
        assert len(thing) == 1, name
        assert result["properties"]["problem"]["anyOf"][0] == {"$ref": f"{REF}BulkProblem"}, name


# ── examples ──────────────────────────────────────────────────────────────────────────────────────


def examples(operation: dict[str, Any]) -> list[Any]:
    """The examples of an operation's body."""
    (content,) = operation["requestBody"]["content"].values()
    if "example" in content:
        return [content["example"]]
    if "examples" in content:
        return [one["value"] for one in content["examples"].values()]
    in_schema: list[Any] = content["schema"]["examples"]
    return in_schema


def faulty_examples(document: dict[str, Any]) -> list[str]:
    """What is wrong with the examples of components."""
    return [
        f"{name}: {error.json_path}: {error.message}"
        for name, schema in document["components"]["schemas"].items()
        if "example" in schema
        for error in Draft202012Validator({"$ref": f"{REF}{name}", "components": document["components"]}).iter_errors(
            schema["example"]
        )
    ]


def test_every_example_of_a_component_is_one(document: dict[str, Any]) -> None:
    assert faulty_examples(document) == []
    previous = document["components"]["schemas"]["KpiAnswer"]["example"]["previous"]
    assert previous["change_reason"] is None, "a null is shown, although FastAPI drops it"
    other = copy.deepcopy(document)
    del other["components"]["schemas"]["KpiAnswer"]["example"]["previous"]["change_reason"]
    assert len(faulty_examples(other)) == 1, "control"


OF_A_SESSION: Final = frozenset({"me.change-password", "second-factor.confirm", "second-factor.turn-off"})
"""Operations that no API key may do, with codes and passwords of a person: `tests/access/test_sessions.py`."""
CONNECTED: Final = frozenset({"mastodon", "telegram", "vk"})


async def connect(agency: Agency, document: dict[str, Any], project_id: str, example: str) -> str:
    """Connect a community as in the example of this name."""
    content = document["paths"]["/v1/communities"]["post"]["requestBody"]["content"]["application/json"]
    body = {**content["examples"][example]["value"], "project_id": project_id}
    community_id: str = (await agency.post("/v1/communities", body))["id"]
    return community_id


def with_ids(value: Any, ids: dict[str, str], name: str = "") -> Any:
    """An example with the ids of real things."""
    if isinstance(value, list):
        return [with_ids(one, ids, name) for one in value]
    if isinstance(value, dict):
        return {key: with_ids(one, ids, key) for key, one in value.items()}
    return ids[name] if value == ID else value


async def campaign_of(agency: Agency, project_id: str) -> dict[str, str]:
    """The ids of a campaign with spend and a promo code."""
    days = {"from": "2026-10-01", "to": "2026-10-31"}
    body = {"project_id": project_id, "type": "ad", "title": "Autumn", **days}
    made = (await agency.post("/v1/campaigns", body))["id"]
    spend = {"day": "2026-10-02", "amount": "12.50", "currency": "RUB"}
    spend_id = (await agency.post(f"/v1/campaigns/{made}/spend", spend))["id"]
    await agency.post(f"/v1/campaigns/{made}/promo-codes", {"code": "STOCK10"})
    return {"campaign_id": made, "spend_id": spend_id, "promo_code": "STOCK10"}


async def test_every_body_has_an_example_that_works(agency: Agency, document: dict[str, Any]) -> None:
    """Each is sent as it stands, with the ids of real things."""
    project_id = (await agency.post("/v1/projects", {"title": "Coffee house", "timezone": "Europe/Minsk"}))["id"]
    public = await connect(agency, document, project_id, "public")
    bot = await connect(agency, document, project_id, "bot")
    with_hook = await connect(agency, document, project_id, "two")
    await agency.work("communities.poll")
    post = await agency.post("/v1/posts", {"community_id": public, "text": "Guess the roast!"})
    link = await agency.post("/v1/links", {"project_id": project_id, "target": "https://coffee.example/menu"})
    await customer_writes(agency, project_id, bot, platform="telegram")
    inquiry_id = (await agency.get("/v1/inquiries"))["data"][0]["id"]
    user_id = await another_member(agency)
    seat = {"user_id": await another_member(agency), "seat": "designer"}
    nina = {"name": "Nina", "email": "nina@example.org"}
    contact_id = (await agency.post(f"/v1/projects/{project_id}/contacts", nina))["id"]
    about = {"contact_id": contact_id, "purpose": "read", "subject_kind": "project", "subject_id": project_id}
    me = (await agency.get("/v1/me"))["user"]["id"]
    await agency.post(f"/v1/projects/{project_id}/seats", {"user_id": me, "seat": "client"})
    # As the example of a change leaves it, so that there is no second revision.
    goal = await goal_on_clicks(agency, project_id, target=450)
    ids = {
        "goal_id": goal["id"],
        "contact_id": contact_id,
        "client_link_id": (await agency.post("/v1/client-links", about))["id"],
        "subject_id": project_id,
        "key_id": (await agency.post("/v1/api-keys", {"title": "script"}))["id"],
        "user_id": user_id,
        "seat_id": (await agency.post(f"/v1/projects/{project_id}/seats", seat))["id"],
        "project_id": project_id,
        "community_id": public,
        "post_id": post["id"],
        "link_id": link["id"],
        "alert_id": await alert_id(agency, project_id),
        "messenger": "telegram",
        **await campaign_of(agency, project_id),
        "inquiry_id": inquiry_id,
        "id": inquiry_id,
    }
    tried = 0
    for name, operation in operations(document):
        if "requestBody" not in operation or not (operation["security"] or name == "POST /v1/workspaces"):
            continue  # a platform's event carries the secret of one hook
        if operation["operationId"] in OF_A_SESSION:
            continue
        method, path = name.split(" ")
        for example in examples(operation):
            tried += 1
            if operation["operationId"] == "communities.connect" and example["platform"] in CONNECTED:
                continue  # it was sent above
            if operation["operationId"] == "inquiries.reopen":
                await agency.http.post(f"/v1/inquiries/{inquiry_id}/resolve", json={"reason": "Done."})
            if operation["operationId"] in {"inquiries.resolve", "inquiries.bulk"}:
                await agency.http.post(f"/v1/inquiries/{inquiry_id}/reopen", json={})
            of_path = {**ids, "community_id": with_hook} if path.endswith(("/hook", "/reconnect")) else ids
            if path.endswith("/invite-links"):
                of_path = {**ids, "community_id": bot}
            if isinstance(example, str):
                headers = {"Content-Type": next(iter(operation["requestBody"]["content"]))}
                answer = await agency.http.request(method, path.format(**ids), content=example, headers=headers)
            else:
                answer = await agency.http.request(method, path.format(**of_path), json=with_ids(example, of_path))
            assert answer.is_success, f"{name}: {example}: {answer.text}"
            if "/bulk" in name:
                assert answer.json()["failed"] == 0, answer.text
    assert tried >= 24, "the probe has lost its way"
