"""Calls to Graph: where to, with which token, at whose expense, and what came of them."""

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
"""The most reads that one call takes; each of them is counted as a call."""
PLATFORM: Final = "platform"
"""What is counted for calls with a person's or the application's token."""
MAIL: Final = "conversations"
"""What is counted for calls about messages: Meta takes two a second for each Page, and each account."""
META: Final = "meta"
"""Facebook and Instagram know the same applications."""
PREPARES: Final = "instep.prepares"
"""In a request's `extensions`: it is sent by POST, and yet may be repeated (an upload, a container, a question)."""

Files = Mapping[str, tuple[str, bytes, str]]


@dataclass(frozen=True, slots=True)
class GraphAccess:
    """With which token calls are made, to which host, and which community's limits they count against."""

    base_url: str
    token: str = field(repr=False)
    kind: Token
    target: str = ""
    app_secret: str | None = field(default=None, repr=False)
    """Of the application that the token was given to: it proves that the token is in the right hands."""
    units: Mapping[str, int] = field(default_factory=dict)
    """What each call takes from budgets of other names."""

    @property
    def proof(self) -> Mapping[str, str]:
        if not self.app_secret:
            return {}
        return {"appsecret_proof": hmac.new(self.app_secret.encode(), self.token.encode(), hashlib.sha256).hexdigest()}

    def cost(self, calls: int) -> Cost:
        name = CALLS if self.target else PLATFORM
        return Cost(token=self.token, kind=self.kind, units={name: calls, **self.units}, target=self.target)


class Calls:
    """Calls by one HTTP client. A path that begins with `/` is one without a version."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def get(
        self,
        access: GraphAccess,
        path: str,
        answer: TypeAdapter[T],
        query: Mapping[str, str],
    ) -> T:
        request = self._request("GET", access, path, params={**query, **access.proof}, cost=access.cost(1))
        return wire.parse_lenient(answer, await wire.read(self._http, request, naming_token(classify, access.kind)))

    async def batch(self, access: GraphAccess, urls: Sequence[str], answer: TypeAdapter[S]) -> list[S | PlatformError]:
        """Several reads in one call, each with an answer, or an error, of its own."""
        query = [{"method": "GET", "relative_url": f"{VERSION}/{url}"} for url in urls]
        form = {"batch": json.dumps(query), "include_headers": "false"}
        response = await self.prepared(access, "", form, calls=len(urls))
        parts = wire.parse(graph.BATCH, response)
        if len(parts) != len(urls):
            raise Malformed("the answer does not hold what was asked for")
        # What is true of the whole's body is not of a part's: who inflated the one would fail at the other.
        headers = [(name, value) for name, value in response.headers.multi_items() if name not in DROPPED_HEADERS]
        return [_part(part, headers, response.request, answer, naming_token(classify, access.kind)) for part in parts]

    async def nodes(
        self, access: GraphAccess, ids: Sequence[str], answer: TypeAdapter[S], fields: str
    ) -> dict[str, S | MetricStatus]:
        """Several objects by their ids, without those that do not exist.

        One that is refused or fails is told by its status, so that the others are known. But where
        none is known, the token is not good, or too many calls were made, that is raised.
        """
        found: dict[str, S | MetricStatus] = {}
        failed: PlatformError | None = None
        for node, answered in zip(
            ids, await self.batch(access, [f"{i}?fields={fields}" for i in ids], answer), strict=True
        ):
            match answered:
                case AuthExpired() | Throttled():
                    raise answered
                case Gone():
                    continue
                case PlatformError():
                    failed = failed or answered
                    denied = isinstance(answered, MissingPermission)
                    found[node] = MetricStatus.NO_PERMISSION if denied else MetricStatus.ERROR
                case _:
                    found[node] = answered
        if failed is not None and all(isinstance(one, MetricStatus) for one in found.values()):
            raise failed
        return found

    async def change(
        self,
        access: GraphAccess,
        path: str,
        answer: TypeAdapter[T],
        form: Mapping[str, str],
        *,
        files: Files | None = None,
    ) -> T:
        """Send what changes something, once; `OutcomeUnknown` where no answer tells what became of it."""
        request = self._request("POST", access, path, data={**form, **access.proof}, files=files, cost=access.cost(1))
        return wire.parse_confirmation(
            answer, await wire.write(self._http, request, naming_token(classify, access.kind))
        )

    async def prepare(
        self,
        access: GraphAccess,
        path: str,
        answer: TypeAdapter[T],
        form: Mapping[str, str],
        *,
        files: Files | None = None,
    ) -> T:
        """Send by POST what changes nothing for people: it may be repeated, and fails as a read does."""
        return wire.parse(answer, await self.prepared(access, path, form, files=files))

    async def prepared(
        self, access: GraphAccess, path: str, form: Mapping[str, str], *, files: Files | None = None, calls: int = 1
    ) -> httpx.Response:
        """As `prepare`, with the answer as it came."""
        request = self._request(
            "POST", access, path, data={**form, **access.proof}, files=files, cost=access.cost(calls), prepares=True
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
        prepares: bool = False,
    ) -> httpx.Request:
        return self._http.build_request(
            method,
            access.base_url.rstrip("/") + (path if path.startswith("/") else f"/{VERSION}/{path}"),
            params=params,
            data=data,
            files=files,
            headers=wire.bearer(access.token or None),
            extensions={COST: cost, PREPARES: prepares},
        )


def classify(response: httpx.Response) -> PlatformError | None:
    """What an answer says went wrong."""
    request = wire.request_of(response)
    changes = request is not None and request.method == "POST" and not request.extensions.get(PREPARES)
    return failure(response, changes=changes)


def _part(
    part: graph.Part | None,
    headers: Sequence[tuple[str, str]],
    request: httpx.Request,
    answer: TypeAdapter[S],
    classifier: wire.Classify,
) -> S | PlatformError:
    """One answer of a batch. It is null where Graph came to no end in time."""
    if part is None:
        return Transient("Meta's platform came to no end in time")
    response = httpx.Response(part.code, headers=headers, content=part.body, request=request)
    try:
        return classifier(response) or wire.parse(answer, response)
    except Malformed as error:
        return error
