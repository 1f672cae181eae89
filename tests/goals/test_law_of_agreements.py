"""The law of agreements, over random sequences of proposals, changes, links and answers.

A revision is answered once, while it is the latest one, by whoever may answer then. Each rule is broken in turn,
and the same sequences then fail.
"""

import asyncio
import inspect
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any, Final

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.cli.database import asyncpg_url
from app.clients import service as links
from app.goals import agreements
from app.kit.clock import SetClock
from app.kit.db import Database
from app.kit.resources import Resources
from tests.access.people import Person
from tests.conftest import Agency, sign_up
from tests.goals.conftest import NOON, Setup, answer, make_setup
from tests.servers import Servers

SETTINGS = settings(
    deadline=None,
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],
)
Step = tuple[str, ...]
HOUR: Final = timedelta(hours=1)

CONTACTS, LINKS = ("0", "1"), ("0", "1", "2")
SEEN, ANSWERS = ("latest", "earlier"), ("agree", "decline")
STEPS = st.one_of(
    st.just(("change",)),
    st.tuples(st.just("link"), st.sampled_from(CONTACTS)),
    st.tuples(st.just("revoke"), st.sampled_from(LINKS)),
    st.just(("wait",)),
    st.tuples(st.just("by_link"), st.sampled_from(LINKS), st.sampled_from(SEEN), st.sampled_from(ANSWERS)),
    st.tuples(st.just("by_seat"), st.sampled_from(SEEN), st.sampled_from(ANSWERS)),
    st.tuples(st.just("both"), st.sampled_from(LINKS), st.sampled_from(ANSWERS)),
    st.just(("by_another_projects_link",)),
)


@dataclass
class Link:
    """A client link to the goal."""

    id: str
    path: str
    contact: str
    expires_at: datetime
    is_revoked: bool = False


