"""An answer to a customer reaches the platform once, whatever becomes of the call."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sandbox.ledger import Record
from tests.servers import Servers
from tests.system import oracle
from tests.system.sandbox import Sandbox, sandbox
from tests.system.serving import api, process
from tests.system.town import RING, Agency, Store, closing, eventually, surroundings

SENDS = {"velo_dvor": (r"/method/messages\.send", "POST"), "coffee": ("/api/v1/statuses$", "POST")}
"""How each community's platform is told to send a direct message."""


@dataclass(frozen=True)
class Scene:
    """A service without a worker, and a customer who has asked."""

    town: Sandbox
    store: Store
    agency: Agency
    around: dict[str, str]
    log: Path
    key: str
    community: str
    inquiry: str

    def sent(self, text: str) -> list[Record]:
        """The answers with this text that the platform has accepted."""
        return [one for one in self.town.records() if one["type"] == "reply" and text in one["text"]]

    def rows(self, text: str) -> list[Any]:
        """The messages with this text that are stored."""
        return self.store.all("SELECT * FROM message WHERE position($1 in text) > 0", text)

    def lose_the_answer(self, effect: str) -> None:
        """The platform accepts the next answer; that it did never arrives here."""
        path, method = SENDS[self.key]
        self.town.fault(effect, seconds=300, path=path, method=method, count=1, when="after")


@pytest.fixture(params=sorted(SENDS))
def scene(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Scene]:
    """A customer has written, and a worker has read it and ended."""
    database = servers.clone()
    store = Store(servers.superuser_url(database))
    log = tmp_path / "worker.log"
    with sandbox(tmp_path) as town:
        around = surroundings(servers, database, town, RING + 1)
        with api(servers, database, tmp_path, **around) as url, closing(Agency(url)) as agency:
            question = f"Where is {uuid4()}?"
            community = agency.connect(town.places()[request.param], days=1)
            town.act(request.param, "message", text=question, person=77)
            with process("app.cli.main", "worker", variables=around, log=log):
                eventually(lambda: agency.question(community, question) is not None, "the question is read")
                inquiry = agency.question(community, question)
            assert inquiry is not None
            yield Scene(town, store, agency, around, log, request.param, community, inquiry)


def test_an_answer_whose_outcome_nobody_told_is_found_and_not_sent_again(scene: Scene) -> None:
    text = f"On the shelf, {uuid4()}"
    scene.lose_the_answer("drop")
    with process("app.cli.main", "worker", variables=scene.around, log=scene.log):
        message = scene.agency.answer(scene.inquiry, text)
        eventually(lambda: len(scene.sent(text)) == 1, "the platform accepts it")

        def delivery() -> str:
            return str(scene.agency.message(scene.inquiry, message)["delivery"])

        eventually(lambda: delivery() in {"outcome_unknown", "sent"}, "it is told that the outcome is unknown")
        # Mastodon shows an answer of ours once the customer answers it; VK with the next look.
        scene.town.act(scene.key, "message", text="Thanks!", person=77)
        if scene.key == "velo_dvor":
            eventually(lambda: delivery() == "sent", "it is found on the platform")
        else:
            eventually(lambda: _read(scene, "Thanks!"), "the customer's next words are read")
            assert delivery() == "outcome_unknown"
    assert len(scene.sent(text)) == 1
    assert len(scene.rows(text)) == 1


def _read(scene: Scene, words: str) -> bool:
    return scene.agency.question(scene.community, words) is not None


def test_a_worker_killed_between_the_answer_and_its_commit_sends_once(scene: Scene) -> None:
    text = f"On the shelf, {uuid4()}"
    scene.lose_the_answer("hang")
    with process("app.cli.main", "worker", variables=scene.around, log=scene.log) as worker:
        message = scene.agency.answer(scene.inquiry, text)
        eventually(lambda: len(scene.sent(text)) == 1, "the platform accepts it")
        assert scene.agency.message(scene.inquiry, message)["delivery"] == "sending"
        worker.kill()
        worker.wait(10)
    scene.store.let_time_pass()
    with process("app.cli.main", "worker", variables=scene.around, log=scene.log):
        eventually(
            lambda: scene.agency.message(scene.inquiry, message)["delivery"] == "sent",
            "another worker learns from the platform that it was sent",
        )
    (reply,) = scene.sent(text)
    (row,) = scene.rows(text)
    assert row["external_id"] == (f"message-{reply['id']}" if scene.key == "velo_dvor" else reply["id"])
    assert oracle.words(row["text"]) == text
