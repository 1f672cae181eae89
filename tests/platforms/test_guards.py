"""The checks of an adapter before it sends a request."""

import pytest

from app.platforms import guards
from app.platforms.contract import AuthExpired, Credentials, Token

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