@dataclass
class Game:
    """A goal, and what should be true of it."""

    agency: Agency
    setup: Setup
    program: httpx.AsyncClient
    client: Person
    contacts: dict[str, str]
    foreign_path: str
    goal_id: str
    clock: SetClock
    hashes: list[str]
    links: list[Link] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)
    """Contacts that are none any more."""
    is_withdrawn: bool = False
    answers: dict[int, tuple[str, str]] = field(default_factory=dict)
    """For each revision who has answered it, and what."""

    @property
    def latest(self) -> int:
        """The number of the latest revision."""
        return len(self.hashes)

    async def play(self, step: Step) -> None:
        """Do one step, and compare its answer with what should be."""
        await getattr(self, step[0])(*step[1:])

    async def change(self) -> None:
        """Propose another revision."""
        changed = await self.agency.patch(f"/v1/goals/{self.goal_id}", {"target": 2000 + self.latest})
        self.hashes.append(changed["content_hash"])
        assert changed["revision"] == self.latest

    async def link(self, contact: str) -> None:
        """Make a link that ends in three hours."""
        expires_at = self.clock.now() + 3 * HOUR
        body = {
            "contact_id": self.contacts[contact],
            "purpose": "agree",
            "subject_kind": "goal",
            "subject_id": self.goal_id,
            "expires_at": expires_at.isoformat(),
        }
        made = await self.agency.post("/v1/client-links", body)
        path = "/s/" + made["link"].rpartition("/")[2]
        self.links.append(Link(made["id"], path, contact, expires_at))

    async def revoke(self, number: str) -> None:
        """Take a link back."""
        if int(number) < len(self.links):
            one = self.links[int(number)]
            await self.agency.post(f"/v1/client-links/{one.id}/revoke", status=200)
            one.is_revoked = True

    async def wait(self) -> None:
        """Two hours pass."""
        self.clock.advance(2 * HOUR)

    def _revision(self, seen: str) -> int:
        return self.latest if seen == "latest" else max(self.latest - 1, 1)

    async def by_link(self, number: str, seen: str, stated: str) -> None:
        """Answer by a link."""
        if int(number) >= len(self.links):
            return
        one, revision = self.links[int(number)], self._revision(seen)
        expected = self._expected_by_link(one, revision, stated)
        made = await answer(self.program, one.path, stated, seen=self.hashes[revision - 1])
        assert _outcome(made) == expected
        if expected == "201":
            self.answers.setdefault(revision, (f"contact {one.contact}", stated))

    def _expected_by_link(self, one: Link, revision: int, stated: str) -> str:
        if one.contact in self.removed:
            return "410 contact-removed"
        if one.is_revoked:
            return "410 link-revoked"
        if one.expires_at <= self.clock.now():
            return "410 link-expired"
        if revision < self.latest:
            return "409 revision-outdated"
        if self.is_withdrawn:
            return "409 answer-closed"
        made = self.answers.get(revision)
        if made in {None, (f"contact {one.contact}", stated)}:
            return "201"
        assert made is not None
        return "409 already-stated" if made[0] == f"contact {one.contact}" else "409 answer-closed"

    async def by_seat(self, seen: str, stated: str) -> None:
        """Answer as a member with the seat `client`."""
        revision = self._revision(seen)
        made = self.answers.get(revision)
        if revision < self.latest:
            expected = "409 revision-outdated"
        else:
            expected = "201" if made in {None, ("member", stated)} else "409 already-answered"
        if self.is_withdrawn:
            expected = "409 goal-closed"
        body = {"answer": stated, "revision": revision}
        got = await self.client.http.post(f"/v1/goals/{self.goal_id}/agreements", json=body)
        assert _outcome(got) == expected
        if expected == "201":
            self.answers.setdefault(revision, ("member", stated))

    async def both(self, number: str, stated: str) -> None:
        """Answer by a link and by the seat at once: one of them is the answer."""
        if int(number) >= len(self.links):
            return
        one, other = self.links[int(number)], "decline" if stated == "agree" else "agree"
        by_link = self._expected_by_link(one, self.latest, stated)
        is_open = self.latest not in self.answers
        body = {"answer": other, "revision": self.latest}
        first, second = await asyncio.gather(
            answer(self.program, one.path, stated, seen=self.hashes[-1]),
            self.client.http.post(f"/v1/goals/{self.goal_id}/agreements", json=body),
        )
        if is_open and by_link == "201":
            assert {first.status_code, second.status_code} == {201, 409}
            is_first = first.status_code == 201
            self.answers[self.latest] = (f"contact {one.contact}", stated) if is_first else ("member", other)
        elif is_open:
            assert (_outcome(first), second.status_code) == (by_link, 201)
            self.answers[self.latest] = ("member", other)
        else:
            assert _outcome(first) == by_link
            assert second.status_code == (201 if self.answers[self.latest] == ("member", other) else 409)

    async def by_another_projects_link(self) -> None:
        """Answer with the link of a goal of another project, and what is known of this one."""
        made = await answer(self.program, self.foreign_path, seen=self.hashes[-1])
        assert _outcome(made) == "409 revision-outdated"

    async def by_the_agency(self) -> None:
        """The owner answers for the client, with every permission but the seat."""
        body = {"answer": "agree", "revision": self.latest}
        made = await self.agency.http.post(f"/v1/goals/{self.goal_id}/agreements", json=body)
        assert _outcome(made) == "403 client-seat-needed"

    async def withdraw(self) -> None:
        """Take the goal back."""
        await self.agency.post(f"/v1/goals/{self.goal_id}/withdraw", status=200)
        self.is_withdrawn = True

    async def remove(self, contact: str) -> None:
        """Take a contact out of the project."""
        path = f"/v1/projects/{self.setup.project_id}/contacts/{self.contacts[contact]}"
        assert (await self.agency.http.delete(path)).status_code == 204
        self.removed.add(contact)

    async def check(self) -> None:
        """What is stored is what should be."""
        goal = await self.agency.get(f"/v1/goals/{self.goal_id}")
        rows = (await self.agency.get(f"/v1/goals/{self.goal_id}/agreements", limit=200))["data"]
        by_client = sorted((one["revision"], one["answer"]) for one in rows if one["side"] == "client")
        assert by_client == sorted((revision, stated) for revision, (_, stated) in self.answers.items())
        for one in rows:
            assert one["content_hash"] == self.hashes[one["revision"] - 1]
        agreed = [revision for revision, (_, stated) in self.answers.items() if stated == "agree"]
        assert goal["agreed_revision"] == max(agreed, default=None)
        status = {None: "proposed", "agree": "agreed", "decline": "declined"}
        latest_answer = self.answers.get(self.latest)
        assert self.is_withdrawn or goal["status"] == status[latest_answer and latest_answer[1]]


