"""A whole report under protocol `groupvit` against the protocol written once more as loops."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from pgseg_core.comm import LocalCollectives
from pgseg_core.config import InferenceConfig
from pgseg_core.data.segmentation import VOC12_CLASSES, SegmentationSample
from pgseg_core.evaluation.evaluate import evaluate_zero_shot
from pgseg_core.evaluation.protocols import load_protocol
from pgseg_core.evaluation.resolve import Overrides
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.networks.grouping.build import build_model
from tests.data.conftest import random_image
from tests.evaluation.sets import MemorySet
from tests.reference import protocol_a
from tests.tiny import segmenter_of, tiny_model_config

SIZE = {"short_side": 32, "long_side": 64, "window": 32, "stride": 16}
RENAMED = {"diningtable": "table", "pottedplant": "plant", "tvmonitor": "monitor"}
# One window; two, the last of them shifted back; three; and one-pixel-wide images, whose windows
# are filled up to whole patches. All but the first are enlarged on the way.
SIZES = ((32, 32), (20, 26), (15, 28), (1, 40), (30, 1), (1, 1))


@dataclass(frozen=True)
class PhotoSet(MemorySet):
    """VOC's classes on noise."""

    def __getitem__(self, index: int) -> SegmentationSample:
        return SegmentationSample(f"{index}.jpg", photo(index), self.masks[index])


def photo(index: int):
    coarse = random_image(index, 5, 4)
    return coarse.resize(SIZES[index])


@pytest.fixture(scope="module")
def dataset() -> PhotoSet:
    generator = np.random.default_rng(0)
    values = np.array([*range(21), 255])
    masks = tuple(values[generator.integers(0, 22, (height, width))] for width, height in SIZES)
    return PhotoSet(masks, class_names=VOC12_CLASSES, name="voc12", vocabulary="voc12")


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    """Random weights with a sharp temperature, so that classes and groups differ."""
    torch.manual_seed(2)
    model = build_model(tiny_model_config()).eval()
    with torch.no_grad():
        model.logit_scale.fill_(4.2)
        for stage in model.image_encoder.stages:
            stage.group_tokens.normal_()
            stage.grouping.assign.q_proj.weight.mul_(40)
            stage.grouping.assign.k_proj.weight.mul_(4)
    return segmenter_of(model, InferenceConfig(window=32, stride=16))


@pytest.mark.parametrize(("background", "num_labels"), [("auto", 2), ("0.1", 3)])
def test_the_report_is_that_of_the_loops(segmenter, dataset, background, num_labels):
    protocol = replace(load_protocol("groupvit"), **SIZE)
    labels = {}
    report = evaluate_zero_shot(
        segmenter,
        dataset,
        protocol,
        LocalCollectives(),
        overrides=Overrides(background=background),
        on_answer=lambda index, sample, answer: labels.update({index: answer.numpy()}),
    )
    names = [RENAMED.get(name, name) for name in VOC12_CLASSES[1:]]
    threshold = 0.95 if background == "auto" else float(background)
    expected = [
        protocol_a.label_photo(
            segmenter.method.network,
            segmenter.method.tokenizer,
            photo(index),
            names,
            threshold=threshold,
            **SIZE,
        )
        for index in range(len(dataset))
    ]
    different = sum(int((labels[i] != expected[i]).sum()) for i in range(len(dataset)))
    assert different <= 2  # of 2,035: pixels on a tie of float32
    assert len(np.unique(np.concatenate([own.ravel() for own in expected]))) >= num_labels
    matrix = protocol_a.count_pixels(expected, list(dataset.masks), 21)
    assert np.abs(np.array(report.confusion) - matrix).sum() <= 2 * different
    assert report.scores.miou == pytest.approx(protocol_a.mean_iou(matrix), abs=1e-4)
