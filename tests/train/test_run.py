"""Whole runs on a handful of pairs: learning, resuming exactly, stopping on what is not finite."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pgseg_backends.engine import TorchEngine
from pgseg_backends.single import SingleBackend
from pgseg_core.checkpoint import list_checkpoints, load_checkpoint
from pgseg_core.config import Config, EvaluationConfig
from pgseg_core.errors import ConfigError, TrainingError
from pgseg_core.train.checkpoints import newest_good
from pgseg_core.train.run import train
from pgseg_core.train.run_folder import RunFolder
from tests.tiny import tiny_config

COSTS = ("images_per_second", "images_per_second_per_device", "data_share", "memory_gib")
"""What the log says of time and memory, which no two runs share."""


def config(shards: Path, **changes: object) -> Config:
    settings = {
        "batch_size": 8, "epochs": 2, "warmup_epochs": 0, "precision": "fp32", "lr": 1e-3,
        "save_every": 4, "log_every": 1, "device": "cpu", **changes,
    }  # fmt: skip
    return tiny_config(data={"shards": str(shards), "workers": 0, "num_nouns": 2}, train=settings)


def run(settings: Config, folder: Path, **options: object) -> dict:
    return train(settings, SingleBackend(), RunFolder(folder), **options)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(list_checkpoints(folder)[-1] / "model.safetensors")


def log(folder: Path) -> list[dict]:
    lines = (folder / "log.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    return [{k: v for k, v in e.items() if k not in COSTS} for e in entries]


def test_loss_falls(prepared, tmp_path):
    settings = config(prepared, epochs=25, lr=3e-3, save_every=0)
    state = run(settings, tmp_path / "run")
    losses = [entry["info_nce"] for entry in log(tmp_path / "run")]
    assert state["finished"]
    assert sum(losses[-6:]) < 0.75 * sum(losses[:6])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_stopped_and_resumed_run_equals_one_that_never_stopped(prepared, tmp_path, precision):
    settings = config(prepared, precision=precision, accumulate=2, noise_fade=0.7)
    run(settings, tmp_path / "whole")
    steps = iter(range(100))
    state = run(settings, tmp_path / "halves", save_now=lambda: next(steps) == 5)
    assert state == {"step": 6, "finished": False, "loss": state["loss"], "bad_samples": 0}
    run(settings, tmp_path / "halves", resume=True)
    ours, theirs = weights(tmp_path / "halves"), weights(tmp_path / "whole")
    assert all(ours[name].equal(theirs[name]) for name in theirs)
    assert log(tmp_path / "halves") == log(tmp_path / "whole")


def test_killed_between_checkpoints_repeats_the_lost_steps(prepared, tmp_path):
    class KilledError(Exception):
        pass

    def kill(progress):
        if progress.step == 7:
            raise KilledError

    settings = config(prepared)
    run(settings, tmp_path / "whole")
    with pytest.raises(KilledError):
        run(settings, tmp_path / "killed", hooks=[kill])
    assert [path.name for path in list_checkpoints(tmp_path / "killed")] == ["step-0000004"]
    run(settings, tmp_path / "killed", resume=True)
    ours, theirs = weights(tmp_path / "killed"), weights(tmp_path / "whole")
    assert all(ours[name].equal(theirs[name]) for name in theirs)
    assert log(tmp_path / "killed") == log(tmp_path / "whole")


def test_a_damaged_newest_checkpoint_is_passed_over(prepared, tmp_path):
    settings = config(prepared)
    run(settings, tmp_path / "run")
    newest = list_checkpoints(tmp_path / "run")[-1]
    (newest / "model.safetensors").write_bytes(b"not weights")
    assert load_checkpoint(tmp_path / "run").state["step"] == 8
    assert newest_good(tmp_path / "run")[0].name == "step-0000008"


def test_only_the_newest_checkpoints_are_kept(prepared, tmp_path):
    run(config(prepared, save_every=2, keep_last=3), tmp_path / "run")
    names = [path.name for path in list_checkpoints(tmp_path / "run")]
    assert names == ["step-0000008", "step-0000010", "step-0000012"]


def test_seed_decides_everything(prepared, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(config(prepared, seed=seed, epochs=1), tmp_path / name)
    first, again, other = (weights(tmp_path / name) for name in "abc")
    assert all(first[name].equal(again[name]) for name in first)
    assert not all(first[name].equal(other[name]) for name in first)


def test_a_loss_that_is_not_finite_stops_the_run(prepared, tmp_path, monkeypatch):
    step = TorchEngine.step

    def poisoned(self, micro_batches, number):
        if number == 5:
            with torch.no_grad():
                self.task.model.logit_scale.fill_(torch.nan)
        return step(self, micro_batches, number)

    monkeypatch.setattr(TorchEngine, "step", poisoned)
    with pytest.raises(TrainingError) as caught:
        run(config(prepared), tmp_path / "run")
    assert "step 5: loss nan" in caught.value.message
    assert "info_nce nan" in caught.value.message
    assert "step-0000004" in caught.value.hint
    assert [path.name for path in list_checkpoints(tmp_path / "run")] == ["step-0000004"]


def test_a_second_run_does_not_write_over_the_first(prepared, tmp_path):
    run(config(prepared, epochs=1), tmp_path / "run")
    with pytest.raises(ConfigError, match="already holds a run"):
        run(config(prepared, epochs=1), tmp_path / "run")


def test_what_is_wrong_is_found_before_the_folder_is_made(tmp_path):
    with pytest.raises(Exception, match="nowhere"):
        run(config(tmp_path / "nowhere"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_without_its_optimiser_is_passed_over(prepared, tmp_path):
    settings = config(prepared, epochs=1)
    run(settings, tmp_path / "run")
    before = weights(tmp_path / "run")
    (list_checkpoints(tmp_path / "run")[-1] / "optimizer.safetensors").unlink()
    starts = []
    run(settings, tmp_path / "run", resume=True, on_start=starts.append)
    assert starts[0].start_step == 4
    assert "optimizer.safetensors is missing" in starts[0].damaged[0]
    assert all(value.equal(before[name]) for name, value in weights(tmp_path / "run").items())


def test_resuming_a_finished_run_does_nothing(prepared, tmp_path):
    settings = config(prepared, epochs=1)
    run(settings, tmp_path / "run")
    before = weights(tmp_path / "run")
    state = run(settings, tmp_path / "run", resume=True)
    assert state["finished"]
    assert all(value.equal(before[name]) for name, value in weights(tmp_path / "run").items())


def test_gradient_caching_resumes_exactly_too(prepared, tmp_path):
    settings = config(prepared, accumulate=4, grad_cache=True, epochs=1)
    run(settings, tmp_path / "whole")
    steps = iter(range(100))
    run(settings, tmp_path / "halves", save_now=lambda: next(steps) == 2)
    run(settings, tmp_path / "halves", resume=True)
    ours, theirs = weights(tmp_path / "halves"), weights(tmp_path / "whole")
    assert all(ours[name].equal(theirs[name]) for name in theirs)


def test_the_best_checkpoint_is_kept_beside_the_newest(prepared, tmp_path):
    given = {2: 0.1, 4: 0.3, 6: 0.2, 8: 0.1, 10: 0.2, 12: 0.25}

    def measure(path, comm, device):
        return {"miou": given[int(path.name[-7:])]}

    settings = config(prepared, save_every=0, keep_last=1)
    settings = replace(settings, evaluation=EvaluationConfig(every=2))
    run(settings, tmp_path / "run", measure=measure)
    kept = [path.name for path in list_checkpoints(tmp_path / "run")]
    assert kept == ["step-0000004", "step-0000012"]
    assert (tmp_path / "run" / "best").resolve().name == "step-0000004"
    logged = [entry["miou"] for entry in log(tmp_path / "run") if "miou" in entry]
    assert logged == list(given.values())


def test_interrupted_checkpoint_leaves_nothing(prepared, tmp_path, monkeypatch):
    def broken(self, folder):
        (folder / "half").write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(TorchEngine, "save", broken)
    with pytest.raises(OSError, match="disk full"):
        run(config(prepared), tmp_path / "run")
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []
    shutil.rmtree(tmp_path / "run")
