"""A repeated POST: one effect, one response, and never across workspaces."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from app.kit.clock import SetClock
from tests.conftest import Agency


def new_key() -> dict[str, Any]:
    return {"Idempotency-Key": uuid.uuid4().hex}


async def names(agency: Agency) -> list[str]:
    return [key["title"] for key in (await agency.get("/v1/api-keys"))["data"]]


async def test_a_repeat_gets_the_first_response_and_has_no_effect(agency: Agency) -> None:
    key = new_key()
    first = await agency.post("/v1/api-keys", {"title": "script"}, **key)
    again = await agency.http.post("/v1/api-keys", json={"title": "script"}, headers=key)
    assert again.json() == first
    assert again.headers["idempotent-replayed"] == "true"
    assert sorted(await names(agency)) == ["first key", "script"]
    await agency.post("/v1/api-keys", {"title": "script"})
    assert len(await names(agency)) == 3, "the control: without a key it is done again"


async def test_another_body_under_the_same_key_is_refused(agency: Agency) -> None:
    key = new_key()
    await agency.post("/v1/api-keys", {"title": "one"}, **key)
    answer = await agency.post("/v1/api-keys", {"title": "two"}, status=422, **key)
    assert answer["code"] == "idempotency-key-reused"


async def test_another_workspace_may_use_the_same_key(agency: Agency, rival: Agency) -> None:
    key = new_key()
    ours = await agency.post("/v1/api-keys", {"title": "script"}, **key)
    theirs = await rival.post("/v1/api-keys", {"title": "script"}, **key)
    assert ours["key"] != theirs["key"]


async def test_after_a_day_the_key_can_be_used_again(agency: Agency, clock: SetClock) -> None:
    key = new_key()
    await agency.post("/v1/api-keys", {"title": "one"}, **key)
    clock.advance(timedelta(hours=24, seconds=1))
    await agency.post("/v1/api-keys", {"title": "two"}, **key)
    assert (await agency.post("/v1/api-keys", {"title": "two"}, **key))["title"] == "two"


async def test_a_refused_request_does_not_use_up_its_key(agency: Agency) -> None:
    key = new_key()
    await agency.post("/v1/api-keys", {"title": ""}, status=422, **key)
    await agency.post("/v1/api-keys", {"title": "good"}, **key)


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256])
async def test_a_malformed_key_is_refused(agency: Agency, key: str) -> None:
    answer = await agency.http.post(
        "/v1/api-keys", json={"title": "x"}, headers=[(b"Idempotency-Key", key.encode("latin-1"))]
    )
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid-idempotency-key"


async def test_many_at_once_have_one_effect(agency: Agency) -> None:
    key = new_key()
    answers = await asyncio.gather(
        *(agency.http.post("/v1/api-keys", json={"title": "storm"}, headers=key) for _ in range(12))
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert (await names(agency)).count("storm") == 1
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["code"] == "idempotency-key-in-use"
            assert answer.headers["retry-after"] == "1"
