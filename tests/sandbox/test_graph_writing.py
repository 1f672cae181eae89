"""Graph's tokens, limits and writes."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from sandbox.graph import ids
from sandbox.graph.call import app_secret
from sandbox.graph.errors import KNOWN, fault
from sandbox.graph.mentions import IN_COMMENT, TAG_ALONE
from sandbox.server import build
from tests.sandbox.conftest import ManualClock, SandboxClient, lift_rate_limits
from tests.sandbox.graph_callers import ACCOUNT, PAGE, Someone

DAY = 86_400
DOT = ("a.png", b"\x89PNG\xff\xfe-and-more", "image/png")


@pytest.fixture(scope="session")
def platforms() -> tuple[str, ...]:
    return ("facebook", "instagram")


@pytest.fixture
def page(client: SandboxClient) -> Someone:
    return Someone(client, PAGE)


@pytest.fixture
def account(client: SandboxClient) -> Someone:
    return Someone(client, ACCOUNT)


async def _endpoint(client: SandboxClient, path: str, status: int = 200, **params: Any) -> Any:
    answer = await client.http.get(path, params=params)
    assert answer.status_code == status, answer.text
    return answer.json()


def _app(client: SandboxClient) -> dict[str, Any]:
    return {"client_id": ids.APP, "client_secret": app_secret(client.world)}


async def _allowed(client: SandboxClient, community: str, *scopes: str, kind: str = "community") -> Someone:
    someone = Someone(client, community)
    c = client.world.communities[community]
    someone.token = client.sandbox.network.grants.make(c, kind, scopes)
    return someone


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────


async def test_tokens_travel_in_a_header_the_address_or_a_form(client: SandboxClient, page: Someone) -> None:
    name = {"name": "The Corner Café", "id": ids.page(page.c)}
    assert await page.get("me") == name
    assert await _endpoint(client, "/v26.0/me", access_token=page.token) == name
    answer = await client.http.post("/v26.0/me", data={"method": "get", "access_token": page.token})
    assert answer.json() == name
    assert answer.headers["facebook-api-version"] == "v26.0"
    assert (await _endpoint(client, "/v26.0/me", 400))["error"]["code"] == 104


async def test_tokens_end(client: SandboxClient, page: Someone) -> None:
    assert (await _endpoint(client, "/v26.0/me", 400, access_token="EAAGnonsense"))["error"]["code"] == 190
    for state, subcode in (("expired", 463), ("revoked", 460)):
        await client.http.post("/_sandbox/tokens/state", json={"token": page.token, "state": state})
        assert await page.refused("GET", "me") == (190, subcode)


async def test_a_proof_that_is_sent_has_to_be_right(client: SandboxClient, page: Someone) -> None:
    proof = hmac.new(app_secret(client.world).encode(), page.token.encode(), hashlib.sha256).hexdigest()
    assert (await page.get("me", appsecret_proof=proof))["id"] == ids.page(page.c)
    assert await page.refused("GET", "me", appsecret_proof=proof[:-1]) == (100, None)


async def test_a_person_gets_the_tokens_of_pages(client: SandboxClient, page: Someone) -> None:
    manager = Someone(client, PAGE, "user")
    (managed,) = (await manager.get("me/accounts"))["data"]
    assert (managed["id"], managed["access_token"]) == (ids.page(page.c), page.token)
    assert (await manager.get(ids.page(page.c), fields="access_token"))["access_token"] == page.token
    await client.http.post("/_sandbox/tokens/state", json={"token": page.token, "state": "revoked"})
    manager.token = (await manager.get(ids.page(page.c), fields="access_token"))["access_token"]
    assert manager.token != page.token
    assert (await manager.get("me"))["id"] == ids.page(page.c)
    poor = await _allowed(client, PAGE, "pages_show_list", kind="user")
    poor.token = (await poor.get(ids.page(page.c), fields="access_token"))["access_token"]
    assert await poor.refused("POST", "me/feed", 403, message="Hello") == (200, None), "it may no more than the person"


async def test_a_persons_token_is_made_longer(client: SandboxClient) -> None:
    manager = Someone(client, PAGE, "user")
    params: dict[str, Any] = {"grant_type": "fb_exchange_token", "fb_exchange_token": manager.token}
    answer = await _endpoint(client, "/oauth/access_token", **_app(client), **params)
    assert (answer["token_type"], answer["expires_in"]) == ("bearer", 60 * DAY)
    await client.http.post("/_sandbox/tokens/state", json={"token": manager.token, "state": "revoked"})
    wrong = await _endpoint(client, "/v26.0/oauth/access_token", 400, **_app(client), **params)
    assert (wrong["error"]["code"], wrong["error"]["error_subcode"]) == (190, 460)
    manager.token = answer["access_token"]
    assert (await manager.get("me"))["id"] == ids.user(manager.c)
    client.sandbox.network.clock.set_speed(0)
    await client.http.post("/_sandbox/tokens/state", json={"token": manager.token, "state": "expired"})
    assert await manager.refused("GET", "me") == (190, 463)
    unknown = await _endpoint(client, "/oauth/access_token", 400, client_id="1", client_secret="x", **params)
    assert unknown["error"]["code"] == 101
    wrong = await _endpoint(client, "/oauth/access_token", 400, **{**_app(client), "client_secret": "x"}, **params)
    assert wrong["error"]["code"] == 1


async def test_instagrams_own_login(client: SandboxClient, account: Someone) -> None:
    """Its tokens renew themselves, and `me` is the account, with an id used nowhere else."""
    own = Someone(client, ACCOUNT, "user")
    answer = await _endpoint(client, "/refresh_access_token", grant_type="ig_refresh_token", access_token=own.token)
    assert answer["expires_in"] == 60 * DAY
    assert "instagram_business_basic" in answer["permissions"].split(",")
    own.token = answer["access_token"]
    account_id = account.c.profile.external_id
    me = await own.get("me", fields="user_id,username")
    assert me == {"user_id": int(account_id), "username": ACCOUNT, "id": ids.app_scoped(own.c)}
    assert (await own.get(me["id"], fields="username"))["username"] == ACCOUNT
    assert (await account.get("me", fields="instagram_business_account{username}")) == {
        "instagram_business_account": {"username": ACCOUNT, "id": account_id}, "id": ids.page(account.c),
    }  # fmt: skip
    for token in (account.token, client.token(PAGE, "user")):
        wrong = await _endpoint(client, "/refresh_access_token", 400, grant_type="ig_refresh_token", access_token=token)
        assert wrong["error"]["code"] == 190


async def test_what_a_token_may_is_told(client: SandboxClient, page: Someone) -> None:
    token = f"{ids.APP}|{app_secret(client.world)}"
    answer = (await _endpoint(client, "/debug_token", access_token=token, input_token=page.token))["data"]
    assert (answer["is_valid"], answer["type"], answer["expires_at"]) == (True, "PAGE", 0)
    assert {"pages_messaging", "read_insights"} <= set(answer["scopes"])
    grants, c = client.sandbox.network.grants, page.c
    short = grants.make(c, "user", ["pages_show_list"], 3600)
    answer = (await _endpoint(client, "/v26.0/debug_token", access_token=token, input_token=short))["data"]
    assert (answer["type"], answer["scopes"]) == ("USER", ["pages_show_list"])
    assert answer["expires_at"] == client.world.now // 1000 + 3600
    grants.end(short, "expired")
    answer = (await _endpoint(client, "/debug_token", access_token=token, input_token=short))["data"]
    assert (answer["is_valid"], answer["error"]["subcode"]) == (False, 463)
    answer = (await _endpoint(client, "/debug_token", access_token=token, input_token="x"))["data"]
    assert not answer["is_valid"]


@pytest.mark.parametrize(
    ("community", "scope", "path", "code"),
    [
        (PAGE, "pages_read_engagement", "me/posts", 100),
        (PAGE, "pages_read_user_content", "{post}/comments", 10),
        (PAGE, "read_insights", "{post}/insights?metric=post_clicks", 10),
        (PAGE, "pages_messaging", "me/conversations", 200),
        (PAGE, "pages_manage_metadata", "me/subscribed_apps", 200),
        (ACCOUNT, "instagram_basic", "{account_id}/media", 10),
        (ACCOUNT, "instagram_manage_comments", "{post}/comments", 10),
        (ACCOUNT, "instagram_manage_insights", "{post}/insights?metric=views", 10),
        (ACCOUNT, "instagram_content_publish", "{account_id}/content_publishing_limit", 10),
        (ACCOUNT, "instagram_manage_messages", "me/conversations?platform=instagram", 200),
    ],
)
async def test_each_edge_takes_a_permission(
    client: SandboxClient, community: str, scope: str, path: str, code: int
) -> None:
    someone = Someone(client, community)
    posts = someone.c.posts
    object_id = path.format(post=someone.post_id(posts[0]), account_id=someone.c.profile.external_id)
    query = dict(part.split("=") for part in object_id.partition("?")[2].split("&") if part)
    object_id = object_id.partition("?")[0]
    assert "data" in await (await _allowed(client, community, scope)).get(object_id, **query)
    poor = await _allowed(client, community)
    assert (await poor.refused("GET", object_id, 403 if code == 200 else 400, **query))[0] == code


async def test_what_takes_a_pages_token(client: SandboxClient, page: Someone) -> None:
    manager = Someone(client, PAGE, "user")
    assert await manager.refused("GET", f"{ids.page(page.c)}/conversations") == (190, None)
    assert await manager.refused("POST", f"{ids.page(page.c)}/feed", message="Hello") == (190, None)
    object_id = f"{page.post_id(page.c.posts[0])}/insights"
    assert await manager.refused("GET", object_id, metric="post_clicks") == (190, None)


# ── limits and errors ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("speed", [0], ids=["a still world, for days go by"])
async def test_usage_and_refusal_by_kind_of_token(client: SandboxClient, page: Someone, account: Someone) -> None:
    limits, app = client.sandbox.network.limits, f"{ids.APP}|{app_secret(client.world)}"
    manager = client.token(PAGE, "user")
    cases = [
        ("graph_app_calls", app, ids.APP, 4, "x-app-usage"),
        ("graph_user_calls", manager, "me", 17, "x-app-usage"),
        ("graph_user_calls", manager, ids.page(page.c), 32, "x-app-usage"),
        ("graph_page_calls", page.token, "me", 80_001, "x-business-use-case-usage"),
        ("graph_instagram_calls", account.token, "me", 80_002, "x-business-use-case-usage"),
    ]
    for name, token, path, code, header in cases:
        client.manual_clock.at += 100_000
        limits[name] = 4
        answers = [await client.http.get(f"/v26.0/{path}", params={"access_token": token}) for _ in range(5)]
        assert [one.status_code for one in answers] == [200] * 4 + [400]
        assert answers[4].json()["error"]["code"] == code
        answer = [json.loads(one.headers[header]) for one in answers]
        if header == "x-app-usage":
            assert [one["call_count"] for one in answer] == [25, 50, 75, 100, 100]
            continue
        c = page.c if code == 80_001 else account.c
        usages = [one[c.profile.external_id][0] for one in answer]
        assert [one["call_count"] for one in usages] == [25, 50, 75, 100, 100]
        assert usages[3]["estimated_time_to_regain_access"] == 0
        minutes = usages[4]["estimated_time_to_regain_access"]
        assert 0 < minutes <= 1440
        client.manual_clock.at += minutes * 60
        assert (await client.http.get(f"/v26.0/{path}", params={"access_token": token})).status_code == 200


async def test_two_looks_at_the_conversations_a_second(client: SandboxClient, page: Someone) -> None:
    client.sandbox.network.limits["graph_conversations_rps"] = 2
    for _ in range(2):
        await page.get("me/conversations", limit=1)
    assert await page.refused("GET", "me/conversations") == (613, None)
    client.manual_clock.at += 1
    await page.get("me/conversations", limit=1)


@pytest.mark.parametrize("code", KNOWN)
async def test_faults_have_the_platforms_form(client: SandboxClient, page: Someone, code: str) -> None:
    ask = {"platform": "graph", "count": 1, "effect": {"type": "platform_error", "code": code}}
    assert (await client.http.post("/_sandbox/faults", json=ask)).status_code == 201
    answer = await client.http.get("/v26.0/me", params={"access_token": page.token})
    error = answer.json()["error"]
    said = str(error["code"]) + (f"/{error['error_subcode']}" if "error_subcode" in error else "")
    assert (said, answer.status_code) == (code, KNOWN[code][1])
    with pytest.raises(ValueError, match="no error 7"):
        fault(7)


# ── what is written on Facebook ───────────────────────────────────────────────────────────────────


async def test_a_post_with_photos_that_were_uploaded_before(page: Someone) -> None:
    before = len(page.c.posts)
    photos = [
        (await page.post("me/photos", published="false", caption=f"{n}", files={"source": DOT}))["id"] for n in range(2)
    ]
    attached = json.dumps([{"media_fbid": one} for one in photos])
    post = (await page.post("me/feed", message="Two dots", attached_media=attached))["id"]
    assert len(page.c.posts) == before + 1, "unpublished photos are no posts"
    entry = page.c.wall[page.c.posts[-1]]
    assert (post, entry.text, len(entry.media)) == (page.post_id(entry.id), "Two dots", 2)
    assert [page.c.media[one].size for one in entry.media] == [len(DOT[1])] * 2
    (album,) = (await page.get(f"{post}/attachments"))["data"]
    assert (album["media_type"], len(album["subattachments"]["data"])) == ("album", 2)
    assert await page.refused("POST", "me/feed", attached_media='[{"media_fbid": "1"}]') == (100, 33)
    one_by_one = {f"attached_media[{n}]": json.dumps({"media_fbid": one}) for n, one in enumerate(photos)}
    await page.post("me/feed", message="Again", **one_by_one)
    assert len(page.c.wall[page.c.posts[-1]].media) == 2


async def test_a_photo_is_a_post_by_itself(page: Someone) -> None:
    answer = await page.post("me/photos", message="A dot", files={"source": DOT})
    assert answer["post_id"] == page.post_id(page.c.posts[-1])
    assert (await page.get(answer["post_id"], fields="status_type"))["status_type"] == "added_photos"
    assert await page.refused("POST", "me/photos", message="None") == (324, 2069019)
    wrong = {"source": ("a.txt", b"words", "text/plain")}
    assert await page.refused("POST", "me/photos", files=wrong) == (324, 2069019)


async def test_nothing_is_known_again(page: Someone, account: Someone) -> None:
    """The same message sent twice exists twice: there are no idempotency keys."""
    before = len(page.c.posts)
    first, second = [(await page.post("me/feed", message="Again and again"))["id"] for _ in range(2)]
    assert first != second
    assert len(page.c.posts) == before + 2
    comment = await page.act("comment")
    object_id = ids.comment(page.c, int(comment["post"]), int(comment["id"]))
    assert len({(await page.post(f"{object_id}/comments", message="Yes"))["id"] for _ in range(2)}) == 2
    remark = await account.act("comment")
    object_id = ids.make(ids.IG_COMMENT, account.c, int(remark["id"]))
    assert len({(await account.post(f"{object_id}/replies", message="Yes"))["id"] for _ in range(2)}) == 2


async def test_an_answer_can_be_read_as_it_is_made(page: Someone) -> None:
    comment = await page.act("comment", text="Open?")
    object_id = ids.comment(page.c, int(comment["post"]), int(comment["id"]))
    answer = await page.post(f"{object_id}/comments", message="Yes", fields="id,message,from,parent{id}")
    assert (answer["message"], answer["from"]["id"], answer["parent"]) == ("Yes", ids.page(page.c), {"id": object_id})
    record = page.client.records()[-1]
    assert (record["type"], record["via"], record["parent"]) == ("reply", "comment", comment["id"])
    assert await page.refused("POST", f"{object_id}/comments", message=" ") == (100, None)
    assert await page.refused("POST", "me/feed") == (197, None)


# ── what is written on Instagram ──────────────────────────────────────────────────────────────────

PICTURE = "https://example.org/a.jpg"


async def _container(account: Someone, **params: Any) -> str:
    made: str = (await account.post(f"{account.c.profile.external_id}/media", **params))["id"]
    return made


async def test_a_picture_is_prepared_and_published_once(client: SandboxClient, account: Someone) -> None:
    client.sandbox.network.clock.set_speed(0)
    client.sandbox.network.limits["graph_container_seconds"] = 30
    account_id, made = account.c.profile.external_id, await _container(account, image_url=PICTURE, caption="Bun")
    assert (await account.get(made, fields="status_code"))["status_code"] == "IN_PROGRESS"
    assert await account.refused("POST", f"{account_id}/media_publish", creation_id=made) == (9007, 2207027)
    await client.http.post("/_sandbox/clock", json={"advance": 30})
    assert (await account.get(made, fields="status_code"))["status_code"] == "FINISHED"
    media = (await account.post(f"{account_id}/media_publish", creation_id=made))["id"]
    entry = account.c.wall[account.c.posts[-1]]
    assert (media, entry.text, len(entry.media)) == (account.post_id(entry.id), "Bun", 1)
    assert (await account.get(made, fields="status_code"))["status_code"] == "PUBLISHED"
    assert await account.refused("POST", f"{account_id}/media_publish", creation_id=made) == (24, 2207008)
    late = await _container(account, image_url=PICTURE)
    await client.http.post("/_sandbox/clock", json={"advance": DAY})
    assert (await account.get(late, fields="status_code"))["status_code"] == "EXPIRED"
    assert await account.refused("POST", f"{account_id}/media_publish", creation_id=late) == (24, 2207008)


async def test_a_carousel(account: Someone) -> None:
    account_id = account.c.profile.external_id
    items = [await _container(account, image_url=PICTURE, is_carousel_item="true") for _ in range(3)]
    assert await account.refused("POST", f"{account_id}/media_publish", creation_id=items[0]) == (24, 2207008)
    album = await _container(account, media_type="CAROUSEL", children=",".join(items), caption="Three")
    media = (await account.post(f"{account_id}/media_publish", creation_id=album))["id"]
    answer = await account.get(media, fields="media_type,children{media_type}")
    assert (answer["media_type"], len(answer["children"]["data"])) == ("CAROUSEL_ALBUM", 3)
    alone = await _container(account, image_url=PICTURE)
    for wrong in (items[:1], items * 4, ["1", "2"], [items[0], alone]):
        code = (100, 2207028) if len(wrong) != 2 else (24, 2207006)
        assert (
            await account.refused("POST", f"{account_id}/media", media_type="CAROUSEL", children=",".join(wrong))
            == code
        )


async def test_what_instagram_does_not_take(client: SandboxClient, account: Someone) -> None:
    account_id = account.c.profile.external_id
    assert await account.refused("POST", f"{account_id}/media", caption="Words alone") == (100, None)
    assert await account.refused("POST", f"{account_id}/media", image_url="a.jpg") == (9004, 2207052)
    assert await account.refused("POST", f"{account_id}/media", image_url=PICTURE, caption="x" * 2201) == (
        36004,
        2207010,
    )
    assert await account.refused("POST", f"{account_id}/media_publish", creation_id="17889455560051444") == (
        24,
        2207006,
    )
    client.sandbox.network.limits["graph_publish_daily"] = 2
    for used in range(2):
        answer = await account.get(f"{account_id}/content_publishing_limit", fields="config,quota_usage")
        assert answer["data"] == [{"quota_usage": used, "config": {"quota_total": 2, "quota_duration": DAY}}]
        await account.post(f"{account_id}/media_publish", creation_id=await _container(account, image_url=PICTURE))
    last = await _container(account, image_url=PICTURE)
    assert await account.refused("POST", f"{account_id}/media_publish", creation_id=last) == (9, 2207042)


async def test_mentions_are_listed_and_answered(account: Someone) -> None:
    mention = await account.act("mention", text="At @corner.cafe")
    account_id = account.c.profile.external_id
    tagged = (await account.get(f"{account_id}/tags", fields="caption,username"))["data"][0]
    assert (tagged["caption"], tagged["id"]) == ("At @corner.cafe", ids.make(ids.TAGGED, account.c, int(mention["id"])))
    await account.post(f"{account_id}/mentions", media_id=tagged["id"], message="Thank you")
    record = account.client.records()[-1]
    assert (record["type"], record["via"], record["parent"]) == ("reply", "mention", mention["id"])
    assert await account.refused("POST", f"{account_id}/mentions", media_id="1", message="Thank you") == (100, 33)


async def test_a_mention_in_a_comment_and_a_tag(account: Someone) -> None:
    """The comment is read and answered by its own id; a picture in which the account is only tagged is not answered."""
    me, thanks = account.c.profile.external_id, "Thank you"
    emit, by = account.client.world.emit, account.c.number_of(1)
    in_comment = emit("mention", account.c, "control", text="@corner.cafe?", person=by, kind=IN_COMMENT)
    tag = emit("mention", account.c, "control", text="Buns", person=by, kind=TAG_ALONE)
    numbers = [ids.make(kind, account.c, int(in_comment["id"])) for kind in (ids.TAGGED, ids.IG_COMMENT)]
    media_id, comment_id = numbers
    tag_id = ids.make(ids.TAGGED, account.c, int(tag["id"]))
    fields = f"mentioned_comment.comment_id({comment_id}){{text,username,media{{id}}}}"
    read = (await account.get(me, fields=fields))["mentioned_comment"]
    assert (read["text"], read["id"], read["media"]) == ("@corner.cafe?", comment_id, {"id": media_id})
    listed = (await account.get(f"{me}/tags", fields="caption"))["data"]
    assert listed[0] == {"caption": "Buns", "id": tag_id}
    assert media_id not in {one["id"] for one in listed}
    await account.post(f"{me}/mentions", media_id=media_id, comment_id=comment_id, message=thanks)
    assert account.client.records()[-1]["parent"] == in_comment["id"]
    wrong: dict[str, Any]
    for media, comment in ((tag_id, ""), (media_id, ""), (tag_id, comment_id)):
        wrong = {"media_id": media, "comment_id": comment}
        assert await account.refused("POST", f"{me}/mentions", message=thanks, **wrong) == (100, 33)
    for field in (f"mentioned_media.media_id({tag_id})", f"mentioned_media.media_id({media_id})"):
        assert await account.refused("GET", me, fields=field + "{id}") == (100, 33)


# ── messages ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("key", "subcode", "limit"), [("veloklub.nord", 2018278, 2000), ("lingua.school", 2534022, 1000)]
)
async def test_messages_are_answered_within_a_day(client: SandboxClient, key: str, subcode: int, limit: int) -> None:
    someone = Someone(client, key)
    client.sandbox.network.clock.set_speed(0)
    message = await someone.act("message", text="Open?", person=4711)
    to = json.dumps({"id": ids.person(someone.c, message["person"])})
    platform, other = ("messenger", "instagram") if limit == 2000 else ("instagram", "messenger")
    answer = await someone.get("me/conversations", platform=platform, fields="participants,messages{message,from}")
    thread = answer["data"][0]
    assert thread["messages"]["data"][0]["message"] == "Open?"
    assert (
        thread["participants"]["data"][0]["id"] == thread["messages"]["data"][0]["from"]["id"] == json.loads(to)["id"]
    )
    assert (await someone.get("me/conversations", platform=other))["data"] == []

    sent = await someone.post("me/messages", recipient=to, message='{"text": "Yes"}', messaging_type="RESPONSE")
    assert sent["recipient_id"] == json.loads(to)["id"]
    assert (await someone.get(sent["message_id"], fields="message"))["message"] == "Yes"
    latest_messages = (await someone.get(f"{thread['id']}/messages", limit=1, fields="message"))["data"]
    assert latest_messages == [{"message": "Yes", "id": sent["message_id"]}]

    too_long = json.dumps({"text": "x" * (limit + 1)})
    assert await someone.refused("POST", "me/messages", messaging_type="RESPONSE", recipient=to, message=too_long) == (
        100,
        None,
    )
    nobody = json.dumps({"id": ids.person(someone.c, someone.c.number_of(999_998))})
    assert await someone.refused(
        "POST", "me/messages", messaging_type="RESPONSE", recipient=nobody, message='{"text": "?"}'
    ) == (100, 2018001)
    await client.http.post("/_sandbox/clock", json={"advance": DAY + 600})  # a customer may still thank for the reply
    assert await someone.refused(
        "POST", "me/messages", messaging_type="RESPONSE", recipient=to, message='{"text": "?"}'
    ) == (10, subcode)
    human = {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
    await someone.post("me/messages", recipient=to, message='{"text": "Late"}', **human)


async def test_messages_as_json(page: Someone) -> None:
    message = await page.act("message")
    sent = {"recipient": {"id": ids.person(page.c, message["person"])}, "message": {"text": "Yes"}}
    answer = await page.client.http.post(
        f"/v26.0/me/messages?{urlencode({'access_token': page.token})}", json={**sent, "messaging_type": "RESPONSE"}
    )
    assert answer.status_code == 200, answer.text
    assert page.client.records()[-1]["text"] == "Yes"


# ── what lasts ────────────────────────────────────────────────────────────────────────────────────


async def test_tokens_containers_and_what_was_published_survive_a_restart(
    manual_clock: ManualClock, ledger_path: Path
) -> None:
    token = container = media = ""
    for start in range(2):
        sandbox = build(seed=7, real=manual_clock, tick=None, speed=0, platforms=["instagram"], ledger=ledger_path)
        lift_rate_limits(sandbox)
        transport = httpx.ASGITransport(sandbox.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.test") as http:
            client = SandboxClient(sandbox, manual_clock, http)
            own = Someone(client, ACCOUNT, "user")
            account_id = own.c.profile.external_id
            if not start:
                params: dict[str, Any] = {"grant_type": "ig_refresh_token", "access_token": own.token}
                token = (await _endpoint(client, "/refresh_access_token", **params))["access_token"]
                container = await _container(own, image_url=PICTURE, caption="Before")
                media = (await own.post(f"{account_id}/media_publish", creation_id=container))["id"]
            own.token = token
            assert (await own.get(container, fields="status_code"))["status_code"] == "PUBLISHED"
            assert (await own.get(media, fields="caption"))["caption"] == "Before"
            answer = await own.get(f"{account_id}/content_publishing_limit")
            assert answer["data"] == [{"quota_usage": 1}]
        sandbox.network.world.ledger.close()
    assert token not in ledger_path.read_text()
