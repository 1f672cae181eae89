"""Whatever changes something leaves an entry, with what was before and after; and no entry holds what it must not."""

import ast
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import LargeBinary, inspect, select

from app.access.audit.models import AuditEntry
from app.access.audit.recording import LONGEST
from app.access.models import ApiKey
from app.kit.db import Audited
from app.posts.models import Post
from migrations import tables
from tests.conftest import Agency
from tests.house.conftest import stock
from tests.house.service_functions import ROOT
from tests.house.test_actors import ONE_BY_ONE
from tests.house.test_matrix import requests

tables.load()

WITHOUT_VALUES = {
    "api-keys.rotate": "only the secret is another one",
    "communities.sync": "it asks for a read, and changes no figure",
    "communities.close-hook": "that it is gone is all",
    "metrics.recount": "the figures are those of the snapshots, which stay; how many rows were wrong is counted",
    "my-alerts.link-chat": "a code is made, and no chat is linked until it is used",
    "my-alerts.test": "a test alert is sent, and nothing is changed",
    "password-resets.create": "a link is mailed to whoever has an account, and nothing is changed until it is used",
    "second-factor.begin": "only a secret is set, which counts once it is confirmed",
    "sessions.rotate": "only the secret is another one",
    "tokens.renew": "only the secrets are other ones; their kinds are named",
    "tokens.reseal": "the tokens are the same, sealed with another key",
    "users.create": "an account has nothing but what is personal",
    "users.reset-password": "a link is made, and nothing is changed until it is used",
}
"""Actions that are recorded without `before` and `after`, with the reason."""
OF_NO_PROJECT = {
    "alert-bots.remove": "the agency's bot writes of all projects",
    "alert-bots.replace": "the agency's bot writes of all projects",
    "my-alerts.link-chat": "a person is told of all their projects in one chat",
    "my-alerts.test": "a person tries all their channels",
    "my-alerts.unlink-chat": "a person is told of all their projects in one chat",
    "my-alerts.update": "a person is told of all their projects in one way",
    "tokens.reseal": "it is done to all tokens of the workspace",
}
"""Actions above `access` that name no project, with the reason: members with seats do not see them."""

Call = tuple[str, frozenset[str]]


