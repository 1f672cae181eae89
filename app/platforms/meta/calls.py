"""Requests to Graph: their URL, token and cost, batches, and the parsing of the responses."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

import httpx
from pydantic import TypeAdapter

from app.kit.http import DROPPED_HEADERS
from app.platforms import wire
from app.platforms.contract import (
    CALLS,
    COST,
    AuthExpired,
    Cost,
    Gone,
    Malformed,
    MetricStatus,
    MissingPermission,
    PlatformError,
    Throttled,
    Token,
    Transient,
)
from app.platforms.errors import naming_token
from app.platforms.meta import wire_models as graph
from app.platforms.meta.errors import failure

T = TypeVar("T")
S = TypeVar("S", bound=wire.Shape)

VERSION: Final = "v26.0"
BATCH: Final = 50
"""The most reads of one batch request; each of them counts as a call."""
PLATFORM: Final = "platform"
"""The rate limit for requests with a person's or the application's token."""
MAIL: Final = "conversations"
"""The rate limit for requests about messages: two a second for each Page and each account."""
META: Final = "meta"
"""The owner of applications: Facebook and Instagram share them."""
REPEATABLE: Final = "instep.repeatable"
"""In a request's `extensions`: it is sent by POST, but may be repeated (an upload, a container, a read)."""

Files = Mapping[str, tuple[str, bytes, str]]


@dataclass(frozen=True, slots=True)
class GraphAccess:
    """The host and token of requests, and the community whose rate limits they count against."""

    base_url: str
    token: str = field(repr=False)
    kind: Token
    target: str = ""
    app_secret: str | None = field(default=None, repr=False)
    """Of the application to which the token was issued; makes `appsecret_proof`."""
    units: Mapping[str, int] = field(default_factory=dict)
    """What each request takes from further rate limits, by their name."""

    @property
    def proof(self) -> Mapping[str, str]:
        """The parameter that proves that the request comes from the application itself."""
        if not self.app_secret:
            return {}
        return {"appsecret_proof": hmac.new(self.app_secret.encode(), self.token.encode(), hashlib.sha256).hexdigest()}

    def cost(self, calls: int) -> Cost:
        """The cost of a request that counts as so many calls."""
        name = CALLS if self.target else PLATFORM
        return Cost(token=self.token, kind=self.kind, units={name: calls, **self.units}, target=self.target)


class Calls:
    """Requests by one HTTP client. A path that begins with `/` has no API version."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def get(
        self,
        access: GraphAccess,
        path: str,
        model: TypeAdapter[T],
        query: Mapping[str, str],
    ) -> T:
        request = self._request("GET", access, path, params={**query, **access.proof}, cost=access.cost(1))
        return wire.parse_lenient(model, await wire.read(self._http, request, naming_token(classify, access.kind)))

    async def batch(self, access: GraphAccess, urls: Sequence[str], model: TypeAdapter[S]) -> list[S | PlatformError]:
        """Several reads in one request, each with its own response or error, in the order of `urls`."""
        query = [{"method": "GET", "relative_url": f"{VERSION}/{url}"} for url in urls]
        form = {"batch": json.dumps(query), "include_headers": "false"}
        response = await self.repeatable_post_response(access, "", form, calls=len(urls))
        parts = wire.parse(graph.BATCH, response)
        if len(parts) != len(urls):
            raise Malformed("the response does not hold one part for each request")
        # Headers of the whole body, its encoding and length, do not apply to the parts.
        headers = [(name, value) for name, value in response.headers.multi_items() if name not in DROPPED_HEADERS]
        return [_part(part, headers, response.request, model, naming_token(classify, access.kind)) for part in parts]

    async def nodes(
        self, access: GraphAccess, ids: Sequence[str], model: TypeAdapter[S], fields: str
    ) -> dict[str, S | MetricStatus]:
        """Several objects by their ids, without those that do not exist.

        An object that is refused or fails is returned as a status. Raises `AuthExpired`, `Throttled`, and the first
        error where no object could be read.
        """
        nodes: dict[str, S | MetricStatus] = {}
        failed: PlatformError | None = None
        for node, answered in zip(
            ids, await self.batch(access, [f"{i}?fields={fields}" for i in ids], model), strict=True
        ):
            match answered:
                case AuthExpired() | Throttled():
                    raise answered
                case Gone():
                    continue
                case PlatformError():
                    failed = failed or answered
                    denied = isinstance(answered, MissingPermission)
                    nodes[node] = MetricStatus.NO_PERMISSION if denied else MetricStatus.ERROR
                case _:
                    nodes[node] = answered
        if failed is not None and all(isinstance(one, MetricStatus) for one in nodes.values()):
            raise failed
        return nodes

    async def change(
        self,
        access: GraphAccess,
        path: str,
        model: TypeAdapter[T],
        form: Mapping[str, str],
        *,
        files: Files | None = None,
    ) -> T:
        """Send a change, once; `OutcomeUnknown` where no response says whether it was made."""
        request = self._request("POST", access, path, data={**form, **access.proof}, files=files, cost=access.cost(1))
        return wire.parse_confirmation(
            model, await wire.write(self._http, request, naming_token(classify, access.kind))
        )

    async def repeatable_post(
        self,
        access: GraphAccess,
        path: str,
        model: TypeAdapter[T],
        form: Mapping[str, str],
        *,
        files: Files | None = None,
    ) -> T:
        """Send a POST that publishes nothing: it may be repeated, and fails as a read does."""
        return wire.parse(model, await self.repeatable_post_response(access, path, form, files=files))

    async def repeatable_post_response(
        self, access: GraphAccess, path: str, form: Mapping[str, str], *, files: Files | None = None, calls: int = 1
    ) -> httpx.Response:
        """As `repeatable_post`; the response is returned unparsed."""
        request = self._request(
            "POST", access, path, data={**form, **access.proof}, files=files, cost=access.cost(calls), repeatable=True
        )
        return await wire.read(self._http, request, naming_token(classify, access.kind))

    def _request(
        self,
        method: Literal["GET", "POST"],
        access: GraphAccess,
        path: str,
        *,
        cost: Cost,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        files: Files | None = None,
        repeatable: bool = False,
    ) -> httpx.Request:
        return self._http.build_request(
            method,
            access.base_url.rstrip("/") + (path if path.startswith("/") else f"/{VERSION}/{path}"),
            params=params,
            data=data,
            files=files,
            headers=wire.bearer(access.token or None),
            extensions={COST: cost, REPEATABLE: repeatable},
        )


def classify(response: httpx.Response) -> PlatformError | None:
    """The error that a response reports; None where it reports none."""
    request = wire.request_of(response)
    changes = request is not None and request.method == "POST" and not request.extensions.get(REPEATABLE)
    return failure(response, changes=changes)


def _part(
    part: graph.Part | None,
    headers: Sequence[tuple[str, str]],
    request: httpx.Request,
    model: TypeAdapter[S],
    classifier: wire.Classify,
) -> S | PlatformError:
    """One response of a batch. It is null where Graph did not finish in time."""
    if part is None:
        return Transient("Meta's platform did not finish in time")
    response = httpx.Response(part.code, headers=headers, content=part.body, request=request)
    try:
        return classifier(response) or wire.parse(model, response)
    except Malformed as error:
        return error
