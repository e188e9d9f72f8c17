"""Step counts, learning rates, fading noise, and where weight decay applies."""

import pytest
import torch

from pgseg_core.config import TrainConfig
from pgseg_core.networks.grouping import build_model
from pgseg_core.train.optim import decays, make_optimizer
from pgseg_core.train.schedule import make_schedule
from tests.tiny import tiny_model_config


def test_warm_up_rises_linearly_then_a_cosine_falls():
    config = TrainConfig(epochs=10, warmup_epochs=2, lr=1.0, min_lr=0.1, warmup_lr=0.0)
    schedule = make_schedule(config, steps_per_epoch=10)
    assert (schedule.steps, schedule.warmup) == (100, 20)
    assert schedule.learning_rate(0) == 0.0
    assert schedule.learning_rate(10) == pytest.approx(0.5)
    assert schedule.learning_rate(20) == pytest.approx(1.0)
    assert schedule.learning_rate(60) == pytest.approx(0.55)
    assert schedule.learning_rate(100) == pytest.approx(0.1)
    rates = [schedule.learning_rate(step) for step in range(20, 101)]
    assert rates == sorted(rates, reverse=True)


def test_a_share_of_an_epoch_is_a_run():
    config = TrainConfig(epochs=0.25, warmup_epochs=0)
    assert make_schedule(config, steps_per_epoch=10).steps == 3


def test_noise_falls_linearly_to_nothing_or_stays():
    schedule = make_schedule(TrainConfig(epochs=10, noise_fade=0.5), steps_per_epoch=10)
    assert [schedule.noise(step) for step in (0, 25, 50, 99)] == [1.0, 0.5, 0.0, 0.0]
    kept = make_schedule(TrainConfig(epochs=10), steps_per_epoch=10)
    assert {kept.noise(step) for step in range(100)} == {1.0}


def test_decay_spares_norms_biases_tokens_positions_and_temperatures():
    model = build_model(tiny_model_config())
    decayed = {name for name, p in model.named_parameters() if decays(name, p)}
    spared = {name for name, _ in model.named_parameters()} - decayed
    for part in ("norm", "bias", "group_tokens", "position", "token.weight", "logit_scale"):
        assert any(part in name for name in spared), part
        assert not any(part in name for name in decayed), part
    assert "image_encoder.stages.0.blocks.0.attn.qkv.weight" in decayed
    assert "image_projector.fc1.weight" in decayed


def test_optimizer_holds_every_parameter_once():
    model = build_model(tiny_model_config())
    optimizer = make_optimizer(model, TrainConfig(weight_decay=0.05))
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.05, 0.0]
    assert isinstance(optimizer, torch.optim.AdamW)