def record_calls(source: str) -> Iterator[Call]:
    """The action of each `record` in a module, and the names of its keyword arguments."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"record", "audit.record"} and len(node.args) == 3:
            action = node.args[2]
            if isinstance(action, ast.Constant) and isinstance(action.value, str):
                yield action.value, frozenset(word.arg or f"**{ast.unparse(word.value)}" for word in node.keywords)


def calls(folder: str) -> Iterator[Call]:
    for path in sorted((ROOT / "app" / folder).rglob("*.py")):
        yield from record_calls(path.read_text())


def test_every_action_has_what_was_before_or_after_or_a_reason() -> None:
    without = {action for action, arguments in calls("") if not arguments & {"before", "after"}}
    assert without == WITHOUT_VALUES.keys()


def test_every_action_in_a_project_names_it() -> None:
    above = {path.name for path in (ROOT / "app").iterdir() if path.is_dir()} - {"access", "kit", "cli"}
    without = {
        action
        for folder in above
        for action, arguments in calls(folder)
        if not arguments & {"project_id", "**subject"}  # of an inquiry, with both ids
    }
    assert without == OF_NO_PROJECT.keys()


def test_a_call_without_is_read() -> None:
    source = "record(s, a, 'x.y', thing_id=1)\naudit.record(s, a, 'x.z', **subject, after=1)\nrecord(s, a, 1)"
    assert list(record_calls(source)) == [
        ("x.y", frozenset({"thing_id"})),
        ("x.z", frozenset({"**subject", "after"})),
    ]


FORBIDDEN = re.compile(r"hash|secret|token|sealed|password|email|name|customer|text|preview|about|content|seats|author")
"""Names of columns that hold secrets, what is personal, or what people wrote: of them a digest at most."""
SECRET = re.compile(r"hash|secret|token|sealed|password|email|name|customer")


def unfit(model: type[Any]) -> list[str]:
    """What is wrong with the columns that a table has recorded."""
    audited, digested = getattr(model, "AUDITED", ()), getattr(model, "DIGESTED", ())
    columns = inspect(model).columns
    return [
        f"{model.__name__}.{name}"
        for name in (*audited, *digested)
        if name not in columns
        or isinstance(columns[name].type, LargeBinary)
        or (FORBIDDEN if name in audited else SECRET).search(name)
    ]


def test_no_secret_and_nothing_personal_is_recorded() -> None:
    audited = Audited.__subclasses__()
    assert len(audited) > 10
    assert [fault for model in audited for fault in unfit(model)] == []
    assert all(model.AUDITED or model.DIGESTED for model in audited)


def test_a_recorded_secret_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ApiKey, "AUDITED", ("title", "secret_hash"))
    monkeypatch.setattr(Post, "AUDITED", ("text", "nothing"))
    monkeypatch.setattr(Post, "DIGESTED", ("permalink",))
    assert unfit(ApiKey) == ["ApiKey.secret_hash"]
    assert unfit(Post) == ["Post.text", "Post.nothing"]


CHANGES_NOTHING = {
    "my-alerts.unlink-chat": "no chat was linked",
    "redemptions.record-many": "the code was retired before: each redemption has its own problem",
    "seats.delete": "the seat went with the member",
}
"""Operations that succeed in this test without a change, with the reason."""


async def changes(app: FastAPI, agency: Agency) -> tuple[dict[str, set[str]], list[str]]:
    """Send every operation that wants a credential once: the actions that each one that succeeded recorded.

    And the operations that were refused, or only read, and recorded something all the same.
    """
    document, ids = app.openapi(), (await stock(agency)).ids
    succeeded, wrong = {}, []
    recorded_before = await recorded(agency)
    for template in requests(document, ids):
        answer = await template.send(agency.http)
        now = await recorded(agency)
        new, recorded_before = {now[entry_id] for entry_id in now.keys() - recorded_before.keys()}, now
        if template.method == "get" or not answer.is_success:
            wrong += [f"{template.operation_id}: {answer.status_code}, and {action}" for action in new]
        else:
            succeeded[template.operation_id] = new
    return succeeded, wrong


async def recorded(agency: Agency) -> dict[object, str]:
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        return {row.id: row.action for row in await connection.execute(select(AuditEntry.id, AuditEntry.action))}


async def test_every_operation_that_changes_something_leaves_an_entry(app: FastAPI, agency: Agency) -> None:
    succeeded, wrong = await changes(app, agency)
    assert wrong == []
    assert len(succeeded) > 25
    missing = {
        name
        for name, actions in succeeded.items()
        if not actions & ONE_BY_ONE.get(name, {name}) and name not in CHANGES_NOTHING
    }
    assert missing == set()
    await nothing_forbidden_is_in(agency)


async def nothing_forbidden_is_in(agency: Agency) -> None:
    """No entry has an e-mail address, a key, a customer's arguments or a post's text; none has a long text."""
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        rows = (await connection.execute(select(AuditEntry.subject, AuditEntry.before, AuditEntry.after))).all()
    text = str([tuple(row) for row in rows])
    assert len(rows) > 25
    for word in ("@agency.example", "isk_", "iss_", "Guess the roast", "Boris", "Anna"):
        assert word not in text, word
    assert all(len(leaf) <= LONGEST for row in rows for leaf in leaves(list(row)))


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one)
    elif isinstance(value, str):
        yield value


async def test_an_operation_that_leaves_none_is_found(
    app: FastAPI, agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a room whose calls of `record` do nothing."""
    monkeypatch.setattr("app.posts.service.audit.record", lambda *_, **__: None)
    succeeded, _ = await changes(app, agency)
    assert succeeded["posts.create"] == set()
