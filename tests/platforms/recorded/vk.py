"""VK publishes the schema of every response, and there are no recorded ones."""

from typing import Final

from tests.platforms.recorded import Recorded

RECORDED: Final = Recorded(
    schemas={"vk/schema/**/*": "VK's schema, checked by `vk/test_schema` and the sandbox's tests"}
)
