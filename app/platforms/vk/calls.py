"""Requests to VK: single methods, several calls in one request, uploads, and the renewal of tokens at VK ID."""

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import httpx
from pydantic import TypeAdapter

from app.platforms import guards, wire
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
from app.platforms.errors import naming_token
from app.platforms.vk import wire_models as vk
from app.platforms.vk.errors import NO_SUCH_PERMISSION, NOT_WITH_THIS_TOKEN, from_id, from_method

T = TypeVar("T")

VERSION: Final = "5.199"
BASE: Final = "https://api.vk.ru"
VK_ID: Final = "https://id.vk.ru"
EXECUTE: Final = "execute"
EXECUTE_BATCH: Final = 25
"""The most calls in one `execute`."""
CHANGES: Final = frozenset({"wall.post", "wall.createComment", "messages.send"})
"""Methods whose repetition would not be harmless. Other writes (hook settings) may be repeated."""


class Calls:
    """VK's methods, with their responses parsed."""

    def __init__(self, http: httpx.AsyncClient, classify: wire.Classify) -> None:
        self._http = http
        self._classify = classify

    async def call(
        self,
        c: Credentials,
        response_model: TypeAdapter[vk.Success[T]],
        method: str,
        kinds: tuple[Token, ...],
        parameters: Mapping[str, object],
    ) -> T:
        """Call a method with the first of `kinds` that the credentials have and VK accepts, and parse its response.

        Raises `AuthExpired` for a kind that is missing, where VK does not accept those that there are.
        """
        response = await self._send(c, method, kinds, parameters)
        if method in CHANGES:
            return wire.parse_confirmation(response_model, response).response
        return wire.parse_lenient(response_model, response).response

    async def many(
        self,
        c: Credentials,
        response_model: TypeAdapter[vk.Executed[T]],
        method: str,
        kinds: tuple[Token, ...],
        each: Sequence[Mapping[str, object]],
    ) -> vk.Executed[T]:
        """Make up to `EXECUTE_BATCH` calls of a method that reads, in one request, which counts as one call."""
        calls = ",".join(f"API.{method}({json.dumps(dict(parameters))})" for parameters in each)
        response = await self._send(c, EXECUTE, kinds, {"code": f"return [{calls}];"})
        return wire.parse(response_model, response)

    async def upload(self, url: str, picture: Picture) -> vk.Uploaded:
        """Upload a picture to the address that VK has returned for it."""
        request = self._http.build_request("POST", url, files={"photo": picture.as_file()}, extensions={COST: Cost()})
        uploaded = wire.parse(vk.UPLOADED, await wire.read(self._http, request, from_method))
        if isinstance(uploaded, vk.Refused) or uploaded.photo in {"", "[]"}:
            raise Rejected("VK did not take the picture")
        return uploaded

    async def renew(self, c: Credentials) -> tuple[str, vk.IssuedToken]:
        """The id of the device that the refresh token belongs to, and the new tokens."""
        device, _, token = c.tokens.get(Token.REFRESH, "").partition(":")
        if not token:
            message = "VK ID knows a refresh token by its device alone: give both, as device_id:refresh_token"
            raise AuthExpired(message, token=Token.REFRESH)
        if not c.app.get("client_id"):
            raise MissingPermission("the installation's client_id for VK is not set")
        base = VK_ID if c.base_url == BASE else c.base_url.rstrip("/")
        form = {"grant_type": "refresh_token", "refresh_token": token, "device_id": device}
        form |= {"client_id": c.app["client_id"], "state": secrets.token_urlsafe(24)}
        cost = Cost(token, Token.REFRESH, {})
        request = self._http.build_request("POST", f"{base}/oauth2/auth", data=form, extensions={COST: cost})
        return device, wire.parse_confirmation(vk.ISSUED_TOKENS, await wire.write(self._http, request, from_id))

    async def _send(
        self, c: Credentials, method: str, kinds: tuple[Token, ...], parameters: Mapping[str, object]
    ) -> httpx.Response:
        kind = guards.token_kind(c, kinds, "VK")
        try:
            return await self._send_with(c, method, kind, parameters)
        except PlatformError as error:
            others = tuple(other for other in kinds if other is not kind)
            if not others or error.platform_code not in NOT_WITH_THIS_TOKEN:
                raise
            if error.platform_code == NO_SUCH_PERMISSION and not any(other in c.tokens for other in others):
                raise
            return await self._send_with(c, method, guards.token_kind(c, others, "VK"), parameters)

    async def _send_with(
        self, c: Credentials, method: str, kind: Token, parameters: Mapping[str, object]
    ) -> httpx.Response:
        # A rate limit with a method's name counts that method; most methods have none of their own.
        cost = Cost(c.tokens[kind], kind, {CALLS: 1, method: 1}, target=c.external_id or "")
        request = self._http.build_request(
            "POST",
            f"{c.base_url.rstrip('/')}/method/{method}",
            data={"v": VERSION, **{name: str(value) for name, value in parameters.items()}},
            headers=wire.bearer(c.tokens[kind]),
            extensions={COST: cost},
        )
        send = wire.write if method in CHANGES else wire.read
        return await send(self._http, request, naming_token(self._classify, kind))


def classify(response: httpx.Response) -> PlatformError | None:
    """The error that a method's response reports; None where it reports none."""
    return from_method(response, changes=wire.path_of(response).rpartition("/")[2] in CHANGES)
