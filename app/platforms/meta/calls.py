"""Requests to Graph: their URL, token and cost, batches, and the parsing of the responses."""

import asyncio
import hashlib
import hmac
import json
from collections import defaultdict
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
    Rejected,
    Throttled,
    Token,
    Transient,
)
from app.platforms.errors import naming_token
from app.platforms.meta import wire_models as graph
from app.platforms.meta.errors import UnknownField, failure
from app.platforms.meta.fields import without_field

T = TypeVar("T")
S = TypeVar("S", bound=wire.Model)

VERSION: Final = "v26.0"
BATCH: Final = 50
"""The most reads of one batch request; each of them counts as a call."""
PLATFORM: Final = "platform"
"""The rate limit for requests with a person's or the application's token."""
MAIL: Final = "conversations"
"""The rate limit for requests about messages: two a second for each Page and each account."""
META: Final = "meta"
"""The owner of applications: Facebook and Instagram share them."""
CHANGES: Final = "instep.changes"
"""In a request's `extensions`: it publishes or changes something, and must not be repeated. Some POSTs do not
(an upload, a container, a batch of reads), and one GET does (the renewal of a token)."""
SINGLE_READS: Final = 10
"""How many reads are made at once where a host takes no batches."""

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

    batches_are_documented: bool = True
    """False for graph.instagram.com, which may refuse them."""

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
    """Requests by one HTTP client. A path that begins with `/` has no API version.

    A read whose `fields` have one that Graph does not know, or no longer, is repeated without it: one retired field
    must not stop all others.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._batches_accepted: dict[str, bool] = {}
        """By host: whether it has accepted the first batch."""
        self.dropped: defaultdict[str, set[str]] = defaultdict(set)
        """By the path of a read: the fields that Graph did not know."""

    async def get(
        self,
        access: GraphAccess,
        path: str,
        model: TypeAdapter[T],
        query: Mapping[str, str],
    ) -> T:
        while True:
            request = self._request("GET", access, path, params={**query, **access.proof}, cost=access.cost(1))
            try:
                response = await wire.read(self._http, request, naming_token(classify, access.kind))
            except UnknownField as error:
                fields = query.get("fields", "")
                query = {**query, "fields": without_field(fields, error.field)}
                if query["fields"] == fields:
                    raise
                self.dropped[path].add(error.field)
                continue
            return wire.parse_lenient(model, response)

    async def batch(
        self, access: GraphAccess, reads: Sequence[tuple[str, str]], model: TypeAdapter[S]
    ) -> list[S | PlatformError]:
        """Several reads, each of an object's id and `fields`, in one request; each has its own response or error.

        Where a host refuses batches (`GraphAccess.batches_are_documented`), each read is a request of its own.
        """
        results = await self._batch(access, reads, model)
        again: dict[int, tuple[str, str]] = {}
        for place, ((node, fields), result) in enumerate(zip(reads, results, strict=True)):
            if isinstance(result, UnknownField) and (fewer := without_field(fields, result.field)) != fields:
                again[place] = (node, fewer)
                self.dropped[node].add(result.field)
        if again:
            for place, result in zip(again, await self.batch(access, list(again.values()), model), strict=True):
                results[place] = result
        return results

    async def _batch(
        self, access: GraphAccess, reads: Sequence[tuple[str, str]], model: TypeAdapter[S]
    ) -> list[S | PlatformError]:
        accepted = access.batches_are_documented or self._batches_accepted.get(access.base_url)
        if accepted is False:
            return await self._single_reads(access, reads, model)
        # Whether a host takes batches is found out with a batch of one: a refused one of fifty might cost fifty calls.
        first = reads if accepted else reads[:1]
        try:
            results = await self._one_request(access, first, model)
        except (Gone, Malformed, MissingPermission, Rejected):
            if accepted:
                raise
            self._batches_accepted[access.base_url] = False
            return await self._single_reads(access, reads, model)
        self._batches_accepted[access.base_url] = True
        rest = reads[len(first) :]
        return [*results, *(await self._one_request(access, rest, model))] if rest else results

    async def _single_reads(
        self, access: GraphAccess, reads: Sequence[tuple[str, str]], model: TypeAdapter[S]
    ) -> list[S | PlatformError]:
        results: list[S | PlatformError] = []
        for start in range(0, len(reads), SINGLE_READS):
            part = reads[start : start + SINGLE_READS]
            for result in await asyncio.gather(
                *(self._single_read(access, node, fields, model) for node, fields in part), return_exceptions=True
            ):
                if isinstance(result, BaseException) and not isinstance(result, PlatformError):
                    raise result
                results.append(result)
        return results

    async def _single_read(self, access: GraphAccess, node: str, fields: str, model: TypeAdapter[S]) -> S:
        request = self._request("GET", access, node, params={"fields": fields, **access.proof}, cost=access.cost(1))
        return wire.parse(model, await wire.read(self._http, request, naming_token(classify, access.kind)))

    async def _one_request(
        self, access: GraphAccess, reads: Sequence[tuple[str, str]], model: TypeAdapter[S]
    ) -> list[S | PlatformError]:
        query = [{"method": "GET", "relative_url": f"{VERSION}/{node}?fields={fields}"} for node, fields in reads]
        form = {"batch": json.dumps(query), "include_headers": "false"}
        response = await self.repeatable_post_response(access, "", form, calls=len(reads))
        parts = wire.parse(graph.BATCH, response)
        if len(parts) != len(reads):
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
        for node, answered in zip(ids, await self.batch(access, [(node, fields) for node in ids], model), strict=True):
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
        request = self._request(
            "POST", access, path, data={**form, **access.proof}, files=files, cost=access.cost(1), changes=True
        )
        return await self._changed(access, request, model)

    async def change_by_get(self, access: GraphAccess, path: str, model: TypeAdapter[T], query: Mapping[str, str]) -> T:
        """As `change`, for an endpoint that Meta documents as a GET with the token in the query alone."""
        request = self._request(
            "GET", access, path, params={**query, "access_token": access.token}, cost=access.cost(1), changes=True
        )
        del request.headers["authorization"]
        return await self._changed(access, request, model)

    async def _changed(self, access: GraphAccess, request: httpx.Request, model: TypeAdapter[T]) -> T:
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
            "POST", access, path, data={**form, **access.proof}, files=files, cost=access.cost(calls)
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
        changes: bool = False,
    ) -> httpx.Request:
        return self._http.build_request(
            method,
            access.base_url.rstrip("/") + (path if path.startswith("/") else f"/{VERSION}/{path}"),
            params=params,
            data=data,
            files=files,
            headers=wire.bearer(access.token or None),
            extensions={COST: cost, CHANGES: changes},
        )


def classify(response: httpx.Response) -> PlatformError | None:
    """The error that a response reports; None where it reports none."""
    request = wire.request_of(response)
    return failure(response, changes=request is not None and bool(request.extensions.get(CHANGES)))


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
