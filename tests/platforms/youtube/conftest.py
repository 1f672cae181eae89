"""YouTube's adapter on the sandbox."""

from collections.abc import AsyncIterator

import pytest

from app.platforms.youtube.adapter import YouTube
from tests.platforms.contract.stage import Subject, staged


@pytest.fixture
async def stage() -> AsyncIterator[Subject]:
    async with staged("youtube", YouTube) as subject:
        yield subject
