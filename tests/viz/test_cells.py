"""Parts, depths and counts against scipy's."""

import numpy as np
import pytest
from scipy import ndimage

from pgseg_core.viz.cells import count_around, depth_inside, largest_part


def regions() -> list[np.ndarray]:
    dice = np.random.default_rng(0)
    blobs = [ndimage.gaussian_filter(dice.random(size), 2) > 0.5 for size in ((60, 41), (33, 80))]
    noise = dice.random((30, 40)) > 0.4
    spiral = np.zeros((21, 21), dtype=bool)
    spiral[0, :] = spiral[:, -1] = spiral[-1, :] = spiral[2:, 0] = spiral[2, :-2] = True
    spiral[2:-2, -3] = True
    return [*blobs, noise, spiral, np.ones((5, 9), dtype=bool), np.eye(3, dtype=bool)]


@pytest.mark.parametrize("region", regions(), ids=range(6))
def test_cells_are_scipys(region):
    names, _ = ndimage.label(region)
    sizes = np.bincount(names.ravel())[1:]
    part = largest_part(region)
    assert part.sum() == sizes.max()
    assert len(np.unique(names[part])) == 1
    for cell in ((1.0, 1.0), (1.9, 2.5)):
        wanted = ndimage.distance_transform_edt(np.pad(region, 1), sampling=cell)[1:-1, 1:-1]
        np.testing.assert_allclose(depth_inside(region, cell), wanted, atol=1e-9)
    for box in ((1, 1), (3, 5), (4, 7), (2, 60)):
        mean = ndimage.uniform_filter(region.astype(float), size=box, mode="constant")
        np.testing.assert_allclose(count_around(region, box), mean * box[0] * box[1], atol=1e-6)


def test_nothing_has_no_part():
    empty = np.zeros((4, 6), dtype=bool)
    assert not largest_part(empty).any()
    assert not depth_inside(empty, (1, 1)).any()
