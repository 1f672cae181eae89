"""Which adapters are put to every fault at every push; the others are in long runs (`make test-all`, slices).

`test_suite` sees to it that these few leave out no rule.
"""

from typing import Final

import pytest

EVERY_PUSH: Final = ("telegram", "vk")
"""One with a stream of events and no list of posts, one with lists, hooks, several communities and renewals."""


def marks(key: str) -> tuple[pytest.MarkDecorator, ...]:
    """Those of a test that is long for all adapters but `EVERY_PUSH`."""
    return () if key in EVERY_PUSH else (pytest.mark.long,)
