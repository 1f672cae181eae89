"""Translations of texts that people outside the agency read; `localised` writes days and amounts.

The English text is in the code and is the key of its translations in `locales/*.po`. API responses stay
English: programs compare their `code`. Only what they show of people's messages is in the reader's language.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from io import BytesIO
from typing import Final

from babel import Locale, negotiate_locale
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

ENGLISH: Final = "en"
LANGUAGES: Final = (ENGLISH, "ru")


PLURAL_FORMS: Final = ("zero", "one", "two", "few", "many", "other")
"""Of the CLDR, in the order in which catalogues list those of their language."""


@dataclass(slots=True)
class AcceptLanguage:
    """The `Accept-Language` header of a request."""

    header: str = ""
    decides: bool = False
    """The response depends on it: `Vary` has to say so."""


ACCEPT_LANGUAGE: Final[ContextVar[AcceptLanguage | None]] = ContextVar("accept_language", default=None)
"""Of the request that is being answered; None outside of one."""


@cache
def _catalogue(language: str) -> dict[str, str]:
    if language == ENGLISH:
        return {}
    return {
        message.id: message.string
        for message in _messages(language)
        if isinstance(message.id, str) and isinstance(message.string, str) and message.id
    }


@cache
def _plurals(language: str) -> dict[str, tuple[str, ...]]:
    if language == ENGLISH:
        return {}
    return {
        message.id[0]: tuple(message.string)
        for message in _messages(language)
        if isinstance(message.id, tuple | list) and isinstance(message.string, tuple | list)
    }


@cache
def _messages(language: str) -> Catalog:
    text = resources.files("app.kit.locales").joinpath(f"{language}.po").read_bytes()
    return read_po(BytesIO(text), locale=Locale.parse(language))


def translate(text: str, language: str) -> str:
    """The text in one of `LANGUAGES`; in English where there is no translation."""
    return _catalogue(language).get(text) or text


def translate_count(text: str, count: int, language: str) -> str:
    """The text in the plural form for this number, which replaces its `{count}`; in English where there is none."""
    forms = _plurals(language).get(text)
    if forms is None:
        return text.format(count=count)
    rule = Locale.parse(language).plural_form
    names: list[str] = [name for name in PLURAL_FORMS if name in rule.tags or name == "other"]
    return forms[min(names.index(rule(count)), len(forms) - 1)].format(count=count)


def reader_language() -> str:
    """The language of whoever receives the response to the current request; English outside of one."""
    accept_language = ACCEPT_LANGUAGE.get()
    if accept_language is None:
        return ENGLISH
    accept_language.decides = True
    return language_of(accept_language.header)


@lru_cache(maxsize=1000)
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
