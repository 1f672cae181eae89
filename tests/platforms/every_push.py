"""Which adapters are tested with every fault at every push; the others are in long runs (`make test-all`, slices).

`test_suite` checks that these few cover every fault.
"""

from typing import Final

import pytest

EVERY_PUSH: Final = ("telegram", "vk")
"""One with a stream of events and no list of posts, one with lists, webhooks, several communities and renewals."""


def marks_for(key: str) -> tuple[pytest.MarkDecorator, ...]:
    """The pytest marks of a test that is long for all adapters except `EVERY_PUSH`."""
    return () if key in EVERY_PUSH else (pytest.mark.long,)
