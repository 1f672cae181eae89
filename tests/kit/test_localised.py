"""Days, amounts and texts in the reader's language."""

import ast
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.alerts.kinds import kinds
from app.kit.i18n import LANGUAGES, _catalogue, _plurals
from app.kit.localised import (
    Amount,
    Change,
    Clock,
    DayRange,
    Instant,
    Listed,
    Localised,
    Measure,
    Phrase,
    Sentence,
    duration,
    localised,
)
from app.kit.money import DECIMAL_PLACES
from app.kit.validation import TEXTS
from app.kpis import all_kpis
from app.platforms import adapters

APP = Path(__file__).resolve().parents[2] / "app"
PART = re.compile(r"\{(\w+)\}")
DAYS = st.dates(date(2000, 1, 1), date(2099, 12, 31))


@pytest.mark.parametrize(
    ("value", "english", "russian"),
    [
        (DayRange(date(2026, 10, 1), date(2026, 10, 31)), "October 1–31, 2026", "1–31 октября 2026"),
        (DayRange(date(2026, 10, 1), date(2026, 11, 8)), "October 1 – November 8, 2026", "1 октября – 8 ноября 2026"),
        (
            DayRange(date(2026, 12, 30), date(2027, 1, 5)),
            "December 30, 2026 – January 5, 2027",
            "30 декабря 2026 – 5 января 2027",
        ),
        (DayRange(date(2026, 10, 1), date(2026, 10, 1)), "October 1, 2026", "1 октября 2026"),
        (
            Instant(datetime(2026, 10, 25, 22, 30, tzinfo=UTC), ZoneInfo("Europe/Minsk")),
            "October 26, 2026, 01:30 (Minsk time)",
            "26 октября 2026, 01:30 (время: Минск)",
        ),
        (Instant(datetime(2026, 10, 1, 9, tzinfo=UTC)), "October 1, 2026, 09:00 (UTC)", "1 октября 2026, 09:00 (UTC)"),
        (Clock(ZoneInfo("Etc/GMT+3")), "GMT-03:00", "GMT-03:00"),
        (Amount(1234567.891), "1,234,567.89", "1 234 567,89"),
        (Amount(0.0049), "0.0049", "0,0049"),
        (Amount(0), "0", "0"),
        (Amount(0.125, Measure.SHARE), "12.5%", "12,5 %"),
        (Amount(1273, Measure.DURATION), "21 min 13 sec", "21 мин 13 с"),
        (Amount(5400, Measure.DURATION), "1 hr 30 min", "1 ч 30 мин"),
        (Amount(93600, Measure.DURATION), "26 hr", "26 ч"),
        (Amount(0, Measure.DURATION), "0 sec", "0 с"),
        (Amount(1250.5, Measure.MONEY, "RUB"), "RUB 1,250.50", "1 250,50 ₽"),
        (Amount(1250.5, Measure.MONEY, "JPY"), "¥1,250", "1 250 ¥"),
        (Amount(0.004, Measure.MONEY, "USD"), "$0.004", "0,004 $"),
        (Amount(12.5, Measure.MONEY), "12.5", "12,5"),
        (Listed(["A", "B", Phrase("Telegram")]), "A, B, and Telegram", "A, B и Telegram"),
        (Change(Amount(1000), Amount(1500)), "1,000 → 1,500", "1 000 → 1 500"),
        (Sentence(Phrase("For {name}"), {"name": "{Nina}"}), "For {Nina}", "Для: {Nina}"),
        ("somebody's own", "somebody's own", "somebody's own"),
    ],
)
def test_each_language_writes_it_in_its_way(value: Localised | str, english: str, russian: str) -> None:
    assert localised(value, "en").replace("\N{NO-BREAK SPACE}", " ") == english
    assert localised(value, "ru").replace("\N{NO-BREAK SPACE}", " ") == russian


@given(st.lists(DAYS, min_size=2, max_size=2).map(sorted), st.sampled_from(LANGUAGES))
def test_a_range_names_both_days_and_each_year_once(days: list[date], language: str) -> None:
    first, last = days
    text = DayRange(first, last).text(language)
    numbers = {int(number) for number in re.findall(r"\d+", text)}
    assert numbers == {first.day, last.day, first.year, last.year}
    years = re.findall(r"\d{4}", text)
    assert len(years) == len({first.year, last.year})


@given(st.floats(1, 1e15) | st.floats(1e-4, 1), st.sampled_from([Measure.NUMBER, Measure.SHARE]))
def test_an_amount_is_read_back(value: float, measure: Measure) -> None:
    """Two decimal places, or two digits, are right; and nothing but 0 looks like 0."""
    text = Amount(value, measure).text("en")
    scale = 100 if measure is Measure.SHARE else 1
    back = float(text.rstrip("%").replace(",", "")) / scale
    assert back == pytest.approx(value, rel=0.05, abs=0.0051 / scale)
    assert back > 0


@given(st.integers(0, 10**9))
def test_a_duration_is_read_back(seconds: int) -> None:
    text = duration(seconds, "en").replace("\N{NO-BREAK SPACE}", " ").replace(",", "")
    parts = {unit: int(number) for number, unit in re.findall(r"(\d+) (\w+)", text)}
    back = timedelta(hours=parts.get("hr", 0), minutes=parts.get("min", 0), seconds=parts.get("sec", 0))
    assert back == timedelta(seconds=seconds)
    assert parts.get("min", 0) < 60
    assert parts.get("sec", 0) < 60


@pytest.mark.parametrize("language", LANGUAGES)
def test_money_has_the_decimal_places_of_its_currency(language: str) -> None:
    for currency, places in DECIMAL_PLACES.items():
        text = Amount(1234, Measure.MONEY, currency).text(language)
        digits = re.search(r"1[^\d]?234(?:[.,](\d+))?", text)
        assert digits is not None, text
        assert len(digits[1] or "") == places, text


def phrases() -> set[str]:
    """Every text of ours that the code hands to a reader."""
    texts: set[str] = set()
    for path in APP.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Phrase":
                texts |= {str(one.value) for one in node.args if isinstance(one, ast.Constant)}
    texts |= {adapter.spec.title for adapter in adapters().values()}
    texts |= {kpi.title for kpi in all_kpis().values()}
    texts |= {text for kind in kinds().values() for text in (kind.title, kind.text)}
    return texts | set(TEXTS.values())


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_phrase_is_in_every_language_with_the_same_parts(language: str) -> None:
    every = phrases()
    assert {"Target", "VK", "Community size", "This field is required."} <= every
    assert every - _catalogue(language).keys() == set()
    for text, translation in _catalogue(language).items():
        assert set(PART.findall(text)) == set(PART.findall(translation)), text
    for text, forms in _plurals(language).items():
        assert {tuple(PART.findall(form)) for form in forms} == {tuple(PART.findall(text))}, text
