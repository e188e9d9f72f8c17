"""Two real gloo processes compute what one process computes on the whole batch."""

import importlib.util
import json
from dataclasses import asdict

import pytest
from safetensors.torch import load_file

from backends.conformance import TOLERANCE, check_backend, run_trial, trial_config
from backends.engine import OPTIMIZER
from backends.launch import start_ranks
from backends.registry import load_backend

pytestmark = pytest.mark.dist

needs_deepspeed = pytest.mark.skipif(
    importlib.util.find_spec("deepspeed") is None, reason="DeepSpeed is not installed"
)


def test_ddp_in_float32(tmp_path):
    assert check_backend("ddp", tmp_path, double=False).largest() < TOLERANCE


def test_ddp_in_float64_at_a_high_learning_rate(tmp_path):
    rates = {"lr": 1e-3, "warmup_lr": 1e-3, "min_lr": 1e-3}
    difference = check_backend("ddp", tmp_path, config=trial_config(**rates), double=True)
    assert difference.largest() < 1e-9
    assert difference.every_weight < TOLERANCE


@needs_deepspeed
@pytest.mark.slow
@pytest.mark.parametrize(
    "zero",
    [
        {"stage": 0},
        {"stage": 1},
        {"stage": 2},
        {"stage": 3},
        {"stage": 3, "stage3_param_persistence_threshold": 100},
        {"stage": 2, "offload_optimizer": {"device": "cpu"}},
    ],
    ids=["0", "1", "2", "3", "3-cut-small", "2-offload"],
)
def test_zero_in_float32(tmp_path, zero):
    file = tmp_path / "ds.json"
    file.write_text(json.dumps({"zero_optimization": zero}))
    config = trial_config(deepspeed=str(file))
    difference = check_backend("deepspeed", tmp_path / "trial", config=config, double=False)
    assert difference.gradients is not None
    assert difference.largest() < TOLERANCE


@needs_deepspeed
@pytest.mark.slow
@pytest.mark.parametrize("stage", [0, 2, 3])
def test_a_resumed_trial_equals_one_that_went_through(tmp_path, stage):
    """Two steps by one process, then three by two ranks of DeepSpeed from the same files."""
    file = tmp_path / "ds.json"
    file.write_text(json.dumps({"zero_optimization": {"stage": stage}}))
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    whole.mkdir()
    halves.mkdir()
    single = load_backend("single")
    run_trial(single, trial_config(), whole)
    run_trial(single, trial_config(), halves, stop=2)
    values = asdict(trial_config(deepspeed=str(file)).train)
    (halves / "train.json").write_text(json.dumps(values))
    line = ["-m", "backends.conformance", "deepspeed", "--rank-in", str(halves), "--start", "2"]
    start_ranks(line, 2)
    ours, theirs = (
        json.loads((folder / "report.json").read_text())[-3:] for folder in (halves, whole)
    )
    for left, right in zip(ours, theirs, strict=True):
        assert left["loss"] == pytest.approx(right["loss"], rel=TOLERANCE)
        assert left["grad_norm"] == pytest.approx(right["grad_norm"], rel=1e-4)
    weights = [load_file(folder / "weights.safetensors") for folder in (halves, whole)]
    moments = [load_file(folder / "last" / OPTIMIZER) for folder in (halves, whole)]
    assert moments[0].keys() == moments[1].keys()
    assert all(value == 5 for name, value in moments[0].items() if name.endswith("/step"))
    distances = [float((weights[0][name] - weights[1][name]).abs().max()) for name in weights[1]]
    assert max(distances) < 1e-4
