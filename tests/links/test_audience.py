"""Classification of people and bots: a mistake of either kind falsifies a KPI."""

import pytest

from app.links import audience
from tests.links.agents import BOTS, PEOPLE


@pytest.mark.parametrize("user_agent", PEOPLE)
def test_a_person_is_a_person(user_agent: str) -> None:
    assert audience.bot("GET", {"user-agent": PEOPLE[user_agent]}) is None


@pytest.mark.parametrize("user_agent", BOTS)
def test_a_bot_is_a_bot(user_agent: str) -> None:
    assert audience.bot("GET", {"user-agent": BOTS[user_agent]}) is not None


@pytest.mark.parametrize(
    ("name", "value"),
    [("purpose", "prefetch"), ("sec-purpose", "prefetch;prerender"), ("x-moz", "prefetch"), ("x-purpose", "preview")],
)
def test_prefetching_is_no_click(name: str, value: str) -> None:
    assert audience.bot("GET", {"user-agent": PEOPLE["Chrome"], name: value}) == "prefetch"


def test_the_reason_is_given() -> None:
    assert audience.bot("HEAD", {"user-agent": PEOPLE["Chrome"]}) == "head"
    assert audience.bot("GET", {}) == "no-agent"
    assert audience.bot("GET", {"user-agent": BOTS["Telegram"]}) == "link-preview"
    assert audience.bot("GET", {"user-agent": BOTS["Google"]}) == "crawler"
    assert audience.bot("GET", {"user-agent": "MyShop"}) == "not-a-browser"
