"""What people read, in their language: texts of ours, days, instants, numbers, shares, durations and money.

A room says what a thing is (`Amount(0.25, Measure.SHARE)`); how it is written follows from the reader's language, by
the CLDR (Babel), in one place for pages, mails and alerts. Answers for programs stay as they are.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, get_timezone_gmt, get_timezone_location
from babel.lists import format_list
from babel.numbers import format_currency, format_decimal, format_percent, get_currency_symbol
from babel.units import format_unit

from app.kit.i18n import ENGLISH, translate
from app.kit.money import DECIMAL_PLACES

_SPACE: Final = "\N{NO-BREAK SPACE}"
_UTC: Final = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class _Days:
    """How a language writes days, in the CLDR's letters; a range by where its ends differ."""

    day: str
    within_month: tuple[str, str]
    within_year: tuple[str, str]
    longer: tuple[str, str]


_DAYS: Final[Mapping[str, _Days]] = {
    ENGLISH: _Days("MMMM d, y", ("MMMM d–", "d, y"), ("MMMM d – ", "MMMM d, y"), ("MMMM d, y – ", "MMMM d, y")),
    "ru": _Days("d MMMM y", ("d–", "d MMMM y"), ("d MMMM – ", "d MMMM y"), ("d MMMM y – ", "d MMMM y")),
}
"""The CLDR's own patterns of ranges shorten months, and end each year with a letter."""


class Localised(ABC):
    """Something that is written in another way in each language."""

    __slots__ = ()

    @abstractmethod
    def text(self, language: str) -> str:
        """As it is written in one of `i18n.LANGUAGES`."""


Displayed = str | Localised
"""What people read: a plain string is somebody's own text, and stays as it is."""


def localised(value: Displayed, language: str) -> str:
    """A text for a reader of this language."""
    return value.text(language) if isinstance(value, Localised) else value


class Phrase(str, Localised):
    """A text of ours, in English, that is translated; any other text is somebody's, and stays as it is."""

    __slots__ = ()

    def text(self, language: str) -> str:
        """The translation; in English where there is none."""
        return translate(self, language)


@dataclass(frozen=True, slots=True)
class Sentence(Localised):
    """A phrase with parts in it: `Sentence(Phrase("from {amount}"), {"amount": Amount(5)})`."""

    phrase: Phrase
    parts: Mapping[str, Displayed] = field(default_factory=dict)

    def text(self, language: str) -> str:
        """The translated phrase, with its parts in the same language."""
        parts = {name: localised(value, language) for name, value in self.parts.items()}
        return self.phrase.text(language).format(**parts)


@dataclass(frozen=True, slots=True)
class Listed(Localised):
    """Several things: `a, b and c`."""

    items: Sequence[Displayed]

    def text(self, language: str) -> str:
        """All of them in their order."""
        return format_list([localised(item, language) for item in self.items], locale=language)


@dataclass(frozen=True, slots=True)
class Change(Localised):
    """What was, and what is instead."""

    before: Displayed
    after: Displayed

    def text(self, language: str) -> str:
        """Both, with an arrow between."""
        return f"{localised(self.before, language)} → {localised(self.after, language)}"


@dataclass(frozen=True, slots=True)
class DayRange(Localised):
    """Local days, both ends included."""

    first: date
    last: date

    def text(self, language: str) -> str:
        """What both ends share is written once: `October 1–31, 2026`."""
        days, first, last = _DAYS[language], self.first, self.last
        if first == last:
            return format_date(first, days.day, locale=language)
        begin, end = days.longer
        if first.year == last.year:
            begin, end = days.within_month if first.month == last.month else days.within_year
        return format_date(first, begin, locale=language) + format_date(last, end, locale=language)


@dataclass(frozen=True, slots=True)
class Instant(Localised):
    """An instant, in the wall time of a zone, which is named."""

    at: datetime
    zone: ZoneInfo = _UTC

    def text(self, language: str) -> str:
        """The day, the time of day on a clock of 24 hours, and by which city's clock that is."""
        at = format_datetime(self.at.astimezone(self.zone), f"{_DAYS[language].day}, HH:mm", locale=language)
        return f"{at} ({Clock(self.zone).text(language)})"


