"""Telegram publishes a description of every type, and there are no recorded responses."""

from typing import Final

from tests.platforms.recorded import Recorded

RECORDED: Final = Recorded(
    schemas={
        "telegram/api.json": "the Bot API's types: `telegram/test_recordings` generates responses and updates from them"
    }
)
