"""Webhook events: signed with the application's secret (`X-Hub-Signature-256`), several changes per request."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

import orjson

from sandbox.entities import Community, Entry
from sandbox.graph import ids, instagram, mail, mentions, pages
from sandbox.graph.call import app_secret, verify_token
from sandbox.graph.nodes import Json, text_of
from sandbox.graph.state import TOPICS
from sandbox.hooks import Delivery, Hook, Subscription
from sandbox.instants import parse
from sandbox.ledger import Record
from sandbox.people import person
from sandbox.world import World


def _confirmation(world: World, one: Subscription, c: Community) -> Delivery:
    """The verification request; accepted if the response is 200 with the challenge as its body."""
    challenge = str(int(hashlib.sha256(f"{world.seed}:{c.key}:{one.id}".encode()).hexdigest()[:8], 16))
    return Delivery(
        name=f"challenge-{one.id}", kind="challenge", method="GET",
        query={"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": one.verify},
        is_accepted=lambda status, said: status == 200 and said == challenge,
    )  # fmt: skip


def _events(world: World, one: Subscription, c: Community, record: Record) -> Iterable[Delivery]:
    topic, entry = (_account if ids.is_instagram(c) else _page)(c, record)
    if not entry:
        return
    about: Json = {"id": c.profile.external_id, "time": world.now // (1 if "messaging" in entry else 1000), **entry}
    body = orjson.dumps({"object": "instagram" if ids.is_instagram(c) else "page", "entry": [about]})
    signature = hmac.new(one.secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}
    yield Delivery(name=f"graph-{one.id}-{record['n']}", kind=topic, body=body, headers=headers)


# ── a Page ────────────────────────────────────────────────────────────────────────────────────────


def _page(c: Community, record: Record) -> tuple[str, Json]:
    """The event's kind and entry for a record; an empty entry if there is no event."""
    match record["type"]:
        case "facebook_reactions":
            payloads = [_feed(_reaction(c, one)) for one in _changes(record) if _stands(c, one)]
            return "feed", {"changes": payloads} if payloads else {}
        case "post":
            return "feed", {"changes": [_feed(_posted(c, c.wall[int(record["id"])]))]}
        case "comment":
            return "feed", {"changes": [_feed(_commented(c, c.wall[int(record["id"])]))]}
        case "reply" if record["via"] == "comment":
            return "feed", {"changes": [_feed(_commented(c, c.wall[int(record["id"])]))]}
        case "post_deleted":
            story = ids.post(c, int(record["id"]))
            return "feed", {
                "changes": [_feed({"item": "post", "verb": "remove", "post_id": story, "from": _own_account(c)})]
            }
        case "comment_deleted" if "post" in record:
            post, number = int(record["post"]), int(record["id"])
            gone: Json = {
                "item": "comment", "verb": "remove", "post_id": ids.post(c, post),
                "comment_id": ids.comment(c, post, number), "parent_id": ids.post(c, post),
                "from": _sender(c, record.get("person") or None),
            }  # fmt: skip
            return "feed", {"changes": [_feed(gone)]}
        case "graph_hidden":
            change = _commented(c, c.wall[int(record["id"])])
            verb = "hide" if record["detail"]["hidden"] else "unhide"
            return "feed", {"changes": [_feed({**change, "verb": verb})]}
        case "message" | "reply" | "graph_edited":
            return _mailed(c, record)
    return "feed", {}


def _feed(value: Json) -> Json:
    return {"field": "feed", "value": value}


def _changes(record: Record) -> list[Json]:
    changes = record["detail"]["changes"]
    return [one for one in changes if isinstance(one, dict)] if isinstance(changes, list) else []


def _stands(c: Community, change: Json) -> bool:
    return int(str(change["id"])) in c.wall


def _reaction(c: Community, change: Json) -> Json:
    entry = c.wall[int(str(change["id"]))]
    number = int(str(change["person"]))
    story = ids.post(c, entry.post or entry.id)
    payload: Json = {
        "item": change["item"], "verb": change["verb"], "post_id": story, "parent_id": story,
        "created_time": change["at"], "from": _sender(c, number),
    }  # fmt: skip
    if change["item"] == "reaction":
        payload["reaction_type"] = pages.mood_of(number).lower()
    if entry.kind == "comment":
        payload["comment_id"] = ids.comment(c, entry.post or 0, entry.id)
    return payload


def _posted(c: Community, entry: Entry) -> Json:
    payload: Json = {
        "item": "photo" if len(entry.media) == 1 else "status", "verb": "add", "post_id": ids.post(c, entry.id),
        "from": _own_account(c), "published": 1, "created_time": entry.at // 1000, "message": entry.text,
    }  # fmt: skip
    if len(entry.media) == 1:
        payload["photo_id"] = ids.make(ids.PHOTO, c, int(entry.media[0]))
    return payload


