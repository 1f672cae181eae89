"""Forms of HTML pages, read and sent as browsers do."""

from dataclasses import dataclass
from html.parser import HTMLParser

import httpx


@dataclass
class Form:
    """A form of a page."""

    action: str
    method: str
    fields: dict[str, str]
    buttons: dict[str, str]
    """The values of the buttons by their labels."""
    options: list[str]
    """The values of what can be selected."""


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.button: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(values.get("action", ""), values.get("method", "get"), {}, {}, []))
        elif tag in {"input", "textarea"} and self.forms:
            self.forms[-1].fields[values["name"]] = values.get("value", "")
        elif tag == "option" and self.forms:
            self.forms[-1].options.append(values["value"])
        elif tag == "select" and self.forms:
            self.forms[-1].fields[values["name"]] = ""
        elif tag == "button":
            self.button = values.get("value", "")

    def handle_data(self, data: str) -> None:
        if self.button is not None and data.strip():
            self.forms[-1].buttons[data.strip()] = self.button
            self.button = None


async def submit(browser: httpx.AsyncClient, page: httpx.Response, action: str, **fields: str) -> httpx.Response:
    """Send the form of a page that leads to a path beginning with `action`, as a browser does, with these fields."""
    (form,) = [form for form in forms(page) if form.action.startswith(action)]
    assert form.method == "post"
    assert set(fields) <= set(form.fields), "the page has no such field"
    # With the pages' referrer policy browsers send this origin.
    headers = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
    return await browser.post(form.action, data=form.fields | fields, headers=headers)


def forms(page: httpx.Response) -> list[Form]:
    """The forms of a page."""
    parser = _Forms()
    parser.feed(page.text)
    return parser.forms
