"""Spreads against textbook numbers, verdicts against their intervals."""

import math
import statistics

import pytest

from pgseg_core.experiments.statistics import Difference, Spread, spread


def test_three_seeds():
    """Student's 97.5 % point with two degrees of freedom is 4.3027 (any table)."""
    values = [0.2, 0.5, 0.4]
    found = spread(values)
    half = 4.302653 * statistics.stdev(values) / math.sqrt(3)
    assert found.mean == pytest.approx(11 / 30)
    assert found.deviation == pytest.approx(statistics.stdev(values))
    assert found.interval == pytest.approx((11 / 30 - half, 11 / 30 + half), rel=1e-5)


def test_one_seed_has_no_spread():
    assert spread([0.3]) == Spread((0.3,), 0.3, None, None)


@pytest.mark.parametrize(
    ("values", "images", "verdict"),
    [
        ([1.0, 1.1, 0.9], (0.5, 1.5), "higher"),
        ([-1.0, -1.1, -0.9], (-1.5, -0.5), "lower"),
        ([1.0, 1.1, 0.9], None, "higher"),
        ([1.0, 1.1, 0.9], (-0.1, 2.0), "not told apart"),
        ([1.0, -1.0, 0.5], (0.1, 0.2), "not told apart"),
        ([1.0, 1.1, 0.9], (-1.5, -0.5), "not told apart"),
        ([1.0], (0.5, 1.5), "one seed"),
    ],
)
def test_verdict_needs_every_interval(values, images, verdict):
    assert Difference(spread(values), images).verdict == verdict