def _outcome(made: httpx.Response) -> str:
    return "201" if made.status_code == 201 else f"{made.status_code} {made.json().get('code')}"


class Table:
    """Makes games of one agency: a project with two contacts and a client's member, and another project."""

    def __init__(self, agency: Agency, setup: Setup, program: httpx.AsyncClient, client: Person) -> None:
        self.agency, self.setup, self.program, self.client = agency, setup, program, client
        self.contacts: dict[str, str] = {}
        self.foreign_path = ""

    async def lay(self) -> None:
        """Make the contacts, and a goal of another project with its link."""
        oleg = {"name": "Oleg", "email": "oleg@coffee.example"}
        path = f"/v1/projects/{self.setup.project_id}/contacts"
        self.contacts = {"0": self.setup.contact_id, "1": (await self.agency.post(path, oleg))["id"]}
        other = await self.agency.post("/v1/projects", {"title": "Tea", "timezone": "Europe/Minsk"})
        contact = await self.agency.post(f"/v1/projects/{other['id']}/contacts", oleg)
        stated = {"value": 1000, "reason": "Counted."}
        foreign = await self.setup.goal(project_id=other["id"], stated_baseline=stated)
        end = (NOON + timedelta(days=60)).isoformat()
        self.foreign_path = await self.setup.link(foreign["id"], contact["id"], expires_at=end)
        body = {"contact_id": contact["id"], "purpose": "agree", "subject_kind": "goal"}
        ours = await self.setup.goal()
        refused = await self.agency.post("/v1/client-links", body | {"subject_id": ours["id"]}, 404)
        assert "another project" in refused["detail"]

    async def play(self, steps: Sequence[Step]) -> None:
        """A new goal, these steps, and the check."""
        clock = self.agency.resources.clock
        assert isinstance(clock, SetClock)
        goal = await self.setup.goal()
        game = Game(
            *(self.agency, self.setup, self.program, self.client, self.contacts, self.foreign_path, goal["id"]),
            *(clock, [goal["content_hash"]]),
        )
        for step in (("link", "0"), ("link", "1"), *steps):
            await game.play(step)
            await game.check()


@pytest.fixture
async def table(app: FastAPI, agency: Agency, setup: Setup, program: httpx.AsyncClient) -> Table:
    """Where games are made."""
    made = Table(agency, setup, program, await setup.member(app))
    await made.lay()
    return made


@given(steps=st.lists(STEPS, max_size=10))
@SETTINGS
async def test_a_revision_is_answered_once_while_it_is_the_latest_by_whoever_may(
    table: Table, steps: list[Step]
) -> None:
    await table.play(steps)


SCENES: Final[dict[str, tuple[Step, ...]]] = {
    "revoked": (("revoke", "0"), ("by_link", "0", "latest", "agree")),
    "expired": (("wait",), ("wait",), ("by_link", "0", "latest", "agree")),
    "outdated by link": (("change",), ("by_link", "0", "earlier", "agree")),
    "outdated by seat": (("change",), ("by_seat", "earlier", "agree")),
    "another project's": (("by_another_projects_link",),),
    "answered otherwise by link": (("by_link", "0", "latest", "agree"), ("by_link", "0", "latest", "decline")),
    "answered by another": (("by_seat", "latest", "agree"), ("by_link", "1", "latest", "decline")),
    "answered by a contact": (("by_link", "1", "latest", "decline"), ("by_seat", "latest", "agree")),
    "at once": (("both", "0", "agree"),),
    "by the agency": (("by_the_agency",),),
    "withdrawn, by link": (("withdraw",), ("by_link", "0", "latest", "agree")),
    "withdrawn, by seat": (("withdraw",), ("by_seat", "latest", "agree")),
    "contact removed": (("remove", "0"), ("by_link", "0", "latest", "agree")),
}


@pytest.mark.parametrize("scene", SCENES)
async def test_what_each_rule_is_about(table: Table, scene: str) -> None:
    await table.play(SCENES[scene])


