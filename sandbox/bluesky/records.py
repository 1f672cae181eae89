"""com.atproto.repo.*: records and blobs of the account's repository. Only posts are stored."""

import orjson
import regex

from sandbox.bluesky import ids
from sandbox.bluesky.call import Call, XrpcError
from sandbox.bluesky.wire_models import Json, milliseconds
from sandbox.entities import Community, Entry
from sandbox.instants import DAY
from sandbox.ledger import Fields

GRAPHEMES = 300
BYTES = 3000
PICTURES = 4
PICTURE_BYTES = 2_000_000
HOUR_SECONDS = 3600


def create(call: Call) -> Json:
    """Create a record. A key that exists is a server error, as in a PDS."""
    c = _write(call, points=3)
    rkey = call.fields.get("rkey")
    if rkey is None:
        rkey = ids.tid(call.network.world.now * 1000 << 10 | len(c.authored) & 0x3FF)
    if _existing(call, c, _key(rkey)) is not None:
        raise XrpcError("InternalServerError")
    return _create(call, c, _key(rkey))


def put(call: Call) -> Json:
    """Create or replace a record; with `swapRecord: null` only create. The same record changes nothing."""
    c = _write(call, points=2)
    rkey, record = _key(call.field("rkey")), _record(call, c)
    entry = _existing(call, c, rkey)
    if entry is None:
        return _create(call, c, rkey)
    ref = call.views.ref(c, entry)
    if ids.cid(orjson.dumps(record, option=orjson.OPT_SORT_KEYS)) == ref["cid"]:
        return {**ref, "validationStatus": "valid"}
    if "swapRecord" in call.fields and call.fields["swapRecord"] != ref["cid"]:
        raise XrpcError("InvalidSwap", f"Record was at {ref['cid']}")
    call.network.world.emit("bluesky_put", c, "api", id=str(entry.id), detail={"record": record})
    return _receipt(call, c, entry)


def delete(call: Call) -> Json:
    """Delete a record; succeeds where there is none."""
    c = _write(call, points=1)
    entry = _existing(call, c, _key(call.field("rkey")))
    if entry is not None:
        event = "post_deleted" if entry.kind == "post" else "comment_deleted"
        fields = Fields(id=str(entry.id))
        if entry.post is not None:
            fields["post"] = str(entry.post)
        call.network.world.emit(event, c, "api", **fields)
    return {"commit": _commit(call, c)}


def get(call: Call) -> Json:
    actor, collection, rkey = call.views.actor(call.text("repo")), call.text("collection"), call.text("rkey")
    if actor is None:
        raise XrpcError("InvalidRequest", f"Could not find repo: {call.text('repo')}")
    uri = ids.uri(call.views.did(actor), collection, rkey)
    match = call.post(uri)
    if match is None:
        raise XrpcError("RecordNotFound", f"Could not locate record: {uri}")
    return {**call.views.ref(*match), "value": call.views.record(*match)}


