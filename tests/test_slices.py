"""All slices together are every test, and no test is in two."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests import slices
from tests.slices import Slice


@pytest.mark.parametrize("count", [1, 2, 7, 10_000])
def test_slices_are_disjoint_and_together_everything(request: pytest.FixtureRequest, count: int) -> None:
    items = [*request.session.items]
    if count > 100:
        items = items[:1]
    parts = [Slice(number, count).select(items)[0] for number in range(1, count + 1)]
    ids = [item.nodeid for part in parts for item in part]
    assert sorted(ids) == sorted(item.nodeid for item in items)


def test_slices_are_about_even() -> None:
    node_ids = [f"tests/test_x.py::test_y[{number}]" for number in range(7000)]
    sizes = [sum(Slice(number, 7).holds(one) for one in node_ids) for number in range(1, 8)]
    assert min(sizes) > 850
    assert max(sizes) < 1150


def test_a_slice_is_the_same_on_every_machine() -> None:
    assert [Slice(number, 3).holds("tests/test_x.py::test_y") for number in (1, 2, 3)].count(True) == 1
    assert next(n for n in (1, 2, 3) if Slice(n, 3).holds("tests/test_x.py::test_y")) == 1


@pytest.mark.parametrize("text", ["", "1", "0/7", "8/7", "-1/7", "1/0", "a/b", "1/2/3"])
def test_what_is_no_slice_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Slice.parse(text)


def _applied(requested: Slice | None, node_ids: list[str]) -> tuple[list[str], list[str]]:
    """The selected node ids, and those reported to pytest as deselected."""
    deselected: list[Any] = []
    hook = SimpleNamespace(pytest_deselected=lambda items: deselected.extend(items))
    config: Any = SimpleNamespace(getoption=lambda name: requested if name == "--slice" else None, hook=hook)
    items: list[Any] = [SimpleNamespace(nodeid=one) for one in node_ids]
    slices.apply(config, items)
    return [one.nodeid for one in items], [one.nodeid for one in deselected]


def test_others_are_deselected() -> None:
    node_ids = [f"test_{number}" for number in range(50)]
    left, deselected = _applied(Slice(2, 3), node_ids)
    assert left == [one for one in node_ids if Slice(2, 3).holds(one)]
    assert 0 < len(left) < 50
    assert sorted(left + deselected) == sorted(node_ids)
    assert _applied(None, node_ids) == (node_ids, [])