@dataclass(frozen=True, slots=True)
class Clock(Localised):
    """A time zone, as people call it."""

    zone: ZoneInfo

    def text(self, language: str) -> str:
        """`Minsk time`; of a zone without a place, how far it is from UTC."""
        return _clock(self.zone, language)


class Measure(StrEnum):
    """What an amount is an amount of."""

    NUMBER = "number"
    SHARE = "share"
    """A fraction of one, written in per cent."""
    DURATION = "duration"
    """Seconds."""
    MONEY = "money"
    """Whole units of a currency."""


@dataclass(frozen=True, slots=True)
class Amount(Localised):
    """An amount. It is rounded to two decimal places, a small one to two digits: nothing but 0 is written as 0."""

    value: float
    measure: Measure = Measure.NUMBER
    currency: str | None = None
    """Of money, ISO 4217; money without it is written as a number."""

    def text(self, language: str) -> str:
        """With the language's separators, and the unit."""
        match self.measure:
            case Measure.SHARE:
                share = _rounded(self.value * 100).scaleb(-2)
                return format_percent(share, locale=language, decimal_quantization=False)
            case Measure.DURATION:
                return duration(self.value, language)
            case Measure.MONEY if self.currency is not None:
                return _money(self.value, self.currency, language)
            case _:
                return format_decimal(_rounded(self.value), locale=language, decimal_quantization=False)


def duration(seconds: float, language: str) -> str:
    """Seconds, as hours, minutes and seconds, without those that are zero: `1 hr 30 min`.

    An hour is the largest unit: whether a day has 24 of them, or those that people work, is another matter.
    """
    rest: Decimal | int = round(abs(seconds)) or _rounded(abs(seconds))
    parts = {"hour": rest // 3600, "minute": rest // 60 % 60, "second": rest % 60}
    text = " ".join(
        format_unit(amount, f"duration-{unit}", "short", locale=language).replace(" ", _SPACE)
        for unit, amount in parts.items()
        if amount or (unit == "second" and not rest)
    )
    return f"-{text}" if seconds < 0 else text


def _money(amount: float, currency: str, language: str) -> str:
    """Money with all decimal places of its currency; with more where those would leave nothing."""
    places = DECIMAL_PLACES[currency]
    rounded = _rounded(amount, places)
    return format_currency(
        rounded,
        currency,
        _money_pattern(places, get_currency_symbol(currency, language), language),
        locale=language,
        currency_digits=False,
        decimal_quantization=False,
    )


@cache
def _money_pattern(places: int, symbol: str, language: str) -> str:
    """The CLDR's pattern, with a space between letters and digits, as it asks for.

    The decimal places are those of ISO 4217: the CLDR leaves out what shops do not use.
    """
    pattern = str(Locale.parse(language).currency_formats["standard"].pattern)
    if symbol[-1].isalpha():
        pattern = pattern.replace("¤#", f"¤{_SPACE}#")
    return pattern.replace("0.00", f"0.{'0' * places}" if places else "0")


def _rounded(amount: float, places: int = 2) -> Decimal:
    """To so many decimal places; to two digits where those would leave nothing."""
    exact = Decimal(repr(float(amount)))
    if exact == exact.to_integral_value():
        return exact
    rounded = round(exact, places)
    return rounded if abs(rounded) >= 10 * Decimal(10) ** -places else round(exact, max(1 - exact.adjusted(), places))


@cache
def _clock(zone: ZoneInfo, language: str) -> str:
    if zone.key == "UTC":
        return zone.key
    if zone.key.startswith("Etc/"):
        return str(get_timezone_gmt(datetime(2000, 1, 1, tzinfo=zone), locale=language))
    city = get_timezone_location(zone, locale=language, return_city=True)
    return translate("{place} time", language).format(place=city)
