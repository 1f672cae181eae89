"""A value explained: formula, inputs, adjustments, freshness and coverage."""

from collections.abc import Mapping, Sequence
from datetime import date
from string import Formatter
from typing import Any

from app.kpis import answers
from app.kpis.annotations import within
from app.kpis.answers import KpiQuery
from app.kpis.contract import CommunityData, Kpi, Source
from app.kpis.values import AddsUp, Community, Excluded, Term, Value

_FIGURE = "{:.6g}"


def explain(kpi: Kpi, query: KpiQuery) -> dict[str, Any]:
    """The response body of `…/kpis/{key}/explain`."""
    value, shares, _ = query.values(kpi)
    return {
        **answers.described(kpi),
        "window": query.described(),
        **answers.stated(kpi, value),
        "formula": {
            "text": kpi.doc.formula,
            "symbols": _substituted(kpi.doc.symbols, {}),
            "with_amounts": _with_amounts(kpi, value),
        },
        "inputs": [
            *_inputs(value.evidence, None),
            *(term for one, share in shares.items() for term in _inputs(share.evidence, one)),
        ],
        "adjustments": [*_adjustments(value.excluded, "left-out"), *_adjustments(value.included, "included")],
        "annotations": within(query.project.annotations, kpi.key, query.days),
        "sources": [{"key": source.key, "title": source.title, **_freshness(query, source)} for source in kpi.needs],
        "source": kpi.doc.source,
        "caveats": list(kpi.doc.caveats),
        "recount": kpi.doc.recount,
        "freshness": answers.freshness(kpi, query.datasets),
        "coverage": answers.coverage(kpi, query, value),
        "excluded": answers.excluded(value),
        "links": {"evidence": answers.link(kpi, query, "evidence")},
    }


def documented(kpi: Kpi) -> dict[str, Any]:
    """A KPI as the catalogue shows it."""
    return {
        **answers.described(kpi),
        "adds_up": kpi.adds_up.value,
        "additive": kpi.adds_up is AddsUp.FLOW,
        "formula": {"text": kpi.doc.formula, "symbols": _substituted(kpi.doc.symbols, {})},
        "source": kpi.doc.source,
        "recount": kpi.doc.recount,
        "caveats": list(kpi.doc.caveats),
        "variants": [{"key": one.key, "title": one.title} for one in kpi.variants],
        "evidence": [{"kind": section.kind, "description": section.doc} for section in kpi.evidence],
    }


def _inputs(terms: Sequence[Term], community: Community | None) -> list[dict[str, Any]]:
    return [
        {
            "symbol": term.symbol,
            "title": term.title,
            "amount": term.amount,
            "reason": term.reason,
            "community_id": community.id if community else None,
            "scope": "community" if community else "total",
        }
        for term in terms
    ]


def _with_amounts(kpi: Kpi, value: Value) -> str | None:
    """The formula with amounts in place of the symbols, and its result; None for an unknown value."""
    if value.amount is None:
        return None
    amounts = {term.symbol: _FIGURE.format(term.amount) for term in value.evidence if term.amount is not None}
    filled, result = _substituted(kpi.doc.symbols, amounts), _FIGURE.format(value.amount)
    return filled if filled.endswith(result) else f"{filled} = {result}"


def _substituted(symbols: str, amounts: Mapping[str, str]) -> str:
    """The formula with each `{symbol}` replaced by its amount, or where there is none by the bare symbol."""
    return "".join(
        text + (amounts.get(name, name) if name is not None else "") for text, name, _, _ in Formatter().parse(symbols)
    )


def _adjustments(amounts: Sequence[Excluded], effect: str) -> list[dict[str, Any]]:
    return [
        {"amount": one.amount, "effect": effect, "reason": one.reason, "finding_id": one.finding_id} for one in amounts
    ]


def _freshness(query: KpiQuery, source: Source[Any]) -> dict[str, Any]:
    parts = query.datasets[source].parts
    return {
        "communities": [
            {"community_id": one.id, "platform": one.platform, "from": _first(data), "as_of": data.span.as_of}
            for one, data in parts.items()
        ]
    }


def _first(data: CommunityData) -> date | None:
    """The first day that is known; None where none is."""
    return data.span.first if data.span.first < date.max else None
