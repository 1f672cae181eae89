"""Translations, and the choice of the language."""

import pytest

from app.kit.i18n import LANGUAGES, _catalogue, language_of, translate, translate_count
from app.links import pages


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("ru", "ru"),
        ("ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("en-GB,en;q=0.9,ru;q=0.5", "en"),
        ("de,ru;q=0.4,en;q=0.2", "ru"),
        ("de, fr", "en"),
        ("ru;q=0, en", "en"),
        ("*", "en"),
        (";;;,,q=x;q=y", "en"),
    ],
)
def test_the_best_supported_language_is_chosen(header: str, language: str) -> None:
    assert language_of(header) == language


def test_every_page_is_translated_into_every_language() -> None:
    for language in LANGUAGES[1:]:
        for title, text, _ in pages._TEXTS.values():
            assert translate(title, language) != title
            assert translate(text, language) != text


def test_what_has_no_translation_stays_english() -> None:
    assert translate("Without a translation", "ru") == "Without a translation"
    assert all(_catalogue("ru").values())


@pytest.mark.parametrize(
    ("count", "text"), [(2, "2 картинки"), (5, "5 картинок"), (21, "21 картинка"), (112, "112 картинок")]
)
def test_a_number_decides_the_form(count: int, text: str) -> None:
    assert translate_count("{count} pictures", count, "ru") == text
    assert translate_count("{count} pictures", count, "en") == f"{count} pictures"
    assert translate_count("{count} not translated", count, "ru") == f"{count} not translated"
