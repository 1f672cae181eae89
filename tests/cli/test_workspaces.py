"""`instep workspaces`: agencies are listed, and signed up where sign-up is closed."""

import json
import re

import pytest

from tests.cli.conftest import Instep
from tests.servers import Servers


def create(instep: Instep, name: str, email: str, *options: str) -> str:
    arguments = ("--owner-email", email, "--owner-name", "Anna", *options)
    return str(instep("workspaces", "create", name, *arguments).output)


def test_a_workspace_is_made_and_listed(instep: Instep) -> None:
    assert "no agency has signed up yet" in instep("workspaces", "list").stdout
    said = create(instep, "Step & Co", "anna@agency.example")
    assert re.search(r"API key\s+isk_[A-Za-z0-9]{12}_[A-Za-z0-9]{43}\n", said), said
    made = json.loads(
        instep("workspaces", "create", "B", "--owner-email", "b@b.example", "--owner-name", "B", "--json").stdout
    )
    assert made.keys() == {"workspace_id", "api_key"}
    answer = instep("workspaces", "list")
    assert max(map(len, answer.stdout.splitlines())) <= 80
    listed = json.loads(instep("workspaces", "list", "--json").stdout)
    assert [one["title"] for one in listed] == ["Step & Co", "B"]
    assert listed[1] | {"created_at": None} == {
        "id": made["workspace_id"],
        "title": "B",
        "owner": "b@b.example",
        "projects": 0,
        "communities": 0,
        "api_keys": 1,
        "created_at": None,
    }


def test_what_the_api_refuses_is_refused(instep: Instep) -> None:
    assert "--owner-email" in create(instep, "A", "nobody")
    create(instep, "A", "anna@agency.example")
    assert "signed up already" in create(instep, "A", "anna@agency.example")
    assert len(json.loads(instep("workspaces", "list", "--json").stdout)) == 1


def test_a_database_that_is_not_migrated_is_one_message(
    instep: Instep, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", servers.app_url(servers.clone("template0")))
    answer = instep("workspaces", "list")
    assert answer.exit_code == 1
    assert "instep migrate" in answer.stderr
