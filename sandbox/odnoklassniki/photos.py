"""photosV2.*: upload URLs for pictures, and their uploads."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from sandbox.entities import Community
from sandbox.instants import DAY
from sandbox.multipart import parts
from sandbox.network import Network, json_response
from sandbox.odnoklassniki.call import Call, Methods
from sandbox.odnoklassniki.errors import OkError, refusal

MAX_BYTES: Final = 10 << 20
MAX_PICTURES: Final = 10
PATH: Final = "/uploadImage"


def upload_url(call: Call) -> object:
    c = call.group()
    call.needs("PHOTO_CONTENT")
    count = call.integer("count", 1, 1, MAX_PICTURES)
    first = c.uploads + 1
    names = [f"{c.key}-{call.network.world.now}-{number}" for number in range(first, first + count)]
    photo_ids = ",".join(names)
    url = f"{call.network.base_url}{PATH}?apiToken={_seal(call.network, photo_ids)}&photoIds={photo_ids}"
    until = call.network.world.now + DAY
    return {"photo_ids": names, "upload_url": url, "expires_ms": until, "ttl_ms": DAY}


async def upload(network: Network, request: Request) -> Response:
    """Take pictures, one for each of `photoIds`, in that order."""
    network.tick()
    photo_ids = request.query_params.get("photoIds", "")
    c = network.world.communities.get(photo_ids.partition("-")[0])
    if c is None or not hmac.compare_digest(
        request.query_params.get("apiToken", "").encode(), _seal(network, photo_ids).encode()
    ):
        return refusal(103)
    pictures = _pictures(request.headers.get("content-type", ""), await request.body())
    names = photo_ids.split(",")
    if not pictures or len(pictures) > len(names):
        return refusal(505)
    if any(len(content) > MAX_BYTES for _, content in pictures):
        return refusal(500)
    tokens = {}
    for name, (kind, content) in zip(names, pictures, strict=False):
        record = network.world.emit("media", c, "api", kind=kind, count=len(content))
        tokens[name] = {"token": _token(network, c, record["id"])}
    return json_response({"photos": tokens})


def uploaded(network: Network, c: Community, token: str) -> str:
    """The picture of an upload token; error 121 for one that is not the group's."""
    media = token.partition(".")[0]
    if media not in c.media or not hmac.compare_digest(token.encode(), _token(network, c, media).encode()):
        raise OkError(121)
    return media


def _token(network: Network, c: Community, media: str) -> str:
    return f"{media}.{_seal(network, f'{c.key}:{media}')}"


def _pictures(content_type: str, body: bytes) -> list[tuple[str, bytes]]:
    contents = ((part.content_type, part.content) for part in parts(content_type, body))
    return [(kind, content) for kind, content in contents if kind.startswith("image/")]


def _seal(network: Network, text: str) -> str:
    return hashlib.sha256(f"{network.world.seed}:{text}".encode()).hexdigest()[:32]


METHODS: Final[Methods] = {"photosV2.getUploadUrl": upload_url}
