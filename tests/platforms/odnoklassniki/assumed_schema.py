"""The assumed format of Odnoklassniki's responses, of which there is no published schema.

Each response has an example with all its fields, the paths that may be missing, and the source of the
assumption. `documentation` is github.com/apiok/documentation (the text of apiok.ru), `apiok.ru` the site itself,
`clients` are public programs that run against the API. What has no source is "unverified".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jsonschema import Draft202012Validator

Json = Any


@dataclass(frozen=True, slots=True)
class AssumedResponse:
    """The format of one response."""

    source: str
    example: Json
    optional: frozenset[str] = frozenset()
    """Paths that may be missing: `anchor`, `media_topics.like_summary.count`."""

    @property
    def schema(self) -> Json:
        """The JSON Schema of the response: the types of the example, with every field that is not optional required."""
        return _schema(self.example, "", self.optional)

    def problems(self, answer: Json) -> list[str]:
        """Error messages about a response that does not match; empty if it matches."""
        return [f"{e.json_path}: {e.message[:200]}" for e in Draft202012Validator(self.schema).iter_errors(answer)]

    def without_each_optional(self) -> Iterator[tuple[str, Json]]:
        """The example with each optional field removed in turn, and the path of that field."""
        for path in sorted(self.optional):
            yield path, _without(self.example, path.split("."))


def _schema(example: Json, path: str, optional: frozenset[str]) -> Json:
    if isinstance(example, dict):
        inside = {name: _schema(value, f"{path}.{name}".strip("."), optional) for name, value in example.items()}
        needed = [name for name in example if f"{path}.{name}".strip(".") not in optional]
        return {"type": "object", "properties": inside, "required": needed}
    if isinstance(example, list):
        return {"type": "array", "items": _schema(example[0], path, optional) if example else {}}
    kinds = {bool: "boolean", int: "integer", str: "string"}
    return {"type": kinds[type(example)]}


def _without(example: Json, path: list[str]) -> Json:
    if isinstance(example, list):
        return [_without(one, path) for one in example]
    first, *rest = path
    if not rest:
        return {name: value for name, value in example.items() if name != first}
    return {name: _without(value, rest) if name == first else value for name, value in example.items()}


_MESSAGE: Final = {
    "sender": {"name": "Василий Васильев", "user_id": "user:123456789012"},
    "recipient": {"chat_id": "chat:C3ecb9d02a600"},
    "message": {"text": "text", "seq": 98211023614189660, "mid": "mid:C3ecb9d02a600.15cea67d78d2059"},
    "timestamp": 1498581292941,
}

ASSUMED: Final[Mapping[str, AssumedResponse]] = {
    "error": AssumedResponse(
        "clients: `error_code`, `error_msg` with status 200; `error_data` may be null, and is not read",
        {"error_code": 102, "error_msg": "PARAM_SESSION_EXPIRED : Session expired"},
        frozenset({"error_msg"}),
    ),
    "oauth": AssumedResponse(
        "apiok.ru, ext/oauth/server; `expires_in` is a text",
        {"token_type": "session", "access_token": "tok", "expires_in": "1800"},
        frozenset({"token_type", "expires_in"}),
    ),
    "oauth error": AssumedResponse(
        "clients: `error`, `error_description`; unverified which words there are",
        {"error": "invalid_token", "error_description": "x"},
        frozenset({"error_description"}),
    ),
    "url.getInfo": AssumedResponse(
        "documentation names id and type; their names are unverified", {"type": "GROUP", "objectId": 53038939046008}
    ),
    "group.getInfo": AssumedResponse(
        "clients: a list; `uid`, `name`, `shortname`, `members_count`",
        [{"uid": "53038939046008", "name": "API OK", "shortname": "apiok", "members_count": 77}],
        frozenset({"shortname", "members_count"}),
    ),
    "group.getCounters": AssumedResponse("apiok.ru; clients: in `counters`", {"counters": {"members": 77}}),
    "group.getStatTopics": AssumedResponse(
        "clients: `topics`, `anchor`, `has_more`; `created_ms` and `reach` where they are asked for",
        {"topics": [{"id": "66", "created_ms": 1498581292941, "reach": 5}], "anchor": "LTE6LTE=", "has_more": True},
        frozenset({"anchor", "topics", "topics.created_ms", "topics.reach"}),
    ),
    "group.getStatTopic": AssumedResponse("clients: in `topic`", {"topic": {"id": "66", "views": 3, "reach": 5}}),
    "mediatopic.getByIds": AssumedResponse(
        "clients: `media_topics`; `like_summary.count`, `discussion_summary.comments_count`, `reshare_summary.count`, "
        "`views_count`, `created_ms`, `author_ref`, `media`. Unverified: that deleted ones are left out",
        {
            "media_topics": [
                {
                    "id": "66",
                    "created_ms": 1498581292941,
                    "author_ref": "group:53038939046008",
                    "is_on_behalf_of_group": True,
                    "media": [{"type": "text", "text": "Open on Sunday"}],
                    "like_summary": {"count": 1},
                    "discussion_summary": {"comments_count": 2},
                    "reshare_summary": {"count": 3},
                    "views_count": 4,
                }
            ]
        },
        frozenset(
            f"media_topics.{name}"
            for name in (
                *("author_ref", "is_on_behalf_of_group", "media", "media.text", "like_summary", "discussion_summary"),
                *("reshare_summary", "views_count", "like_summary.count", "discussion_summary.comments_count"),
            )
        ),
    ),
    "mediatopic.post": AssumedResponse("documentation: the topic's id; clients: as a text", "66"),
    "discussions.getComments": AssumedResponse(
        "clients: `comments`, which may be missing, `anchor`, `has_more`; `date` in Moscow, without a zone. "
        "Unverified: that nothing but these fields tells of the group's own comments",
        {
            "discussionId": "66",
            "discussionType": "GROUP_TOPIC",
            "has_more": True,
            "anchor": "LTE6LTE=",
            "comments": [
                {
                    "id": "MTIz",
                    "date": "2026-11-23 09:00:00",
                    "text": "Until when?",
                    "author_id": "123456789012",
                    "author_ref": "user:123456789012",
                    "author_name": "Василий Васильев",
                    "reply_to_comment_id": "MTIy",
                    "reply_to_id": "123456789013",
                }
            ],
        },
        frozenset({
            "discussionId", "discussionType", "anchor", "comments", "comments.text", "comments.author_id",
            "comments.author_ref", "comments.author_name", "comments.reply_to_comment_id", "comments.reply_to_id",
        }),
    ),
    "discussions.addDiscussionComment": AssumedResponse("unverified: the comment's id, as a text", "MTIz"),
    "photosV2.getUploadUrl": AssumedResponse(
        "apiok.ru: this very form",
        {"photo_ids": ["GuL9z=="], "upload_url": "https://up.mycdn.me/u?apiToken=x", "expires_ms": 9, "ttl_ms": 9},
        frozenset({"expires_ms", "ttl_ms"}),
    ),
    "upload": AssumedResponse(
        "apiok.ru, clients: tokens by the ids of `photo_ids`", {"photos": {"GuL9z==": {"token": "abc"}}}
    ),
    "users.hasAppPermission": AssumedResponse("clients: true or false", True),
    "graph info": AssumedResponse(
        "documentation, graph.user.info", {"name": "название группы", "group_id": "group:123456789012345"},
        frozenset({"name"}),
    ),
    "graph chats": AssumedResponse(
        "documentation, graph.user.chats; newest first; the marker of the example says -time:-time",
        {
            "chats": [
                {
                    "type": "GROUP_CHAT",
                    "status": "ACTIVE",
                    "title": "Some chat title",
                    "icon": {"url": "https://st.mycdn.me/res/i/ok_logo.png"},
                    "participants": {},
                    "lastEventTime": 1498581292941,
                    "chat_id": "chat:C3ecb9d02a600",
                    "owner_id": "user:123456789012",
                    "group_id": "group:12345678901234",
                }
            ],
            "marker": "LTE0OTcyNDMzNTYzMzM6LTE0OTcyNDMzNTYzMzM=",
        },
        frozenset({"marker", *(f"chats.{name}" for name in ("type", "status", "title", "icon", "participants"))})
        | {"chats.owner_id", "chats.group_id"},
    ),
    "graph messages": AssumedResponse(
        "documentation, graph.user.messages; newest first. Unverified: that the group is a `user_id` too",
        {"messages": [_MESSAGE]},
        frozenset({"messages.sender.name", "messages.message.text", "messages.message.seq"}),
    ),
    "graph send": AssumedResponse(
        "clients of the same API at another host: `message_id`",
        {"recipient_id": "chat:C3e", "message_id": "mid:C3e.15c"},
        frozenset({"recipient_id"}),
    ),
    "graph subscriptions": AssumedResponse(
        "documentation, graph.user.subscriptions",
        {"subscriptions": [{"time": 1498577751487, "url": "https://sample.com/webhook.php"}]},
        frozenset({"subscriptions.time"}),
    ),
    "graph done": AssumedResponse("documentation, graph.user.subscribe", {"success": True}),
    "hook": AssumedResponse(
        "documentation, graph.user.subscribe; newer calls name their `webhookType`",
        {"webhookType": "MESSAGE_CREATED", **_MESSAGE},
        frozenset({"webhookType", "sender.name", "message.text", "message.seq"}),
    ),
}  # fmt: skip
