"""group.*, mediatopic.*, users.* and url.*."""

from __future__ import annotations

import json
from itertools import islice
from typing import Final

from sandbox.ledger import Fields
from sandbox.network import BadParameterError
from sandbox.odnoklassniki import ids, photos, wire_models
from sandbox.odnoklassniki.call import Call, Methods, anchor, anchor_entry_id
from sandbox.odnoklassniki.errors import OkError
from sandbox.odnoklassniki.wire_models import Json

TEXT: Final = 32_000
BLOCKS: Final = 10
BATCH: Final = 100
_INFO: Final = frozenset({"UID", "NAME", "SHORTNAME", "DESCRIPTION", "MEMBERS_COUNT", "PRIVATE", "PIC_AVATAR"})
_STAT: Final = frozenset({
    "ID", "CREATED_MS", "VIEWS", "RENDERINGS", "REACH", "REACH_OWN", "REACH_EARNED", "LIKES", "COMMENTS", "RESHARES",
    "ENGAGEMENT", "FEEDBACK", "FEEDBACK_TOTAL", "LINK_CLICKS", "VIDEO_PLAYS", "CONTENT_OPENS", "NEGATIVES",
})  # fmt: skip
_TOPIC: Final = frozenset({
    "ID", "CREATED_MS", "AUTHOR_REF", "OWNER_REF", "IS_ON_BEHALF_OF_GROUP", "HAS_MORE", "MEDIA", "MEDIA_TEXT",
    "MEDIA_TYPE", "LIKE_SUMMARY", "DISCUSSION_SUMMARY", "RESHARE_SUMMARY", "VIEWS_COUNT",
})  # fmt: skip


def url_info(call: Call) -> object:
    """What a URL refers to; `UNKNOWN` for nothing."""
    name = call.required("url").partition("ok.ru/")[2].strip("/").removeprefix("group/")
    for c in call.network.communities("odnoklassniki"):
        if name in (c.key, c.profile.external_id):
            return {"type": "GROUP", "objectId": int(c.profile.external_id)}
    return {"type": "UNKNOWN", "objectId": 0}


def info(call: Call) -> object:
    call.fields("GroupBeanFields", _INFO)
    requested = {name.strip().lower() for name in call.params.get("fields").split(",") if name.strip()} | {"uid"}
    groups = [c for one in call.required("uids").split(",") if (c := call.find_group(one.strip())) is not None]
    return [
        {name: value for name, value in wire_models.group(c).items() if name in requested or requested == {"uid"}}
        for c in groups
    ]


def counters(call: Call) -> object:
    c = call.find_group(call.required("group_id"))
    if c is None:
        raise OkError(160)
    values = {"members": len(c.followers), "themes": len(c.posts)}
    requested = call.required("counterTypes").lower().split(",")
    return {"counters": {name: values[name] for name in requested if name in values}}


def stat_topics(call: Call) -> object:
    """Statistics by topic, newest first, from `start_time` to `end_time`, both included; administrators only."""
    c = call.group()
    call.needs("GROUP_CONTENT")
    call.fields("StatTopicBeanFields", _STAT)
    count = call.integer("count", 20, 1, 100)
    first, last = call.params.integer("start_time", 0) or 0, call.params.integer("end_time")
    below = anchor_entry_id(call.params.get("anchor")) if "anchor" in call.params else None
    matches = (
        entry
        for entry in wire_models.latest_first(c)
        if entry.at >= first and (last is None or entry.at <= last) and (below is None or entry.id < below)
    )
    entries = list(islice(matches, count + 1))
    page: Json = {"topics": [wire_models.stat(entry) for entry in entries[:count]], "has_more": len(entries) > count}
    return page | ({"anchor": anchor(entries[count - 1].id)} if len(entries) > count else {})


def stat_topic(call: Call) -> object:
    topic = call.topic(call.required("topic_id"))
    call.needs("GROUP_CONTENT")
    call.fields("StatTopicBeanFields", _STAT)
    if topic is None:
        raise OkError(300)
    if topic[0] is not call.own:
        raise OkError(50)
    return {"topic": wire_models.stat(topic[1])}


def topics(call: Call) -> object:
    """Up to 100 topics; deleted ones are left out."""
    topic_ids = call.required("topic_ids").split(",")
    call.fields("MediaTopicBeanFields", _TOPIC)
    if len(topic_ids) > BATCH:
        raise BadParameterError(f"topic_ids: at most {BATCH}")
    if len(topic_ids) > 1:
        call.integer("media_limit", 0, 1, 3)
    matches = [one for topic_id in topic_ids if (one := call.topic(topic_id.strip())) is not None]
    return {"media_topics": [wire_models.topic(c, entry) for c, entry in matches]}


def post(call: Call) -> object:
    """Create a topic of the group; photos are given by their upload tokens."""
    if call.params.get("type") != "GROUP_THEME":
        raise BadParameterError("type: only GROUP_THEME is kept here")
    c = call.group()
    call.needs("GROUP_CONTENT")
    try:
        media = json.loads(call.required("attachment"))["media"]
        texts = [str(part["text"]) for part in media if part["type"] == "text"]
        tokens = [str(one["id"]) for part in media if part["type"] == "photo" for one in part["list"]]
    except (ValueError, KeyError, TypeError):
        raise BadParameterError("attachment is invalid") from None
    if not texts and not tokens:
        raise BadParameterError("attachment is empty")
    if len(media) > BLOCKS:
        raise OkError(600)
    text = "\n\n".join(texts)
    if len(text) > TEXT:
        raise OkError(601)
    fields = Fields(text=text)
    if tokens:
        fields["media"] = [photos.uploaded(call.network, c, token) for token in tokens]
    return call.network.world.emit("post", c, "api", **fields)["id"]


def has_permission(call: Call) -> object:
    return call.required("ext_perm") in call.grant.scopes


def current_user(call: Call) -> object:
    admin = ids.admin(call.own)
    return {"uid": ids.person(admin), "name": wire_models.name(call.own, admin)}


METHODS: Final[Methods] = {
    "url.getInfo": url_info,
    "group.getInfo": info,
    "group.getCounters": counters,
    "group.getStatTopics": stat_topics,
    "group.getStatTopic": stat_topic,
    "mediatopic.getByIds": topics,
    "mediatopic.post": post,
    "users.hasAppPermission": has_permission,
    "users.getCurrentUser": current_user,
}
