"""HTML as plain text, and texts without what platforms add to them."""

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Final

_MENTIONS: Final = re.compile(r"^(?:\s*(?:@\S+|\[(?:id|club|public)\d+\|[^\]]*\])[,:]?(?:\s+|$))+")


class _Text(HTMLParser):
    """Collects the visible text of HTML."""

    _BREAKS: Mapping[str, str] = {"br": "\n", "p": "\n\n", "blockquote": "\n\n", "pre": "\n\n", "li": "\n", "ul": "\n"}
    _HIDDEN = frozenset({"script", "style"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._HIDDEN:
            self._hidden += 1
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag in self._BREAKS:
            self.parts.append(self._BREAKS[tag])

    def handle_endtag(self, tag: str) -> None:
        if tag in self._HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in self._BREAKS and tag not in {"br", "li"}:
            self.parts.append(self._BREAKS[tag])

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(re.sub(r"[\r\n\t ]+", " ", data))


def plain_text(html: str) -> str:
    """HTML as plain text: paragraphs and line breaks are kept, markup is removed."""
    reader = _Text()
    reader.feed(html)
    reader.close()
    lines = "".join(reader.parts).split("\n")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.strip(" ") for line in lines)).strip()


def comparable(text: str) -> str:
    """A text without leading mentions, which platforms add to replies, and with white space normalised."""
    return " ".join(_MENTIONS.sub("", text).split())
