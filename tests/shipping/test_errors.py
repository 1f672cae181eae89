"""Every code of a problem is in docs/errors.md, with a sentence; what is not raised any more is not."""

import re

import pytest

from tests.shipping.error_codes import ROOT, codes, page, scan
from tests.shipping.error_meanings import MEANINGS


def test_every_code_has_a_sentence() -> None:
    assert set(codes()) - set(MEANINGS) == set(), "write what they mean: tests/shipping/error_meanings.py"
    assert set(MEANINGS) - set(codes()) == set(), "nothing raises these"
    for code, meaning in MEANINGS.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)
        assert re.fullmatch(r"[A-Z`].{10,}\.", meaning), code


def test_the_page_names_each_once() -> None:
    rows = [line.split("|")[1].strip(" `") for line in page().splitlines() if line.startswith("| `")]
    assert sorted(set(rows) - {"code"}) == sorted(MEANINGS)
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize(
    ("raised", "code", "status"),
    [
        ("raise Conflict('No.', code='brand-new')", "brand-new", 409),
        ("raise errors.Invalid('No.', code='brand-new')", "brand-new", 422),
        ("raise invalid_field('title', 'brand-new', 'No.')", "brand-new", 422),
        ("return Refusal('brand-new', 'No.')", "brand-new", 409),
        ("raise NotFound", None, 404),
        ("raise TooMany('Slowly.')", "too-many-requests", 429),
    ],
)
def test_a_new_code_would_be_seen(raised: str, code: str | None, status: int) -> None:
    found_codes, computed = scan(f"def f():\n    {raised}\n", "x.py")
    assert (found_codes, computed) == ({} if code is None else {code: {status}}, set())


def test_a_computed_code_would_be_seen() -> None:
    assert scan("raise Conflict('No.', code=reason)", "x.py") == ({}, {("x.py", "reason")})


def test_no_text_has_a_code_that_the_scan_overlooks() -> None:
    """Whatever is written as `code="…"` in the rooms is a problem's, or known to be none."""
    others = {"transient", "direction-unheld", "direction-quiet"}  # codes of failures and of warnings
    for path in ROOT.rglob("*.py"):
        if {"cli", "platforms", "polling"} & set(path.relative_to(ROOT).parts):
            continue  # platforms' errors are no problems of requests: health shows them
        for code in re.findall(r"""\bcode="([a-z-]+)\"""", path.read_text()):
            assert code in codes() or code in others, f"{path.name}: {code}"
