"""VK publishes the schema of every answer, and nobody answers of its own."""

from typing import Final

from tests.platforms.recorded import Recorded

RECORDED: Final = Recorded(
    schemas={"vk/schema/**/*": "VK's schema: `vk/test_schema` and the sandbox's answers hold to it"}
)
