"""Places among ranks, and the noise of a rank."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from pgseg_backends.noise import RankNoise
from pgseg_backends.world import World, find_world, first_node
from pgseg_core.comm import LocalCollectives
from pgseg_core.errors import BackendError
from pgseg_core.networks.blocks.layers import add_branch
from pgseg_core.networks.grouping import build_model
from pgseg_core.networks.grouping.grouping import sample_gumbel
from pgseg_core.train.task import TrainTask
from tests.patience import PATIENCE
from tests.tiny import tiny_batch, tiny_model_config


def test_nothing_said_is_a_world_of_one():
    assert find_world({}) == World()
    assert find_world({"RANK": "0", "WORLD_SIZE": "1"}) == World()


def test_torchrun():
    said = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "a"}
    assert find_world({**said, "MASTER_PORT": "29500"}) == World(3, 4, 1, "a", 29500)
    with pytest.raises(BackendError, match="MASTER_PORT is 'not set'"):
        find_world(said)
    with pytest.raises(BackendError, match="RANK 4 does not lie in a WORLD_SIZE of 4"):
        find_world({**said, "RANK": "4"})


def test_slurm():
    said = {
        "SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1",
        "SLURM_JOB_ID": "123456", "SLURM_STEP_NODELIST": "gpu[07-09,12],cpu1",
    }  # fmt: skip
    assert find_world(said) == World(5, 8, 1, "gpu07", 20_000 + 123456 % 20_000)
    assert find_world({**said, "SLURM_NTASKS": "1"}) == World()


def test_what_deepspeeds_launcher_puts_before_the_command_is_no_option():
    line = [sys.executable, "-m", "pgseg_cli.main", "--local_rank=1", "backends", "--json"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert "deepspeed" in json.loads(done.stdout)


@pytest.mark.parametrize(
    ("nodes", "first"), [("one", "one"), ("a,b", "a"), ("n[1,3]", "n1"), ("n[1-2]-x,m", "n1-x")]
)
def test_first_node(nodes, first):
    assert first_node(nodes) == first


def test_ranks_contrast_the_patches_that_one_process_would_draw():
    config = tiny_model_config()
    image = replace(config.image, depths=(1, 0), num_groups=(4,), group_residual=False)
    npr = replace(config.npr, enabled=False)
    config = replace(config, image=image, npr=npr, patch_contrast=1.0, contrasted_patches=0.5)
    task, batch = TrainTask(build_model(config), LocalCollectives()).train(), tiny_batch()
    torch.manual_seed(1)
    whole = task.encode(batch).patches
    parts = []
    for rank, share in enumerate(batch.split(3)):
        torch.manual_seed(1)
        with RankNoise(rank, 3):
            parts.append(task.encode(share).patches)
    torch.testing.assert_close(torch.cat(parts), whole)


def test_ranks_share_the_noise_of_one_process():
    def draw(images):
        branch = torch.ones(images, 2, 2)
        dropped = add_branch(torch.zeros_like(branch), branch, 0.5, training=True)
        return sample_gumbel(torch.zeros(images, 3, 5)), dropped

    torch.manual_seed(1)
    whole = draw(6)
    parts = []
    for rank in range(3):
        torch.manual_seed(1)
        with RankNoise(rank, 3):
            parts.append(draw(2))
    for which in range(2):
        assert torch.cat([part[which] for part in parts]).equal(whole[which])
