"""Attachments of messages: as the sandbox sends them, and in each platform's other forms."""

import json
from typing import Any, Final

import pytest

from app.platforms import adapter, adapters
from app.platforms.attachments import LONGEST_NAME, MOST_ATTACHMENTS, attachment
from app.platforms.bluesky import attachments as bluesky
from app.platforms.contract import Attachment, AttachmentKind, MessageKind, RemoteMessage
from app.platforms.mastodon import attachments as mastodon
from app.platforms.meta import attachments as meta
from app.platforms.meta import hooks, pages
from app.platforms.odnoklassniki import attachments as odnoklassniki
from app.platforms.telegram import attachments as telegram
from app.platforms.vk import attachments as vk
from sandbox.ledger import Fields
from tests.platforms.contract.finding import remote_message
from tests.platforms.contract.stage import staged

COMMENT, MESSAGE, MENTION = MessageKind.COMMENT, MessageKind.MESSAGE, MessageKind.MENTION
HAVE: Final = {
    "bluesky": (COMMENT, MENTION),
    "facebook": (COMMENT, MESSAGE),
    "instagram": (MESSAGE,),
    "mastodon": (COMMENT, MENTION, MESSAGE),
    "odnoklassniki": (COMMENT, MESSAGE),
    "telegram": (COMMENT, MESSAGE),
    "vk": (COMMENT, MESSAGE),
    "youtube": (),
}
"""The kinds of message to which people can attach pictures and videos. Nothing can be attached to comments on Instagram
and YouTube, nor to Bluesky's direct messages; a tag on Instagram is a post of its author's."""
WITHOUT_NAMES: Final = {("telegram", "picture")}
WITHOUT_ADDRESSES: Final = {"telegram"}


def test_every_platform_is_considered() -> None:
    assert set(HAVE) == set(adapters())


@pytest.mark.parametrize(("key", "kind"), [(key, kind) for key, kinds in HAVE.items() for kind in kinds])
async def test_a_message_that_is_a_picture_alone_says_so(key: str, kind: MessageKind) -> None:
    async with staged(key, adapter(key)) as s:
        for attached in ("picture", "video"):
            post = s.post("Show us yours")["id"]
            fields = Fields(
                text="",
                person=s.community.number_of(5),
                kind="other",
                attachments=[{"kind": attached, "name": "Our table"}],
            )
            if kind is COMMENT:
                fields["post"] = post
            message = await remote_message(s, s.let(kind.value, **fields))
            assert message.text == "" or message.text.startswith("@")
            (one,) = message.attachments
            assert one.kind == attached
            assert one.name == ("" if (key, attached) in WITHOUT_NAMES else "Our table")
            assert (one.url is None) == (key in WITHOUT_ADDRESSES)
            assert not any(secret in (one.url or "") for secret in s.secrets())


K = AttachmentKind


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"type": "audio", "audio": {"artist": "A", "title": "B", "url": "https://vk.example/a"}}, "audio A – B"),
        ({"type": "audio_message", "audio_message": {"link_mp3": "https://vk.example/v.mp3"}}, "voice "),
        ({"type": "doc", "doc": {"title": "menu.pdf", "type": 1, "url": "https://vk.com/doc1_2"}}, "file menu.pdf"),
        ({"type": "doc", "doc": {"title": "cat.gif", "type": 3, "url": "https://vk.com/doc1_2"}}, "picture cat.gif"),
        ({"type": "sticker", "sticker": {"images": [{"url": "https://vk.example/s"}]}}, "sticker "),
        ({"type": "link", "link": {"url": "https://shop.example", "title": "Shop"}}, "link Shop"),
        ({"type": "wall", "wall": {"from_id": -1, "to_id": -1, "id": 2}}, "post "),
        ({"type": "graffiti", "graffiti": {"url": "https://vk.example/g"}}, "picture "),
    ],
)
def test_vk_has_other_kinds(raw: dict[str, Any], expected: str) -> None:
    (one,) = vk.read((raw,))
    assert f"{one.kind} {one.name}" == expected
    assert one.url is not None


