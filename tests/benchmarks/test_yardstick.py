"""The yardstick computes what the model computes."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from pgseg_core.comm import LocalCollectives
from pgseg_core.config import InferenceConfig
from pgseg_core.inference.class_bank import ClassBank
from pgseg_core.networks.grouping import build_model, grouping
from pgseg_core.train.task import TrainTask
from tests.benchmarks import yardstick
from tests.tiny import scores_of, segmenter_of, tiny_batch, tiny_model_config


@pytest.mark.parametrize("npr", [True, False])
def test_losses_and_gradients(npr, monkeypatch):
    config = tiny_model_config()
    apart = replace(config.image, group_token_std=1.0)  # no assignment hangs on rounding
    config = replace(config, image=apart, npr=replace(config.npr, enabled=npr))
    model = build_model(config).train().double()
    twin = deepcopy(model)  # BatchNorm's statistics move with each pass
    monkeypatch.setattr(grouping, "sample_gumbel", torch.zeros_like)
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda x: x.fill_(1.0))  # -log 1 = 0
    batch = tiny_batch()
    batch = replace(batch, images=batch.images.double())
    ours = TrainTask(model, LocalCollectives())(batch).loss
    theirs = yardstick.loss(twin, batch)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    ours.backward()
    theirs.backward()
    for (name, own), other in zip(model.named_parameters(), twin.parameters(), strict=True):
        if own.grad is not None and other.grad is not None:
            assert (own.grad - other.grad).norm() <= 1e-4 * other.grad.norm() + 1e-5, name


def test_labels_of_a_window():
    model = build_model(tiny_model_config()).eval()
    reading = InferenceConfig(short_side=32, window=32, stride=32)
    segmenter = segmenter_of(model, reading)
    batch = tiny_batch(size=8)
    bank = ClassBank(tuple("abcdefgh"), model.encode_text(batch.tokens).feature.detach())
    field = scores_of(segmenter, batch.images[0], bank, threshold=None)
    labels = yardstick.segment_window(model, batch.images[:1], batch.tokens)
    ours = torch.from_numpy(field.labels(size=(32, 32)).labels)
    assert (ours != labels).float().mean() <= 0.001