def upload(call: Call) -> Json:
    c = call.own()
    call.charge("uploads", c.key, DAY // 1000)
    kind = call.request.headers.get("content-type", "").partition(";")[0].strip() or "application/octet-stream"
    cid = ids.cid(call.body, raw=True)
    call.network.world.emit("media", c, "api", kind=kind, count=len(call.body), detail={"cid": cid})
    return {"blob": {"$type": "blob", "ref": {"$link": cid}, "mimeType": kind, "size": len(call.body)}}


# ── validation ─────────────────────────────────────────────────────────────────────────────────────


def _write(call: Call, points: int) -> Community:
    c = call.own()
    call.charge("writes", c.key, HOUR_SECONDS, cost=points)
    if call.views.actor(call.field("repo")) is not c:
        raise XrpcError("AuthenticationRequired")
    if call.field("collection") != ids.POST:
        raise XrpcError("InvalidRequest", f"the sandbox keeps nothing but {ids.POST}")
    return c


def _key(rkey: object) -> str:
    if not isinstance(rkey, str) or ids.RECORD_KEY.fullmatch(rkey) is None:
        raise XrpcError("InvalidRequest", "Error: Input/rkey must be a valid Record Key")
    return rkey


def _existing(call: Call, c: Community, rkey: str) -> Entry | None:
    match = call.post(ids.uri(call.views.did(c), ids.POST, rkey))
    return None if match is None else match[1]


def _record(call: Call, c: Community) -> Json:
    record = call.fields.get("record")
    if not isinstance(record, dict) or record.get("$type") != ids.POST:
        raise XrpcError("InvalidRequest", f"Invalid $type: expected {ids.POST}")
    text = record.get("text")
    if not isinstance(text, str):
        raise _invalid('must have the property "text"')
    if len(regex.findall(r"\X", text)) > GRAPHEMES:
        raise _invalid(f"/text must not be longer than {GRAPHEMES} graphemes")
    if len(text.encode()) > BYTES:
        raise _invalid(f"/text must not be longer than {BYTES} characters")
    if milliseconds(str(record.get("createdAt", ""))) is None:
        raise _invalid("/createdAt must be an valid atproto datetime")
    return record


def _nested(value: object, *names: str) -> object:
    """A nested value of a record."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    if value is None:
        raise _invalid(f'must have the property "{"/".join(names)}"')
    return value


def _invalid(why: str) -> XrpcError:
    gap = "" if why.startswith("/") else " "
    return XrpcError("InvalidRequest", f"Invalid {ids.POST} record: Record{gap}{why}")


def _pictures(c: Community, record: Json) -> list[str]:
    """The ids of a record's pictures, all of which must have been uploaded."""
    images = _nested(record, "embed", "images") if "embed" in record else []
    if not isinstance(images, list) or len(images) > PICTURES:
        raise _invalid(f"/embed/images must not have more than {PICTURES} elements")
    uploaded = {str(one.detail["cid"]): one for one in c.media.values()}
    media_ids = []
    for one in images:
        link = str(_nested(one, "image", "ref", "$link"))
        media = uploaded.get(link)
        if media is None:
            raise XrpcError("BlobNotFound", f"Could not find blob: {link}")
        if media.size > PICTURE_BYTES or not media.type.startswith("image/"):
            raise XrpcError("BlobTooLarge", f"This file is too large. It is {media.size} bytes.")
        media_ids.append(media.id)
    return media_ids


def _create(call: Call, c: Community, rkey: str) -> Json:
    """Apply a record to the world: a post, or a reply to what it refers to."""
    record = _record(call, c)
    fields = Fields(text=str(record["text"]), detail={"rkey": rkey, "record": record})
    if pictures := _pictures(c, record):
        fields["media"] = pictures
    if "reply" not in record:
        made = call.network.world.emit("post", c, "api", **fields)
    else:
        parent = call.post(str(_nested(record, "reply", "parent", "uri")))
        above = None if parent is None else parent[1]
        if above is not None and above.kind == "post":
            fields.update({"via": "comment", "post": str(above.id)})
        elif above is not None and above.post is not None:
            fields.update({"via": "comment", "post": str(above.post), "parent": str(above.id)})
        else:
            fields["via"] = "mention"
            if above is not None:
                fields["parent"] = str(above.id)
        made = call.network.world.emit("reply", c, "api", **fields)
    return _receipt(call, c, c.wall[int(made["id"])])


def _receipt(call: Call, c: Community, entry: Entry) -> Json:
    return {**call.views.ref(c, entry), "commit": _commit(call, c), "validationStatus": "valid"}


def _commit(call: Call, c: Community) -> Json:
    rev = ids.tid(call.network.world.now * 1000 << 10)
    return {"cid": ids.cid(f"{c.key} {rev} {len(c.authored)}"), "rev": rev}
