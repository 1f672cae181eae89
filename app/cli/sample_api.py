"""Calls of the sample agency to the API, as any script makes them."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.cli.options import CommandFailed
from app.kit.http import Client


class SampleError(CommandFailed):
    """The sample agency could not be created; the message says which step failed."""


@dataclass(frozen=True)
class SampleApi:
    """The API, called with a key; without one, with an empty key."""

    http: Client
    url: str
    key: str

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The answer's JSON; `SampleError` where it is no success."""
        headers = {"Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        answer = await self.http.request(method, self.url + path, json=body, headers=headers)
        if not answer.is_success:
            raise SampleError(f"{method} {path} answered {answer.status_code}: {answer.text}")
        return answer.json()

    async def get_until(self, path: str, is_ready: Callable[[Any], bool], failure: str, tries: int = 150) -> Any:
        """GET until the answer is ready, for about half a minute; `SampleError` with `failure` where it never is."""
        for _ in range(tries):
            answer = await self.call("GET", path)
            if is_ready(answer):
                return answer
            await asyncio.sleep(0.2)
        raise SampleError(failure)
