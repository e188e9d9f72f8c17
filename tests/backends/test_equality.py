"""Two real gloo processes compute what one process computes on the whole batch.

Starting ranks costs more than their steps, so all trials of a backend share one world.
"""

import importlib.util
import json
import shutil
from contextlib import closing
from dataclasses import replace

import pytest
from safetensors.torch import load_file

from pgseg_backends.conformance import (
    TOLERANCE,
    compare,
    run_alone,
    run_trial,
    start_trials,
    trial_config,
)
from pgseg_backends.registry import load_backend
from pgseg_backends.step import OPTIMIZER

pytestmark = pytest.mark.dist

needs_deepspeed = pytest.mark.skipif(
    importlib.util.find_spec("deepspeed") is None, reason="DeepSpeed is not installed"
)
CACHED = {"accumulate": 2, "grad_cache": True, "log_every": 2}
"""Two parts on each of two ranks, and steps whose terms are measured."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    run_alone(trial_config(), folder)
    return folder


def test_ddp_in_float32_at_once_and_in_parts(alone, tmp_path):
    trials = {
        tmp_path / "ddp": trial_config(log_every=2),
        tmp_path / "cached": trial_config(**CACHED),
    }
    start_trials("ddp", trials)
    for folder in trials:
        difference = compare(folder, alone)
        assert difference.gradients is not None
        assert difference.largest() < TOLERANCE, folder.name


def test_gradient_caching_in_float64_is_exact(tmp_path):
    """Also the running statistics of BatchNorm inside the encoders, and the banks."""
    rates = {"lr": 1e-3, "warmup_lr": 1e-3, "min_lr": 1e-3}
    run_alone(trial_config(**rates), tmp_path / "alone", double=True)
    trials = {
        tmp_path / "ddp": trial_config(**rates),
        tmp_path / "cached": trial_config(**rates, **CACHED),
    }
    start_trials("ddp", trials, double=True)
    for folder in trials:
        difference = compare(folder, tmp_path / "alone")
        assert difference.largest() < 1e-9, folder.name
        assert difference.every_weight < TOLERANCE, folder.name


def test_drawn_patches_are_the_same_ones_when_a_batch_is_encoded_in_parts(tmp_path):
    """In both passes of a part, and those that the whole batch at once would draw."""
    config = trial_config(accumulate=2, grad_cache=True)
    image = replace(config.model.image, depths=(1, 0), num_groups=(4,), group_residual=False)
    model = replace(config.model, image=image, patch_contrast=1.0, contrasted_patches=0.5)
    config = replace(config, model=model, train=replace(config.train, backend="single"))
    run_alone(config, tmp_path / "alone", double=True)
    (tmp_path / "cached").mkdir()
    with closing(load_backend("single").open(config.train)) as session:
        run_trial(session, config, tmp_path / "cached", double=True)
    assert compare(tmp_path / "cached", tmp_path / "alone").largest() < 1e-9


@needs_deepspeed
@pytest.mark.slow
def test_zero_in_float32_at_once_and_in_parts(alone, tmp_path):
    stages = {
        "0": {"stage": 0},
        "1": {"stage": 1},
        "2": {"stage": 2},
        "3": {"stage": 3},
        "3-cut-small": {"stage": 3, "stage3_param_persistence_threshold": 100},
        "2-offload": {"stage": 2, "offload_optimizer": {"device": "cpu"}},
        "3-offload": {
            "stage": 3,
            "offload_optimizer": {"device": "cpu"},
            "offload_param": {"device": "cpu"},
        },
    }
    trials = {}
    for name, zero in stages.items():
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps({"zero_optimization": zero}))
        trials[tmp_path / name] = trial_config(deepspeed=str(file))
        if name in ("0", "2", "3-cut-small"):
            cached = trial_config(deepspeed=str(file), **CACHED)
            trials[tmp_path / f"{name}-cached"] = cached
    start_trials("deepspeed", trials)
    for folder in trials:
        difference = compare(folder, alone)
        assert difference.gradients is not None
        assert difference.largest() < TOLERANCE, folder.name


@needs_deepspeed
@pytest.mark.slow
def test_two_ranks_of_any_stage_go_on_from_one_process(alone, tmp_path):
    """Two steps by one process, then three by two ranks of DeepSpeed from the same files."""
    run_alone(trial_config(), tmp_path / "half", stop=2)
    trials = {}
    for stage in (0, 2, 3):
        file = tmp_path / f"{stage}.json"
        file.write_text(json.dumps({"zero_optimization": {"stage": stage}}))
        folder = shutil.copytree(tmp_path / "half", tmp_path / str(stage))
        trials[folder] = trial_config(deepspeed=str(file))
    start_trials("deepspeed", trials, start=2)
    for folder in trials:
        ours, theirs = (
            json.loads((place / "report.json").read_text())[-3:] for place in (folder, alone)
        )
        for left, right in zip(ours, theirs, strict=True):
            assert left["loss"] == pytest.approx(right["loss"], rel=TOLERANCE)
            assert left["grad_norm"] == pytest.approx(right["grad_norm"], rel=1e-4)
        weights = [load_file(place / "weights.safetensors") for place in (folder, alone)]
        moments = [load_file(place / "last" / OPTIMIZER) for place in (folder, alone)]
        assert moments[0].keys() == moments[1].keys()
        assert all(value == 5 for name, value in moments[0].items() if name.endswith("/step"))
        distances = [float((weights[0][n] - weights[1][n]).abs().max()) for n in weights[1]]
        assert max(distances) < 1e-4
