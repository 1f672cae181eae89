"""Responses are serialised without models: they must match the OpenAPI document, field by field."""

from typing import Any

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator, FormatChecker

from app.kit.i18n import ENGLISH, LANGUAGES, translate
from app.kpis import all_kpis
from tests.kpis.conftest import ALL, Client, empty_project


def _closed(schema: Any) -> Any:
    """No field that the document does not name, unless it says that there may be others; all but those of money."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: value if name in {"example", "examples"} else _closed(value) for name, value in schema.items()}
    if "properties" in made and isinstance(made["properties"], dict):
        made.setdefault("additionalProperties", False)
        made["required"] = [name for name in made["properties"] if name != "currency"]
    return made


def _validator(app: FastAPI, path: str) -> Draft202012Validator:
    document = app.openapi()
    answer = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    schema = {**answer, "components": _closed(document["components"])}
    return Draft202012Validator(schema, format_checker=FormatChecker())


@pytest.mark.parametrize("window", [ALL, {"from": "2026-07-01", "to": "2026-11-30"}, {}])
async def test_every_answer_is_as_documented(app: FastAPI, busy: Client, window: dict[str, Any]) -> None:
    base = "/v1/projects/{project_id}/kpis"
    empty = await empty_project(busy.agency, "Nothing yet")
    for client in (busy, empty):
        _validator(app, base).validate(await client.agency.get(client.path, granularity="week", **window))
        for key in all_kpis():
            for part in ("", "/explain", "/evidence"):
                answer = await client.agency.get(f"{client.path}/{key}{part}", **window)
                _validator(app, f"{base}/{{key}}{part}").validate(answer)
    _validator(app, "/v1/kpis").validate(await busy.agency.get("/v1/kpis"))
    _validator(app, "/v1/portfolio/kpis").validate(await busy.agency.get("/v1/portfolio/kpis", **window))


def test_the_example_is_an_answer(app: FastAPI) -> None:
    example = app.openapi()["components"]["schemas"]["KpiAnswer"]["example"]
    example["previous"]["change_reason"] = None  # FastAPI drops nulls from examples
    _validator(app, "/v1/projects/{project_id}/kpis/{key}").validate(example)


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != ENGLISH])
def test_every_title_is_translated(language: str) -> None:
    titles = [kpi.title for kpi in all_kpis().values()]
    translated = [translate(title, language) for title in titles]
    assert [title for title, other in zip(titles, translated, strict=True) if title == other] == []
    assert len(set(translated)) == len(titles)
