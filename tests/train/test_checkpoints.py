"""Which checkpoints are whole, which are kept, which is the best."""

import pytest

from pgseg_core.checkpoint import list_checkpoints, save_checkpoint
from pgseg_core.errors import CheckpointError
from pgseg_core.networks.grouping import build_model
from pgseg_core.train import checkpoints
from tests.tiny import tiny_config


def write(run, *steps):
    config = tiny_config()
    weights = build_model(config.model).state_dict()
    for step in steps:
        folder = run / "checkpoints" / f"step-{step:07d}"
        save_checkpoint(folder, config, weights, {"step": step})
        checkpoints.seal(folder)
    return list_checkpoints(run)


def damage(path):
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\0damaged\0")


@pytest.mark.parametrize("name", ["model.safetensors", "state.json", "config.json"])
@pytest.mark.parametrize("how", ["changed", "cut", "missing"])
def test_the_last_good_one_is_found_and_the_damage_named(tmp_path, name, how):
    older, newer = write(tmp_path, 1, 2)
    assert checkpoints.newest_good(tmp_path) == (newer, [])
    path = newer / name
    if how == "changed":
        damage(path)
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.unlink()
    found, problems = checkpoints.newest_good(tmp_path)
    assert found == older
    assert len(problems) == 1
    assert str(path) in problems[0]


def test_none_at_all_is_a_start_and_all_damaged_is_an_error(tmp_path):
    assert checkpoints.newest_good(tmp_path) == (None, [])
    for folder in write(tmp_path, 1, 2):
        damage(folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="all 2 checkpoints"):
        checkpoints.newest_good(tmp_path)


def test_the_newest_and_the_best_are_kept(tmp_path):
    folders = write(tmp_path, 1, 2, 3, 4, 5)
    for folder, score in zip(folders, (0.1, 0.4, 0.2, 0.4, 0.3), strict=True):
        checkpoints.add_scores(folder, {"miou": score, "aacc": 1 - score})
    assert [folder.name[-1] for folder in checkpoints.best_first(tmp_path)] == list("24531")
    checkpoints.prune(tmp_path, keep_last=1, keep_best=2)
    assert [folder.name[-1] for folder in list_checkpoints(tmp_path)] == list("245")
    assert (tmp_path / "best").resolve() == folders[1]
    checkpoints.check(folders[1])  # scores lie beside what was sealed


def test_going_on_removes_what_was_half_written_and_sets_the_damaged_aside(tmp_path):
    older, newer = write(tmp_path, 1, 2)
    half = tmp_path / "checkpoints" / ".step-0000002.tmp"
    half.mkdir()
    damage(newer / "model.safetensors")
    checkpoints.clear_after(tmp_path, older)
    assert not half.exists()
    assert list_checkpoints(tmp_path) == [older]
    assert (tmp_path / "checkpoints" / "damaged-step-0000002").is_dir()
