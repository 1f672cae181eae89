"""A cost of one of something, out of spend by currency."""

from collections.abc import Mapping

from app.campaigns.attribution import SEVERAL_CURRENCIES
from app.kit import money
from app.kpis.values import Term, Value


def cost(spend: Mapping[str, int], amount: int, symbol: str, title: str) -> Value:
    """Spend divided by an amount, in whole units of its currency; unknown where there are several currencies."""
    counted = Term(symbol, title, amount)
    if len(spend) > 1:
        terms = [Term(f"M_{code}", f"Spend in {code}", money.major(one, code)) for code, one in sorted(spend.items())]
        return Value(None, SEVERAL_CURRENCIES, evidence=(*terms, counted))
    ((currency, minor),) = spend.items()
    spent = Term("M", f"Spend in {currency}", money.major(minor, currency))
    return Value(money.major(minor / amount, currency), evidence=(spent, counted), currency=currency)
