"""The checks of an adapter before it sends a request."""

from dataclasses import replace

import httpx
import pytest

from app.platforms import adapter, adapters, guards
from app.platforms.contract import AuthExpired, Credentials, Token
from tests.platforms.calls import changes
from tests.platforms.specimens import specimen

BOTH = {Token.USER: "u", Token.COMMUNITY: "c"}


def _credentials(tokens: dict[Token, str], external_id: str | None = "1") -> Credentials:
    return Credentials("https://vk.com/club1", "https://api.vk.ru", external_id, tokens)


@pytest.mark.parametrize("accepted", [(Token.USER, Token.COMMUNITY), (Token.COMMUNITY, Token.USER)])
def test_the_first_accepted_token_kind_is_used(accepted: tuple[Token, Token]) -> None:
    assert guards.token_kind(_credentials(BOTH), accepted, "VK") is accepted[0]


def test_a_missing_token_kind_is_skipped() -> None:
    only_community = _credentials({Token.COMMUNITY: "c"})
    assert guards.token_kind(only_community, (Token.USER, Token.COMMUNITY), "VK") is Token.COMMUNITY


def test_without_any_accepted_token_the_first_kind_is_expired() -> None:
    with pytest.raises(AuthExpired, match="VK needs a token for this: user or app") as caught:
        guards.token_kind(_credentials({Token.REFRESH: "r"}), (Token.USER, Token.APP), "VK")
    assert caught.value.token is Token.USER


def test_an_unknown_external_id_is_a_value_error() -> None:
    assert guards.community_id(_credentials(BOTH)) == "1"
    with pytest.raises(ValueError, match="not known yet"):
        guards.community_id(_credentials(BOTH, None))


def _changes() -> list[tuple[str, str]]:
    unconnected = httpx.AsyncClient(transport=httpx.AsyncBaseTransport())
    return [
        (key, name) for key, kind in sorted(adapters().items()) for name in changes(kind(unconnected), specimen(key))
    ]


@pytest.mark.parametrize(("key", "name"), _changes())
async def test_a_change_without_a_token_is_not_sent(key: str, name: str) -> None:
    requests: list[httpx.Request] = []

    def record(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(401, json={})

    about = specimen(key)
    async with httpx.AsyncClient(transport=httpx.MockTransport(record)) as http:
        made = adapter(key)(http)
        without = replace(about.credentials("https://platform.example"), tokens={})
        with pytest.raises(AuthExpired):
            await changes(made, about)[name](without)
    assert requests == []
