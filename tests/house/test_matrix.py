"""The isolation matrix: every operation, and every position of a request at which something of somebody else can stand.

Path, query and body ids, cursors, idempotency keys and client links of another workspace, and of another project for
each seat.
What is somebody else's is answered as what does not exist, and nothing of theirs is changed. The operations come
from the OpenAPI document. `tests/house/test_seats.py` judges whether a seat may do an operation at all.
"""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI

from app.access.models import Seat
from app.kit import idempotency
from app.kit.paging import Pager
from app.kit.resources import Resources
from tests.access.people import client, invited
from tests.conftest import Agency, sign_up
from tests.house.conftest import MATRIX_PROPERTY, NAMES, session_id, stock
from tests.house.matrix import Findings, Template, body_fields, replayed, takes_id
from tests.house.test_seats import PROJECT_IDS
from tests.house.test_tenancy import operations

NOBODYS = frozenset({"key", "slug", "messenger", "promo_code"})
"""Names of a `Stock` that are no ids of objects of a workspace."""
ENDS_THE_CREDENTIAL = frozenset({"sessions.sign-out", "sessions.rotate", "me.change-password"})


def requests(document: dict[str, Any], ids: dict[str, str]) -> Iterator[Template]:
    """A request to every operation that wants a credential; those that delete come last."""
    protected = [(path, method) for path, method, operation in operations(document) if operation.get("security")]
    for path, method in sorted(protected, key=lambda one: one[1] == "delete"):
        template = Template.of(document, path, method, ids)
        if template.operation_id not in ENDS_THE_CREDENTIAL:
            yield template


async def state(document: dict[str, Any], agency: Agency, ids: dict[str, str]) -> dict[str, str]:
    """What every GET answers about somebody's objects."""
    answers = {}
    for template in requests(document, ids):
        if template.method == "get":
            of_the_project = {name: value for name, value in template.query.items() if name == "project_id"}
            answer = await replace(template, query=of_the_project).send(agency.http)
            said = answer.text.replace(answer.headers["x-request-id"], "…")
            if template.operation_id == "kpis.portfolio":  # it has a row of each project, ours too
                said = str([row for row in answer.json().get("data", ()) if row["project_id"] == ids["project_id"]])
            answers[template.operation_id] = f"{answer.status_code} {said}"
    return answers


async def another_workspace(app: FastAPI, resources: Resources) -> Findings:
    """Every position with an id of another workspace."""
    document, findings = app.openapi(), Findings()
    own, them = await sign_up(app, resources), await sign_up(app, resources)
    ours, theirs = (await stock(own)).ids, (await stock(them)).ids
    names = {name: value for name, value in ours.items() if name not in NOBODYS}
    before = await state(document, them, theirs)
    for template in requests(document, ours):
        for position in template.positions(names):
            answer = await template.put(position, theirs[position.name]).send(own.http)
            unknown = await template.put(position, str(uuid.uuid4())).send(own.http)
            findings.judge(template, f"{position.kind} {'.'.join(map(str, position.steps))}", answer, unknown)
    after = await state(document, them, theirs)
    findings.exceptions += [f"{name}: theirs has changed" for name in before if before[name] != after[name]]
    await own.http.aclose()
    await them.http.aclose()
    return findings


async def another_project(app: FastAPI, agency: Agency, seat: Seat) -> Findings:
    """Every position with an id of another project of the same workspace, for a member with this seat."""
    document, findings = app.openapi(), Findings()
    ours, others = (await stock(agency)).ids, (await stock(agency)).ids
    person = await invited(app, agency, seats={ours["project_id"]: seat.value})
    ours["session_id"] = await session_id(agency, person.id)
    names = {name: value for name, value in ours.items() if name in PROJECT_IDS}
    before = await state(document, agency, others)
    for template in requests(document, ours):
        for position in template.positions(names):
            answer = await template.put(position, others[position.name]).send(person.http)
            unknown = await template.put(position, str(uuid.uuid4())).send(person.http)
            findings.judge(template, f"{position.kind} {'.'.join(map(str, position.steps))}", answer, unknown)
    after = await state(document, agency, others)
    findings.exceptions += [
        f"{name}: the other project's has changed" for name in before if before[name] != after[name]
    ]
    await person.http.aclose()
    return findings


