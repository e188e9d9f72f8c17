"""Blocks under torch.compile: the same losses and gradients, noise included.

In a program of its own: the tests' runtime checks of shapes are not what users compile.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE

PROGRAM = """
from dataclasses import replace

import torch

from pgseg_core.comm import LocalCollectives
from pgseg_core.networks.grouping import build_model
from pgseg_core.train.task import TrainTask
from tests.tiny import tiny_batch, tiny_model_config

torch.set_default_dtype(torch.float64)
found = []
for options in ({}, {"compiled": True}):
    config = tiny_model_config()
    config = replace(config, image=replace(config.image, drop_path=0.5))
    task = TrainTask(build_model(config).double(), LocalCollectives()).train()
    task.model.set_blocks(recompute=False, **options)
    torch.manual_seed(3)
    output = task(replace(tiny_batch(), images=tiny_batch().images.double()))
    output.loss.backward()
    named = task.model.named_parameters()
    found.append({name: p.grad for name, p in named if p.grad is not None})
torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-11)
graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
assert 3 <= graphs <= 6, f"{graphs} graphs: branches are compiled once for all blocks"
assert not torch._dynamo.utils.counters["graph_break"]
print("same")
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler here")
def test_gradients_are_the_same(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.stdout.strip() == "same", ran.stderr[-2000:]
