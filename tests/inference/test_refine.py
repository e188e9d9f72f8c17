"""PAMR against the formula written as loops, and what it must keep and change."""

import math

import torch

from pgseg_core.inference.refine import neighbour_weights, pamr

STEPS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_loops(image: torch.Tensor, maps: torch.Tensor, dilations: tuple[int, ...]) -> torch.Tensor:
    _, height, width = image.shape
    refined = torch.zeros_like(maps)
    for row in range(height):
        for column in range(width):
            places = [
                (min(max(row + y * d, 0), height - 1), min(max(column + x * d, 0), width - 1))
                for d in dilations
                for y, x in STEPS
            ]
            affinity = [0.0] * len(places)
            for colour in image:
                here = float(colour[row, column])
                values = [float(colour[place]) for place in places]
                window = values + [here] * len(dilations)
                mean = sum(window) / len(window)
                variance = sum((v - mean) ** 2 for v in window) / (len(window) - 1)
                for k, value in enumerate(values):
                    affinity[k] -= abs(here - value) / (1e-8 + 0.1 * math.sqrt(variance)) / 3
            weights = [math.exp(a) for a in affinity]
            for weight, place in zip(weights, places, strict=True):
                refined[:, row, column] += weight / sum(weights) * maps[:, place[0], place[1]]
    return refined


def test_one_step_equals_the_formula():
    image, maps = draw(0, 3, 5, 6), draw(1, 2, 5, 6)
    refined = pamr(image, maps, iterations=1, dilations=(1, 2))
    torch.testing.assert_close(refined, by_loops(image, maps, (1, 2)))
    twice = pamr(image, maps, iterations=2, dilations=(1, 2))
    torch.testing.assert_close(twice, by_loops(image, refined, (1, 2)))


def test_weights_sum_to_one_and_so_do_maps():
    image = draw(2, 3, 9, 7)
    total = neighbour_weights(image, (1, 4)).sum(0)
    torch.testing.assert_close(total, torch.ones_like(total))
    maps = draw(3, 4, 9, 7).softmax(0)
    sums = pamr(image, maps).sum(0)
    torch.testing.assert_close(sums, torch.ones_like(sums))


def test_a_flat_image_averages_evenly_and_units_do_not_matter():
    flat, maps = torch.zeros(3, 5, 5, dtype=torch.float64), draw(4, 1, 5, 5)
    refined = pamr(flat, maps, iterations=1, dilations=(1,))
    around = maps[0, 1:4, 1:4].sum() - maps[0, 2, 2]
    torch.testing.assert_close(refined[0, 2, 2], around / 8)
    image = draw(5, 3, 8, 8)
    moved = image * torch.tensor([2.0, 7.0, 0.5])[:, None, None] + 3
    same = draw(6, 2, 8, 8)
    torch.testing.assert_close(pamr(image, same), pamr(moved, same), rtol=1e-4, atol=1e-6)


def test_a_mask_beside_an_edge_moves_to_it():
    image = torch.zeros(3, 16, 16, dtype=torch.float64)
    image[:, :, 8:] = 1
    mask = torch.zeros(2, 16, 16, dtype=torch.float64)
    mask[0, :, :6], mask[1, :, 6:] = 1, 1
    labels = pamr(image, mask, iterations=10, dilations=(1, 2)).argmax(0)
    assert labels[:, :7].eq(0).all()
    assert labels[:, 8:].eq(1).all()


def test_one_pixel_stays():
    torch.testing.assert_close(pamr(torch.zeros(3, 1, 1), torch.ones(2, 1, 1)), torch.ones(2, 1, 1))
