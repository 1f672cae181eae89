"""How VK is called: its methods, several of them at once, uploads, and VK ID, which renews tokens."""

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import httpx
from pydantic import TypeAdapter

from app.platforms import wire
from app.platforms.capabilities import Picture
from app.platforms.contract import (
    CALLS,
    COST,
    AuthExpired,
    Cost,
    Credentials,
    MissingPermission,
    PlatformError,
    Rejected,
    Token,
)
from app.platforms.vk import wire_models as vk
from app.platforms.vk.errors import from_answer, from_id

T = TypeVar("T")

VERSION: Final = "5.199"
BASE: Final = "https://api.vk.ru"
VK_ID: Final = "https://id.vk.ru"
EXECUTE: Final = "execute"
EXECUTE_BATCH: Final = 25
"""So many calls go into one `execute`."""
CHANGES: Final = frozenset({"wall.post", "wall.createComment", "messages.send"})
"""Are sent once. What else is set at VK may be set again."""


class Calls:
    """VK's methods, as what is asked and what is understood."""

    def __init__(self, http: httpx.AsyncClient, classify: wire.Classify) -> None:
        self._http = http
        self._classify = classify

    async def call(
        self,
        c: Credentials,
        answer: TypeAdapter[vk.Answer[T]],
        method: str,
        kinds: tuple[Token, ...],
        parameters: Mapping[str, object],
    ) -> T:
        """Call a method with the first of `kinds` that there is, and understand its answer."""
        response = await self._send(c, method, kinds, parameters)
        if method in CHANGES:
            return wire.parse_confirmation(answer, response).response
        return wire.parse_lenient(answer, response).response

    async def many(
        self,
        c: Credentials,
        answer: TypeAdapter[vk.Executed[T]],
        method: str,
        kinds: tuple[Token, ...],
        each: Sequence[Mapping[str, object]],
    ) -> vk.Executed[T]:
        """Call a method that reads up to `EXECUTE_BATCH` times in one request, which counts as one call."""
        calls = ",".join(f"API.{method}({json.dumps(dict(parameters))})" for parameters in each)
        response = await self._send(c, EXECUTE, kinds, {"code": f"return [{calls}];"})
        return wire.parse(answer, response)

    async def upload(self, url: str, picture: Picture) -> vk.Uploaded:
        """Bring a picture to the address that was given for it."""
        name = f"picture.{picture.media_type.rpartition('/')[2]}"
        request = self._http.build_request(
            "POST", url, files={"photo": (name, picture.content, picture.media_type)}, extensions={COST: Cost()}
        )
        uploaded = wire.parse(vk.UPLOADED, await wire.read(self._http, request, from_answer))
        if isinstance(uploaded, vk.Refused) or uploaded.photo in {"", "[]"}:
            raise Rejected("VK did not take the picture")
        return uploaded

    async def renew(self, c: Credentials) -> tuple[str, vk.IssuedToken]:
        """New tokens for the refresh token, and the device they belong to."""
        device, _, token = c.tokens.get(Token.REFRESH, "").partition(":")
        if not token:
            words = "VK ID knows a refresh token by its device alone: give both, as device_id:refresh_token"
            raise AuthExpired(words, token=Token.REFRESH)
        if not c.app.get("client_id"):
            raise MissingPermission("the installation's client_id for VK is not set")
        base = VK_ID if c.base_url == BASE else c.base_url.rstrip("/")
        form = {"grant_type": "refresh_token", "refresh_token": token, "device_id": device}
        form |= {"client_id": c.app["client_id"], "state": secrets.token_urlsafe(24)}
        cost = Cost(token, Token.REFRESH, {})
        request = self._http.build_request("POST", f"{base}/oauth2/auth", data=form, extensions={COST: cost})
        return device, wire.parse_confirmation(vk.GRANTED, await wire.write(self._http, request, from_id))

    async def _send(
        self, c: Credentials, method: str, kinds: tuple[Token, ...], parameters: Mapping[str, object]
    ) -> httpx.Response:
        kind = next((kind for kind in kinds if kind in c.tokens), None)
        if kind is None:
            raise AuthExpired(f"{method} needs a {kinds[0]} token of VK", token=kinds[0])
        # A budget that has a method's name counts that method; most methods have none of their own.
        cost = Cost(c.tokens[kind], kind, {CALLS: 1, method: 1}, target=c.external_id or "")
        request = self._http.build_request(
            "POST",
            f"{c.base_url.rstrip('/')}/method/{method}",
            data={"v": VERSION, **{name: str(value) for name, value in parameters.items()}},
            headers=wire.bearer(c.tokens[kind]),
            extensions={COST: cost},
        )

        def naming_token(response: httpx.Response) -> PlatformError | None:
            error = self._classify(response)
            if isinstance(error, AuthExpired):
                error.token = kind
            return error

        send = wire.write if method in CHANGES else wire.read
        return await send(self._http, request, naming_token)


def classify(response: httpx.Response) -> PlatformError | None:
    """What an answer of a method says went wrong."""
    request = wire.request_of(response)
    return from_answer(response, changes=request is not None and request.url.path.rpartition("/")[2] in CHANGES)
