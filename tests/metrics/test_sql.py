"""Names and parameters in the SQL of metrics."""

import pytest
from sqlalchemy import text

from app.kit.db import Base
from app.metrics import members, rollups, sizes
from app.metrics.contributions import COLUMNS, OF_PROJECT, contributions
from app.metrics.models import CommunityDay, MemberDay, PostLast, PostSnapshot, RollupDay
from app.metrics.sql import METRICS, statement
from tests.metrics.conftest import NOON, Client


def _columns(model: type[Base]) -> set[str]:
    return set(model.__table__.c.keys())


def _key(model: type[Base]) -> tuple[str, ...]:
    return tuple(column.name for column in model.__table__.primary_key)


def test_the_statements_name_all_columns_of_the_tables() -> None:
    assert {*_key(PostSnapshot), *METRICS} == _columns(PostSnapshot)
    assert {*_key(PostLast), "at", "missing", *METRICS} == _columns(PostLast)
    assert {*rollups.KEY, *rollups.AMOUNTS} == _columns(RollupDay)
    assert {*sizes.KEY, *sizes.AMOUNTS, *sizes.COMPARED} == _columns(CommunityDay)
    assert {*members.KEY, *members.AMOUNTS} == _columns(MemberDay)


def test_rows_are_written_in_the_order_of_the_primary_key() -> None:
    assert _key(RollupDay) == rollups.KEY
    assert _key(CommunityDay) == sizes.KEY
    assert _key(MemberDay) == members.KEY


async def test_the_columns_of_contributions_are_those_of_its_query(client: Client) -> None:
    post = await client.publish()
    await client.measure(NOON, [(post, {"views": 1})])
    query = text(contributions(OF_PROJECT)).bindparams(workspace=client.workspace_id, project=client.project_id)
    async with client.work() as session:
        untyped = await session.execute(query)
        assert list(untyped.keys()) == [column.name for column in COLUMNS]
        (row,) = untyped.all()
        (typed,) = (await session.execute(query.columns(*COLUMNS))).all()
    for value, column in zip(row, COLUMNS, strict=True):
        assert value is None or isinstance(value, column.type.python_type), column
    assert typed == row


def test_a_parameter_without_a_type_is_an_error() -> None:
    assert set(statement("SELECT :ids, CAST(:instant AS date), 1::int").compile().params) == {"ids", "instant"}
    with pytest.raises(KeyError):
        statement("SELECT :unknown")
