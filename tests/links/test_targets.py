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
        "https://256.1.1.1/",
        "https://1.2.3.4.5/",
        "https://0x100000000/",
        "https://1.2.3.08/",
        "https://1..2/",
        "https://shop.example.1/",
        "https://[1::2::3]/",
        "https://[::1%25eth0]/",
        "https://xn--a/",
        "https://xn--shop-/",
        "https://a\u200db.example/",
        "https://\u0301shop.example/",
        "https://shop%00.example/",
        "https://shop%2f.example/",
        "https://shop\u2100.example/",
    ],
)
def test_targets_that_are_no_web_pages_are_refused(target: str) -> None:
    with pytest.raises(ValueError):
        targets.location(target)


@pytest.mark.parametrize(
    ("host", "written"),
    [
        ("faß.de", "xn--fa-hia.de"),
        ("FAß.DE", "xn--fa-hia.de"),
        ("βόλος.com", "xn--nxasmm1c.com"),
        ("ΒΌΛΟΣ.com", "xn--nxasmq6b.com"),
        ("نامه‌ای.com", "xn--mgba3gch31f060k.com"),
        ("кофе。рф", "xn--e1ajmy.xn--p1ai"),
        ("КОФЕ.РФ", "xn--e1ajmy.xn--p1ai"),
        ("co\u00adffee.example", "coffee.example"),
        ("ｓｈｏｐ.example", "shop.example"),
        ("☕.example", "xn--53h.example"),
        ("xn--fa-hia.de", "xn--fa-hia.de"),
        ("XN--FA-HIA.de", "xn--fa-hia.de"),
        ("sh%6fp.example", "shop.example"),
        ("fa%C3%9F.de", "xn--fa-hia.de"),
        ("my_shop.example", "my_shop.example"),
        ("shop.example.", "shop.example."),
        ("127.1", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0177.0.0.01", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("127.000.000.001", "127.0.0.1"),
        ("0xFF.0xff.65535", "255.255.255.255"),
        ("0x", "0.0.0.0"),
        ("127.0.0.1.", "127.0.0.1"),
        ("１２７.１", "127.0.0.1"),
        ("[2001:DB8:0:0::1]", "[2001:db8::1]"),
        ("[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
    ],
)
def test_a_host_is_written_as_browsers_write_it(host: str, written: str) -> None:
    assert targets.location(f"https://{host}:8443/a") == f"https://{written}:8443/a"


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
        ("https://go.example./r/abc", True),
        ("https://go.example:443/r/abc", True),
        ("https://ｇo。example/r/abc", True),
        ("https://g%6f.example/r/abc", True),
        ("https://go.example/%72/abc", True),
        ("https://go.example/%72%2Fabc", True),
        ("https://go.example/%2Fr/abc", True),
        ("https://go.example/./r/abc", True),
        ("https://go.example/x/../r/abc", True),
        ("https://go.example/x/%2e%2E/r/abc", True),
        ("https://go.example/x/.%2e/%2e/r/abc", True),
        ("https://go.example/../../r/abc", True),
        ("https://go.example/report", False),
        ("https://go.example/r/../about", False),
        ("https://go.example/x/r/abc", False),
        ("https://go.example?to=/r/abc", False),
        ("https://shop.example/r/abc", False),
    ],
)
def test_a_link_to_a_link_is_a_loop(target: str, loop: bool) -> None:
    assert targets.is_loop(target, "https://go.example") is loop


@pytest.mark.parametrize(
    ("target", "public_url"),
    [
        ("https://xn--e1ajmy.xn--p1ai/r/a", "https://кофе.рф"),
        ("https://кофе.рф/go/r/a", "https://КОФЕ.рф./go/"),
        ("http://127.1:8000/r/a", "http://127.0.0.1:8000"),
        ("http://[::ffff:7f00:1]:8000/r/a", "http://127.0.0.1:8000"),
        ("http://[0:0::1]:8000/r/a", "http://[::1]:8000"),
        ("https://go.example/a%20b/r/a", "https://go.example/a%20b"),
    ],
)
def test_our_own_address_is_known_in_every_spelling(target: str, public_url: str) -> None:
    assert targets.is_loop(target, public_url)
