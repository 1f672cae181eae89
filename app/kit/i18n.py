"""Translations of texts that people outside the agency read.

The English text is in the code and is the key of its translations in `locales/*.po`. API responses stay
English: programs compare their `code`.
"""

from functools import cache
from importlib import resources
from io import BytesIO
from typing import Final

from babel import Locale, negotiate_locale
from babel.messages.pofile import read_po

ENGLISH: Final = "en"
LANGUAGES: Final = (ENGLISH, "ru")


@cache
def _catalogue(language: str) -> dict[str, str]:
    if language == ENGLISH:
        return {}
    text = resources.files("app.kit.locales").joinpath(f"{language}.po").read_bytes()
    return {
        message.id: message.string
        for message in read_po(BytesIO(text), locale=Locale.parse(language))
        if isinstance(message.id, str) and isinstance(message.string, str) and message.id
    }


def translate(text: str, language: str) -> str:
    """The text in one of `LANGUAGES`; in English where there is no translation."""
    return _catalogue(language).get(text) or text


def language_of(accept_language: str) -> str:
    """The language of `LANGUAGES` that fits an `Accept-Language` header best; English where none does."""
    weighted: list[tuple[float, str]] = []
    for part in accept_language.split(",")[:20]:
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        if tag and weight > 0:
            weighted.append((-weight, tag))
    preferred = [tag for _, tag in sorted(weighted, key=lambda pair: pair[0])]
    return negotiate_locale(preferred, LANGUAGES, sep="-") or ENGLISH
