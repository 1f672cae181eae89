"""What an HTML page must be for everybody to read and use it, looked for in its text; of its look, the contrast."""

import re
from html.parser import HTMLParser
from itertools import pairwise

VOID = frozenset({"input", "meta", "br", "link", "img", "hr"})
CONTROLS = frozenset({"input", "textarea", "select"})
LEAST_CONTRAST = 4.5
LEAST_CONTRAST_OF_EDGES = 3.0
ON = {
    LEAST_CONTRAST: [
        (text, ground) for text in ("ink", "soft", "accent", "good", "bad") for ground in ("paper", "ground")
    ]
    + [("on-accent", "accent")],
    LEAST_CONTRAST_OF_EDGES: [("edge", "paper"), ("edge", "ground"), ("accent", "ground")],
}
"""Which colours stand on which, by the contrast that WCAG 2.2 asks for at level AA."""


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.labels: list[str] = []
        self.controls: list[dict[str, str]] = []
        self.headings: list[int] = []
        self.count: dict[str, int] = {}
        self.language = ""
        self.title = ""
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if len(values) != len(attrs):
            self.faults.append(f"<{tag}> has an attribute twice")
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag not in VOID:
            self.open.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "html":
            self.language = values.get("lang", "")
        if tag == "label":
            self.labels.append(values.get("for", ""))
        if tag in CONTROLS and values.get("type") != "hidden":
            self.controls.append(values)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.faults += [f"<{tag}> has {name}" for name in values if name.startswith("on") or name == "style"]
        self.faults += [f"<{tag}> has {name}" for name in values if name in {"src", "srcset"}]

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> ends what is not open")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "title":
            self.title += data
        elif self.open and self.open[-1] != "style" and data.strip():
            self.texts.append(data.strip())


def faults(html: str, language: str) -> list[str]:
    """What is wrong with a page in this language; nothing where all is well."""
    page = _Page()
    page.feed(html)
    wrong = page.faults + [f"<{tag}> is not closed" for tag in page.open]
    wrong += [f"<{tag}>" for tag in ("script", "link", "img", "iframe") if tag in page.count]
    if page.language != language:
        wrong.append(f"its language is {page.language!r}")
    if not page.title.strip():
        wrong.append("it has no title")
    if page.count.get("main") != 1 or page.headings.count(1) != 1 or page.headings[0] != 1:
        wrong.append("it needs one main part, with one heading of the first level before the others")
    if any(later > earlier + 1 for earlier, later in pairwise(page.headings)):
        wrong.append("a level of headings is left out")
    if '<meta name="viewport" content="width=device-width, initial-scale=1">' not in html:
        wrong.append("phones show it as a page of a desktop")
    wrong += [f"two have the id {one}" for one in set(page.ids) if page.ids.count(one) > 1]
    for control in page.controls:
        name = control.get("name", "")
        if page.labels.count(control.get("id", "?")) != 1:
            wrong.append(f"{name} has no label")
        missing = set(control.get("aria-describedby", "").split()) - set(page.ids)
        wrong += [f"{name} is described by {one}, which is not there" for one in missing]
        if ("aria-invalid" in control) != (f"{name}-error" in control.get("aria-describedby", "")):
            wrong.append(f"{name} is wrong, or is not, but does not say so")
    return wrong


def texts(html: str) -> list[str]:
    """The texts that a page shows."""
    page = _Page()
    page.feed(html)
    return page.texts


def weak_contrasts(html: str) -> list[str]:
    """The pairs of colours that are too alike, in any of the page's schemes."""
    schemes = re.findall(r":root \{(.*?)\}", html, re.DOTALL)
    wrong = [] if len(schemes) > 1 else ["there is one scheme alone"]
    for number, scheme in enumerate(schemes):
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", scheme))
        for least, pairs in ON.items():
            for one, other in pairs:
                ratio = contrast(colours[one], colours[other])
                if ratio < least:
                    wrong.append(f"{one} on {other} in scheme {number}: {ratio:.2f}")
    return wrong


def contrast(one: str, other: str) -> float:
    """The ratio of two colours' luminances, from 1 to 21, as WCAG defines it."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    shares = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
