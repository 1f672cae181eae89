"""The description of each platform: in `GET /v1/platforms` and in docs/platforms.md."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import httpx
import pytest

from app.platforms import adapters, capabilities, routes
from app.platforms.contract import Adapter, LimitScope, Metric, RateLimit, Spec, Token
from docs.examples.plaza import Plaza
from tests.cli.processes import ROOT
from tests.conftest import Agency
from tests.shipping import platforms

PAGE = (ROOT / "docs/platforms.md").read_text()
KEYS = sorted(adapters())
JSON = re.compile(r"^(?:INSTEP_PLATFORM_APPS=')?(\{.*\})'?$", re.MULTILINE)


# ── the API ───────────────────────────────────────────────────────────────────────────────────────


async def test_every_platform_is_listed(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get("/v1/platforms")
    assert [one["key"] for one in answer.json()["data"]] == KEYS
    again = await stranger.get("/v1/platforms", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("key", KEYS)
def test_the_description_matches_the_spec(key: str) -> None:
    kind = adapters()[key]
    spec, document = kind.spec, routes.describe(kind).model_dump(mode="json")
    counters: Mapping[str, Mapping[str, object]] = document["metrics"]
    assert counters.keys() == set(Metric)
    assert {name for name, use in counters.items() if use["status"] == "ok"} == spec.metrics
    assert {name for name, use in counters.items() if use["how"] == "pushed"} == spec.pushed_metrics
    assert {name for name, use in counters.items() if use["how"] == "counted"} == spec.counted_metrics
    assert {name for name, use in counters.items() if use["delay_hours"]} == spec.delayed_metrics
    assert {one["kind"]: tuple(one["scopes"]) for one in document["tokens"]} == {
        token: spec.scopes.get(token, ()) for token in spec.tokens
    }
    assert len(document["limits"]) == len(spec.rate_limits) > 0


@pytest.mark.parametrize("key", KEYS)
def test_an_adapter_implements_what_its_spec_declares(key: str) -> None:
    """The spec declares no capability that the adapter's class lacks."""
    kind = adapters()[key]
    spec = kind.spec
    assert (spec.publishing is not None) == issubclass(kind, capabilities.Publishes)
    assert bool(spec.hook_secrets) == issubclass(kind, capabilities.Receives)
    if spec.counts_joins:
        assert issubclass(kind, (capabilities.Receives, capabilities.Streams)), "they come with events alone"
    assert spec.counts_joins or not spec.attributes_joins
    assert issubclass(kind, capabilities.Receives) or not issubclass(kind, capabilities.Subscribes)
    assert spec.pushed_metrics | spec.counted_metrics | spec.delayed_metrics <= spec.metrics
    assert not spec.pushed_metrics & spec.counted_metrics
    assert bool(spec.delayed_metrics) == bool(spec.metrics_delay)
    assert spec.scopes.keys() <= spec.tokens
    assert spec.metrics_group_tokens <= spec.tokens
    assert not spec.metrics_group_tokens or issubclass(kind, capabilities.MeasuresAcross)
    if issubclass(kind, capabilities.Refreshes):
        assert kind.renewable(spec.tokens, spec.app_settings)
        assert kind.renewable(spec.tokens, spec.app_settings) <= spec.tokens
        assert not kind.renewable((), spec.app_settings)


class Square(Plaza):
    """A platform whose spec uses every field of the description."""

    spec: ClassVar[Spec] = replace(
        Plaza.spec,
        key="square",
        metrics=frozenset({Metric.VIEWS, Metric.REACTIONS, Metric.COMMENTS, Metric.SAVES}),
        pushed_metrics=frozenset({Metric.REACTIONS}),
        counted_metrics=frozenset({Metric.COMMENTS}),
        delayed_metrics=frozenset({Metric.SAVES}),
        metrics_delay=timedelta(hours=36),
        tokens=frozenset({Token.COMMUNITY, Token.REFRESH}),
        scopes={Token.COMMUNITY: ("read", "write")},
        app_settings=frozenset({"client_id"}),
        hook_secrets=frozenset({"word"}),
        replies_dedup_window=timedelta(minutes=50),
        reply_limit=200,
        rate_limits=(RateLimit(7, 60, LimitScope.APP, "units", Token.COMMUNITY),),
        history=False,
    )

    @classmethod
    def receive(cls, call: capabilities.HookRequest, secrets: Mapping[str, str]) -> capabilities.HookResult:
        raise NotImplementedError

    @classmethod
    def parse_event(cls, payload: bytes) -> tuple[capabilities.Event, ...]:
        raise NotImplementedError

    @classmethod
    def renewable(cls, tokens: Any, app: Any) -> frozenset[Token]:
        return frozenset({Token.COMMUNITY}) if Token.REFRESH in tokens and "client_id" in app else frozenset()

    async def refresh(self, c: object) -> Mapping[Token, capabilities.IssuedToken]:
        raise NotImplementedError


