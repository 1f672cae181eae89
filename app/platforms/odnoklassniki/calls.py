"""Requests to Odnoklassniki: signed forms (REST), the group's token in the query (Graph), uploads, OAuth."""

import json
from collections.abc import Mapping
from typing import Final, TypeVar

import httpx
from pydantic import TypeAdapter

from app.platforms import wire
from app.platforms.capabilities import Picture
from app.platforms.contract import COST, AuthExpired, Cost, Credentials, MissingPermission, Token
from app.platforms.errors import naming_token
from app.platforms.odnoklassniki import wire_models as ok
from app.platforms.odnoklassniki.errors import CHANGES, from_answer
from app.platforms.odnoklassniki.sign import secret_of, sign

T = TypeVar("T")

JSON: Final = {"content-type": "application/json;charset=utf-8"}
"""Required by the Graph API."""


class Api:
    """Both APIs: requests, and their parsed responses."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def rest(
        self, c: Credentials, model: TypeAdapter[T], method: str, fields: Mapping[str, str], *, changes: bool = False
    ) -> T:
        """Call a method with the administrator's token. All parameters are in the form, so that URLs hold no secret."""
        token = _token(c, Token.USER)
        form = {**fields, "method": method, "format": "json", "application_key": _setting(c, "application_key")}
        signature = sign(form, secret_of(token, _setting(c, "application_secret")))
        request = self._http.build_request(
            "POST",
            _url(c, "fb.do"),
            data={**form, "access_token": token, "sig": signature},
            extensions=_extensions(token, Token.USER, changes=changes),
        )
        return await self._send(model, request, Token.USER, changes=changes)

    async def graph(
        self, c: Credentials, model: TypeAdapter[T], path: str, query: Mapping[str, str] | None = None
    ) -> T:
        """Read from the Graph API with the group's token."""
        token = _token(c, Token.COMMUNITY)
        request = self._http.build_request(
            "GET",
            _url(c, f"graph/me/{path}"),
            params={**(query or {}), "access_token": token},
            extensions=_extensions(token, Token.COMMUNITY, changes=False),
        )
        return await self._send(model, request, Token.COMMUNITY, changes=False)

    async def owner(self, c: Credentials) -> tuple[str, str]:
        """The owner of the group's token, as `group:1`, and its name; `MissingPermission` where it is a person."""
        owner = await self.graph(c, ok.OWNER, "info")
        if owner.group_id is None:
            raise MissingPermission("the token is a person's, and not the group's own")
        return owner.group_id, owner.name

    async def graph_post(self, c: Credentials, model: TypeAdapter[T], path: str, body: object) -> T:
        """Change something through the Graph API with the group's token."""
        token = _token(c, Token.COMMUNITY)
        request = self._http.build_request(
            "POST",
            _url(c, f"graph/me/{path}"),
            params={"access_token": token},
            content=json.dumps(body),
            headers=JSON,
            extensions=_extensions(token, Token.COMMUNITY, changes=True),
        )
        return await self._send(model, request, Token.COMMUNITY, changes=True)

    async def upload(self, url: str, picture: Picture) -> ok.Uploaded:
        """Upload a picture to the address that OK returned for it."""
        request = self._http.build_request("POST", url, files={"pic1": picture.as_file()}, extensions={COST: Cost()})
        return wire.parse(ok.UPLOADED, await wire.read(self._http, request, from_answer))

    async def renew(self, c: Credentials) -> ok.IssuedToken:
        """Request a new access token with the refresh token."""
        token = _token(c, Token.REFRESH)
        form = {"grant_type": "refresh_token", "refresh_token": token}
        form |= {"client_id": _setting(c, "application_id"), "client_secret": _setting(c, "application_secret")}
        extensions = _extensions(token, Token.REFRESH, changes=True)
        request = self._http.build_request("POST", _url(c, "oauth/token.do"), data=form, extensions=extensions)
        return await self._send(ok.GRANTED, request, Token.REFRESH, changes=True)

    async def _send(self, model: TypeAdapter[T], request: httpx.Request, kind: Token, *, changes: bool) -> T:
        classify = naming_token(from_answer, kind)
        if changes:
            return wire.parse_confirmation(model, await wire.write(self._http, request, classify))
        return wire.parse_lenient(model, await wire.read(self._http, request, classify))


def _extensions(token: str, kind: Token, *, changes: bool) -> dict[str, object]:
    return {COST: Cost(token=token, kind=kind)} | ({CHANGES: True} if changes else {})


def _token(c: Credentials, kind: Token) -> str:
    token = c.tokens.get(kind)
    if token is None:
        raise AuthExpired(f"Odnoklassniki needs a {kind} token for this", token=kind)
    return token


def _setting(c: Credentials, name: str) -> str:
    setting = c.app.get(name)
    if not setting:
        raise MissingPermission(f"the installation's {name} for Odnoklassniki is not set")
    return setting


def _url(c: Credentials, path: str) -> str:
    return f"{c.base_url.rstrip('/')}/{path}"
