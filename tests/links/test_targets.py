"""Validation of targets, and their ASCII form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.links import targets


@pytest.mark.parametrize(
    "target",
    [
        "https://shop.example/",
        "http://shop.example:8080/a/b;c?utm_source=vk&x=%D1%8F&y=a+b#part",
        "https://shop.example",
        "https://[2001:db8::1]/x",
        "https://shop.example?q=1",
    ],
)
def test_an_ascii_address_is_kept_to_the_letter(target: str) -> None:
    assert targets.location(target) == target


def test_other_letters_are_written_in_ascii() -> None:
    assert targets.location("https://кофе.рф/меню?q=чай#да") == (
        "https://xn--e1ajmy.xn--p1ai/%D0%BC%D0%B5%D0%BD%D1%8E?q=%D1%87%D0%B0%D0%B9#%D0%B4%D0%B0"
    )


@pytest.mark.parametrize(
    "target",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://shop.example/",
        "//shop.example/",
        "/local",
        "https:shop.example",
        "https:///path",
        "https://",
        "https://anna:secret@shop.example/",
        "https://anna@shop.example/",
        "https://shop.example\\@evil.example/",
        "https://shop.example/\r\nSet-Cookie: a=b",
        "https://shop.example/a b",
        "https://shop.example/\x00",
        "https://shop.example:99999/",
        "https://shop.example:0/",
        "https://[::1/",
        "https://-shop.example/",
        "https://shop..example/",
        "https://shop.example/" + "a" * 2048,
    ],
)
def test_targets_that_are_no_web_pages_are_refused(target: str) -> None:
    with pytest.raises(ValueError):
        targets.location(target)


@given(st.text(max_size=40), st.text(max_size=60))
def test_a_location_is_always_one_harmless_line(host: str, rest: str) -> None:
    try:
        written = targets.location(f"https://{host}/{rest}")
    except ValueError:
        return
    assert written.isascii()
    assert written.isprintable()
    assert " " not in written
    assert written.startswith("https://")
    assert "@" not in written.removeprefix("https://").partition("/")[0]
    assert targets.location(written) == written


@pytest.mark.parametrize(
    ("target", "loop"),
    [
        ("https://go.example/r/abc", True),
        ("HTTP://GO.example//r//abc", True),
        ("https://go.example/r", True),
        ("https://go.example/report", False),
        ("https://shop.example/r/abc", False),
    ],
)
def test_a_link_to_a_link_is_a_loop(target: str, loop: bool) -> None:
    try:
        assert targets.is_loop(target, "https://go.example") is loop
    except ValueError:
        assert not target.startswith("https")