def described(kind: type[Adapter]) -> dict[str, Any]:
    return routes.describe(kind).model_dump(mode="json")


def test_each_field_of_a_description() -> None:
    document = described(Square)
    assert document["metrics"]["views"] == {"status": "ok", "how": "polled", "delay_hours": 0}
    assert document["metrics"]["reach"] == {"status": "unsupported", "how": None, "delay_hours": 0}
    assert document["metrics"]["reactions"]["how"] == "pushed"
    assert document["metrics"]["comments"]["how"] == "counted"
    assert document["metrics"]["saves"] == {"status": "ok", "how": "polled", "delay_hours": 36}
    community, refresh = document["tokens"]
    assert (community["kind"], community["scopes"], community["renewed_with"]) == (
        "community",
        ["read", "write"],
        ["refresh"],
    )
    assert (refresh["scopes"], refresh["renewed_with"]) == ([], [])
    assert community["purpose"] != refresh["purpose"]
    assert document["hooks"] == {"secrets": ["word"], "of_app": False, "sets_itself": False}
    assert document["publishing"] is None
    assert document["replying"] is None, "without `Replies` the spec's fields for replies have no effect"
    assert document["limits"] == [{"name": "units", "calls": 7, "seconds": 60, "scope": "app", "token": "community"}]
    assert (document["app_settings"], document["history"]) == (["client_id"], False)
    able = {name for name, there in document["capabilities"].items() if there}
    assert able == {"refresh", "hooks"}


def test_every_capability_is_described() -> None:
    protocols = {
        protocol
        for protocol in vars(capabilities).values()
        if getattr(protocol, "_is_protocol", False) and protocol.__module__ == capabilities.__name__
    }
    assert set(routes.CAPABILITIES.values()) == protocols
    assert routes.CAPABILITIES.keys() == routes.Capabilities.model_fields.keys()
    assert routes.PURPOSES.keys() == set(Token)


# ── the documentation ─────────────────────────────────────────────────────────────────────────────


def section(key: str) -> str:
    """The section about a platform."""
    title = adapters()[key].spec.title
    _, heading, rest = PAGE.partition(f"\n## {title}\n")
    assert heading, f"docs/platforms.md has no section about {title}"
    return rest.partition("\n## ")[0]


def examples(text: str) -> list[dict[str, Any]]:
    """Every JSON object in its code blocks."""
    blocks = re.findall(r"```(?:sh|json)\n(.*?)```", text, re.DOTALL)
    joined = [re.sub(r"\n(?!INSTEP|curl|\{|\n)", "", block) for block in blocks]
    return [json.loads(piece) for block in joined for piece in JSON.findall(block)]


@pytest.mark.parametrize("key", KEYS)
def test_its_section_shows_how_it_is_connected(key: str) -> None:
    spec = adapters()[key].spec
    blocks = examples(section(key))
    bodies = [one for one in blocks if "platform" in one]
    assert [body["platform"] for body in bodies] == [key]
    assert adapters()[key].address(bodies[0]["address"])
    assert set() < bodies[0]["credentials"].keys() <= spec.tokens
    apps = [one for one in blocks if key in one]
    assert [app.keys() for app in apps] == ([{key}] if spec.app_settings else [])
    for app in apps:
        assert spec.app_settings <= app[key].keys() <= spec.app_settings | spec.hook_secrets
    for one in blocks:
        assert one.get("secrets", {}).keys() <= spec.hook_secrets


@pytest.mark.parametrize("key", KEYS)
def test_its_section_names_the_missing_metrics(key: str) -> None:
    spec, text = adapters()[key].spec, section(key)
    prose = text.partition(f"<!-- {key} -->")[0]
    missing = prose.partition("\nNot given: ")[2].partition("\n\n")[0].replace("*", "")
    for metric in set(Metric) - spec.metrics - {Metric.QUOTES, Metric.SAVES}:
        assert re.search(rf"\b{metric}\b", missing), f"why there is no {metric} on {spec.title}"
    assert "\nUnverified: " in prose
    assert platforms.facts(routes.describe(adapters()[key])) in text


@pytest.mark.parametrize("key", KEYS)
async def test_the_examples_are_accepted(key: str, agency: Agency) -> None:
    project = await agency.post("/v1/projects", {"title": "Coffee house", "timezone": "Europe/Minsk"})
    (body,) = (one for one in examples(section(key)) if "platform" in one)
    community = await agency.post("/v1/communities", body | {"project_id": project["id"]})
    assert community["status"] == "connecting"
    for secrets in (one for one in examples(section(key)) if "secrets" in one):
        answer = await agency.http.put(f"/v1/communities/{community['id']}/hook", json=secrets)
        assert answer.status_code == 200, answer.text
