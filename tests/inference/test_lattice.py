"""The permutohedral lattice against Gaussian sums taken pair by pair."""

import numpy as np
import pytest

from pgseg_core.inference.lattice import PermutohedralLattice, _corners


def pair_by_pair(points: np.ndarray, values: np.ndarray) -> np.ndarray:
    distance = ((points[:, None] - points[None]) ** 2).sum(axis=-1)
    return np.exp(-distance / 2) @ values


@pytest.mark.parametrize(("dimensions", "spread"), [(1, 2.0), (2, 2.0), (5, 0.7)])
def test_weighted_means_are_those_of_the_gaussian(dimensions, spread):
    generator = np.random.default_rng(dimensions)
    points = generator.normal(size=(900, dimensions)) * spread
    values = points @ generator.normal(size=(dimensions, 2)) + generator.normal(size=(900, 2))
    ones = np.ones((900, 1))
    lattice = PermutohedralLattice(points)
    exact = pair_by_pair(points, values) / pair_by_pair(points, ones)
    found = lattice.sums(values) / lattice.sums(ones)
    assert np.abs(found - exact).mean() < 0.12 * exact.std()
    assert np.corrcoef(found.ravel(), exact.ravel())[0, 1] > 0.99


def test_sums_are_linear_and_symmetric():
    generator = np.random.default_rng(0)
    lattice = PermutohedralLattice(generator.normal(size=(60, 3)))
    first, second = generator.normal(size=(2, 60, 1))
    both = lattice.sums(2 * first + second)
    np.testing.assert_allclose(both, 2 * lattice.sums(first) + lattice.sums(second), atol=1e-6)
    across = (first * lattice.sums(second)).sum(), (second * lattice.sums(first)).sum()
    assert across[0] == pytest.approx(across[1], rel=0.05)


def test_far_points_do_not_meet():
    points = np.array([[0.0, 0.0], [0.0, 0.0], [50.0, 50.0]])
    sums = PermutohedralLattice(points).sums(np.array([[1.0], [2.0], [4.0]]))
    assert sums[0] == pytest.approx(sums[1])
    assert sums[0] / 3 == pytest.approx(sums[2] / 4, rel=0.5)


def test_corners_surround_their_point():
    points = np.random.default_rng(0).normal(size=(200, 4)) * 3
    keys, weights, _ = _corners(points)
    assert keys.shape == weights.shape == (5, 200)
    assert weights.min() >= -1e-12
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    assert all(len(set(column)) == 5 for column in keys.T)
