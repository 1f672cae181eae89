"""Whatever changes something is told who acts, and records it."""

import ast
from pathlib import Path

import pytest

from app.main import operations
from tests.house.service_functions import ROOT, fault, functions, service_functions

EXEMPT = {
    "app.metrics.service.record_posts": "a measurement: the snapshot itself is the record, and nobody changes it",
    "app.metrics.service.record_size": "a measurement: the snapshot itself is the record, and nobody changes it",
    "app.metrics.service.record_members": "a measurement: the joins and leaves are the record, and nobody changes them",
}
"""Service functions that change something and take no actor, with the reason."""


def test_every_service_function_that_changes_something_takes_an_actor() -> None:
    by_name = service_functions()
    assert {
        "app.projects.service.update",
        "app.posts.matching.mark_published",
        "app.posts.mix.set_policy",
        "app.communities.inbound.subscriptions.open_hook",
    } <= by_name.keys()
    assert len(by_name) > 25
    faults = {name: text for name, function in by_name.items() if (text := fault(function)) is not None}
    assert faults.keys() == EXEMPT.keys(), faults


BODIES = {
    "session.add(row)": True,
    "row.name = name": True,
    "row.version += 1": True,
    "await session.execute(update(Row).values(name=name))": True,
    "await session.execute(insert(Row)); publish": True,
    "await publish(session, RowChanged(name))": True,
    "await session.execute(statements.INSERT, {'name': name})": True,
    "return await session.scalar(select(Row))": False,
    "names.add(name)": False,
}


@pytest.mark.parametrize(("body", "changes"), BODIES.items())
def test_one_without_is_found(body: str, changes: bool) -> None:
    (without,) = functions(f"async def change(session, *, name): {body}").values()
    (unused,) = functions(f"async def change(session, actor, *, name): {body}").values()
    (recorded,) = functions(f"async def change(session, actor, *, name): {body}; record(session, actor)").values()
    assert (fault(without) is not None) == changes
    assert (fault(unused) is not None) == changes
    assert fault(recorded) is None


def test_what_routes_call_counts_as_well(tmp_path: Path) -> None:
    room = tmp_path / "app/things"
    room.mkdir(parents=True)
    (room / "painting.py").write_text("async def paint(session, thing): session.add(thing)")
    (room / "routes.py").write_text(
        "from app.things import painting\nasync def route(session): await painting.paint(session, 1)"
    )
    (room / "jobs.py").write_text("async def step(session): session.add(1)")
    by_name = service_functions(tmp_path)
    assert {name: fault(function) for name, function in by_name.items()} == {
        "app.things.painting.paint": "changes something, and takes no `actor` after the session"
    }


def recorded_actions(source: str) -> set[str]:
    """The actions that a module records."""
    return {
        node.args[2].value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"record", "audit.record"} and len(node.args) > 2
        if isinstance(node.args[2], ast.Constant) and isinstance(node.args[2].value, str)
    }


ONE_BY_ONE = {
    "posts.create-many": {"posts.create"},
    "spend.record-many": {"spend.record"},
    "spend.upload": {"spend.record"},
    "redemptions.record-many": {"redemptions.record"},
    "inquiries.bulk": {"inquiries.classify", "inquiries.resolve", "inquiries.reopen"},
}
"""Operations that are recorded as what they do to each item."""
BY_THE_SERVICE = {
    *("users.create", "users.join"),
    *("metrics.recount", "metrics.set-category", "posts.match"),
    *("tokens.reseal", "tokens.destroy", "tokens.renew"),
    *("client-links.open", "goals.measure", "corrections.measure"),
    *("campaigns.advance", "campaigns.redate"),
}
"""Actions that no operation is named like."""


def test_what_every_operation_changes_is_recorded_under_its_name() -> None:
    recorded = {action for path in (ROOT / "app").rglob("*.py") for action in recorded_actions(path.read_text())}
    writing = {
        str(route.operation_id)
        for route in operations()
        if (route.methods or set()) - {"GET", "HEAD"} and route.operation_id not in {"communities.hook-event"}
    }
    expected = (writing - ONE_BY_ONE.keys()).union(BY_THE_SERVICE, *ONE_BY_ONE.values())
    assert recorded == expected


def test_an_action_is_read_wherever_it_is_recorded() -> None:
    source = (
        "audit.record(session, actor, 'a.b', thing_id=1)\nif x: record(session, actor, 'c.d')\nother('e.f', 1, 'g.h')"
    )
    assert recorded_actions(source) == {"a.b", "c.d"}


def anonymous_transactions(source: str) -> list[str]:
    """The transactions that a module begins in a workspace without saying for whom."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "transaction"
        if len(node.args) == 1 and not (isinstance(node.args[0], ast.Constant) and node.args[0].value is None)
    ]


@pytest.mark.parametrize("folder", ["app", "workers"])
def test_every_transaction_in_a_workspace_has_an_actor(folder: str) -> None:
    """Without one it would be the service's own, which is for what belongs to no workspace."""
    by_file = {path.name: anonymous_transactions(path.read_text()) for path in (ROOT / folder).rglob("*.py")}
    assert {name: calls for name, calls in by_file.items() if calls} == {}


def test_a_transaction_without_is_found() -> None:
    source = "db.transaction(None); db.transaction(workspace_id, actor); db.transaction(workspace_id)"
    assert anonymous_transactions(source) == ["db.transaction(workspace_id)"]
