"""Checkpoints: a round trip, damage, shapes that do not fit, and which weights are meant."""

import json
from pathlib import Path

import pytest
import torch

from pgseg_core.checkpoint import (
    find_weights,
    list_checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from pgseg_core.errors import CheckpointError
from pgseg_core.networks.grouping import build_model
from tests.tiny import tiny_batch, tiny_config


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    config = tiny_config()
    model = build_model(config.model, seed=3)
    save_checkpoint(tmp_path / "weights", config, model.state_dict(), {"step": 7})
    return tmp_path / "weights"


def test_round_trip(saved):
    checkpoint = load_checkpoint(saved)
    model = build_model(tiny_config().model, seed=3).eval()
    assert checkpoint.config == tiny_config()
    assert checkpoint.state == {"step": 7}
    with torch.no_grad():
        ours = checkpoint.build().encode_image(tiny_batch().images).feature
        assert ours.equal(model.encode_image(tiny_batch().images).feature)


def test_nothing_is_drawn_for_weights_that_are_read():
    before = torch.random.get_rng_state()
    model = build_model(tiny_config().model, seed=None)
    assert torch.random.get_rng_state().equal(before)
    drawn = build_model(tiny_config().model)
    for name, parameter in drawn.named_parameters():
        if parameter.dim() > 1 and parameter.std() > 0:
            assert not model.get_parameter(name).any(), name


def test_weights_are_for_whom_the_umask_lets(saved):
    modes = {path.name: path.stat().st_mode for path in saved.iterdir()}
    assert modes["model.safetensors"] == modes["config.json"]


def test_other_shape_names_the_tensor(saved, tmp_path):
    checkpoint = load_checkpoint(saved)
    weights = {**checkpoint.weights, "image_projector.fc2.weight": torch.zeros(2, 2)}
    save_checkpoint(tmp_path / "other", checkpoint.config, weights, {})
    with pytest.raises(CheckpointError, match=r"image_projector.fc2.weight has shape \(2, 2\)"):
        load_checkpoint(tmp_path / "other").build()


@pytest.mark.parametrize(("change", "message"), [("drop", "lacks"), ("add", "has unexpected")])
def test_missing_and_unexpected_tensors_are_named(saved, tmp_path, change, message):
    checkpoint = load_checkpoint(saved)
    weights = dict(checkpoint.weights)
    if change == "drop":
        del weights["logit_scale"]
    else:
        weights["new.weight"] = torch.zeros(1)
    save_checkpoint(tmp_path / "other", checkpoint.config, weights, {})
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "other").build()


def test_damage_is_named(saved):
    (saved / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="damaged checkpoint"):
        load_checkpoint(saved)


def test_a_newer_format_is_refused(saved):
    values = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**values, "format": 99}))
    with pytest.raises(CheckpointError, match="format 99"):
        load_checkpoint(saved)


def test_nothing_there():
    with pytest.raises(CheckpointError, match="no such weights") as caught:
        load_checkpoint(Path("nowhere"))
    assert "pgseg train" in caught.value.hint


def test_an_empty_folder_says_what_is_expected(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no model\.safetensors"):
        load_checkpoint(tmp_path)


def test_a_run_means_its_newest_good_checkpoint(saved, tmp_path):
    checkpoint = load_checkpoint(saved)
    run = tmp_path / "runs" / "a"
    for step in (2, 10):
        folder = run / "checkpoints" / f"step-{step:07d}"
        save_checkpoint(folder, checkpoint.config, checkpoint.weights, {"step": step})
    assert [path.name for path in list_checkpoints(run)] == ["step-0000002", "step-0000010"]
    assert load_checkpoint(run).state["step"] == 10
    (run / "checkpoints" / "step-0000010" / "state.json").write_text("{")
    assert load_checkpoint(run).state["step"] == 2


def test_weights_default_to_the_newest_run(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="no run under runs/"):
        find_weights(None)
    checkpoint = load_checkpoint(saved)
    for name in ("old", "new"):
        folder = tmp_path / "runs" / name / "checkpoints" / "step-0000001"
        save_checkpoint(folder, checkpoint.config, checkpoint.weights, {"step": 1})
    assert find_weights(None) == Path("runs/new")
    assert find_weights("old") == Path("runs/old")
    (tmp_path / "old").mkdir()
    assert find_weights("old") == Path("old")
    with pytest.raises(CheckpointError, match="elsewhere: no such weights"):
        find_weights("elsewhere")


def test_a_failed_save_leaves_the_old_one(saved, monkeypatch):
    monkeypatch.setattr(json, "dumps", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_checkpoint(saved, tiny_config(), {"a": torch.zeros(1)}, {})
    monkeypatch.undo()
    assert load_checkpoint(saved).state == {"step": 7}
    assert [path.name for path in saved.parent.iterdir()] == ["weights"]
