"""Pictures: upload, description, attachment. They are processed at once."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from sandbox import network
from sandbox.entities import Community
from sandbox.mastodon import instance, wire_models
from sandbox.mastodon.call import MISSING, Call, RefusedError
from sandbox.multipart import parts
from sandbox.network import Params, json_response

PATH: Final = "/api/v2/media"
TYPE: Final = "file.type"
SIZE: Final = "file.size"
MAX_PICTURES: Final = 4


async def params(request: Request) -> Params:
    """A call's parameters; of a file only its type and size."""
    kind = request.headers.get("content-type", "")
    if request.url.path != PATH or not kind.startswith("multipart/form-data"):
        return await network.params(request)
    pairs: list[tuple[str, str]] = []
    for part in parts(kind, await request.body()):
        if part.name == "file":
            pairs += [(TYPE, part.content_type), (SIZE, str(len(part.content)))]
        else:
            pairs.append((part.name, part.content.decode(errors="replace")))
    return Params(pairs)


def upload(call: Call) -> Response:
    c = call.community("write:media")
    kind, size = call.params.get(TYPE), call.params.integer(SIZE, 0) or 0
    if not kind or size == 0:
        raise RefusedError(422, "Validation failed: File can't be blank")
    if kind not in instance.PICTURES:
        raise RefusedError(422, "Validation failed: File content type is invalid, File is invalid")
    if size > instance.PICTURE_BYTES:
        raise RefusedError(422, "Validation failed: File file size must be less than 16 MB")
    description = call.params.get("description")
    if len(description) > instance.DESCRIPTION_LIMIT:
        raise RefusedError(422, f"Validation failed: Description is limited to {instance.DESCRIPTION_LIMIT} characters")
    made = call.network.world.emit("media", c, "api", kind=kind, count=size, detail={"description": description})
    return json_response(call.entities.media(c, c.media[made["id"]]))


def show(call: Call) -> Response:
    c = call.community("write:media")
    picture = c.media.get(wire_models.media_of(c, str(call.request.path_params["id"])))
    if picture is None:
        raise RefusedError(*MISSING)
    return json_response(call.entities.media(c, picture))


def attached(call: Call, c: Community) -> list[str]:
    """The pictures of a new status."""
    media_ids = [wire_models.media_of(c, one) for one in call.params.all("media_ids")]
    if len(media_ids) > MAX_PICTURES:
        raise RefusedError(422, "Validation failed: Cannot attach more than 4 files")
    if any(one not in c.media for one in media_ids):
        raise RefusedError(422, "Validation failed: Media could not be found")
    return media_ids
