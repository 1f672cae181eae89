"""Whether the OpenAPI document declares the answers that the service really gives, in all tests."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final = ("etag", "retry-after", "location", "www-authenticate", "idempotent-replayed", "ratelimit")
"""Headers that a client acts on."""


def undeclared(document: Mapping[str, Any], path: str, method: str, status: int, headers: Headers) -> list[str]:
    """What an answer of an operation has and the document does not say; nothing for what is no operation."""
    operation = document["paths"].get(path, {}).get(method.lower())
    if operation is None or status == 405:
        return []
    name = f"{method} {path}: {status}"
    answer = operation["responses"].get(str(status))
    if answer is None:
        return [name]
    declared = {header.lower() for header in answer.get("headers", {})}
    faults = [f"{name} with {header}" for header in HEADERS if header in headers and header not in declared]
    kind = headers.get("content-type", "").partition(";")[0]
    if status != 204 and headers.get("content-length") != "0" and kind and kind not in answer.get("content", {}):
        faults.append(f"{name} as {kind}")
    return faults


class DeclaredAnswers:
    """Collects in `faults` what the answers of `service` have and its document does not say."""

    def __init__(self, app: ASGIApp, *, service: FastAPI, faults: list[str]) -> None:
        self.app = app
        self.service = service
        self.faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def checked(message: Message) -> None:
            if message["type"] == "http.response.start" and "route" in scope:
                path = getattr(scope["route"], "path_format", "")
                headers = Headers(raw=message["headers"])
                self.faults += undeclared(self.service.openapi(), path, scope["method"], message["status"], headers)
            await send(message)

        await self.app(scope, receive, checked)
