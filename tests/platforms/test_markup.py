"""Converting HTML to plain text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.platforms import markup


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two<br>three &amp; <b>four</b></p>", "One\n\nTwo\nthree & four"),
        (
            '<p><a href="#"><i>https://</i><i class="ellipsis">a.example/lo</i><i class="invisible">ng</i></a></p>',
            "https://a.example/long",
        ),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ("1 < 2 & 3", "1 < 2 & 3"),
        ("<script>alert(1)</script>ok", "ok"),
        ("", ""),
        ("<p>unclosed", "unclosed"),
    ],
)
def test_html_as_plain_text(html: str, text: str) -> None:
    assert markup.plain_text(html) == text


@given(st.text(max_size=300))
def test_no_html_breaks_it(html: str) -> None:
    assert "\n\n\n" not in markup.plain_text(html)
