"""One call of the Bot API: parameters, files and token, and the errors that refuse it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sandbox.entities import Community
from sandbox.grants import Grant
from sandbox.multipart import parts
from sandbox.network import Network, json_response

MAX_BODY: Final = 50 * 1000 * 1000
_DESCRIPTIONS: Final = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict",
    413: "Request Entity Too Large", 429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway",
}  # fmt: skip


class RefusedError(Exception):
    """An error response; `detail` is appended to the code's own message."""

    def __init__(self, code: int, detail: str = "", **parameters: int) -> None:
        super().__init__(detail)
        self.code, self.detail, self.parameters = code, detail, parameters

    @property
    def answer(self) -> Response:
        description = _DESCRIPTIONS.get(self.code, "Error")
        body: dict[str, object] = {
            "ok": False, "error_code": self.code,
            "description": f"{description}: {self.detail}" if self.detail else description,
        }  # fmt: skip
        if self.parameters:
            body["parameters"] = self.parameters
        return json_response(body, self.code)


def wait(seconds: int) -> RefusedError:
    return RefusedError(429, f"retry after {seconds}", retry_after=seconds)


def fault(code: int | str) -> Response:
    """The Telegram error of a code and, where several share it, a message: `400 chat not found`."""
    number, _, detail = str(code).partition(" ")
    if not number.isdecimal() or int(number) not in _DESCRIPTIONS:
        raise ValueError(f"Telegram has no error {code}")
    return (wait(5) if int(number) == 429 else RefusedError(int(number), detail)).answer


def token_of(request: Request, _: bytes) -> str:
    """The token of a path `/bot<token>/<method>`."""
    return unquote(request.url.path.removeprefix("/bot").partition("/")[0])


@dataclass(frozen=True, slots=True)
class Picture:
    """A file of the call."""

    content: bytes = field(repr=False)
    media_type: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call with a valid token."""

    network: Network
    grant: Grant
    fields: dict[str, object]
    files: dict[str, Picture]

    @property
    def own(self) -> Community:
        """The bot's channel."""
        return self.network.world.communities[self.grant.community]

    def text(self, name: str) -> str:
        value = self.fields.get(name, "")
        return value if isinstance(value, str) else str(value)

    def integer(self, name: str, default: int) -> int:
        value = self.text(name)
        if not value:
            return default
        if re.fullmatch(r"-?\d{1,18}", value) is None:
            raise RefusedError(400, f"{name} must be an integer")
        return int(value)

    def flag(self, name: str) -> bool:
        return self.text(name).lower() in {"true", "1", "yes"}

    def structure(self, name: str) -> object:
        """A list or object, possibly as a JSON string; None where it is absent."""
        value = self.fields.get(name)
        if not isinstance(value, str):
            return value
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            raise RefusedError(400, f"can't parse {name} JSON object") from None


async def parameters(request: Request) -> tuple[dict[str, object], dict[str, Picture]]:
    """The fields and files of a call: from its query and a form, JSON or multipart body."""
    fields: dict[str, object] = dict(parse_qsl(request.url.query))
    files: dict[str, Picture] = {}
    body = await request.body()
    if len(body) > MAX_BODY:
        raise RefusedError(413)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json" and body:
            fields |= orjson.loads(body)
        elif kind == "multipart/form-data":
            for part in parts(request.headers["content-type"], body):
                if part.filename is not None:
                    files[part.name] = Picture(part.content, part.content_type)
                else:
                    fields[part.name] = part.content.decode()
        else:
            fields |= dict(parse_qsl(body.decode()))
    except (ValueError, TypeError):
        raise RefusedError(400, "can't parse the request") from None
    return fields, files
