"""Tokens of Facebook, and the limits that its responses report."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.platforms.capabilities import (
    TokenState,
    Usage,
)
from app.platforms.contract import (
    AuthExpired,
    LimitScope,
    Rejected,
    Token,
)
from app.platforms.meta.facebook import Facebook
from tests.platforms.meta.facebook_graph import (
    APP,
    APP_TOKEN,
    PAGE,
    PAGE_TOKEN,
    USER_TOKEN,
    adapter,
    credentials,
    fake_graph,
)
from tests.platforms.meta.server import Node, graph_error


async def test_tokens_are_renewed() -> None:
    graph = fake_graph()
    graph.tokens |= {"EAABnew-user"}
    graph.nodes[PAGE]["access_token"] = "EAABnew-page"
    graph.bodies = {"oauth/access_token": {"access_token": "EAABnew-user", "expires_in": 5_184_000}}
    granted = await adapter(graph).refresh(credentials())
    assert {kind: (one.text, one.lifetime) for kind, one in granted.items()} == {
        Token.USER: ("EAABnew-user", timedelta(days=60)),
        Token.COMMUNITY: ("EAABnew-page", None),
    }
    assert graph.sent[0][1] == {
        "grant_type": "fb_exchange_token", "fb_exchange_token": USER_TOKEN,
        "client_id": "4400", "client_secret": "the-app's-secret",
    }  # fmt: skip
    assert graph.requests[1].headers["authorization"] == "Bearer EAABnew-user"
    alone = await adapter(graph).refresh(credentials({Token.USER: USER_TOKEN}, app={}))
    assert set(alone) == {Token.COMMUNITY}
    assert len(graph.requests) == 3
    del graph.nodes[PAGE]["access_token"]
    with pytest.raises(AuthExpired, match="no role"):
        await adapter(graph).refresh(credentials(app={}))
    with pytest.raises(AuthExpired):
        await adapter(graph).refresh(credentials({Token.COMMUNITY: PAGE_TOKEN}))


def test_what_can_be_renewed() -> None:
    assert Facebook.renewable({Token.COMMUNITY}, APP) == frozenset()
    assert Facebook.renewable({Token.USER}, {}) == {Token.COMMUNITY}
    assert Facebook.renewable({Token.USER, Token.COMMUNITY}, APP) == {Token.COMMUNITY, Token.USER}


async def test_tokens_are_inspected() -> None:
    graph = fake_graph()
    access_end = int(datetime(2026, 11, 24, 6, tzinfo=UTC).timestamp())
    scopes = [scope for scope in Facebook.spec.scopes[Token.USER] if scope != "read_insights"]
    token_info: Node = {"is_valid": True, "scopes": scopes, "expires_at": 0, "data_access_expires_at": access_end}
    graph.bodies = {"debug_token": {"data": token_info}}
    states = await adapter(graph).inspect(credentials())
    assert states[Token.COMMUNITY] == TokenState(("read_insights",), timedelta(days=1))
    assert set(states) == {Token.COMMUNITY, Token.USER}
    assert [form["input_token"] for _, form in graph.sent] == [PAGE_TOKEN, USER_TOKEN]
    assert graph.requests[0].headers["authorization"] == f"Bearer {APP_TOKEN}"
    token_info |= {"expires_at": access_end - 3600}
    states = await adapter(graph).inspect(credentials())
    assert states[Token.USER].lifetime == timedelta(hours=23), "the earlier of the two expiries"
    token_info |= {"data_access_expires_at": 0, "expires_at": 0}
    assert (await adapter(graph).inspect(credentials()))[Token.USER].lifetime is None
    assert await adapter(graph).inspect(credentials(app={})) == {}
    token_info |= {"is_valid": False}
    with pytest.raises(AuthExpired) as caught:
        await adapter(graph).inspect(credentials())
    assert caught.value.token is Token.COMMUNITY


@pytest.mark.parametrize(
    ("headers", "usage"),
    [
        ({}, None),
        ({"x-app-usage": "nonsense"}, None),
        ({"x-app-usage": '{"call_count":28,"total_time":45,"total_cputime":25}'}, Usage(0.45, LimitScope.APP)),
        ({"x-page-usage": '{"call_count":110}'}, Usage(1.1, LimitScope.COMMUNITY)),
        (
            {
                "x-app-usage": '{"call_count":28,"total_time":45,"total_cputime":25}',
                "x-business-use-case-usage": '{"77":[{"type":"pages","call_count":95,"total_cputime":20,"total_time":2,'
                '"estimated_time_to_regain_access":19},{"type":"messenger","call_count":1}]}',
            },
            Usage(0.95, LimitScope.COMMUNITY, 1140.0),
        ),
    ],
)
def test_usage_is_read_from_response_headers(headers: dict[str, str], usage: Usage | None) -> None:
    assert Facebook.usage(httpx.Response(200, headers=headers)) == usage


async def test_requests_carry_the_proof_of_the_app_secret() -> None:
    graph = fake_graph()
    await adapter(graph).community(credentials())
    await adapter(graph).community(credentials(app={}))
    proven, unproven = graph.requests
    proof = hmac.new(APP["client_secret"].encode(), PAGE_TOKEN.encode(), hashlib.sha256).hexdigest()
    assert proven.url.params["appsecret_proof"] == proof
    assert "appsecret_proof" not in unproven.url.params
    with pytest.raises(AuthExpired) as caught:
        await adapter(graph).community(credentials({Token.USER: USER_TOKEN}))
    assert caught.value.token is Token.COMMUNITY


async def test_error_messages_do_not_contain_secrets() -> None:
    graph = fake_graph()
    error = graph_error(1234567, None, f"Cannot call with {PAGE_TOKEN} and {APP['client_secret']} and more")
    graph.overrides["oauth"] = graph.overrides[f"{PAGE}?"] = httpx.Response(400, json=error)
    with pytest.raises(Rejected) as caught:
        await adapter(graph).community(credentials())
    assert PAGE_TOKEN not in str(caught.value)
    with pytest.raises(Rejected) as caught:
        await adapter(graph).refresh(credentials())
    assert APP["client_secret"] not in str(caught.value)
