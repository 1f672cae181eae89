"""The requests of adapters, and their validation by the platforms' own schemas.

`all_calls.every_request` uses every ability of an adapter against the sandbox and returns the requests it has sent.
A module for each platform with a published schema has `problems(request, subject)`, which returns what a request
contains against the schema, and `EXCEPTIONS`: by adapter, the problems that are accepted, each with its reason. A
problem names the method and the parameter, but no id and no value that differs from one request to the next.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx

from sandbox.multipart import parts


@dataclass(frozen=True)
class SentRequest:
    """A request, with its query and its body parsed."""

    method: str
    url: httpx.URL
    headers: httpx.Headers = field(default_factory=httpx.Headers)
    content: bytes = b""

    @classmethod
    def of(cls, request: httpx.Request) -> "SentRequest":
        """From a request whose body was read."""
        return cls(request.method, request.url, request.headers, request.content)

    @property
    def path(self) -> str:
        return str(self.url.path)

    @property
    def content_type(self) -> str:
        return str(self.headers.get("content-type", "")).partition(";")[0]

    @property
    def token(self) -> str:
        """The token of the `authorization` header; empty without one."""
        return str(self.headers.get("authorization", "")).partition(" ")[2]

    @cached_property
    def query(self) -> list[tuple[str, str]]:
        return self.url.params.multi_items()

    @cached_property
    def form(self) -> list[tuple[str, str]]:
        """The fields of a form, of either encoding, without its files."""
        if self.content_type == "application/x-www-form-urlencoded":
            return parse_qsl(self.content.decode(), keep_blank_values=True)
        return [(part.name, part.content.decode()) for part in self._parts() if part.filename is None]

    @cached_property
    def files(self) -> dict[str, str]:
        """The media type of each file of a form, by the name of its field."""
        return {part.name: part.content_type for part in self._parts() if part.filename is not None}

    @cached_property
    def json(self) -> Any:
        """The JSON body; None where the body is of another type."""
        return json.loads(self.content) if self.content_type == "application/json" and self.content else None

    def with_parameter(self, name: str, value: str) -> "SentRequest":
        """The same request with one more field of its body, or, where that has none, of its query."""
        if isinstance(self.json, dict):
            return replace(self, content=json.dumps({**self.json, name: value}).encode())
        if self.content_type == "application/x-www-form-urlencoded":
            return replace(self, content=urlencode([*self.form, (name, value)]).encode())
        return replace(self, url=self.url.copy_merge_params({name: value}))

    def at(self, path: str) -> "SentRequest":
        """The same request to another path."""
        return replace(self, url=self.url.copy_with(path=path))

    def _parts(self) -> Iterator[Any]:
        if self.content_type == "multipart/form-data":
            yield from parts(self.headers["content-type"], self.content)
