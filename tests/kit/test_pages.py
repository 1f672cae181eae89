"""HTML pages: their policy, their texts, and whose forms are taken."""

import re
from pathlib import Path

import pytest
from starlette.requests import Request

from app.kit.errors import Forbidden
from app.kit.i18n import LANGUAGES, _catalogue
from app.kit.pages import asks_json, content_security_policy, require_own_form

ROOT = Path(__file__).resolve().parents[2]
TEXT = re.compile(r"""_\("([^"]+)"[,)]""")


def test_every_text_of_every_template_is_in_every_language() -> None:
    templates = list((ROOT / "app").rglob("templates/*.html"))
    texts = {text for template in templates for text in TEXT.findall(template.read_text())}
    assert len(templates) > 2
    assert "In your own words" in texts
    for language in LANGUAGES[1:]:
        assert texts - _catalogue(language).keys() == set()


def test_a_directive_stands_once() -> None:
    policy = content_security_policy("<style>a{}</style>", form_action="'self'", style_src="'self'").split("; ")
    names = [directive.partition(" ")[0] for directive in policy]
    assert len(names) == len(set(names))
    assert "form-action 'self'" in policy
    (style,) = (directive for directive in policy if directive.startswith("style-src"))
    assert style.startswith("style-src 'self' 'sha256-")


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [("", False), ("*/*", False), ("application/json", True), ("text/html,application/json", False)],
)
def test_programs_ask_for_json(accept: str, is_json: bool) -> None:
    assert asks_json(accept) == is_json


@pytest.mark.parametrize(
    ("headers", "is_own"),
    [
        ({}, True),
        ({"origin": "null"}, True),
        ({"origin": "https://instep.example"}, True),
        ({"origin": "https://instep.example:444"}, False),
        ({"origin": "http://instep.example"}, False),
        ({"origin": "https://instep.example.evil.example"}, False),
        ({"origin": ""}, False),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "https://instep.example"}, False),
    ],
)
def test_whose_forms_are_taken(headers: dict[str, str], is_own: bool) -> None:
    scope = {"type": "http", "headers": [(name.encode(), value.encode()) for name, value in headers.items()]}
    if is_own:
        require_own_form(Request(scope), "https://instep.example/")
    else:
        with pytest.raises(Forbidden):
            require_own_form(Request(scope), "https://instep.example/")
