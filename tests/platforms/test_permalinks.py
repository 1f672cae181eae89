"""`post_key`: addresses as people copy them, of one post and of others."""

from typing import Final

import pytest

from app.platforms import adapter, adapters
from app.platforms.contract import CommunityIdentity

DID: Final = "did:plc:bbbbbbbbbbbbbbbbbbbbbbbb"

COMMUNITIES: Final = {
    "vk": CommunityIdentity(("https://vk.com/nina", "https://vk.com/nina"), "77"),
    "odnoklassniki": CommunityIdentity(("https://ok.ru/nina",), "570"),
    "telegram": CommunityIdentity(("https://t.me/c/1234", "https://t.me/nina"), "-1000000001234"),
    "youtube": CommunityIdentity(("https://www.youtube.com/@nina",), "UCbbbbbbbbbbbbbbbbbbbbbb"),
    "bluesky": CommunityIdentity(
        ("https://bsky.app/profile/nina.example?pds=pds.example", "https://bsky.app/profile/nina.bsky.social"), DID
    ),
    "mastodon": CommunityIdentity(("https://social.example/@nina", "https://www.social.example/@nina"), "5"),
    "facebook": CommunityIdentity(("https://www.facebook.com/555", "https://www.facebook.com/nina.coffee"), "555"),
    "instagram": CommunityIdentity(("https://www.instagram.com/nina",), "17840000000000001"),
}

KEYS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "vk": {
        "11": (
            "https://vk.com/wall-77_11",
            "https://m.vk.com/wall-77_11?from=nina",
            "https://vk.ru/wall-77_11",
            "http://www.vkontakte.ru/wall-77_11/",
            "https://vk.com/nina?w=wall-77_11",
            "https://vk.com/feed?w=wall-77_11%2Fall",
            "https://vk.com/photo-77_9?z=photo-77_9%2Fwall-77_11",
            "https://vk.com/wall-77_11?reply=40&thread=38",
            "https://vk.com/wall-77?own=1&w=wall-77_11_r40",
        ),
    },
    "odnoklassniki": {
        "1511": (
            "https://ok.ru/group/570/topic/1511",
            "https://m.ok.ru/group/570/topic/1511",
            "https://ok.ru/nina/topic/1511?utm_source=x",
            "https://www.odnoklassniki.ru/group570/topic/1511/",
        ),
    },
    "telegram": {
        "12": (
            "https://t.me/nina/12",
            "https://t.me/Nina/12?single",
            "https://t.me/s/nina/12",
            "https://t.me/nina/12?comment=4",
            "https://t.me/nina/12?embed=1&mode=tme",
            "https://telegram.me/nina/12",
            "https://nina.t.me/12",
            "https://t.me/c/1234/12",
            "https://web.telegram.org/a/#-1000000001234_12",
        ),
    },
    "youtube": {
        "q-W_rTyUiOp": (
            "https://www.youtube.com/watch?v=q-W_rTyUiOp",
            "https://m.youtube.com/watch?app=desktop&v=q-W_rTyUiOp&t=10s&feature=youtu.be",
            "https://youtube.com/watch?list=UUx&v=q-W_rTyUiOp&index=1",
            "https://music.youtube.com/watch?v=q-W_rTyUiOp",
            "https://youtu.be/q-W_rTyUiOp",
            "https://youtu.be/q-W_rTyUiOp?si=abc&t=3",
            "https://youtube.com/shorts/q-W_rTyUiOp?feature=share",
            "https://www.youtube.com/live/q-W_rTyUiOp?si=x",
            "https://www.youtube-nocookie.com/embed/q-W_rTyUiOp",
        ),
    },
    "bluesky": {
        f"at://{DID}/app.bsky.feed.post/3lf": (
            f"https://bsky.app/profile/{DID}/post/3lf",
            "https://bsky.app/profile/nina.example/post/3lf",
            "https://bsky.app/profile/Nina.Bsky.Social/post/3lf?ref_src=embed",
            "https://bsky.app/profile/did%3Aplc%3Abbbbbbbbbbbbbbbbbbbbbbbb/post/3lf/",
            "https://bsky.app/profile/nina.example/post/3lf/liked-by",
            "https://deer.social/profile/nina.example/post/3lf",
        ),
    },
    "mastodon": {
        "11": (
            "https://social.example/@nina/11",
            "http://www.social.example/@nina/11/",
            "https://social.example/users/nina/statuses/11",
            "https://social.example/web/@nina/11",
            "https://social.example/deck/@nina/11",
            "https://social.example/web/statuses/11",
            "https://social.example/@nina/11/embed",
            "https://social.example/@nina/statuses/11",
            "https://social.example/@nina/posts/11/",
        ),
    },
    "facebook": {
        "555_424242": (
            "https://www.facebook.com/555_424242",
            "https://www.facebook.com/nina.coffee/posts/424242",
            "https://www.facebook.com/ninacoffee/posts/424242?locale=ru_RU",
            "https://m.facebook.com/nina.coffee/posts/autumn-menu/424242/?mibextid=x",
            "https://www.facebook.com/555/posts/424242",
            "https://de-de.facebook.com/555/posts/424242",
            "https://www.facebook.com/61550000000001/posts/424242",
            "https://m.facebook.com/story.php?story_fbid=424242&id=555",
            "https://www.facebook.com/permalink.php?story_fbid=424242&id=100050000000001",
            "https://www.facebook.com/photo/?fbid=424242&set=a.1",
            "https://www.facebook.com/photo.php?fbid=424242",
            "https://www.facebook.com/nina.coffee/photos/a.1/424242/?type=3",
            "https://www.facebook.com/watch/?v=424242",
            "https://www.facebook.com/reel/424242",
            "https://www.facebook.com/nina.coffee/videos/autumn-menu/424242/",
        ),
        "pfbid02aB": (
            "https://www.facebook.com/nina.coffee/posts/pfbid02aB",
            "https://m.facebook.com/story.php?story_fbid=pfbid02aB&id=61550000000001",
        ),
    },
    "instagram": {
        "Dq_W-e1": (
            "https://www.instagram.com/p/Dq_W-e1/",
            "https://instagram.com/reel/Dq_W-e1/?igsh=x",
            "https://www.instagram.com/reels/Dq_W-e1",
            "https://www.instagram.com/tv/Dq_W-e1/",
            "https://m.instagram.com/nina/p/Dq_W-e1/?img_index=2",
            "https://www.instagram.com/nina/reel/Dq_W-e1/",
            "https://instagr.am/p/Dq_W-e1",
            "https://www.instagram.com/p/Dq_W-e1/c/1790/",
        ),
        "330000": ("https://www.instagram.com/stories/nina/330000/",),
    },
}

