"""The dense CRF against the paper's formula pair by pair, and where the answer is known."""

import math

import numpy as np
import pytest

from pgseg_core.inference.crf import (
    CrfSettings,
    alike_filter,
    dense_crf,
    mean_field,
    near_filter,
    normalised,
)


def pairwise(photo: np.ndarray, settings: CrfSettings) -> list[np.ndarray]:
    """Both kernels between all pixels, as written in the paper."""
    height, width = photo.shape[:2]
    places = [(row, column) for row in range(height) for column in range(width)]
    near = np.zeros((len(places), len(places)))
    alike = np.zeros_like(near)
    for i, p in enumerate(places):
        for j, q in enumerate(places):
            far = math.dist(p, q) ** 2
            colour = ((photo[p].astype(float) - photo[q].astype(float)) ** 2).sum()
            near[i, j] = math.exp(-far / (2 * settings.near_reach**2))
            alike[i, j] = math.exp(
                -far / (2 * settings.alike_reach**2) - colour / (2 * settings.alike_colour**2)
            )
    return [near, alike]


@pytest.fixture(scope="module")
def scene():
    generator = np.random.default_rng(0)
    photo = np.full((12, 14, 3), 90, dtype=np.uint8)
    photo[:, 7:] = (140, 60, 100)
    photo += generator.integers(0, 8, photo.shape, dtype=np.uint8)
    labels = np.zeros((12, 14), dtype=np.int16)
    labels[:, 5:] = 7
    return photo, labels


SETTINGS = CrfSettings(alike_reach=20, alike_colour=15)


def test_kernel_sums_are_the_papers(scene):
    photo, _ = scene
    near, alike = pairwise(photo, SETTINGS)
    values = np.random.default_rng(1).random((photo[..., 0].size, 2)).astype(np.float32)
    found = near_filter(photo.shape[:2], SETTINGS)(values)
    scale = near.sum() / near_filter(photo.shape[:2], SETTINGS)(np.ones_like(values[:, :1])).sum()
    np.testing.assert_allclose(scale * found, near @ values, rtol=2e-3)
    ones = np.ones_like(values[:, :1])
    means = alike_filter(photo, SETTINGS)
    np.testing.assert_allclose(
        means(values) / means(ones), (alike @ values) / (alike @ ones), rtol=0.05
    )


def test_mean_field_is_algorithm_1_by_loops():
    generator = np.random.default_rng(2)
    energy = generator.random((5, 3))
    kernel = generator.random((5, 5))
    belief = mean_field(energy, [(1.5, lambda q: kernel @ q)], iterations=2)
    expected = [[math.exp(-u) / sum(math.exp(-v) for v in row) for u in row] for row in energy]
    for _ in range(2):
        support = [
            [
                math.exp(-energy[i, k] + 1.5 * sum(kernel[i, j] * expected[j][k] for j in range(5)))
                for k in range(3)
            ]
            for i in range(5)
        ]
        expected = [[value / sum(row) for value in row] for row in support]
    np.testing.assert_allclose(belief, expected, rtol=1e-10)


def test_the_whole_is_close_to_exact_inference(scene):
    photo, labels = scene
    kernels = pairwise(photo, SETTINGS)
    flat = (labels.ravel() == 7).astype(int)
    energy = np.where(np.eye(2)[flat] == 1, -math.log(0.7), -math.log(0.3))
    exact = mean_field(
        energy,
        [
            (weight, normalised(lambda q, kernel=kernel: kernel @ q, labels.size))
            for weight, kernel in zip((3.0, 4.0), kernels, strict=True)
        ],
        iterations=10,
    )
    refined = dense_crf(photo, labels, SETTINGS).labels
    same = (refined.ravel() == 7) == (exact.argmax(axis=1) == 1)
    assert same.mean() > 0.97


def test_a_border_beside_an_edge_moves_to_it(scene):
    photo, labels = scene
    refined = dense_crf(photo, labels, SETTINGS).labels
    assert refined.dtype == labels.dtype
    assert (refined[:, :7] == 0).all()
    assert (refined[:, 7:] == 7).all()


def test_a_lonely_pixel_takes_its_neighbours_label():
    photo = np.full((20, 20, 3), 128, dtype=np.uint8)
    labels = np.zeros((20, 20), dtype=np.int64)
    labels[10, 10] = 3
    assert (dense_crf(photo, labels).labels == 0).all()


def test_without_kernels_and_with_one_label_nothing_moves(scene):
    photo, labels = scene
    still = CrfSettings(near_weight=0, alike_weight=0)
    assert np.array_equal(dense_crf(photo, labels, still).labels, labels)
    assert np.array_equal(dense_crf(photo, np.full_like(labels, 4)).labels, np.full_like(labels, 4))


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 2)])
def test_odd_sizes(shape):
    photo = np.zeros((*shape, 3), dtype=np.uint8)
    labels = np.arange(shape[0] * shape[1]).reshape(shape) % 2
    fitted = dense_crf(photo, labels)
    assert fitted.labels.shape == shape
    np.testing.assert_allclose(fitted.belief.sum(axis=0), 1, rtol=1e-5)
