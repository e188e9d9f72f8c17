"""Where a run's weights come from, and which of them move."""

from dataclasses import replace

import pytest
import torch

from pgseg_core.checkpoint import read_lite0, save_checkpoint
from pgseg_core.config import Config
from pgseg_core.errors import CheckpointError, ConfigError
from pgseg_core.networks.grouping import build_model
from pgseg_core.train.optim import make_optimizer, set_learning_rate
from pgseg_core.train.start import start_weights
from tests.tiny import tiny_model_config


@pytest.fixture(scope="module")
def config():
    small = tiny_model_config()
    image = replace(small.image, stem="lite0", patch_size=16, image_size=32)
    return Config(model=replace(small, image=image))


def test_the_stem_starts_from_imagenet(config):
    model = build_model(config.model)
    start_weights(model, replace(config.train, stem_weights="imagenet"))
    network = model.image_encoder.stem.network
    for name, tensor in read_lite0("imagenet").items():
        torch.testing.assert_close(network.state_dict()[name], tensor)


def test_a_run_starts_from_another_runs_weights(config, tmp_path):
    first, second = build_model(config.model, seed=1), build_model(config.model, seed=2)
    save_checkpoint(tmp_path / "first", config, first.state_dict(), {"step": 7})
    start_weights(second, replace(config.train, start_from=str(tmp_path / "first")))
    for name, tensor in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], tensor)


def test_stem_weights_need_their_stem(config):
    model = build_model(tiny_model_config())
    with pytest.raises(ConfigError, match=r"for model.image.stem=lite0 alone"):
        start_weights(model, replace(config.train, stem_weights="imagenet"))


def test_what_is_no_file_and_no_network_is_named(config, tmp_path):
    with pytest.raises(CheckpointError, match=r"no file elsewhere\.pth"):
        read_lite0("elsewhere.pth")
    path = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match=r"other.pth: not EfficientNet-Lite0"):
        read_lite0(str(path))


@pytest.mark.parametrize("factor", [0.0, 0.1])
def test_the_stem_learns_at_its_own_rate(config, factor):
    model = build_model(config.model)
    optimizer = make_optimizer(model, replace(config.train, stem_lr=factor))
    set_learning_rate(optimizer, 1e-3)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        inside = name.startswith("image_encoder.stem.network.")
        if inside and factor == 0:
            assert id(parameter) not in rates
            assert not parameter.requires_grad
        else:
            assert rates[id(parameter)] == pytest.approx(1e-3 * (factor if inside else 1.0))
