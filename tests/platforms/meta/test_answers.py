"""Unusual Graph responses: missing fields, unnamed authors, formats of old versions, errors of every format."""

from typing import Any

import httpx
import pytest

from app.platforms.contract import (
    AuthExpired,
    Gone,
    Malformed,
    Metric,
    MetricStatus,
    MissingPermission,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    RemotePerson,
    Throttled,
    Transient,
)
from app.platforms.meta import errors
from app.platforms.meta.facebook import Facebook
from app.platforms.meta.instagram import Instagram
from tests.platforms.meta import test_instagram as ig
from tests.platforms.meta.facebook_graph import PAGE, SECRETS, credentials, fake_graph, signed_request
from tests.platforms.meta.server import START, Node, graph_error, graph_time
from tests.platforms.meta.specs import client_answering

INSTAGRAM = "17841400000000077"


def facebook(content: object) -> Facebook:
    return Facebook(client_answering(content))


def post(**more: object) -> Node:
    return {"id": f"{PAGE}_1", "created_time": graph_time(1), **more}


# ── lists ─────────────────────────────────────────────────────────────────────────────────────────

NEXT = "https://graph.facebook.com/v3.2/77/posts?access_token=EAAB-secret&limit=25"


@pytest.mark.parametrize(
    ("paging", "next_params"),
    [
        ({"cursors": {"before": "b", "after": "a1"}, "next": f"{NEXT}&after=a1"}, {"after": "a1"}),
        ({"next": f"{NEXT}&after=a%2B1"}, {"after": "a+1"}),
        ({"cursors": None, "next": f"{NEXT}&after=a1"}, {"after": "a1"}),
        (
            {"previous": f"{NEXT}&since=9", "next": f"{NEXT}&until=1542611984&__paging_token=enc_Ad&__previous"},
            {"until": "1542611984", "__paging_token": "enc_Ad"},
        ),
        ({"next": f"{NEXT}&offset=25"}, {"offset": "25"}),
        ({"previous": f"{NEXT}&since=9"}, None),
        ({"cursors": {"before": "b", "after": "a1"}}, None),
        ({}, None),
        (None, None),
    ],
)
async def test_the_next_page_is_that_of_the_next_link(paging: Node | None, next_params: dict[str, str] | None) -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={"data": [post()], "paging": paging})

    adapter = Facebook(httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    page = await adapter.posts(credentials(), None)
    assert page.more == (next_params is not None)
    assert "secret" not in (page.cursor or "")
    if next_params is not None:
        await adapter.posts(credentials(), page.cursor)
        params = requests[1].url.params
        assert {name: params[name] for name in next_params} == next_params
        assert ("after" in params) == ("after" in next_params)


@pytest.mark.parametrize("address", ["https://[", "https://graph.facebook.com/77/posts?limit=25"])
async def test_a_next_link_without_a_cursor_is_malformed(address: str) -> None:
    with pytest.raises(Malformed):
        await facebook({"data": [], "paging": {"next": address}}).posts(credentials(), None)


TOO_MUCH = "Please reduce the amount of data you're asking for, then retry your request"


@pytest.mark.parametrize(
    "error",
    [graph_error(1, None, TOO_MUCH), graph_error(1, 99, "An unknown error occurred", error_user_msg=TOO_MUCH)],
)
async def test_a_page_that_is_too_large_is_requested_again_with_a_smaller_limit(error: Node) -> None:
    limits: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        limits.append(int(request.url.params["limit"]))
        most = 2 if "published_posts" in request.url.path else 0
        if limits[-1] > most:
            return httpx.Response(500, json=error)
        return httpx.Response(200, json={"data": [post()], "paging": {"next": f"{NEXT}&after=a1"}})

    adapter = Facebook(httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    page = await adapter.posts(credentials(), None)
    assert (len(page.items), page.more, limits) == (1, True, [50, 10, 2])
    with pytest.raises(Transient):
        await adapter.comments(credentials(), f"{PAGE}_1", None)
    assert limits[3:] == [100, 20, 4, 1]


# ── what is empty ─────────────────────────────────────────────────────────────────────────────────


async def test_a_page_with_only_required_fields() -> None:
    community = await facebook({"id": PAGE, "username": "coffee", "link": None, "fan_count": None}).community(
        credentials()
    )
    assert (community.title, community.size, community.url) == ("coffee", None, "https://www.facebook.com/coffee")


async def test_a_post_without_a_text_or_counters() -> None:
    bare = post(message=None, story=None, shares=None, comments={"data": [], "summary": {"order": "ranked"}})
    (listed,) = (await facebook({"data": [bare]}).posts(credentials(), None)).items
    assert (listed.text, listed.metrics.counters) == ("", {})
    assert listed.metrics.missing[Metric.COMMENTS] is MetricStatus.PENDING
    assert listed.metrics.missing[Metric.SHARES] is MetricStatus.PENDING


@pytest.mark.parametrize("author", [None, {}, {"name": "Somebody"}, {"id": None, "name": "Somebody"}])
async def test_a_comment_without_an_author(author: Node | None) -> None:
    bare = {"id": "1_11", "created_time": graph_time(1), "message": None, "from": author}
    (comment,) = (await facebook({"data": [bare]}).comments(credentials(), f"{PAGE}_1", None)).items
    assert (comment.author.external_id, comment.author.is_community, comment.text) == ("unknown-1_11", False, "")


async def test_messages_of_a_customer_without_an_id() -> None:
    page, customer = {"id": PAGE, "name": "Coffee"}, {"name": "Facebook user"}
    incoming = {"id": "m_1", "created_time": graph_time(1), "message": "Hello?", "to": {"data": [page]}}
    outgoing = {"id": "m_2", "created_time": graph_time(2), "message": None, "from": page, "to": {"data": [customer]}}
    unaddressed = {"id": "m_3", "created_time": graph_time(3), "message": "?", "to": None}
    thread = {
        "id": "t_9", "updated_time": graph_time(3), "participants": {"data": [customer, page]},
        "messages": {"data": [unaddressed, outgoing, incoming]},
    }  # fmt: skip
    bare = {"id": "t_8", "updated_time": graph_time(2), "participants": None, "messages": None}
    messages = await facebook({"data": [thread, bare]}).conversations(credentials(), None)
    reply, first = messages.items
    assert (first.author, first.text) == (RemotePerson("unknown-t_9", ""), "Hello?")
    assert (reply.author.is_community, reply.text) == (True, "")
    assert reply.thread_id == first.thread_id == "message-unknown-t_9"


async def test_an_account_and_media_with_only_required_fields() -> None:
    user = {"id": INSTAGRAM, "username": "coffee", "name": None, "followers_count": None}
    assert (await Instagram(client_answering(user)).community(ig.credentials(external_id=INSTAGRAM))).title == "coffee"
    media = {"id": "181", "timestamp": graph_time(1), "caption": None, "like_count": -1, "comments_count": 3}
    (listed,) = (await Instagram(client_answering({"data": [media]})).posts(ig.credentials(), None)).items
    assert listed.metrics.counters == {Metric.COMMENTS: 3}
    assert listed.metrics.missing[Metric.REACTIONS] is MetricStatus.UNSUPPORTED
    comment = {"id": "179", "timestamp": graph_time(1), "text": None, "username": None, "from": {"username": "ann"}}
    replies = {**comment, "id": "178", "username": "ann", "replies": None}
    one, other = (
        await Instagram(client_answering({"data": [comment, replies]})).comments(ig.credentials(), "181", None)
    ).items
    assert (one.text, one.author.external_id, other.author.external_id) == ("", "unknown-179", "ann")
    (tag,) = (
        await Instagram(client_answering({"data": [media]})).conversation_list(ig.credentials(), "tags", None)
    ).items
    assert tag.author == RemotePerson("unknown-181", "")


@pytest.mark.parametrize(
    ("insight", "views"),
    [
        ({"period": "lifetime", "values": [{"value": 7}]}, 7),
        ({"values": [{"value": 7}]}, 7),
        ({"period": "lifetime", "total_value": {"value": 0}, "values": None}, 0),
        ({"period": "day", "values": [{"value": 7, "end_time": "2026-03-01T08:00:00+0000"}]}, None),
        ({"period": "lifetime", "values": [{"value": {"like": 3}}]}, None),
        ({"period": "lifetime", "values": [{}]}, None),
        ({"period": "lifetime", "values": []}, None),
    ],
)
async def test_an_insight_counts_from_the_posts_first_day(insight: Node, views: int | None) -> None:
    graph = fake_graph()
    graph.nodes[f"{PAGE}_1"] = post()
    insights: list[Node] = [{"name": "post_media_view", **insight}]
    graph.insights[f"{PAGE}_1"] = dict.fromkeys(graph.metrics)

    def answer(request: httpx.Request) -> httpx.Response:
        if b"insights.metric" not in request.content:
            return graph._handle(request)
        node = {"id": f"{PAGE}_1", "insights": {"data": insights, "paging": {"previous": NEXT, "next": NEXT}}}
        return httpx.Response(200, json=[{"code": 200, "body": httpx.Response(200, json=node).text}])

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    (metrics,) = await Facebook(client).metrics(credentials(), (f"{PAGE}_1",))
    assert metrics.counters.get(Metric.VIEWS) == views
    assert (Metric.VIEWS in metrics.missing) == (views is None)


async def test_a_subscription_may_be_confirmed_by_a_bare_boolean() -> None:
    graph = fake_graph()
    graph.bodies = {"/subscriptions": {"success": True}}
    graph.overrides["subscribed_apps"] = httpx.Response(200, json=True)
    assert await Facebook(graph.client()).subscribe(credentials(), "https://x.example/h", {"verify_token": "x"}) == {}
    graph.overrides["subscribed_apps"] = httpx.Response(200, json=False)
    with pytest.raises(Rejected):
        await Facebook(graph.client()).subscribe(credentials(), "https://x.example/h", {"verify_token": "x"})


async def test_no_scope_is_missing_if_the_response_has_no_scopes() -> None:
    state = await facebook({"data": {"is_valid": True, "expires_at": 0}}).inspect(credentials())
    assert {one.missing_scopes for one in state.values()} == {()}
    state = await facebook({"data": {"is_valid": True, "scopes": []}}).inspect(credentials())
    assert all(one.missing_scopes for one in state.values())


# ── errors ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        ({"error": {"type": "OAuthException", "message": "Error validating access token."}}, 400, AuthExpired),
        ({"error": {"type": "OAuthException", "message": "Error validating application."}}, 400, Rejected),
        ({"error": {"message": "(#803) Some of the aliases do not exist", "type": "OAuthException"}}, 404, Gone),
        ({"error": {"message": "(#4) Application request limit reached"}}, 403, Throttled),
        ({"error": {"message": "Something", "type": "Exception"}}, 500, Transient),
        ({"error": {"message": "Something", "type": "Exception"}}, 429, Throttled),
        ({"error": {"message": "Something", "type": "Exception"}}, 401, AuthExpired),
        ({"error": {"message": None, "type": None, "code": "190", "error_subcode": "463"}}, 400, AuthExpired),
        ({"error": {"code": 100, "error_subcode": None, "is_transient": None, "message": None}}, 400, Rejected),
        ({"error_type": "OAuthException", "code": 400, "error_message": "Invalid access token"}, 400, AuthExpired),
        ({"error_type": "OAuthException", "code": 400, "error_message": "Invalid platform app"}, 400, Rejected),
        ({"error_code": 190, "error_msg": "Invalid OAuth 2.0 Access Token", "request_args": []}, 200, AuthExpired),
        (graph_error(2500, None, "An active access token must be used to query information"), 400, AuthExpired),
        (graph_error(2500, None, "Unknown path components: /x"), 400, Rejected),
        (graph_error(452, None, "Session key invalid."), 400, AuthExpired),
        (graph_error(5, None, "Unauthorized source IP address"), 400, MissingPermission),
        (graph_error(1200, None, "Temporary send message failure. Please try again later."), 400, Transient),
        (graph_error(1, 2_207_052, "Media download has failed."), 400, Rejected),
        (graph_error(100, 2_207_052, "Invalid parameter"), 400, Rejected),
        (graph_error(80_004), 400, Throttled),
        ({"error": {}}, 400, Malformed),
        ({"error": "not Graph's"}, 404, Malformed),
        ({"error": "not Graph's"}, 401, AuthExpired),
    ],
)
async def test_errors_of_every_format(error: Node, status: int, kind: type[PlatformError]) -> None:
    with pytest.raises(kind) as caught:
        await Facebook(client_answering(error, status)).community(credentials())
    assert type(caught.value) is kind


