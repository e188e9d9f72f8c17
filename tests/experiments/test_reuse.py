"""Runs that another sweep has made: found by their configuration, taken with their reports."""

import json

import pytest

from pgseg_core.errors import ConfigError
from pgseg_core.experiments import load_plan
from pgseg_core.experiments.reuse import check_sweeps, find_same, take
from pgseg_core.experiments.runs import CellFolder
from tests.experiments.conftest import draw_counts, write_retrieval, write_segmentation, write_sweep


def train(folder: CellFolder) -> None:
    """Leave what a finished run leaves, without its weights."""
    folder.prepare()
    step = folder.run / "checkpoints/step-0000003"
    step.mkdir(parents=True)
    (folder.run / "config.yaml").write_bytes(folder.config.read_bytes())
    (step / "model.safetensors").touch()
    (step / "state.json").write_text(json.dumps({"finished": True}))


@pytest.fixture
def other(tmp_path):
    """A sweep with both rows trained and measured, on data of its own."""
    write_sweep(tmp_path / "ab.yaml", data="shards", seeds=[0])
    plan = load_plan(tmp_path / "ab.yaml", tmp_path / "other", roots={"scenes": tmp_path / "s"})
    for cell in plan.cells:
        folder = CellFolder.of(tmp_path / "other", cell)
        train(folder)
        write_segmentation(folder.measured(plan.measurements[0]), draw_counts(0), used=2.0)
        write_retrieval(folder.measured(plan.measurements[1]), 0.5)
        for measurement in plan.measurements:
            folder.note_asked(measurement)
    return tmp_path / "other"


def load(tmp_path, **changes):
    write_sweep(tmp_path / "new.yaml", data="shards", seeds=[0, 1], **changes)
    plan = load_plan(tmp_path / "new.yaml", tmp_path / "new", roots={"scenes": tmp_path / "s"})
    return plan, {cell.name: CellFolder.of(tmp_path / "new", cell) for cell in plan.cells}


def test_an_equal_run_is_taken_under_another_name(tmp_path, other):
    plan, folders = load(tmp_path, rows={"C": {"model.npr.enabled": False}})
    found = find_same(folders["C:0"], [other])
    assert found is not None
    assert found.path == other / "cells/a/seed-0"
    take(folders["C:0"], found, plan.measurements)
    assert folders["C:0"].progress(plan.measurements) == "finished"
    assert "a/seed-0" in folders["C:0"].log.read_text()
    folders["C:0"].clear()
    assert found.progress(plan.measurements) == "finished", "links: the other sweep keeps its own"


@pytest.mark.parametrize(
    ("name", "rows"),
    [("C:1", {"model.npr.enabled": False}), ("C:0", {"model.npr.threshold": 0.2})],
)
def test_another_seed_or_option_is_another_run(tmp_path, other, name, rows):
    _, folders = load(tmp_path, rows={"C": rows})
    assert find_same(folders[name], [other]) is None


@pytest.mark.parametrize("state", ["{}", '{"finished": tr'])
def test_an_unfinished_or_damaged_run_is_not_taken(tmp_path, other, state):
    (other / "cells/a/seed-0/run/checkpoints/step-0000003/state.json").write_text(state)
    _, folders = load(tmp_path, rows={"C": {"model.npr.enabled": False}})
    assert find_same(folders["C:0"], [other]) is None


def test_only_reports_that_were_asked_alike_are_taken(tmp_path, other):
    asked = [{"dataset": "scenes", "limit": 3}, {"dataset": "retrieval"}]
    plan, folders = load(tmp_path, rows={"C": {"model.npr.enabled": False}}, evaluation=asked)
    folder = folders["C:0"]
    found = find_same(folder, [other])
    take(folder, found, plan.measurements)
    assert folder.is_trained()
    assert [m.dataset for m in folder.missing(plan.measurements)] == ["scenes"]

    folder.clear()
    found.asked(plan.measurements[1]).unlink()
    take(folder, found, plan.measurements)
    assert len(folder.missing(plan.measurements)) == 2, "what was asked of it is not known"


def test_a_folder_of_no_sweep_is_refused(tmp_path, other):
    check_sweeps([other])
    with pytest.raises(ConfigError, match="no folder of a sweep"):
        check_sweeps([other, tmp_path])
    (other / "cells/a/seed-0/config.yaml").write_text("model: {image: {wdth: 3}}")
    with pytest.raises(ConfigError, match=r"unknown option 'model\.image\.wdth'"):
        check_sweeps([other])
