"""The plan of a run: every number against a count by hand, and against the run itself."""

from dataclasses import replace

import pytest
import torch

from pgseg_core.errors import ConfigError
from pgseg_core.networks.grouping import build_model
from pgseg_core.train.plan import KINDS, find_kind, measure_sizes, memory_per_device, plan_step
from pgseg_core.train.task import TrainTask
from tests.tiny import tiny_batch, tiny_config

CONTRASTS = {"group_contrast": 1.0, "patch_contrast": 1.0}
ONE_STAGE = {"depths": (1, 0), "num_groups": (4,), "group_residual": False}


@pytest.fixture(scope="module")
def config():
    return tiny_config(train={"batch_size": 64, "precision": "fp32"}, data={"num_nouns": 2})


@pytest.fixture(scope="module")
def sizes(config):
    return measure_sizes(config)


def test_sizes_are_those_of_the_model(config, sizes):
    model = build_model(config.model)
    assert sizes.total == sum(p.numel() for p in model.parameters())
    assert sizes.parameters["image encoder"] == sum(
        p.numel() for p in model.image_encoder.parameters()
    )
    assert sizes.largest_layer == 49408 * 32, "the embedding of tokens"
    assert sizes.bank_bytes == (4 * 6 * 32, 4 * 4 * 32, 4 * 4 * 24)
    assert sorted(sizes.norm_channels) == [48] * 5, "two of the stages, image, caption, nouns"
    # more than a patch embedding of 16 patches, 8 x 8 x 3 values to 32; less than a thousand of it
    assert 2 * 16 * 192 * 32 < sizes.flops_per_pair < 2e9
    assert sizes.activation_bytes_per_pair > 4 * 3 * 32 * 32


def test_patches_that_are_contrasted_are_counted(config):
    image = replace(config.model.image, **ONE_STAGE)
    model = replace(config.model, image=image)
    found = [
        measure_sizes(replace(config, model=replace(model, patch_contrast=weight))).flops_per_pair
        for weight in (0.0, 1.0)
    ]
    width, hidden, joint = 32, 48, 24
    value, mlp = 2 * width * width, 2 * width * 4 * width  # value and projection; the group's MLP
    each = 2 * (value + mlp + width * hidden + hidden * joint)
    assert found[1] - found[0] == 16 * each


def test_memory_of_every_stage(config, sizes):
    def states(stage, devices):
        return (
            memory_per_device(
                sizes, config.train, devices=devices, joint_width=24, stage=stage
            ).states
            / sizes.total
        )

    assert [states(stage, 4) for stage in range(4)] == [16, 8 + 3, 4 + 4, 5]
    assert states(3, 100) < states(2, 100) < states(1, 100) < states(0, 100)
    halved = replace(config.train, accumulate=2)
    whole, half = (
        memory_per_device(sizes, train, devices=4, joint_width=24, stage=0)
        for train in (config.train, halved)
    )
    assert half.activations == whole.activations / 2


def test_bytes_of_a_step(config, sizes):
    alone = plan_step(sizes, config, KINDS["a100"], devices=1, stage=0)
    assert alone.features == alone.gradients == alone.norms == alone.banks == alone.exchange == 0
    assert alone.efficiency == 1
    two = plan_step(sizes, config, KINDS["a100"], devices=2, stage=0)
    # forward: half of 64 rows come from the other; backward: an all-reduce of 64 rows is twice that
    vectors = 2 + 1 + 2  # image, caption; image again, 2 nouns
    assert two.features == 3 * 32 * vectors * 24 * 4
    assert two.gradients == sizes.total * 4, "a ring of two sends every gradient once"
    assert two.banks == sum(sizes.bank_bytes)
    three = plan_step(sizes, config, KINDS["a100"], devices=2, stage=3)
    assert three.gradients == 1.5 * two.gradients, "weights twice, gradients once"
    cached = replace(config, train=replace(config.train, grad_cache=True))
    assert plan_step(sizes, cached, KINDS["a100"], devices=1, stage=0).compute > alone.compute


class TwoAlike:
    """Two ranks that have the same batch; writes down what each sends forward."""

    rank, world_size = 0, 2

    def __init__(self):
        self.gathered, self.summed = [], []

    def all_gather(self, tensor):
        self.gathered.append(tensor.numel())
        return torch.cat([tensor, tensor])

    def sum(self, tensor):
        self.summed.append(tensor.numel())
        return 2 * tensor

    def mean(self, tensor):
        return self.sum(tensor) / 2

    def barrier(self):
        pass


@pytest.mark.parametrize("parts", [False, True], ids=["images", "groups and patches too"])
def test_bytes_are_those_that_a_step_sends(config, parts):
    if parts:
        image = replace(config.model.image, **ONE_STAGE)
        config = replace(config, model=replace(config.model, image=image, **CONTRASTS))
    sizes = measure_sizes(config)
    comm = TwoAlike()
    task = TrainTask(build_model(config.model, comm=comm), comm).train()
    batch = tiny_batch(32)
    nouns = batch.tokens[:, None].expand(-1, 2, -1).contiguous()
    task(replace(batch, noun_tokens=nouns))
    plan = plan_step(sizes, config, KINDS["a100"], devices=2, stage=0)
    assert 3 * 4 * sum(comm.gathered) == plan.features, "back again they weigh twice as much"
    banks = sum(sizes.bank_bytes) // 4
    assert plan.norms == 4 * 4 * sum(sizes.norm_channels)
    counts = 2 * (2 if parts else 3)  # two directions of each stage's and the text's loss
    assert sum(comm.summed) == 2 * sum(sizes.norm_channels) + banks + counts


def test_more_devices_lose_efficiency_and_other_machines_more(config, sizes):
    found = [
        plan_step(sizes, config, KINDS["a100"], devices=n, stage=0).efficiency for n in (1, 8, 64)
    ]
    assert found[0] > found[1] > found[2] > 0


def test_kinds_are_named_or_measured():
    assert find_kind("h100", torch.device("cpu"), half=True).name == "h100"
    here = find_kind(None, torch.device("cpu"), half=False)
    assert here.name == "this cpu"
    assert 1e8 < here.flops < 1e14
    with pytest.raises(ConfigError, match="--device-kind tpu"):
        find_kind("tpu", torch.device("cpu"), half=True)