def test_a_temporary_failure_of_a_write_has_an_unknown_outcome() -> None:
    response = httpx.Response(400, json=graph_error(1200, None, "Temporary send message failure."))
    assert isinstance(errors.failure(response, changes=True), OutcomeUnknown)


def test_the_type_of_an_error_is_not_in_its_platform_code() -> None:
    error = errors.failure(
        httpx.Response(400, json={"error": {"type": "<EAAB secret>", "message": "x"}}), changes=False
    )
    assert error is not None
    assert error.platform_code == "0"


# ── hooks ─────────────────────────────────────────────────────────────────────────────────────────


def events(kind: type[Facebook] | type[Instagram], *entries: object) -> Any:
    name = "page" if kind is Facebook else "instagram"
    return kind.receive(signed_request({"object": name, "entry": list(entries)}), SECRETS).events


MESSAGE: Node = {"sender": {"id": "5"}, "recipient": {"id": PAGE}, "message": {"mid": "m_1", "text": "Hello"}}


@pytest.mark.parametrize(
    "moment", [1_772_355_660, 1_772_355_660_000, "1772355660", "1772355660000", "2026-03-01T09:01:00+0000"]
)
def test_times_are_parsed_in_every_format(moment: object) -> None:
    (event,) = events(Facebook, {"id": PAGE, "time": moment, "messaging": [{**MESSAGE, "timestamp": moment}]})
    assert (event.messages[0].sent_at - START).total_seconds() == 60
    change = {
        "item": "comment", "verb": "add", "post_id": f"{PAGE}_1", "comment_id": "1_11", "created_time": moment,
        "from": {"id": "5"},
    }  # fmt: skip
    (event,) = events(Facebook, {"id": PAGE, "changes": [{"field": "feed", "value": change}]})
    assert (event.messages[0].sent_at - START).total_seconds() == 60


