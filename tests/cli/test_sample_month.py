"""The demo's month is printed whole in 80 columns, whatever its figures."""

import pytest

from app.cli.console import table
from app.cli.sample_month import CHANGE, HARD_TITLE, MAIN_TITLE, SPEND, WAITING_TITLE, goal_figures

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
