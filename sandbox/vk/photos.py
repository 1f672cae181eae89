"""photos.*: a picture is uploaded to a URL, then saved, then attached to a post."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from sandbox.entities import Community
from sandbox.multipart import parts
from sandbox.network import Network, json_response
from sandbox.vk import wire_models
from sandbox.vk.call import Call
from sandbox.vk.errors import VkError

PATH: Final = "/upload.php"
TYPES: Final = frozenset({"image/jpeg", "image/png", "image/gif"})
MAX_BYTES: Final = 50 << 20
MAX_ATTACHMENTS: Final = 10
"""Most attachments of one post."""


def upload_server(call: Call) -> object:
    c = call.own_community(call.params.integer("group_id"))
    group = wire_models.group_id(c)
    url = f"{call.network.base_url}{PATH}?act=do_add&gid={group}&hash={_seal(call.network, str(group))}"
    return {
        "album_id": wire_models.WALL_ALBUM,
        "upload_url": url,
        "user_id": wire_models.admin_id(c),
        "group_id": group,
    }


async def upload(network: Network, request: Request) -> Response:
    """Take an upload; the response has no envelope, and has what to save or the error."""
    group = request.query_params.get("gid", "")
    if not hmac.compare_digest(request.query_params.get("hash", "").encode(), _seal(network, group).encode()):
        return json_response({"error": "ERR_UPLOAD_BAD_HASH: the address is not good", "bwact": "do_add"})
    kind, content = _picture(request.headers.get("content-type", ""), await request.body())
    if kind not in TYPES or len(content) > MAX_BYTES:
        return json_response({"error": "ERR_UPLOAD_BAD_IMAGE: bad image", "bwact": "do_add"})
    uploaded = [{"photo": hashlib.md5(content, usedforsecurity=False).hexdigest(), "kind": kind, "size": len(content)}]
    photo = json.dumps(uploaded)
    return json_response({"server": 857416, "photo": photo, "hash": _seal(network, group + photo)})


def save(call: Call) -> object:
    """Save an uploaded picture as the administrator's photo, to be attached to a post."""
    c = call.own_community(call.params.integer("group_id"))
    photo = call.params.get("photo")
    if not photo:
        raise VkError(100, "photo is undefined")
    sealed = _seal(call.network, f"{wire_models.group_id(c)}{photo}")
    if not hmac.compare_digest(call.params.get("hash").encode(), sealed.encode()):
        raise VkError(121)
    saved = []
    for one in json.loads(photo):
        record = call.network.world.emit("media", c, "api", kind=one["kind"], count=one["size"])
        media = c.media[record["id"]]
        saved.append({**wire_models.photo(c, media), "access_key": _key(call.network, c, media.id)})
    return saved


def attached(call: Call, c: Community) -> list[str]:
    """A post's pictures; error 100 for one that does not exist or that this caller may not use."""
    names = [one for one in call.params.get("attachments").split(",") if one]
    if len(names) > MAX_ATTACHMENTS:
        raise VkError(100, "attachments: too many")
    return [_attached(call, c, one) for one in names]


def _attached(call: Call, c: Community, name: str) -> str:
    owner, photo_id, key = [*name.removeprefix("photo").split("_"), "", ""][:3]
    media = str(int(photo_id) - wire_models.FIRST_PHOTO) if photo_id.isdecimal() else ""
    exists = name.startswith("photo") and owner == str(wire_models.admin_id(c)) and media in c.media
    # Its owner needs no access key; the community's token is not the owner.
    if not exists or ((key or call.grant.kind == "community") and key != _key(call.network, c, media)):
        raise VkError(100, f"attachments: {name} is not there")
    return media


def _key(network: Network, c: Community, media: str) -> str:
    return _seal(network, f"{c.key}:{media}")[:18]


def _picture(content_type: str, body: bytes) -> tuple[str, bytes]:
    pictures = ((part.content_type, part.content) for part in parts(content_type, body) if part.name == "photo")
    return next(pictures, ("", b""))


def _seal(network: Network, text: str) -> str:
    return hashlib.sha256(f"{network.world.seed}:vk:{text}".encode()).hexdigest()[:32]