def test_a_sample_event_of_the_dashboard_is_parsed() -> None:
    value = {**MESSAGE, "timestamp": "1772355660"}
    change = {"field": "messages", "value": value}
    for sample in ({"changes": [change]}, change):
        (event,) = events(Instagram, {"id": "0", "time": 1_772_355_660, **sample})
        assert event.messages[0].text == "Hello"
        assert (event.messages[0].sent_at - START).total_seconds() == 60


@pytest.mark.parametrize(
    "broken",
    [
        {"id": PAGE, "time": "yesterday", "messaging": [MESSAGE]},
        {"id": PAGE, "messaging": [MESSAGE, {"read": {"watermark": 1}}, "x", None]},
        {"id": PAGE, "messaging": None, "changes": None, "standby": None},
        {"id": PAGE, "time": 1, "changes": [{"field": "about", "value": "We are open"}, {"value": 1}, "x"]},
        {"id": PAGE, "time": 1, "changes": [{"field": "feed", "value": "x"}, {"field": "comments", "value": None}]},
        {"id": PAGE, "time": 1, "changed_fields": ["about"]},
        {"id": None},
        "x",
        None,
    ],
)
@pytest.mark.parametrize("kind", [Facebook, Instagram])
def test_a_malformed_entry_does_not_affect_the_others(kind: type[Facebook] | type[Instagram], broken: object) -> None:
    good = {"id": PAGE, "time": 1, "messaging": [{**MESSAGE, "timestamp": 1_772_355_660_000}]}
    received = events(kind, broken, good)
    (event,) = (one for one in received if one.unparsed is None)
    assert event.messages[0].external_id == "m_1"
    assert all(not one.messages for one in received if one is not event)