def test_vk_takes_the_largest_copy() -> None:
    sizes = [{"width": 75, "url": "https://a.example/s"}, {"width": 604, "url": "https://a.example/x"}, {"url": 3}]
    assert vk.read(({"type": "photo", "photo": {"sizes": sizes}},)) == (Attachment(K.PICTURE, "https://a.example/x"),)


def test_vk_has_places_and_forwarded_messages_beside_attachments() -> None:
    place, forwarded = vk.read((), {"place": {"title": "Minsk"}}, ({"text": "Is it yours?"},))
    assert (place.kind, place.name) == (K.LOCATION, "Minsk")
    assert (forwarded.kind, forwarded.name) == (K.POST, "Is it yours?")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"voice": {"duration": 3}}, "voice "),
        ({"document": {"file_name": "menu.pdf", "mime_type": "application/pdf"}}, "file menu.pdf"),
        ({"document": {"file_name": "scan.png", "mime_type": "image/png"}}, "picture scan.png"),
        ({"animation": {"file_name": "a.mp4"}, "document": {"file_name": "a.mp4"}}, "video a.mp4"),
        ({"sticker": {"emoji": "👍"}}, "sticker 👍"),
        ({"contact": {"first_name": "Olga", "last_name": "K."}}, "contact Olga K."),
        ({"venue": {"title": "Nina's"}, "location": {"latitude": 1}}, "location Nina's"),
        ({"poll": {"question": "When?"}}, "poll When?"),
        ({"video_note": {"length": 240}, "caption": ""}, "video "),
    ],
)
def test_telegram_has_other_kinds(raw: dict[str, Any], expected: str) -> None:
    (one,) = telegram.read(raw)
    assert (f"{one.kind} {one.name}", one.url) == (expected, None)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"type": "image", "url": "https://m.example/1", "description": "A cup"}, "picture A cup"),
        ({"type": "gifv", "url": "https://m.example/1", "description": None}, "video "),
        ({"type": "audio", "url": "https://m.example/1"}, "audio "),
        ({"type": "unknown", "url": None, "remote_url": "https://m.example/1"}, "other "),
    ],
)
def test_mastodon_has_other_kinds(raw: dict[str, Any], expected: str) -> None:
    (one,) = mastodon.read((raw,), None)
    assert (f"{one.kind} {one.name}", one.url) == (expected, "https://m.example/1")


def test_mastodon_has_polls() -> None:
    assert mastodon.read((), {"id": "1"}) == (Attachment(K.POLL),)


QUOTE = {"$type": "app.bsky.embed.record", "record": {"uri": "at://did:plc:abc/app.bsky.feed.post/3k", "cid": "x"}}


def test_bluesky_has_links_and_quoted_posts() -> None:
    link = {"$type": "app.bsky.embed.external", "external": {"uri": "https://shop.example", "title": "Shop"}}
    assert bluesky.read(link, "did:plc:a") == (Attachment(K.LINK, "https://shop.example", "Shop"),)
    post = Attachment(K.POST, "https://bsky.app/profile/did:plc:abc/post/3k")
    assert bluesky.read(QUOTE, "did:plc:a") == (post,)
    both = {"$type": "app.bsky.embed.recordWithMedia", "media": link, "record": QUOTE}
    assert [one.kind for one in bluesky.read(both, "did:plc:a")] == [K.LINK, K.POST]
    assert [one.kind for one in bluesky.read({"$type": "app.bsky.embed.new"}, "did:plc:a")] == [K.OTHER]
    assert bluesky.read(None, "did:plc:a") == ()


def test_odnoklassniki_has_one_attachment_or_several() -> None:
    picture = {"type": "IMAGE", "payload": {"url": "https://ok.example/1"}}
    assert odnoklassniki.read((), (picture,)) == (Attachment(K.PICTURE, "https://ok.example/1"),)
    several = ({"type": "FILE", "payload": {"url": "https://ok.example/2", "name": "menu.pdf"}}, {"type": "CALL"})
    assert [(one.kind, one.name) for one in odnoklassniki.read(several)] == [(K.FILE, "menu.pdf"), (K.OTHER, "")]
    assert odnoklassniki.read(({"type": "INLINE_KEYBOARD"},)) == ()