def broken(function: Callable[..., Any], *rules: tuple[str, str]) -> Callable[..., Any]:
    """The function with parts of its source replaced, each of which is there."""
    source = textwrap.dedent(inspect.getsource(function))
    for rule, replacement in rules:
        assert rule in source, f"{function.__name__} has no {rule!r}"
        source = source.replace(rule, replacement)
    module: ModuleType = sys.modules[function.__module__]
    namespace: dict[str, Any] = {}
    exec(compile(source, "<broken>", "exec"), module.__dict__ | {}, namespace)
    made: Callable[..., Any] = namespace[function.__name__]
    return made


def replace_everywhere(monkeypatch: pytest.MonkeyPatch, function: Any, replacement: Any) -> None:
    """Let all modules have the replacement in place of the function."""
    for module in list(sys.modules.values()):
        for name, value in list(vars(module).items()) if module is not None else ():
            if value is function:
                monkeypatch.setattr(module, name, replacement)


RULES: Final[dict[str, tuple[Callable[..., Any], tuple[tuple[str, str], ...]]]] = {
    "revoked": (links.read, (("link.revoked_at is not None", "False"),)),
    "expired": (links.read, (("link.expires_at <= now(session)", "False"),)),
    "outdated by link": (links.state, (("seen != opened.content_hash", "False"),)),
    "another project's": (links.state, (("seen != opened.content_hash", "False"),)),
    "outdated by seat": (agreements.state, (("revision < goal.revision", "False"),)),
    "answered otherwise by link": (
        links._same,
        (("(statement.answer, statement.text) != (answer.value, text)", "False"),),
    ),
    "answered by another": (links.state, (("view.closed is not None", "False"),)),
    "by the agency": (agreements.answer_as_member, (("seat_id is None", "False"),)),
    "withdrawn, by link": (links.state, (("view.closed is not None", "False"),)),
    "withdrawn, by seat": (agreements.state, (("goal.status not in OPEN", "False"),)),
    "contact removed": (links.read, (("contact.removed_at is not None", "False"),)),
    "answered by a contact": (
        agreements._same,
        (
            ("not signatory.has_made(existing)", "False"),
            ("(existing.answer, existing.text) != (answer.value, text)", "False"),
        ),
    ),
}


@pytest.mark.parametrize("scene", RULES)
async def test_a_broken_rule_is_found(table: Table, monkeypatch: pytest.MonkeyPatch, scene: str) -> None:
    """The control: without the rule its scene fails."""
    function, rules = RULES[scene]
    replace_everywhere(monkeypatch, function, broken(function, *rules))
    with pytest.raises(AssertionError):
        await table.play(SCENES[scene])


_UNGUARDED = (("for_update=True", "for_update=False"), ("existing is not None", "False"))


@pytest.mark.parametrize("scene", ["at once", "answered by another", "answered by a contact"])
async def test_the_index_alone_lets_one_answer_count(table: Table, monkeypatch: pytest.MonkeyPatch, scene: str) -> None:
    """Without the lock and without the question whether there is an answer already."""
    replace_everywhere(monkeypatch, agreements.state, broken(agreements.state, *_UNGUARDED))
    await table.play(SCENES[scene])


async def test_without_the_index_a_second_answer_is_found(
    servers: Servers, app: FastAPI, resources: Resources, program: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without lock, question and index the revision is answered twice."""
    name = servers.clone()
    connection = await asyncpg.connect(asyncpg_url(servers.superuser_url(name)))
    await connection.execute("ALTER TABLE goal_agreement DROP CONSTRAINT uq_goal_agreement_side")
    await connection.close()
    made = Database(servers.app_url(name), pool=3, clock=resources.clock)
    app.state.resources = replace(resources, db=made)
    agency = await sign_up(app, app.state.resources)
    setup = await make_setup(agency)
    table = Table(agency, setup, program, await setup.member(app))
    await table.lay()
    replace_everywhere(monkeypatch, agreements.state, broken(agreements.state, *_UNGUARDED))
    with pytest.raises(AssertionError):
        await table.play((("by_seat", "latest", "agree"), ("by_seat", "latest", "decline")))
    await agency.http.aclose()
    await made.close()
