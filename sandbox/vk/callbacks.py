"""The Callback API: how VK confirms a URL, and which event each ledger record becomes.

A server first has to answer `confirmation` with the community's code. Then it receives every event and answers
`ok`; a repeated one has the same `event_id`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import orjson

from sandbox.entities import Community
from sandbox.hooks import Delivery, Hook, Subscription
from sandbox.ledger import Record
from sandbox.vk import wire_models
from sandbox.vk.wire_models import Json
from sandbox.world import World

VERSION: Final = "5.199"
EVENTS: Final = frozenset({
    "wall_post_new", "wall_reply_new", "wall_reply_edit", "wall_reply_delete", "wall_reply_restore", "message_new",
    "message_reply", "message_edit", "message_event", "group_join", "group_leave",
    "like_add", "like_remove",
})  # fmt: skip

UNSENT_EVENTS: Final = frozenset({
    "audio_new", "board_post_delete", "board_post_edit", "board_post_new", "board_post_restore",
    "donut_money_withdraw", "donut_money_withdraw_error", "donut_subscription_cancelled",
    "donut_subscription_create", "donut_subscription_expired", "donut_subscription_price_changed",
    "donut_subscription_prolonged", "group_change_photo", "group_change_settings", "group_officers_edit",
    "lead_forms_new", "market_comment_delete", "market_comment_edit", "market_comment_new",
    "market_comment_restore", "market_order_edit", "market_order_new", "message_allow", "message_deny",
    "message_reaction_event", "message_read", "message_typing_state", "photo_comment_delete",
    "photo_comment_edit", "photo_comment_new", "photo_comment_restore", "photo_new", "poll_vote_new",
    "user_block", "user_unblock", "video_comment_delete", "video_comment_edit", "video_comment_new",
    "video_comment_restore", "video_new", "wall_repost", "wall_schedule_post_delete", "wall_schedule_post_new",
})  # fmt: skip
"""Events that VK has and the sandbox never sends."""


def _confirmation(world: World, server: Subscription, c: Community) -> Delivery:
    return _delivery(world, server, c, "confirmation", None, None, server.verify)


def _events(world: World, server: Subscription, c: Community, record: Record) -> Iterable[Delivery]:
    event = _event(record, c)
    return () if event is None else (_delivery(world, server, c, *event, record, "ok"),)


def _delivery(
    world: World, server: Subscription, c: Community, kind: str, thing: Json | None, about: Record | None, expected: str
) -> Delivery:
    parts = ("confirmation",) if about is None else (about["type"], about["at"], about.get("id"), about.get("person"))
    name = ":".join(str(part) for part in (world.seed, c.key, server.id, *parts))
    event_id = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    body: Json = {"group_id": wire_models.group_id(c), "type": kind, "event_id": event_id, "v": VERSION}
    if thing is not None:
        body["object"] = thing
    if server.secret:
        body["secret"] = server.secret
    return Delivery(
        name=event_id, kind=kind, body=orjson.dumps(body),
        is_accepted=lambda status, said: status == 200 and said == expected,
    )  # fmt: skip


def _event(record: Record, c: Community) -> tuple[str, Json] | None:
    """The event that subscribers receive for a ledger record."""
    kind = record["type"]
    if kind == "post":
        return "wall_post_new", wire_models.post(c, c.wall[int(record["id"])])
    if kind == "comment_restored":
        return "wall_reply_restore", _comment(record, c)
    if kind == "comment" or (kind == "reply" and record["via"] == "comment"):
        return "wall_reply_new", _comment(record, c)
    if kind == "comment_deleted":
        author = record.get("person") or -wire_models.group_id(c)
        return "wall_reply_delete", {
            "owner_id": -wire_models.group_id(c), "id": int(record["id"]), "deleter_id": author,
            "user_id": max(author, 0), "post_id": int(record.get("post", "0")),
        }  # fmt: skip
    if kind == "message":
        info = {"button_actions": ["text"], "keyboard": True, "inline_keyboard": True, "carousel": True, "lang_id": 0}
        message = wire_models.message(c, c.mail[int(record["id"])])
        # VK has been seen to say of customers' messages that they are outgoing: `from_id` decides.
        message["out"] = int(int(record["id"]) % 3 == 0)
        return "message_new", {"message": message, "client_info": info}
    if kind == "reply":
        return "message_reply", wire_models.message(c, c.mail[int(record["id"])])
    if kind == "follow":
        return "group_join", {"user_id": record["person"], "join_type": "join"}
    if kind == "unfollow":
        return "group_leave", {"user_id": record["person"], "self": 1}
    if kind in ("reaction", "reaction_removed"):
        entry = c.wall.get(int(record["id"]))
        if entry is None:
            return None
        return "like_add" if kind == "reaction" else "like_remove", {
            "liker_id": record["person"],
            "object_type": "post" if entry.kind == "post" else "comment",
            "object_owner_id": -wire_models.group_id(c),
            "object_id": entry.id,
            "post_id": entry.post or 0,
        }
    return None


def _comment(record: Record, c: Community) -> Json:
    return {**wire_models.comment(c, c.wall[int(record["id"])]), "post_owner_id": -wire_models.group_id(c)}


HOOK: Final = Hook(
    events=_events,
    confirmation=_confirmation,
    topics=EVENTS,
    control_info=lambda _, c: {"group_id": wire_models.group_id(c)},
)
