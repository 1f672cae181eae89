"""Amounts of money: whole numbers of a currency's smallest unit, written as decimal text beside the currency's code.

Currencies and their decimal places are those of ISO 4217 (list one, without funds, metals and codes for testing).
Amounts of different currencies are never added.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from app.kit.errors import invalid_field
from app.kit.schemas import Input

_TWO_PLACES: Final = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP "
    "CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES "
    "KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK "
    "NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB "
    "TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
)
_NO_PLACES: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_PLACES: Final = "BHD IQD JOD KWD LYD OMR TND"
DECIMAL_PLACES: Final[Mapping[str, int]] = {
    code: places for places, codes in ((2, _TWO_PLACES), (0, _NO_PLACES), (3, _THREE_PLACES)) for code in codes.split()
}
"""The decimal places of each currency."""
_WRITTEN: Final = re.compile(r"(-?)(\d{1,13})(?:\.(\d{1,9}))?")


def _currency(code: str) -> str:
    if code not in DECIMAL_PLACES:
        raise PydanticCustomError("unknown_currency", "unknown currency")
    return code


Currency = Annotated[
    str,
    Field(
        strict=True,
        pattern=r"^[A-Z]{3}$",
        description="ISO 4217, in capital letters.",
        examples=["RUB"],
    ),
    AfterValidator(_currency),
]
"""A currency's code. One that ISO 4217 does not have is refused as `unknown-currency`."""


class MoneyAmount(Input):
    """An amount of money in a request. Its currency is always named."""

    amount: str = Field(
        strict=True,
        max_length=24,
        pattern=r"^-?\d{1,13}(\.\d{1,9})?$",
        description="A decimal number as text, with a point, and with no more decimal places than the currency has.",
        examples=["1250.50"],
    )
    currency: Currency

    def minor(self, field: str = "amount") -> int:
        """The amount in the currency's smallest unit; see `minor_units`."""
        return minor_units(self.amount, self.currency, field)


class MoneyRead(BaseModel):
    """An amount of money of one currency."""

    amount: str = Field(description="A decimal number as text, with the currency's decimal places.", examples=["12.50"])
    currency: str = Field(description="ISO 4217.", examples=["RUB"])


def minor_units(amount: str, currency: str, field: str = "amount") -> int:
    """A written amount in the currency's smallest unit.

    Raises `Invalid`: `invalid-amount`, `negative-amount`, or `too-many-decimals` (by the currency).
    """
    written = _WRITTEN.fullmatch(amount)
    if written is None:
        raise invalid_field(field, "invalid-amount", "Give a decimal number with a point, for example 1250.50.")
    sign, whole, decimals = written[1], written[2], written[3] or ""
    places = DECIMAL_PLACES[currency]
    if sign:
        raise invalid_field(field, "negative-amount", "An amount is not negative: void the wrong row, and add another.")
    if len(decimals) > places:
        raise invalid_field(field, "too-many-decimals", f"{currency} has {places} decimal places.")
    return int(whole + decimals.ljust(places, "0"))


def written(minor: int, currency: str) -> str:
    """An amount of the currency's smallest unit, as decimal text."""
    return f"{Decimal(minor).scaleb(-DECIMAL_PLACES[currency]):f}"


def major(minor: float, currency: str) -> float:
    """An amount of the currency's smallest unit, in whole units of the currency."""
    return float(minor / 10 ** DECIMAL_PLACES[currency])


def money(minor: int, currency: str) -> dict[str, Any]:
    """An amount as `MoneyRead` describes it."""
    return {"amount": written(minor, currency), "currency": currency}


def by_currency(amounts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Amounts of several currencies, beside each other, in the order of their codes."""
    return [money(minor, currency) for currency, minor in sorted(amounts.items())]