async def cursors(app: FastAPI, resources: Resources) -> Findings:
    """Every list with a cursor of the same list in another workspace, and with one of another project's list."""
    document, findings = app.openapi(), Findings()
    own, them = await sign_up(app, resources), await sign_up(app, resources)
    ours, others = (await stock(own)).ids, (await stock(own)).ids
    for template in requests(document, ours):
        names = {one["name"] for one in document["paths"][template.path][template.method].get("parameters", ())}
        if "cursor" not in names:
            continue
        # Signed by this installation for the list with these filters; what it says is not looked at before.
        path = template.path.format(**template.path_ids)
        signed = Pager.of(resources.keyring, them.workspace_id, path, template.query).write([0])
        findings.refuse(
            template, "cursor of another workspace", await template.send(own.http, cursor=signed), "invalid-cursor"
        )
        if PROJECT_IDS & (template.path_ids.keys() | template.query.keys()):
            elsewhere = Template.of(document, template.path, template.method, others)
            path = elsewhere.path.format(**elsewhere.path_ids)
            signed = Pager.of(resources.keyring, own.workspace_id, path, elsewhere.query).write([0])
            answer = await template.send(own.http, cursor=signed)
            findings.refuse(template, "cursor of another project", answer, "invalid-cursor")
    await own.http.aclose()
    await them.http.aclose()
    return findings


async def idempotency_keys(app: FastAPI, resources: Resources) -> Findings:
    """Every POST with a key that another workspace has used, and with one that a colleague has used."""
    document, findings = app.openapi(), Findings()
    own, them = await sign_up(app, resources), await sign_up(app, resources)
    ours, theirs = (await stock(own)).ids, (await stock(them)).ids
    colleague = await invited(app, own, role="admin")
    for template in requests(document, ours):
        if template.method != "post":
            continue
        header = {idempotency.HEADER: uuid.uuid4().hex}
        first = await Template.of(document, template.path, template.method, theirs).send(them.http, **header)
        second = await template.send(own.http, **header)
        findings.cells["idempotency-key"] += 1
        code = second.json().get("code", "") if second.status_code >= 400 else ""
        if replayed(second) or "idempotency" in code:
            findings.exceptions.append(f"{template.operation_id}: a key of another workspace: {second.text[:160]}")
        if not (first.is_success and second.is_success):
            continue  # only the first success is stored
        third = await template.send(colleague.http, **header)
        findings.refuse(template, "idempotency-key of a colleague", third, "idempotency-key-reused")
    for agency in (own, them, colleague):
        await agency.http.aclose()
    return findings


async def client_links(app: FastAPI, resources: Resources) -> Findings:
    """A client link as the credential of every operation; and every statement behind a link of somebody else's."""
    document, findings = app.openapi(), Findings()
    own, them = await sign_up(app, resources), await sign_up(app, resources)
    ours, others, theirs = (await stock(own)).ids, (await stock(own)).ids, (await stock(them)).ids
    paths = [await brief_link(agency, ids) for agency, ids in ((own, ours), (own, others), (them, theirs))]
    anybody = client(app)
    for template in requests(document, ours):
        answer = await template.send(anybody, authorization=f"Bearer {paths[0].rpartition('/')[2]}")
        findings.refuse(template, "client-link as a credential", answer, "unauthenticated")
    pages = [(await anybody.get(path, headers={"Accept": "application/json"})).json() for path in paths]
    for path, page, ids in zip(paths, pages, (ours, others, theirs), strict=True):
        for other, foreign in zip(pages, (ours, others, theirs), strict=True):
            if foreign is ids:
                continue
            findings.cells["client-link"] += 2
            if any(value in str(page) for name, value in foreign.items() if name not in NAMES):
                findings.exceptions.append(f"{path} shows something of another project")
            body = {"answer": "agree", "content_hash": other["content_hash"]}
            stated = await anybody.post(f"{path}/statements", json=body)
            if stated.status_code != 409 or stated.json()["code"] != "revision-outdated":
                findings.exceptions.append(f"agreed to what another link shows: {stated.text[:160]}")
    for http in (own.http, them.http, anybody):
        await http.aclose()
    return findings


async def brief_link(agency: Agency, ids: dict[str, str]) -> str:
    """The path of a link by which a project's contact agrees to its brief."""
    await agency.put(f"/v1/projects/{ids['project_id']}/brief", {"business": f"Coffee house {uuid.uuid4()}"})
    body = {"contact_id": ids["contact_id"], "purpose": "agree", "subject_kind": "brief"}
    made = await agency.post("/v1/client-links", body | {"subject_id": ids["project_id"]})
    return "/s/" + str(made["link"]).rpartition("/")[2]


