"""Time zones: which names are taken, and that Python and PostgreSQL compute the same local days."""

import zoneinfo
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fastapi import FastAPI
from sqlalchemy import NullPool, delete, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from app.projects import hours, zones
from app.projects.models import ZoneRule
from tests.conftest import Agency
from tests.house.conftest import sample, stock
from tests.servers import Servers

NO_ZONES = ("localtime", "posixrules", "Factory", "right/UTC", "posix/Europe/Minsk", "MSK-3", "UTC+3")


async def responses_of_every_operation(app: FastAPI, agency: Agency, zone: str) -> dict[str, tuple[int, Any]]:
    """What each operation answers whose body takes a `timezone`."""
    document = app.openapi()
    ids = (await stock(agency)).ids
    responses = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" not in content or not operation.get("security"):
                continue
            schema = content["application/json"]["schema"]
            shape = document
            for part in schema.get("$ref", "").removeprefix("#/").split("/"):
                shape = shape.get(part, {})
            if "timezone" in shape.get("properties", {}):
                body = {**sample(document, schema, ids), "timezone": zone}
                answer = await agency.http.request(method, path.format(**ids), json=body)
                responses[operation["operationId"]] = (answer.status_code, answer.json())
    return responses


@pytest.mark.parametrize("zone", NO_ZONES)
async def test_unknown_zones_are_refused(app: FastAPI, agency: Agency, zone: str) -> None:
    answers = await responses_of_every_operation(app, agency, zone)
    assert {"projects.create", "projects.update", "posts.create", "posts.update"} <= answers.keys()
    for operation, (status, body) in answers.items():
        assert status == 422, operation
        assert [one["field"] for one in body["errors"]] == ["timezone"], operation


async def test_old_names_are_taken(agency: Agency) -> None:
    await agency.post("/v1/projects", {"title": "Chai house", "timezone": "Asia/Calcutta"})


async def test_every_name_can_be_used(agency: Agency) -> None:
    """By Python, which loads it from a file, and by PostgreSQL."""
    async with agency.resources.transaction(agency.workspace_id) as session:
        names = sorted(zones.named())
        assert len(names) > 500
        for name in names:
            ZoneInfo(name)
        day = zones.local_day_sql("now()", "name")
        each = text(f"SELECT count({day}) FROM unnest(CAST(:names AS text[])) AS name")
        assert await session.scalar(each, {"names": names}) == len(names)


def test_python_reads_the_package_and_not_the_system() -> None:
    """The package has the rule of 2026 by which Vancouver's clocks are not put back any more."""
    assert zoneinfo.TZPATH == ()
    assert datetime(2026, 12, 1, 9, tzinfo=ZoneInfo("America/Vancouver")).utcoffset() == timedelta(hours=-7)


SAMPLES = [datetime(2011, 1, 1, 0, 30, tzinfo=UTC) + step * timedelta(days=3, hours=7) for step in range(2600)]


async def wrong_days(connection: AsyncConnection, names: Sequence[str]) -> dict[str, int]:
    """How often SQL and Python disagree on the local day of an instant, by zone; zones without a mistake left out."""
    day = zones.local_day_sql("at", "name")
    statement = text(
        f"SELECT name, at, {day} FROM unnest(CAST(:names AS text[])) AS name, "
        "unnest(CAST(:instants AS timestamptz[])) AS at"
    )
    wrong: Counter[str] = Counter()
    for name, at, local_day in await connection.execute(statement, {"names": names, "instants": SAMPLES}):
        wrong[name] += local_day != at.astimezone(ZoneInfo(name)).date()
    return {name: count for name, count in wrong.items() if count}


@pytest.fixture
async def owner(servers: Servers, database: str) -> AsyncIterator[AsyncConnection]:
    """A connection of the tables' owner, whose changes are rolled back."""
    engine = create_async_engine(servers.owner_url(database), poolclass=NullPool)
    async with engine.connect() as connection:
        yield connection


@pytest.fixture
def other_rules(tmp_path: Path) -> Iterator[None]:
    """Python's rules differ from PostgreSQL's: Minsk has Yekaterinburg's time."""
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe" / "Minsk").write_bytes(zones._file("Asia/Yekaterinburg"))
    zoneinfo.reset_tzpath([tmp_path])
    ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath(())
    ZoneInfo.clear_cache()


async def test_sql_and_python_agree_on_every_day(owner: AsyncConnection) -> None:
    names = [*await owner.run_sync(zones.renew_rules), "Europe/Minsk", "America/Vancouver", "Africa/Casablanca"]
    assert await wrong_days(owner, names) == {}
    assert await zones.unexpected(owner, datetime.now(UTC)) == frozenset()
    await owner.execute(delete(ZoneRule))
    assert await zones.unexpected(owner, datetime.now(UTC)) <= set(names)


async def test_another_edition_is_noticed_and_made_to_agree(
    owner: AsyncConnection, other_rules: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = zones._file
    monkeypatch.setattr(zones, "_file", lambda name: real("Asia/Yekaterinburg" if name == "Europe/Minsk" else name))
    assert (await wrong_days(owner, ["Europe/Minsk"]))["Europe/Minsk"] > 100
    assert "Europe/Minsk" in await zones.unexpected(owner, datetime.now(UTC))
    assert "Europe/Minsk" in await owner.run_sync(zones.renew_rules)
    assert await wrong_days(owner, ["Europe/Minsk"]) == {}
    assert await zones.unexpected(owner, datetime.now(UTC)) == frozenset()


async def test_a_zone_that_postgresql_does_not_know_has_its_days(
    owner: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with Debian's database, which leaves out old names."""
    without = zones._GRID.text.replace(
        "known.name = zone.name", "known.name = zone.name AND zone.name <> 'Asia/Calcutta'"
    )
    monkeypatch.setattr(zones, "_GRID", text(without))
    assert "Asia/Calcutta" in await owner.run_sync(zones.renew_rules)
    assert await wrong_days(owner, ["Asia/Calcutta"]) == {}


async def test_an_offset_that_changes_a_day_later_is_a_difference(
    owner: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The instants compared are weeks apart; the changes between them are compared by themselves."""
    berlin, changes = zones._file("Europe/Berlin"), hours.changes

    def late(zone: ZoneInfo, *of: Any) -> Iterator[tuple[datetime, timedelta]]:
        delay = timedelta(days=zones._file(zone.key) == berlin)
        return ((at + delay, utc_offset) for at, utc_offset in changes(zone, *of))

    monkeypatch.setattr(zones, "changes", late)
    assert "Europe/Berlin" in await owner.run_sync(zones.renew_rules)


def changes_of(name: str) -> list[tuple[datetime, timedelta]]:
    first = datetime(2020, 1, 1, tzinfo=UTC)
    return list(hours.changes(ZoneInfo(name), first, first + timedelta(days=730), timedelta(days=25)))


def test_changes_of_the_offset_to_the_second() -> None:
    assert changes_of("Europe/Berlin")[:3] == [
        (datetime(2020, 1, 1, tzinfo=UTC), timedelta(hours=1)),
        (datetime(2020, 3, 29, 1, tzinfo=UTC), timedelta(hours=2)),
        (datetime(2020, 10, 25, 1, tzinfo=UTC), timedelta(hours=1)),
    ]
    assert len(changes_of("Europe/Minsk")) == 1
