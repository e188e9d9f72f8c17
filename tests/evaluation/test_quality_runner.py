"""Segment quality of whole sets: means, ranks, a model's groups, other systems' files."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from pgseg_core.comm import LocalCollectives
from pgseg_core.config import InferenceConfig
from pgseg_core.errors import DataError
from pgseg_core.evaluation.evaluate import evaluate_masks
from pgseg_core.evaluation.metrics.quality import compactness
from pgseg_core.evaluation.quality_runner import Quality, evaluate_quality
from pgseg_core.evaluation.regions import (
    Regions,
    baseline_regions,
    find_mask_file,
    model_regions,
    overlapping_regions,
    read_regions,
)
from pgseg_core.evaluation.report.report import json_text
from pgseg_core.evaluation.report.task_reports import MasksReport
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.networks.grouping.build import build_model
from tests.data.conftest import random_image
from tests.evaluation.sets import MemorySet, random_set
from tests.evaluation.test_runner import RecordingRank
from tests.tiny import segmenter_of, tiny_model_config

HALVES = np.repeat([[0, 0, 1, 1]], 4, axis=0)
CAT = np.where(HALVES == 1, 1, 0)


def measure(dataset, find, comm=None, **options) -> Quality:
    return evaluate_quality(dataset, find, comm or LocalCollectives(), source="test", **options)


def test_means_are_over_objects_images_and_pairs():
    dataset = MemorySet((CAT, CAT, np.zeros((4, 4), int)))
    maps = {"0.jpg": HALVES, "1.jpg": np.zeros((4, 4), int), "2.jpg": HALVES.T}
    quality = measure(dataset, lambda sample: Regions(maps[sample.name]))
    assert (quality.found.value, quality.found.count) == (1.0, 2)
    assert quality.best_iou.value == pytest.approx((1 + 0.5) / 2)
    assert quality.under_segmented.value == 0.0  # exactly half of the mask is the cat
    assert (quality.groups_used.value, quality.groups_used.count) == (5 / 3, 3)
    assert (quality.same_as_truth.value, quality.same_as_truth.count) == (0.5, 2)
    assert quality.same_as_others.count == 6
    assert quality.same_as_others.value == pytest.approx(0.0, abs=0.01)
    assert np.isnan(quality.compactness.value)
    assert quality.compactness.count == 0
    assert quality.compactness.interval is None


def test_the_same_map_everywhere_is_seen():
    quality = measure(random_set(5), lambda sample: Regions(_stripes(sample)))
    assert quality.same_as_others.value == pytest.approx(1.0)


def _stripes(sample) -> np.ndarray:
    height, width = sample.mask.shape
    return np.broadcast_to(np.arange(width) * 2 // width, (height, width))


def test_intervals_hold_the_mean_and_are_the_same_again():
    first, again = (
        measure(random_set(7), lambda sample: baseline_regions("random-groups", sample))
        for _ in range(2)
    )
    assert first.rows() == again.rows()
    for measured in (first.richness, first.found, first.groups_used, first.same_as_others):
        assert measured.interval is not None
        assert measured.interval.low <= measured.value <= measured.interval.high


@pytest.mark.parametrize("world_size", [2, 9])
def test_ranks_together_are_one_process(world_size):
    def find(sample):
        return baseline_regions("random-groups", sample)

    whole, dataset = RecordingRank(), random_set(7)
    measure(dataset, find, whole)
    ranks = [RecordingRank(rank=rank, world_size=world_size) for rank in range(world_size)]
    for rank in ranks:
        measure(dataset, find, rank)
    for place, expected in enumerate(whole.summands):
        assert sum(rank.summands[place] for rank in ranks).equal(expected)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    return segmenter_of(
        build_model(tiny_model_config()), InferenceConfig(short_side=32, window=32, stride=16)
    )


def test_a_models_groups_are_taken_from_the_whole_photo(segmenter):
    photo = random_image(3, 70, 45)
    regions = model_regions(segmenter, photo)
    assert regions.groups.shape == (photo.height, photo.width)
    assert set(np.unique(regions.groups)) <= {0, 1, 2, 3}
    number = len(regions.patches)
    assert regions.features.shape == (number, 32)
    again = model_regions(segmenter, photo)
    assert np.array_equal(again.groups, regions.groups)
    assert -0.5 < compactness(regions.features, regions.patches) <= 1
    in_halves = segmenter.read_as(replace(segmenter.reading, short_side=64, window=32, stride=16))
    halves = model_regions(in_halves, photo)
    assert np.array_equal(halves.groups, regions.groups), "one window is one window's size"


def test_features_are_what_the_first_grouping_block_compares(segmenter):
    pixels = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        stage = segmenter.method.encode(pixels.numpy()).stages[0]
        assign = segmenter.method.network.image_encoder.stages[0].grouping.assign
        query, key = assign.q_proj(stage.queries), assign.k_proj(stage.patches)
        soft = (query @ key.mT * assign.scale).softmax(dim=1)
    assert torch.allclose(soft, stage.soft, atol=1e-6)


def test_overlapping_masks_keep_the_smallest_on_top():
    masks = np.zeros((2, 2, 3), dtype=bool)
    masks[0, 0, 0] = True
    masks[1, :, :2] = True
    regions = overlapping_regions(masks)
    assert regions.groups.tolist() == [[1, 2, 0], [2, 2, 0]]
    assert [mask.sum() for mask in regions.each()] == [1, 4]


def test_every_form_of_masks_reads_the_same(tmp_path):
    masks = np.zeros((2, 3, 4), dtype=bool)
    masks[0, :, :2] = True
    masks[1, 1:, 1:] = True
    np.save(tmp_path / "a.npy", masks)
    (tmp_path / "b").mkdir()
    for place, mask in enumerate(masks):
        Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(tmp_path / f"b/{place}.png")
    runs = [{"segmentation": {"size": [3, 4], "counts": counts}}
            for counts in ([0, 6, 6], [4, 2, 1, 2, 1, 2])]  # fmt: skip
    (tmp_path / "c.json").write_text(json.dumps(runs))
    for name in "abc":
        regions = read_regions(find_mask_file(tmp_path, name), 3, 4)
        assert np.array_equal(regions.masks, masks), name
    Image.fromarray(HALVES.astype(np.uint8)).save(tmp_path / "d.png")
    parts = read_regions(find_mask_file(tmp_path, "d"), 4, 4)
    assert [mask.sum() for mask in parts.each()] == [8, 8]


def test_masks_of_another_system_are_measured(tmp_path):
    dataset = MemorySet((CAT, CAT))
    for name in dataset.image_names:
        Image.fromarray(HALVES.astype(np.uint8)).save(tmp_path / f"{name}.png")
    quality = evaluate_masks(tmp_path, dataset, LocalCollectives())
    assert quality.found.value == 1.0
    values = json.loads(json_text(MasksReport(dataset="memory", quality=quality)))
    assert values["quality"]["found"]["value"] == 1.0
    assert values["quality"]["compactness"]["value"] is None
    assert [row[1] for row in quality.rows()][:2] == ["-", "100.0"]


def test_what_is_wrong_with_masks_is_said_with_the_file(tmp_path):
    dataset = MemorySet((CAT,))
    with pytest.raises(DataError, match=r"(?s)has no masks of 0\.jpg.*segment-anything"):
        evaluate_masks(tmp_path, dataset, LocalCollectives())
    with pytest.raises(DataError, match="gone does not exist"):
        evaluate_masks(tmp_path / "gone", dataset, LocalCollectives())
    path = tmp_path / "0.jpg.npy"
    cases = {
        "has 3 x 2 pixels, its image 4 x 4": np.zeros((1, 2, 3)),
        "an array of 1 axes": np.zeros(4),
        "holds no mask": np.zeros((0, 4, 4)),
        "cannot be read as an array": np.array([{"a": print}], dtype=object),
    }
    for sentence, array in cases.items():
        np.save(path, array, allow_pickle=True)
        with pytest.raises(DataError, match=rf"0\.jpg\.npy.*{sentence}"):
            evaluate_masks(tmp_path, dataset, LocalCollectives())
    path.unlink()
    (tmp_path / "0.jpg.json").write_text('[{"segmentation": {"size": [2, 2], "counts": [4]}}]')
    with pytest.raises(DataError, match=r"0\.jpg\.json does not hold masks of 4 x 4 pixels"):
        evaluate_masks(tmp_path, dataset, LocalCollectives())
