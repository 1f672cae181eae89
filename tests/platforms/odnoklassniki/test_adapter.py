"""The Odnoklassniki adapter: what the test suites for all adapters do not cover of the group and its topics."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import parse_qs

import pytest

from app.platforms.contract import (
    COST,
    AuthExpired,
    Cost,
    Gone,
    Malformed,
    Metric,
    MetricStatus,
    MissingPermission,
    Page,
    Token,
)
from app.platforms.odnoklassniki.adapter import Odnoklassniki
from tests.platforms.contract.stage import Subject, staged
from tests.platforms.odnoklassniki.server import (
    APP,
    DAY,
    C,
    FakeOdnoklassniki,
    error_response,
    topic,
)


@pytest.fixture
async def s() -> AsyncIterator[Subject]:
    async with staged("odnoklassniki", Odnoklassniki) as subject:
        yield subject


async def test_tokens_are_sent_in_the_form_and_not_in_the_url(s: Subject) -> None:
    await s.adapter().posts(s.c, None)
    await s.adapter().conversations(s.c, None)
    rest, *_, graph = s.transport.requests
    assert (rest.url.path, rest.url.query) == ("/fb.do", b"")
    assert rest.extensions[COST] == Cost(token=s.c.tokens[Token.USER], kind=Token.USER)
    assert graph.url.path == "/graph/me/chats"
    assert graph.extensions[COST] == Cost(token=s.c.tokens[Token.COMMUNITY], kind=Token.COMMUNITY)
    sent = parse_qs(rest.content.decode())
    assert sent["access_token"] == [s.c.tokens[Token.USER]]
    assert "application_secret" not in sent


@pytest.mark.parametrize("missing", ["application_key", "application_secret"])
async def test_nothing_is_sent_without_the_application(missing: str) -> None:
    fake = FakeOdnoklassniki()
    c = replace(C, app={name: value for name, value in APP.items() if name != missing})
    with pytest.raises(MissingPermission, match=missing):
        await fake.adapter().community(c)
    assert not fake.requests


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("https://ok.ru/group/53038939046008", "https://ok.ru/group/53038939046008"),
        ("https://ok.ru/group/53038939046008/topic/66", "https://ok.ru/group/53038939046008"),
        ("m.ok.ru/group53038939046008", "https://ok.ru/group/53038939046008"),
        ("group53038939046008", "https://ok.ru/group/53038939046008"),
        (" http://www.odnoklassniki.ru/apiok/ ", "https://ok.ru/apiok"),
        ("ok.ru/ApiOK", "https://ok.ru/apiok"),
        ("@apiok", "https://ok.ru/apiok"),
    ],
)
def test_an_address_has_one_spelling(typed: str, canonical: str) -> None:
    assert Odnoklassniki.address(typed).canonical == canonical


@pytest.mark.parametrize(
    "typed",
    [
        *("", "ok.ru", "ok.ru/group", "ok.ru/feed", "ok.ru/a/b", "ok.ru/группа", "group/0", "ftp://ok.ru/apiok"),
        *("https://[ok.ru/apiok", "https://ok.ru/profile/561104947330", "https://vk.com/club1"),
    ],
)
def test_an_invalid_address_is_rejected(typed: str) -> None:
    with pytest.raises(ValueError, match=r"ok\.ru"):
        Odnoklassniki.address(typed)


async def test_a_group_is_found_by_its_name(s: Subject) -> None:
    named = replace(s.c, external_id=None, address=f"https://ok.ru/{s.community.key}")
    numbered = replace(s.c, external_id=None, address=f"https://ok.ru/group/{s.c.external_id}")
    requests_before = len(s.transport.requests)
    community = await s.adapter().community(named)
    assert len(s.transport.requests) == requests_before + 2
    assert await s.adapter().community(numbered) == community
    assert len(s.transport.requests) == requests_before + 3
    assert (community.external_id, community.url) == (s.c.external_id, f"https://ok.ru/{s.community.key}")
    with pytest.raises(Gone):
        await s.adapter().community(replace(named, address="https://ok.ru/nobody"))


async def test_the_groups_own_token_gives_its_id_but_not_its_size(s: Subject) -> None:
    own_token_only = replace(s.c, external_id=None, tokens={Token.COMMUNITY: s.c.tokens[Token.COMMUNITY]})
    community = await s.adapter().community(own_token_only)
    assert (community.external_id, community.size) == (s.c.external_id, None)
    with pytest.raises(MissingPermission, match="another group"):
        await s.adapter().community(replace(own_token_only, external_id="1"))
    with pytest.raises(AuthExpired) as caught:
        await s.adapter().posts(replace(own_token_only, external_id=s.c.external_id), None)
    assert caught.value.token is Token.USER
    page = await s.adapter().conversations(replace(s.c, tokens={}), "kept")
    assert page == Page((), "kept", more=False)


async def test_posts_of_other_authors_are_not_listed(s: Subject) -> None:
    authors = {
        "Somebody's": {"author_ref": "user:5", "is_on_behalf_of_group": False},
        "An editor's": {"author_ref": "user:9", "is_on_behalf_of_group": True},
        "Without an author": {"author_ref": None},
    }
    for text in ("Ours", *authors):
        s.post(text)

    def with_authors(body: bytes) -> bytes:
        answer = json.loads(body)
        for one in answer.get("media_topics", ()):
            one.update(authors.get(one["media"][0]["text"], {}))
        return json.dumps(answer).encode()

    s.transport.spoils = with_authors
    texts = {post.text for post in (await s.adapter().posts(s.c, None)).items}
    assert texts >= {"Ours", "An editor's", "Without an author"}
    assert "Somebody's" not in texts


async def test_counters_that_are_not_in_the_response_are_missing() -> None:
    topics = [topic(5, media=[{"type": "text", "text": "Ours "}, {"type": "photo"}]), topic(3)]
    stats = {"topics": [{"id": "5", "created_ms": 5 * DAY, "reach": 7}], "has_more": False}
    fake = FakeOdnoklassniki(group_getStatTopics=stats, mediatopic_getByIds={"media_topics": topics})
    five, three = (await fake.adapter().posts(C, None)).items
    assert five.text == "Ours"
    assert five.metrics.counters == {Metric.REACTIONS: 5, Metric.REACH: 7}
    assert five.metrics.missing[Metric.COMMENTS] is MetricStatus.UNSUPPORTED, "switched off, not 0"
    assert three.metrics.missing[Metric.REACH] is MetricStatus.PENDING


async def test_the_next_poll_reads_the_last_day_again(s: Subject) -> None:
    """A topic may appear in the statistics late."""
    s.post("Older")
    s.later(2 * DAY / 1000)
    within_a_day = s.post("Within a day")
    s.later(0.9 * DAY / 1000)
    latest = s.post("Latest")
    page = await s.adapter().posts(s.c, None)
    while page.more:
        page = await s.adapter().posts(s.c, page.cursor)
    again = await s.adapter().posts(s.c, page.cursor)
    ids = [post.external_id for post in again.items]
    assert ids[0] == latest["id"]
    assert within_a_day["id"] in ids
    assert "Older" not in {post.text for post in again.items}


@pytest.mark.parametrize("listing", [{"has_more": True}, {"has_more": True, "anchor": "A"}])
async def test_a_page_without_a_new_cursor_is_malformed(listing: dict[str, object]) -> None:
    fake = FakeOdnoklassniki(
        group_getStatTopics={"topics": [{"id": "9"}], **listing}, mediatopic_getByIds={"media_topics": []}
    )
    with pytest.raises(Malformed):
        await fake.adapter().posts(C, '{"anchor":"A"}')


async def test_a_page_without_topics_is_followed_by_the_next() -> None:
    fake = FakeOdnoklassniki(
        group_getStatTopics={"anchor": "B", "has_more": True}, mediatopic_getByIds={"media_topics": []}
    )
    page = await fake.adapter().posts(C, None)
    assert (page.items, page.more) == ((), True)
    assert len(fake.calls) == 1, "no topics are requested"


@pytest.mark.parametrize(
    ("stats", "status"),
    [
        (error_response(50), MetricStatus.NO_PERMISSION),
        (error_response(10), MetricStatus.NO_PERMISSION),
        (error_response(2), MetricStatus.ERROR),
        ({"topics": [], "has_more": False}, MetricStatus.PENDING),
        ({"topics": [{"id": "5"}], "has_more": False}, MetricStatus.PENDING),
    ],
)
async def test_an_error_of_reach_leaves_the_other_metrics(stats: object, status: MetricStatus) -> None:
    fake = FakeOdnoklassniki(group_getStatTopics=stats, mediatopic_getByIds={"media_topics": [topic(5, views_count=0)]})
    five, six = await fake.adapter().metrics(C, ("5", "6"))
    assert five.counters == {Metric.REACTIONS: 5, Metric.VIEWS: 0}
    assert five.missing[Metric.REACH] is status
    assert six.gone


async def test_reach_is_requested_from_the_latest_topic_without_it(s: Subject) -> None:
    """One page of the statistics has 50 topics; pages without a requested topic are not read."""
    old = s.post()
    s.later(3600)
    others = [s.post(f"Post {number}") for number in range(60)]
    ids = (old["id"], others[0]["id"], others[-1]["id"])
    s.let("view", id=old["id"], count=9, unique=4)
    requests_before = len(s.transport.requests)
    metrics = await s.adapter().metrics(s.c, ids)
    assert [one.counters[Metric.REACH] for one in metrics] == [s.community.wall[int(one)].reach for one in ids]
    assert metrics[0].counters[Metric.REACH] >= 4
    assert len(s.transport.requests) - requests_before == 3, "topics; statistics from the latest and from the second"