def _commented(c: Community, entry: Entry) -> Json:
    root_comment = pages.head(c, entry)
    story = ids.post(c, entry.post or 0)
    return {
        "item": "comment", "verb": "add", "post_id": story, "comment_id": ids.comment(c, entry.post or 0, entry.id),
        "parent_id": story if root_comment is entry else ids.comment(c, entry.post or 0, root_comment.id),
        "from": _sender(c, entry.person), "message": entry.text, "created_time": entry.at // 1000,
        **_attached(entry),
        "post": {
            "id": story, "status_type": "mobile_status_update", "is_published": True,
            "updated_time": text_of(entry.at), "permalink_url": pages.permalink(c, c.wall[entry.post or 0]),
            "promotion_status": "inactive",
        },
    }  # fmt: skip


def _attached(entry: Entry) -> Json:
    """What a customer attached to a comment, as its event says it."""
    names = {"picture": "photo", "video": "video", "file": "link"}
    return {names[one.kind]: pages.picture_of(entry, one) for one in entry.attachments[:1]}


def _own_account(c: Community) -> Json:
    return {"id": ids.page(c), "name": c.profile.title}


def _sender(c: Community, number: int | None) -> Json:
    if number is None:
        return _own_account(c)
    return {"id": ids.person(c, number), "name": person(number, c.profile.language).name}


# ── an account ────────────────────────────────────────────────────────────────────────────────────


def _account(c: Community, record: Record) -> tuple[str, Json]:
    """As `_page`; Instagram sends no events for posts, reactions and deletions."""
    match record["type"]:
        case "mention":
            entry = c.wall[int(record["id"])]
            if entry.topic == mentions.TAG_ALONE:
                return "mentions", {}
            value: Json = {"media_id": instagram.tagged(c, entry).id}
            if entry.topic == mentions.IN_COMMENT:
                value["comment_id"] = instagram.comment(c, entry).id
            return "mentions", {"changes": [{"field": "mentions", "value": value}]}
        case "comment":
            return "comments", {"changes": [_payload(c, c.wall[int(record["id"])])]}
        case "reply" if record["via"] == "comment":
            return "comments", {"changes": [_payload(c, c.wall[int(record["id"])])]}
        case "message" | "graph_edited":
            return _mailed(c, record)
        case "reply" if record["via"] == "message":
            return _mailed(c, record)
    return "comments", {}


def _payload(c: Community, entry: Entry) -> Json:
    """A comment's change; it has no timestamp."""
    name = c.key if entry.person is None else person(entry.person, c.profile.language).username
    writer: Json = {
        "id": c.profile.external_id if entry.person is None else ids.person(c, entry.person),
        "username": name,
    }
    if entry.person is None:
        writer["self_ig_scoped_id"] = ids.user(c)
    value: Json = {
        "id": ids.make(ids.IG_COMMENT, c, entry.id), "from": writer, "text": entry.text,
        "media": {"id": ids.make(ids.MEDIA, c, entry.post or 0), "media_product_type": "FEED"},
    }  # fmt: skip
    root_comment = pages.head(c, entry)
    if root_comment is not entry:
        value["parent_id"] = ids.make(ids.IG_COMMENT, c, root_comment.id)
    return {"field": "comments", "value": value}


# ── messages ──────────────────────────────────────────────────────────────────────────────────────


def _mailed(c: Community, record: Record) -> tuple[str, Json]:
    """A customer's message, a button that they pressed (a message with a `payload`), an edit, or the echo of our own
    message; empty for one without a recipient."""
    entry = c.mail[int(record["id"])]
    if not entry.peer:
        return "messages", {}
    own_account, them = {"id": c.profile.external_id}, {"id": ids.person(c, entry.peer)}
    said: Json = {"mid": ids.message(c, entry.id), "text": entry.text}
    if entry.attachments:
        types = {"picture": "image", "video": "video", "file": "file"}
        said["attachments"] = [
            {"type": types[one.kind], "payload": {"url": mail.address(entry, one)}} for one in entry.attachments
        ]
        if not entry.text:
            del said["text"]
    if entry.person is None:
        said["is_echo"] = True
        if record["origin"] == "api":
            said["app_id"] = int(ids.APP)
    payload: Json = {
        "sender": own_account if entry.person is None else them,
        "recipient": them if entry.person is None else own_account,
        "timestamp": entry.at,
    }  # fmt: skip
    detail = record.get("detail", {})
    if record["type"] == "graph_edited":
        edit = {"mid": said["mid"], "text": entry.text, "num_edit": record["count"]}
        return "message_edits", {"messaging": [{**payload, "timestamp": parse(record["at"]), "message_edit": edit}]}
    if "payload" in detail:
        pressed = {"mid": said["mid"], "title": entry.text, "payload": detail["payload"]}
        return "messaging_postbacks", {"messaging": [{**payload, "postback": pressed}]}
    payload["message"] = said
    echo = entry.person is None and not ids.is_instagram(c)
    return "message_echoes" if echo else "messages", {"messaging": [payload]}


HOOK: Final = Hook(
    events=_events, confirmation=_confirmation, topics=TOPICS,
    secret=lambda world, _: app_secret(world), code=lambda world, _: verify_token(world),
)  # fmt: skip
