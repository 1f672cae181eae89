"""What an adapter checks before it sends anything."""

import pytest

from app.platforms import guards
from app.platforms.contract import AuthExpired, Credentials, Token

BOTH = {Token.USER: "u", Token.COMMUNITY: "c"}


def _credentials(tokens: dict[Token, str], external_id: str | None = "1") -> Credentials:
    return Credentials("https://vk.com/club1", "https://api.vk.ru", external_id, tokens)


@pytest.mark.parametrize("accepted", [(Token.USER, Token.COMMUNITY), (Token.COMMUNITY, Token.USER)])
def test_of_several_tokens_the_kind_accepted_first_is_taken(accepted: tuple[Token, Token]) -> None:
    assert guards.token_kind(_credentials(BOTH), accepted, "VK") is accepted[0]


def test_a_kind_that_is_missing_is_passed_over() -> None:
    only_community = _credentials({Token.COMMUNITY: "c"})
    assert guards.token_kind(only_community, (Token.USER, Token.COMMUNITY), "VK") is Token.COMMUNITY


def test_without_any_accepted_kind_a_person_must_reconnect_the_first() -> None:
    with pytest.raises(AuthExpired, match="VK needs a token for this: user or app") as caught:
        guards.token_kind(_credentials({Token.REFRESH: "r"}), (Token.USER, Token.APP), "VK")
    assert caught.value.token is Token.USER


def test_an_id_that_is_not_known_yet_is_the_callers_fault() -> None:
    assert guards.community_id(_credentials(BOTH)) == "1"
    with pytest.raises(ValueError, match="not known yet"):
        guards.community_id(_credentials(BOTH, None))
