"""The demo's month: printed whole in 80 columns, and with a goal that is behind, whatever its figures."""

import pytest

from app.cli.console import table
from app.cli.sample_month import CHANGE, HARD_TITLE, MAIN_TITLE, SPEND, WAITING_TITLE, goal_figures, hard_target

TITLES = MAIN_TITLE, HARD_TITLE, WAITING_TITLE, f"↳ {CHANGE}"
STANDS = f"running, {sum(float(amount) for _, amount in SPEND):.2f} RUB", "agreed, off track", "correction open"
"""As long as they come."""


@pytest.mark.parametrize(
    ("figures", "fits"),
    [
        (goal_figures(2051, 4215, 3871), True),
        (goal_figures(12004, 13946, None), True),
        (goal_figures(12345, 54321, 43210), True),
        pytest.param(goal_figures(1234567, 7654321, None), False, id="control: a title is cut"),
    ],
)
def test_titles_are_whole_beside_the_widest_figures(
    capsys: pytest.CaptureFixture[str], figures: str, fits: bool
) -> None:
    rows = [(title, stands, figures) for title in TITLES for stands in STANDS]
    table(("what", "stands", "figures"), rows, shrinks=0)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert all(title in line for title, line in zip((row[0] for row in rows), lines[1:], strict=True)) is fits


@pytest.mark.parametrize(
    ("value", "high", "is_at_risk"),
    [(3871.0, 4310.5, True), (3871.2, 3875.0, True), (3924.6, 3924.6, False), (3925.0, 3925.4, False)],
)
def test_the_hard_goal_is_never_on_its_way(value: float, high: float, is_at_risk: bool) -> None:
    target = hard_target(3900, {"value": value, "high": high})
    assert target > value
    assert (target <= high) is is_at_risk


def test_without_a_forecast_it_is_a_little_behind_its_path() -> None:
    assert 3900 < hard_target(3900, {"value": None, "high": None}) <= 1.1 * 3900
