"""`instep jobs`: what was given up is found, run again, or discarded."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from tests.cli.conftest import Instep

Sql = Callable[..., list[asyncpg.Record]]
WORKSPACE = uuid.UUID("01a00000-0000-7000-8000-000000000001")


@pytest.fixture
def job(sql: Sql) -> Callable[..., uuid.UUID]:
    """Stores a job; its id."""

    def store(
        state: str, kind: str = "communities.poll", key: str | None = None, *, minutes: int = -60, **columns: object
    ) -> uuid.UUID:
        job_id = uuid.uuid4()
        values: dict[str, object] = {
            "id": job_id,
            "workspace_id": WORKSPACE,
            "kind": kind,
            "key": key or str(job_id),
            "args": json.dumps({"community_id": "c"}),
            "state": state,
            "run_at": datetime.now(UTC) + timedelta(minutes=minutes),
            "attempts": 3,
            "fence": 0,
            "error": json.dumps({"code": "Boom", "detail": "it broke [here]"}),
            "created_at": datetime.now(UTC),
            **columns,
        }
        places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
        sql(f"INSERT INTO job ({', '.join(values)}) VALUES ({places})", *values.values())
        return job_id

    return store


def test_those_that_were_given_up_are_listed_in_80_columns(instep: Instep, job: Callable[..., uuid.UUID]) -> None:
    dead = job("dead", "inquiries.reconcile_a_reply", error=json.dumps({"code": "ARatherLongNameOfAnException"}))
    job("waiting")
    answer = instep("jobs", "list")
    assert answer.exit_code == 0, answer.output
    assert str(dead)[-12:] in answer.stdout
    assert "communities.poll" not in answer.stdout
    assert max(map(len, answer.stdout.splitlines())) <= 80


def test_states_kinds_and_workspaces_select(instep: Instep, job: Callable[..., uuid.UUID]) -> None:
    waiting, running = job("waiting"), job("running", leased_until=datetime.now(UTC))
    job("dead", "links.tidy", workspace_id=None)
    dead = job("dead")

    def listed(*options: str) -> list[str]:
        return [one["id"] for one in json.loads(instep("jobs", "list", "--json", *options).stdout)]

    assert listed("--status", "waiting") == [str(waiting)]
    assert listed("--status", "running") == [str(running)]
    assert listed("--kind", "communities.poll") == [str(dead)]
    assert listed("--workspace", str(WORKSPACE)) == [str(dead)]
    assert len(listed()) == 2
    assert len(listed("--limit", "1")) == 1


def test_one_is_shown_by_the_end_of_its_id(instep: Instep, job: Callable[..., uuid.UUID]) -> None:
    dead = job("dead")
    answer = instep("jobs", "show", str(dead)[-8:])
    assert answer.exit_code == 0, answer.output
    for part in (str(dead), "communities.poll", '{"community_id": "c"}', "Boom", "it broke [here]"):
        assert part in answer.stdout
    assert json.loads(instep("jobs", "show", str(dead), "--json").stdout)["error"]["code"] == "Boom"
    unknown = instep("jobs", "show", "0" * 12)
    assert unknown.exit_code == 1
    assert "there is no job" in unknown.stderr


def test_a_retried_one_is_due_now_with_no_attempts(instep: Instep, job: Callable[..., uuid.UUID], sql: Sql) -> None:
    dead, later = job("dead"), job("waiting", minutes=60)
    answer = instep("jobs", "retry", str(dead), str(later)[-12:])
    assert answer.exit_code == 0, answer.output
    assert "2 jobs due now" in answer.stdout
    assert "jobs.retry" in answer.stderr, "it is in the record of changes"
    rows = sql("SELECT state, attempts, run_at <= now() AS due FROM job")
    assert [tuple(row) for row in rows] == [("waiting", 0, True)] * 2


def test_what_cannot_be_retried_is_left_alone(instep: Instep, job: Callable[..., uuid.UUID], sql: Sql) -> None:
    superseded, running = job("dead", key="k"), job("running", leased_until=datetime.now(UTC))
    job("waiting", key="k")
    answer = instep("jobs", "retry", str(superseded), str(running))
    assert answer.exit_code == 1
    assert "discard this one" in answer.stderr
    assert "it runs now" in answer.stderr
    assert sorted(row["state"] for row in sql("SELECT state FROM job")) == ["dead", "running", "waiting"]


def test_all_dead_ones_of_a_kind_are_retried(instep: Instep, job: Callable[..., uuid.UUID], sql: Sql) -> None:
    for kind in ("communities.poll", "communities.poll", "links.tidy"):
        job("dead", kind)
    answer = instep("jobs", "retry", "--all", "--kind", "communities.poll")
    assert answer.exit_code == 0, answer.output
    assert sorted(row["state"] for row in sql("SELECT state FROM job")) == ["dead", "waiting", "waiting"]
    assert instep("jobs", "retry").exit_code == 1, "neither ids nor --all"


def test_only_dead_ones_are_discarded_and_all_of_them_only_when_asked(
    instep: Instep, job: Callable[..., uuid.UUID], sql: Sql
) -> None:
    waiting, _ = job("waiting"), job("dead")
    refused = instep("jobs", "discard", str(waiting))
    assert refused.exit_code == 1
    assert "it is not dead" in refused.stderr
    assert instep("jobs", "discard", "--all", stdin="n\n").exit_code == 1
    assert len(sql("SELECT 1 FROM job")) == 2
    answer = instep("jobs", "discard", "--all", "--yes")
    assert (answer.exit_code, "1 job deleted" in answer.stdout) == (0, True)
    assert [row["id"] for row in sql("SELECT id FROM job")] == [waiting]
    assert "no job was given up" in instep("jobs", "list").stdout