@pytest.fixture
def note(record_property: Any) -> Any:
    """Records the counts of a walk, which are printed after the run."""

    def record(name: str, findings: Findings) -> Findings:
        record_property(MATRIX_PROPERTY, (name, str(findings), len(findings.exceptions)))
        return findings

    return record


async def test_ids_of_another_workspace(app: FastAPI, resources: Resources, note: Any) -> None:
    findings = note("another workspace", await another_workspace(app, resources))
    assert findings.exceptions == []
    assert findings.cells["path"] > 60
    assert findings.cells["query"] >= 10
    assert findings.cells["body"] > 5


@pytest.mark.parametrize("seat", list(Seat))
async def test_ids_of_another_project(app: FastAPI, agency: Agency, seat: Seat, note: Any) -> None:
    findings = note(f"another project, {seat.value}", await another_project(app, agency, seat))
    assert findings.exceptions == []
    assert findings.cells["path"] > 40
    assert findings.cells["query"] >= 10
    assert findings.cells["body"] > 4


NO_POSITIONS = frozenset[str]()
"""Fields of bodies that take an id which no position of the matrix exchanges, with the operation: none."""


async def test_every_field_that_takes_an_id_is_a_place(app: FastAPI, agency: Agency) -> None:
    document, missing = app.openapi(), set[str]()
    ids = (await stock(agency)).ids
    for template in requests(document, ids):
        operation = document["paths"][template.path][template.method]
        positions = {position.field for position in template.positions(ids)}
        names = {one["name"] for one in operation.get("parameters", ()) if takes_id(document, one["schema"])}
        names |= {name for name, schema in body_fields(document, operation) if takes_id(document, schema)}
        missing |= {f"{template.operation_id} {name}" for name in names - positions}
    assert missing == NO_POSITIONS


async def test_cursors(app: FastAPI, resources: Resources, note: Any) -> None:
    findings = note("cursors", await cursors(app, resources))
    assert findings.exceptions == []
    assert findings.cells["cursor"] > 20


async def test_idempotency_keys(app: FastAPI, resources: Resources, note: Any) -> None:
    findings = note("idempotency keys", await idempotency_keys(app, resources))
    assert findings.exceptions == []
    assert findings.cells["idempotency-key"] > 30


async def test_client_links(app: FastAPI, resources: Resources, note: Any) -> None:
    findings = note("client links", await client_links(app, resources))
    assert findings.exceptions == []
    assert findings.cells["client-link"] > 100


async def test_a_client_link_that_is_bound_to_no_content_is_found(
    app: FastAPI, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: every page has the same hash."""
    monkeypatch.setattr("app.clients.service.content_hash", lambda *_: "0" * 64)
    findings = await client_links(app, resources)
    assert any("agreed to what another link shows" in one for one in findings.exceptions)


async def test_without_both_fences_ids_of_another_workspace_are_found(
    app: FastAPI, without_row_security: Resources, without_filter: None
) -> None:
    """The control."""
    app.state.resources = without_row_security
    findings = await another_workspace(app, without_row_security)
    # Lists name the workspace in their statements besides, so filters find nothing.
    assert {text.split(", ")[1].split()[0] for text in findings.exceptions if ", " in text} >= {"path", "body"}


async def test_without_the_fence_ids_of_another_project_are_found(
    app: FastAPI, agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the database is not told the projects."""
    monkeypatch.setattr("app.kit.db._array", lambda _: "")
    findings = await another_project(app, agency, Seat.MANAGER)
    assert {text.split(", ")[1].split()[0] for text in findings.exceptions if ", " in text} >= {"path", "query", "body"}
    assert any("has changed" in text for text in findings.exceptions)


async def test_cursors_that_are_bound_to_nothing_are_found(
    app: FastAPI, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    real = Pager.of
    monkeypatch.setattr(Pager, "of", lambda keyring, *_: real(keyring, uuid.UUID(int=0), "", {}))
    findings = await cursors(app, resources)
    assert len(findings.exceptions) == findings.cells["cursor"]


async def test_an_idempotency_key_that_belongs_to_nobody_is_found(
    app: FastAPI, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    real = idempotency.begin
    monkeypatch.setattr(
        "app.access.current.idempotency.begin", lambda request, session, *, actor: real(request, session, actor="")
    )
    findings = await idempotency_keys(app, resources)
    assert len(findings.exceptions) > 10
