"""A form encoded by httpx is decoded again."""

import httpx
import pytest

from sandbox.multipart import Part, parts

PICTURE = b"\x89PNG\r\n\r\n--\r\n\x00\xff"


def test_fields_and_files_are_read_back() -> None:
    request = httpx.Request(
        "POST", "https://x.test", data={"text": "Привет"}, files={"photo": ("a.png", PICTURE, "image/png")}
    )
    assert list(parts(request.headers["content-type"], request.read())) == [
        Part("text", None, "text/plain", "Привет".encode()),
        Part("photo", "a.png", "image/png", PICTURE),
    ]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"text"),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Type: text/plain\r\n\r\nof no name\r\n--b--"),
    ],
)
def test_a_body_that_is_no_form_holds_nothing(content_type: str, body: bytes) -> None:
    assert list(parts(content_type, body)) == []
