"""The length of a text, in every unit that its platform limits."""

import pytest

from app.platforms import adapters, outgoing
from app.platforms.bluesky.adapter import Bluesky
from app.platforms.capabilities import OutgoingPost
from app.platforms.contract import TextLimit, TextUnit

FAMILY = "👨‍👩‍👧"
"""One character as readers count them, 18 bytes."""


@pytest.mark.parametrize(
    ("text", "excess"),
    [
        ("x" * 300, None),
        ("x" * 301, "at most 300 characters; these are 301"),
        (FAMILY * 166, None),
        (FAMILY * 167, "at most 3000 bytes; these are 3006"),
    ],
)
def test_a_post_on_bluesky_has_two_limits(text: str, excess: str | None) -> None:
    assert outgoing.excess(text, Bluesky.spec.reply_text_limit) == excess
    assert (outgoing.problems(OutgoingPost(text), Bluesky.spec) == []) == (excess is None)


@pytest.mark.parametrize(
    ("text", "excess"),
    [
        ("x" * 1000, None),
        ("x" * 1001, "at most 1000 characters; these are 1001"),
        (FAMILY * 556, "at most 10000 bytes; these are 10008"),
    ],
)
def test_a_message_on_bluesky_is_longer_than_a_post(text: str, excess: str | None) -> None:
    assert outgoing.excess(text, Bluesky.spec.message_text_limit) == excess


def test_bytes_are_those_of_utf8() -> None:
    assert outgoing.excess("Да", TextLimit(4, TextUnit.BYTES)) is None
    assert outgoing.excess("Да!", TextLimit(4, TextUnit.BYTES)) == "at most 4 bytes; these are 5"


def test_a_platform_without_a_limit_of_messages_has_that_of_replies() -> None:
    for kind in adapters().values():
        if kind.spec.message_limit is None:
            assert kind.spec.message_text_limit == kind.spec.reply_text_limit
