"""The requests of `growth`: every GET operation of the OpenAPI, with each filter, each sort and pairs of filters.

A parameter's values come from its schema (enumerations, booleans) or, by its name, from the data. A parameter for which
there is no value is an error: a new filter is measured, or the benchmark says that it does not know how.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import asyncpg

from app.cli.database import asyncpg_url
from app.kpis import all_kpis
from benchmarks._growth_data import COMMON, FREQUENT, SCARCE, World
from benchmarks._servers import Urls

UNMEASURED: Final = frozenset(
    {"communities.hook-challenge", "operations.ready", "operations.live", "client-links.open"}
)
"""Operations that read no list; the first one answers a platform's question, the last is a page for clients."""
MODES: Final = frozenset({"sort", "basis", "include", "granularity", "compare", "keys", "goal_type"})
"""Parameters that choose a form of the answer: each value, alone and with each filter."""
WITHOUT_VALUES: Final = frozenset({"cursor", "limit"})
MOST_IN_PAIRS: Final = 3
"""Values of one filter that are combined with those of another."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Values = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Call:
    """A request, and the row of the table that it belongs to."""

    operation: str
    filters: tuple[str, ...]
    path: str

    @property
    def name(self) -> str:
        """The operation and the names of its parameters; the sort with its value."""
        return f"{self.operation} {' '.join(self.filters)}".strip()

    @property
    def limit(self) -> float:
        """Milliseconds of PostgreSQL that it may take."""
        if any(name.split("=")[0] == "q" for name in self.filters):
            return 20
        return 10 if "evidence" in self.operation else 5


_OF_LARGEST: Final = "WHERE workspace_id = $1 AND project_id = $2"
_ROWS: Final[Mapping[str, str]] = {
    "inquiry_id": f"SELECT id FROM inquiry {_OF_LARGEST} AND status = 'resolved' LIMIT 1",
    "post_id": f"SELECT post_id FROM link {_OF_LARGEST} AND post_id IS NOT NULL LIMIT 1",
    "link_id": f"SELECT id FROM link {_OF_LARGEST} AND post_id IS NOT NULL LIMIT 1",
    "slug": f"SELECT slug FROM link {_OF_LARGEST} AND archived_at IS NULL LIMIT 1",
    "entity_id": f"SELECT id FROM post {_OF_LARGEST} AND origin = 'planned' LIMIT 1",
    "user_id": "SELECT user_id FROM membership WHERE workspace_id = $1 AND $2::uuid IS NOT NULL LIMIT 1",
    "invitation_id": "SELECT id FROM invitation WHERE workspace_id = $1 AND $2::uuid IS NOT NULL LIMIT 1",
    "seat_id": f"SELECT id FROM project_seat {_OF_LARGEST} LIMIT 1",
    "contact_id": f"SELECT id FROM contact {_OF_LARGEST} AND removed_at IS NULL LIMIT 1",
    "client_link_id": f"SELECT client_link_id FROM client_statement {_OF_LARGEST} LIMIT 1",
    "subject_id": f"SELECT subject_id FROM client_statement {_OF_LARGEST} LIMIT 1",
    "alert_id": f"SELECT id FROM alert {_OF_LARGEST} LIMIT 1",
    "campaign_id": f"""
        SELECT id FROM campaign {_OF_LARGEST} AND title LIKE '%.1' AND type = 'promo_code' AND status = 'ended'
        ORDER BY starts_at DESC LIMIT 1""",
    "promo_code": f"""
        SELECT code FROM promo_code WHERE (workspace_id, campaign_id) = (
            SELECT workspace_id, id FROM campaign {_OF_LARGEST} AND title LIKE '%.1' AND type = 'promo_code'
                AND status = 'ended' ORDER BY starts_at DESC LIMIT 1) LIMIT 1""",
    "goal_id": f"SELECT id FROM goal {_OF_LARGEST} AND status = 'agreed' LIMIT 1",
    "correction_id": f"SELECT id FROM correction {_OF_LARGEST} LIMIT 1",
}
"""The id of a row of the largest project, by the parameter that takes it."""


def _constants(world: World) -> dict[str, Sequence[str]]:
    """Values that are the same in all data, by parameter; `operation parameter` where others would not fit."""

    def instant(ago: timedelta) -> str:
        return (world.now - ago).isoformat().replace("+00:00", "Z")

    return {
        "actor": [f"user:{world.workspace_id}"],
        "action": ["posts.create", "inquiries.resolve", "none"],
        "alerts.list kind": ["inquiry-waiting", "post-overdue"],
        "key": sorted(all_kpis()),
        "kpi": ["clicks", "engagement", "reach"],
        "keys": ["engagement,inquiries_received,clicks"],
        "platform": ["vk", "mastodon"],
        "q": [
            COMMON,
            FREQUENT,
            SCARCE,
            "артикул1",
            f"артикул1 {COMMON}",
            f"{FREQUENT} {COMMON}",
            f"{FREQUENT} {SCARCE}",
            "ольга",
            "неттакого",
        ],
        "date": [(world.now - timedelta(days=ago)).date().isoformat() for ago in (90, 60)],
        "date-time": [instant(timedelta(days=60)), instant(timedelta(days=30))],
        "as_of": [instant(timedelta(hours=1)), instant(timedelta(days=7))],
        "weeks": ["8", "53"],
    }


PARAMETERS: Final = frozenset({"project_id", "community_id", *_ROWS, *_constants(World(0, UUID(int=0), "", EPOCH))})
"""The parameters, and formats of parameters, for which there are values."""


async def samples(urls: Urls, world: World) -> Mapping[str, Sequence[str]]:
    """Values of `PARAMETERS`: of a large and of a small project, community, and so on."""
    connection = await asyncpg.connect(asyncpg_url(urls.superuser))
    projects = "SELECT id FROM project WHERE workspace_id = $1 AND title IN ('Client 0', 'Client 2') ORDER BY title"
    (large, small) = await connection.fetch(projects, world.workspace_id)
    by_title = "SELECT id FROM community WHERE workspace_id = $1 AND title = ANY ($2) ORDER BY title"
    communities = await connection.fetch(
        by_title, world.workspace_id, ["Community 1 of Client 0", "Community 5 of Client 2"]
    )
    rows = {
        name: [str(await connection.fetchval(query, world.workspace_id, large["id"]))] for name, query in _ROWS.items()
    }
    await connection.close()
    return {
        "project_id": [str(large["id"]), str(small["id"])],
        "community_id": [str(row["id"]) for row in communities],
        **rows,
        **_constants(world),
    }


def calls(openapi: Mapping[str, Any], values: Mapping[str, Sequence[str]]) -> Iterator[Call]:
    """Every request to be measured."""
    for path, operations in openapi["paths"].items():
        operation = operations.get("get")
        if operation is None or operation["operationId"] in UNMEASURED:
            continue
        parameters = operation.get("parameters", [])
        in_path = [_choices(openapi, operation, one, values) for one in parameters if one["in"] == "path"]
        in_query = [one for one in parameters if one["in"] == "query" and one["name"] not in WITHOUT_VALUES]
        choices = _filters(openapi, operation, in_query, values)
        for number, selected in enumerate(itertools.product(*in_path)):
            target = path.format(**dict(itertools.chain.from_iterable(selected)))
            for query in _combinations(choices) if number == 0 else [(), *itertools.chain.from_iterable(choices)]:
                suffix = f"?{urlencode(query)}" if query else ""
                yield Call(operation["operationId"], _names(query), f"{target}{suffix}")


def _names(query: Values) -> tuple[str, ...]:
    return tuple(sorted(f"{name}={value}" if name == "sort" else name for name, value in query))


def _filters(
    openapi: Mapping[str, Any],
    operation: Mapping[str, Any],
    parameters: Sequence[Mapping[str, Any]],
    values: Mapping[str, Sequence[str]],
) -> list[list[Values]]:
    """For each parameter the ways to set it. Those of a range are set together."""
    by_name = {one["name"]: one for one in parameters}
    made = []
    for since, until in (("from", "to"), ("since", "until")):
        if since in by_name and until in by_name:
            first, _ = _choices(openapi, operation, by_name.pop(since), values)
            _, last = _choices(openapi, operation, by_name.pop(until), values)
            made.append([(*first, *last)])
    return made + [_choices(openapi, operation, one, values) for one in by_name.values()]


def _choices(
    openapi: Mapping[str, Any],
    operation: Mapping[str, Any],
    parameter: Mapping[str, Any],
    values: Mapping[str, Sequence[str]],
) -> list[Values]:
    name, schema = parameter["name"], _plain(openapi, parameter["schema"])
    named = f"{operation['operationId']} {name}"
    if named in values or name in values:
        options: Sequence[str] = values.get(named) or values[name]
    elif "enum" in schema:
        options = [str(value) for value in schema["enum"]]
    elif schema.get("type") == "boolean":
        options = ["true", "false"]
    elif schema.get("type") == "array" and "enum" in (items := _plain(openapi, schema["items"])):
        options = [str(value) for value in items["enum"]]
    elif schema.get("format") in values:
        options = values[schema["format"]]
    else:
        raise LookupError(f"benchmarks/_growth_calls.py has no value for {name} of {operation['operationId']}")
    return [((name, value),) for value in options]


def _plain(openapi: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema without references, and without null."""
    if "anyOf" in schema:
        (schema,) = (one for one in schema["anyOf"] if one.get("type") != "null")
    if "$ref" in schema:
        return _plain(openapi, openapi["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    return schema


def _combinations(choices: Sequence[Sequence[Values]]) -> Iterator[Values]:
    """No parameter, each value of each, and pairs of filters; these with each sort, and single ones with each mode."""
    modes = [choice for choice in choices if choice[0][0][0] in MODES]
    filters = [choice for choice in choices if choice[0][0][0] not in MODES]
    filtered: list[Values] = [(), *itertools.chain.from_iterable(filters)]
    for one, other in itertools.combinations(filters, 2):
        for first, second in itertools.product(one[:MOST_IN_PAIRS], other[:MOST_IN_PAIRS]):
            filtered.append((*first, *second))
    yield from filtered
    alone: list[Values] = [(), *itertools.chain.from_iterable(filters)]
    for mode in itertools.chain.from_iterable(modes):
        for query in filtered if mode[0][0] == "sort" else alone:
            yield (*query, *mode)
