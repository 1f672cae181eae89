"""A reply to a customer is sent once, even if the call's response is lost or the worker killed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sandbox.ledger import Record
from tests.servers import Servers
from tests.system import oracle
from tests.system.installation import (
    VALKEY_DATABASE,
    Agency,
    InstalledDatabase,
    closing,
    eventually,
    service_environment,
)
from tests.system.sandbox import Sandbox, sandbox
from tests.system.serving import api, process

SENDS = {"velo_dvor": (r"/method/messages\.send", "POST"), "coffee": ("/api/v1/statuses$", "POST")}
"""Each community's request for sending a direct message: a pattern of the path, and the method."""


@dataclass(frozen=True)
class Scenario:
    """A service without a running worker, and an open inquiry of a customer."""

    network: Sandbox
    db: InstalledDatabase
    agency: Agency
    variables: dict[str, str]
    log: Path
    key: str
    community: str
    inquiry: str

    def sent(self, text: str) -> list[Record]:
        """The replies with this text that the platform has accepted."""
        return [one for one in self.network.records() if one["type"] == "reply" and text in one["text"]]

    def rows(self, text: str) -> list[Any]:
        """The stored messages with this text."""
        return self.db.all("SELECT * FROM message WHERE position($1 in text) > 0", text)

    def lose_the_response(self, effect: str) -> None:
        """Make the platform accept the next reply, and lose its response."""
        path, method = SENDS[self.key]
        self.network.fault(effect, seconds=300, path=path, method=method, count=1, when="after")


@pytest.fixture(params=["velo_dvor", pytest.param("coffee", marks=pytest.mark.long)])
def scenario(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Scenario]:
    """A customer's message, read by a worker that has ended."""
    database = servers.clone()
    db = InstalledDatabase(servers.superuser_url(database))
    log = tmp_path / "worker.log"
    with sandbox(tmp_path) as network:
        variables = service_environment(servers, database, network, VALKEY_DATABASE + 1)
        with api(servers, database, tmp_path, **variables) as url, closing(Agency(url)) as agency:
            question = f"Where is {uuid4()}?"
            community = agency.connect(network.communities()[request.param], days=1)
            network.act(request.param, "message", text=question, person=77)
            with process("app.cli.main", "worker", variables=variables, log=log):
                eventually(lambda: agency.question(community, question) is not None, "the question is read")
                inquiry = agency.question(community, question)
            assert inquiry is not None
            yield Scenario(network, db, agency, variables, log, request.param, community, inquiry)


def test_a_reply_of_unknown_outcome_is_found_and_not_sent_again(scenario: Scenario) -> None:
    text = f"On the shelf, {uuid4()}"
    scenario.lose_the_response("drop")
    with process("app.cli.main", "worker", variables=scenario.variables, log=scenario.log):
        message = scenario.agency.answer(scenario.inquiry, text)
        eventually(lambda: len(scenario.sent(text)) == 1, "the platform accepts it")

        def delivery() -> str:
            return str(scenario.agency.message(scenario.inquiry, message)["delivery"])

        eventually(lambda: delivery() in {"outcome_unknown", "sent"}, "the outcome is recorded as unknown")
        eventually(lambda: delivery() == "sent", "a poll finds it on the platform")
    assert len(scenario.sent(text)) == 1
    assert len(scenario.rows(text)) == 1


def test_a_worker_killed_between_sending_and_commit_sends_once(scenario: Scenario) -> None:
    text = f"On the shelf, {uuid4()}"
    scenario.lose_the_response("hang")
    with process("app.cli.main", "worker", variables=scenario.variables, log=scenario.log) as worker:
        message = scenario.agency.answer(scenario.inquiry, text)
        eventually(lambda: len(scenario.sent(text)) == 1, "the platform accepts it")
        assert scenario.agency.message(scenario.inquiry, message)["delivery"] == "sending"
        worker.kill()
        worker.wait(10)
    scenario.db.expire_leases()
    with process("app.cli.main", "worker", variables=scenario.variables, log=scenario.log):
        eventually(
            lambda: scenario.agency.message(scenario.inquiry, message)["delivery"] == "sent",
            "another worker learns from the platform that it was sent",
        )
    (reply,) = scenario.sent(text)
    (row,) = scenario.rows(text)
    assert row["external_id"] == (f"message-{reply['id']}" if scenario.key == "velo_dvor" else reply["id"])
    assert oracle.normalised(row["text"]) == text
