"""Forecasts of goals, tried on simulated figures whose truth is known.

Each series is a figure by day: some weeks of history, then a period of 30 days of which some are over. The total of the
period (a flow), or the level at its end (a stock), is forecast from what is there, and compared with what came. Four
shapes: a level, a trend, a weekly season, and bursts with a shift of the level somewhere.

- `held`: the share of truths that the 80 % intervals hold; it should be between 75 and 85 %
- `width`: the intervals' mean width, by that of the seasonal naive forecast of the same series
- `error`: the median absolute error, by that of the seasonal naive forecast

PostgreSQL is not needed; the same seed gives the same figures.
"""

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean, median
from typing import Final

from app.goals.forecast import Forecast, Method, forecast
from app.kpis.values import AddsUp

PERIOD: Final = 30
PATTERNS: Final = ("level", "trend", "weekly season", "bursts, shift")
WEEK: Final = (1.3, 1.2, 1.1, 1.1, 1.0, 0.5, 0.3)


@dataclass(frozen=True)
class Trial:
    """One series: history, how much of the period is over, and all of its days."""

    days: list[float]
    known_days: int
    elapsed: int


def series(shape: str, length: int, chance: random.Random) -> list[float]:
    """A count for each day."""
    level = chance.uniform(8, 120)
    slope = chance.uniform(-0.006, 0.012)
    shift_at, shift = chance.randrange(length), chance.choice((0.6, 0.75, 1.3, 1.7))
    phase = chance.randrange(7)
    spread = chance.uniform(0.1, 0.4)
    values = []
    for day in range(length):
        mean = level
        if shape == "trend":
            mean *= max(1 + slope * day, 0.1)
        if shape == "weekly season":
            mean *= WEEK[(day + phase) % 7]
        if shape == "bursts, shift":
            mean *= shift if day >= shift_at else 1
            mean *= chance.uniform(2, 5) if chance.random() < 0.04 else 1
        mean *= chance.lognormvariate(-spread * spread / 2, spread)
        values.append(float(max(round(chance.gauss(mean, mean**0.5)), 0)))
    return values


def trials(shape: str, number: int, seed: int) -> list[Trial]:
    """Random histories of one shape: 4 to 26 weeks before the period or within it."""
    chance = random.Random(f"{seed} {shape}")
    made = []
    for _ in range(number):
        elapsed = chance.randrange(3, 28)
        before = chance.randrange(28, 180)
        days = series(shape, before + PERIOD, chance)
        made.append(Trial(days, before + elapsed, elapsed))
    return made


@dataclass
class Outcome:
    """What became of one method's forecasts."""

    held: list[bool]
    widths: list[float]
    errors: list[float]


def measure(adds_up: AddsUp, method: Method, tried: Sequence[Trial]) -> Outcome:
    """Forecast each trial by one method."""
    outcome = Outcome([], [], [])
    for trial in tried:
        days = trial.days
        if adds_up is AddsUp.STOCK:
            days = [1000 + level for level in accumulate(days)]
            truth = days[-1]
        else:
            truth = sum(days[-PERIOD:])
        made = forecast(adds_up, days[: trial.known_days], trial.elapsed, PERIOD, method=method)
        assert isinstance(made, Forecast), made
        outcome.held.append(made.low <= truth <= made.high)
        outcome.widths.append(made.high - made.low)
        outcome.errors.append(abs(truth - made.amount))
    return outcome


async def main(arguments: Sequence[str]) -> None:
    """Print coverage, widths and errors of each method by shape."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks forecast", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", type=int, default=1000, help="of each shape")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    for adds_up in (AddsUp.FLOW, AddsUp.STOCK):
        print(f"{adds_up.value}, {options.series} series of each shape, seed {options.seed}")
        print(f"{'':16}" + "".join(f"{method.value:>30}" for method in Method))
        print(f"{'':16}" + f"{'held':>12}{'width':>9}{'error':>9}" * len(Method))
        whole: dict[Method, list[bool]] = {method: [] for method in Method}
        for shape in PATTERNS:
            tried = trials(shape, options.series, options.seed)
            outcomes = {method: measure(adds_up, method, tried) for method in Method}
            naive = outcomes[Method.SEASONAL_NAIVE]
            line = f"{shape:16}"
            for method, one in outcomes.items():
                whole[method] += one.held
                width = fmean(one.widths) / fmean(naive.widths)
                error = median(one.errors) / median(naive.errors)
                line += f"{fmean(one.held):12.1%}{width:9.2f}{error:9.2f}"
            print(line)
        print(f"{'all':16}" + "".join(f"{fmean(held):12.1%}{'':18}" for held in whole.values()) + "\n")
