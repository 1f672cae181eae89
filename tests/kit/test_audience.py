"""Classification of people and bots: a mistake of either kind falsifies a KPI."""

import pytest

from app.kit import audience
from tests.links.agents import BOTS, PEOPLE


@pytest.mark.parametrize("user_agent", PEOPLE)
def test_a_person_is_a_person(user_agent: str) -> None:
    assert audience.bot("GET", {"user-agent": PEOPLE[user_agent]}) is None


@pytest.mark.parametrize("user_agent", BOTS)
def test_a_bot_is_a_bot(user_agent: str) -> None:
    assert audience.bot("GET", {"user-agent": BOTS[user_agent]}) is not None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("purpose", "prefetch"),
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("sec-purpose", "prefetch;anonymous-client-ip"),
        ("sec-purpose", "prerender"),
        ("sec-purpose", "Prerender;speculative"),
        ("purpose", "prerender"),
        ("x-moz", "prefetch"),
        ("x-purpose", "preview"),
        ("x-purpose", "instant"),
    ],
)
def test_prefetching_is_no_click(name: str, value: str) -> None:
    assert audience.bot("GET", {"user-agent": PEOPLE["Chrome"], name: value}) == "prefetch"


def test_a_purpose_of_a_person_is_a_click() -> None:
    assert audience.bot("GET", {"user-agent": PEOPLE["Chrome"], "sec-purpose": "partitioned-popin"}) is None


def test_the_reason_is_given() -> None:
    assert audience.bot("HEAD", {"user-agent": PEOPLE["Chrome"]}) == "head"
    assert audience.bot("GET", {}) == "no-agent"
    assert audience.bot("GET", {"user-agent": BOTS["Telegram"]}) == "link-preview"
    assert audience.bot("GET", {"user-agent": BOTS["Google"]}) == "crawler"
    assert audience.bot("GET", {"user-agent": "MyShop"}) == "not-a-browser"
    assert audience.bot("GET", {"user-agent": BOTS["bare Mozilla"]}) == "not-a-browser"
    assert audience.bot("GET", {"user-agent": BOTS["Google Safety"]}) == "fetcher"
    assert audience.bot("GET", {"user-agent": BOTS["Claude, for a person"]}) == "fetcher"
    assert audience.bot("GET", {"user-agent": BOTS["Gmail, a sample"]}) == "fetcher"