def feed(**value: object) -> Any:
    comment = {"item": "comment", "post_id": f"{PAGE}_1", "comment_id": "1_11", "created_time": 1_772_355_600}
    return events(
        Facebook, {"id": PAGE, "time": 1_772_355_660, "changes": [{"field": "feed", "value": comment | value}]}
    )


def test_comment_events_of_old_versions() -> None:
    (old,) = feed(verb="add", sender_id=5, sender_name="Ann", message=None)
    assert (old.messages[0].author, old.messages[0].text) == (RemotePerson("5", "Ann"), "")
    assert feed(verb="add", sender_id=int(PAGE), parent_id="1_10") == (), "it names no customer"
    for verb in ("edit", "edited", "update"):
        (event,) = feed(verb=verb, sender_id=5, message="x")
        assert event.messages[0].edited_at is not None
    for verb in ("remove", "delete"):
        assert feed(verb=verb)[0].deleted_ids == ("1_11",)
    for verb in ("block", "follow", "mute"):
        assert feed(verb=verb, sender_id=5) == ()


@pytest.mark.parametrize(("published", "visible"), [(1, True), (True, True), (None, True), (0, False), (False, False)])
def test_an_event_of_an_unpublished_post_is_ignored(published: object, *, visible: bool) -> None:
    received = feed(item="photo", verb="add", published=published, sender_id=PAGE, comment_id=None)
    assert bool(received) == visible


def test_instagram_comment_events_with_few_fields() -> None:
    value = {"comment_id": "179", "text": None, "from": {"username": "ann"}}
    (event,) = events(Instagram, {"id": INSTAGRAM, "time": 1_772_355_660, "field": "comments", "value": value})
    (message,) = event.messages
    assert (message.external_id, message.text, message.post_id) == ("179", "", None)
    assert (message.author.external_id, message.author.name) == ("ann", "ann")
    assert events(Instagram, {"id": INSTAGRAM, "field": "comments", "value": value}) == (), "the event has no time"
