"""Names in typed addresses; an address of another site gives none."""

import pytest

from app.platforms.addresses import named, on_site

HOSTS = frozenset({"x.test", "www.x.test"})


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Plaza", "plaza"),
        ("  @Plaza ", "plaza"),
        ("x.test/Plaza", "plaza"),
        ("https://www.x.test/Plaza/posts/", "plaza/posts"),
        ("http://X.TEST/plaza?tab=photos#top", "plaza"),
        ("https://y.test/plaza", ""),
        ("https://x.test.y.test/plaza", ""),
        ("https://x.test@y.test/plaza", ""),
        ("https://somebody@x.test/plaza", ""),
        ("ftp://x.test/plaza", ""),
        ("https://[x.test/plaza", ""),
        ("https:///plaza", ""),
        ("", ""),
    ],
)
def test_a_name_is_found_in_what_is_typed(typed: str, name: str) -> None:
    assert named(typed, HOSTS) == name


def test_the_query_of_an_address_is_kept() -> None:
    url = on_site("x.test/profile.php?id=7", HOSTS)
    assert url is not None
    assert (url.path, url.query) == ("/profile.php", "id=7")