def page_event(entry: dict[str, Any]) -> RemoteMessage:
    body = json.dumps({"object": "page", "entry": [{"id": "55", "time": 1700000000, **entry}]}).encode()
    (event,) = hooks.parse_event(body, "page", pages.to_event)
    (message,) = event.messages
    return message


def test_metas_events_have_attachments() -> None:
    sent = {
        "sender": {"id": "7"},
        "recipient": {"id": "55"},
        "timestamp": 1700000000000,
        "message": {
            "mid": "m1",
            "attachments": [
                {"type": "image", "payload": {"url": "https://f.example/1"}},
                {"type": "image", "payload": {"url": "https://f.example/2", "sticker_id": 369}},
                {"type": "ig_reel", "payload": {"url": "https://f.example/3", "title": "Our reel"}},
            ],
        },
    }
    message = page_event({"messaging": [sent]})
    assert message.text == ""
    assert [(one.kind, one.url, one.name) for one in message.attachments] == [
        (K.PICTURE, "https://f.example/1", ""),
        (K.STICKER, "https://f.example/2", ""),
        (K.POST, "https://f.example/3", "Our reel"),
    ]
    value = {
        "item": "comment",
        "verb": "add",
        "post_id": "55_1",
        "comment_id": "1_2",
        "created_time": 1700000000,
        "from": {"id": "7", "name": "Olga"},
        "photo": "https://f.example/4",
    }
    comment = page_event({"changes": [{"field": "feed", "value": value}]})
    assert comment.attachments == (Attachment(K.PICTURE, "https://f.example/4"),)


def test_metas_lists_have_files_and_shares() -> None:
    files = {"data": [{"mime_type": "application/pdf", "name": "menu.pdf", "file_url": "https://f.example/1"}, {}]}
    shares = {"data": [{"link": "https://f.example/2", "name": "Our post"}]}
    assert meta.of_message(files, shares) == (
        Attachment(K.FILE, "https://f.example/1", "menu.pdf"),
        Attachment(K.FILE),
        Attachment(K.POST, "https://f.example/2", "Our post"),
    )
    assert meta.of_comment(({"type": "share", "url": "https://f.example/3", "title": "A page"},)) == (
        Attachment(K.LINK, "https://f.example/3", "A page"),
    )
    assert "attachment" in pages.COMMENT_FIELDS


NONSENSE: Final[list[Any]] = [
    None,
    0,
    "",
    "photo",
    [],
    {},
    {"type": None},
    {"type": "photo", "photo": 3},
    [[]],
    {"a": []},
]


@pytest.mark.parametrize("nonsense", NONSENSE, ids=repr)
def test_what_is_not_understood_hides_nothing(nonsense: Any) -> None:
    objects = (nonsense,) if isinstance(nonsense, dict) else ()
    vk.read(objects, nonsense, objects)
    odnoklassniki.read(objects)
    mastodon.read(objects, nonsense)
    bluesky.read(nonsense, "did:plc:a")
    meta.of_comment(objects)
    meta.of_message(nonsense, nonsense)
    meta.of_message_event(objects)
    telegram.read(dict.fromkeys(telegram.READ, nonsense))


def test_only_what_can_be_stored_and_shown_is_kept() -> None:
    assert attachment(K.FILE, "javascript:alert(1)", "a\x00b\n c").url is None
    assert attachment(K.FILE, "https://a.example/\x00").url is None
    assert attachment(K.FILE, "https://a.example/ b").url is None
    assert attachment(K.FILE, None, "a\x00b\n c\ud800").name == "ab c"
    assert len(attachment(K.FILE, None, "a" * 1000).name) == LONGEST_NAME
    assert len(vk.read(({"type": "photo"},) * 50)) == MOST_ATTACHMENTS