NO_KEY: Final = {
    "vk": (
        "https://vk.com/wall-78_11",
        "https://vk.com/wall77_11",
        "https://vk.com/nina",
        "https://vk.example/wall-77_11",
    ),
    "odnoklassniki": ("https://ok.ru/group/571/topic/1511", "https://ok.ru/group/570", "https://ok.ru/profile/1511"),
    "telegram": (
        "https://t.me/other/12",
        "https://t.me/s/other/12",
        "https://other.t.me/12",
        "https://t.me/c/1235/12",
        "https://t.me/nina",
        "https://web.telegram.org/a/#-1000000001235_12",
    ),
    "youtube": (
        "https://www.youtube.com/@nina",
        "https://www.youtube.com/watch?v=short",
        "https://www.youtube.com/playlist?list=UUx",
        "https://youtube.example/watch?v=q-W_rTyUiOp",
    ),
    "bluesky": (
        "https://bsky.app/profile/other.example/post/3lf",
        "https://bsky.app/profile/nina.example",
        "https://bsky.app/profile/nina.example/feed/3lf",
    ),
    "mastodon": (
        "https://elsewhere.example/@nina/11",
        "https://elsewhere.example/@nina@social.example/11",
        "https://social.example:8443/@nina/11",
        "https://social.example/@nina",
    ),
    "facebook": (
        "https://www.facebook.com/other/posts/424242",
        "https://www.facebook.com/556/posts/424242",
        "https://www.facebook.com/groups/1/posts/424242",
        "https://www.facebook.com/nina.coffee",
        "https://www.facebook.com/share/p/abc/",
        "https://www.facebook.com/story.php?id=555",
    ),
    "instagram": (
        "https://www.instagram.com/nina",
        "https://www.instagram.com/share/p/Dq_W-e1",
        "https://www.instagram.com",
        "https://instagram.example/p/Dq_W-e1/",
    ),
}


def test_every_platform_has_cases() -> None:
    assert set(COMMUNITIES) == set(KEYS) == set(NO_KEY) == set(adapters())


@pytest.mark.parametrize(
    ("platform", "key", "url"),
    [(platform, key, url) for platform, keys in KEYS.items() for key, urls in keys.items() for url in urls],
)
def test_addresses_of_one_post_have_one_key(platform: str, key: str, url: str) -> None:
    assert adapter(platform).post_key(COMMUNITIES[platform], url) == key


@pytest.mark.parametrize(("platform", "url"), [(platform, url) for platform, urls in NO_KEY.items() for url in urls])
def test_other_addresses_have_none(platform: str, url: str) -> None:
    assert adapter(platform).post_key(COMMUNITIES[platform], url) is None


@pytest.mark.parametrize("platform", sorted(COMMUNITIES))
@pytest.mark.parametrize("url", ["https://[", "https://", "", "https://[::1]/p/1", "https://vk.com:x/wall-77_11?w=%ff"])
def test_any_text_is_an_address_without_a_key_at_most(platform: str, url: str) -> None:
    adapter(platform).post_key(COMMUNITIES[platform], url)
