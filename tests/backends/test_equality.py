"""Two real gloo processes compute what one process computes on the whole batch."""

import importlib.util

import pytest

from backends.conformance import TOLERANCE, check_backend, trial_config

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
