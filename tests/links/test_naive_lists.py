"""Lists of links are those of a naive filter, whatever filters are combined, and whatever way a search takes."""

import random
from datetime import timedelta
from typing import Any

import pytest

from app.kit.clock import SetClock
from app.links.lexemes import separated
from tests.conftest import Agency
from tests.links.conftest import add_community
from tests.naive_lists import assert_as_naive, descending, has_each


async def test_each_filter_and_each_pair(
    agency: Agency, project_id: str, community_id: str, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(3)
    other = str((await agency.post("/v1/projects", {"title": "Tea", "timezone": "Europe/Minsk"}))["id"])
    places = [
        (project_id, community_id),
        (project_id, None),
        (other, await add_community(agency, other, "https://b.example/t")),
    ]
    for n in range(24):
        project, community = chance.choice(places)
        word = chance.choice(("tea", "cake"))
        body = {
            "project_id": project,
            "community_id": community,
            "target": f"https://shop.example/{word}?number={n}",
            "title": chance.choice((None, "кофе", "чай")),
        }
        made = await agency.post("/v1/links", body)
        clock.advance(timedelta(minutes=1))
        if n % 4 == 0:
            await agency.patch(f"/v1/links/{made['id']}", {"archived": True})
        if n % 5 == 0:
            await agency.patch(f"/v1/links/{made['id']}", {"target": f"https://shop.example/cake#{n}", "title": None})

    def matches(row: Any, name: str, value: Any) -> bool:
        if name == "q":
            return has_each(separated(f"{row['title'] or ''} {row['target']}"), separated(value))
        return bool((row["archived_at"] is not None) is value if name == "archived" else row[name] == value)

    await assert_as_naive(
        agency,
        "/v1/links",
        {
            "project_id": [project_id, other],
            "community_id": [community for _, community in places if community],
            "archived": [True, False],
            "q": ["cake", "shop.example/cake", "чай", "чай tea", "number"],
        },
        {"": lambda row: descending(row["created_at"], row["id"])},
        matches,
        monkeypatch,
    )
    assert (await agency.get("/v1/links", q="exam"))["data"] == [], "words, not parts of words"
    refused = await agency.get("/v1/links", 422, q="the")
    assert refused["code"] == "no-word"
