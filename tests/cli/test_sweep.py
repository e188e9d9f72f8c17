"""`pgseg sweep` as typed: one real run, its resumption, and what is refused before it."""

import json
from pathlib import Path

import pytest
import yaml

from tests.cli.test_bad_input import assert_refused

TINY = {
    "train.batch_size": 16, "train.epochs": 1, "train.warmup_epochs": 0, "train.device": "cpu",
    "model.image.width": 32, "model.text.width": 32, "model.npr.reconstruct_width": 32,
    "model.projector_width": 32, "model.joint_width": 32, "data.workers": 0,
}  # fmt: skip


def write(here, **changes):
    values = {
        "title": "Tiny",
        "base": "pgseg-tiny",
        "settings": TINY,
        "data": "data/scenes",
        "evaluation": [{"dataset": "scenes", "limit": 2}],
        "rows": {"GroupViT": {"model.npr.enabled": False}, "PGSeg": {}},
    }
    (here / "tiny.yaml").write_text(yaml.safe_dump({**values, **changes}, sort_keys=False))


@pytest.mark.slow
def test_one_row_then_nothing_more_to_do(pgseg, here, monkeypatch):
    """One cell in programs of its own; the other one is left, and the table says so."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    write(here)
    made = pgseg("sweep tiny.yaml --out out --only GroupViT --threads 1")
    assert made.code == 0, made.err
    assert "1 of 2 runs of the table are finished" in made.words
    assert "pgseg sweep tiny.yaml --out out" in made.words
    cell = here / "out/cells/groupvit/seed-0"
    report = json.loads((cell / "eval/scenes/report.json").read_text())
    table = json.loads((here / "out/table.json").read_text())
    row = table["sets"][0]["rows"]["GroupViT"]["measures"]
    assert row["miou"]["over_seeds"]["mean"] == report["scores"]["miou"]
    assert row["groups_used"]["over_seeds"]["mean"] == report["quality"]["groups_used"]["value"]
    assert (here / "out/figure.png").stat().st_size > 1000
    assert (here / "out/figure.svg").exists()

    before = (cell / "log.txt").read_bytes()
    again = pgseg("sweep tiny.yaml --out out --only GroupViT")
    assert again.code == 0
    assert "0 runs to do, 1 finished before" in again.words
    assert (cell / "log.txt").read_bytes() == before

    write(here, settings={**TINY, "train.lr": 0.5})
    assert_refused(
        pgseg("sweep tiny.yaml --out out"),
        "out/cells/groupvit/seed-0/run was trained with train.lr 0.0006",
        "--again --only 'GroupViT'",
    )


def test_a_dry_run_lists_and_leaves_nothing(pgseg, here):
    write(here, seeds=[3, 4])
    result = pgseg("sweep tiny.yaml --out out --dry-run")
    assert result.code == 0, result.err
    for name in ("GroupViT:3", "PGSeg:4", "model.npr.enabled=False"):
        assert name in result.words
    assert not (here / "out").exists()


@pytest.mark.parametrize(
    ("changes", "options", "parts"),
    [
        ({"rows": {"A": {"model.npr.treshold": 1}}}, "", ["row 'A'", "model.npr.threshold"]),
        ({"base": "pgseg-tinny"}, "", ["'pgseg-tinny'", "Did you mean pgseg-tiny?"]),
        ({"data": "gone"}, "", ["gone"]),
        ({}, "--data gone", ["gone"]),
        ({"evaluation": [{"dataset": "camvid"}]}, "", ["where is camvid?", "--data-root camvid="]),
        ({"evaluation": [{"dataset": "camvid", "root": "gone"}]}, "", ["camvid", "gone"]),
        ({}, "--data-root camvid", ["--data-root camvid", "SET=DIR"]),
        ({"evaluation": [{"dataset": "scenes", "protocol": "tlc"}]}, "", ["'tlc'", "tcl"]),
        ({"evaluation": [{"dataset": "scenes", "background": "often"}]}, "", ["often"]),
        (
            {"evaluation": [{"dataset": "scenes", "background_words": "carpet"}]},
            "",
            ["scenes has no background class"],
        ),
        ({"evaluation": [{"dataset": "scenes", "regroup": "gone.json"}]}, "", ["gone.json"]),
        ({"evaluation": [{"dataset": "retrieval", "split": "gone"}]}, "", ["gone"]),
        ({"settings": {"train.backend": "gone"}}, "", ["no backend called 'gone'"]),
        ({"settings": {"train.device": "cuda"}}, "", ["no cuda device"]),
        ({}, "--only PGSegg", ["PGSegg", "Did you mean 'PGSeg'?"]),
        ({}, "--full", ["no section full"]),
        ({}, "--reuse data", ["--reuse data: no folder of a sweep", "--out"]),
    ],
)
def test_refused_before_anything_runs(pgseg, here, changes, options, parts):
    write(here, **changes)
    assert_refused(pgseg(f"sweep tiny.yaml --out out {options}"), *parts)
    assert not (here / "out").exists()


def test_a_cell_goes_on_where_it_was(here):
    """New, interrupted, trained, measured: the commands that are still needed."""
    from pgseg_cli.commands.sweep.programs import Wanted, steps_of
    from pgseg_core.experiments import load_plan
    from pgseg_core.experiments.runs import CellFolder

    write(here)
    out = here / "out"
    plan = load_plan(here / "tiny.yaml", out)
    folder = CellFolder.of(out, plan.cells[1])
    wanted = Wanted(
        file=here / "tiny.yaml", out=out, only=(), again=False, full=False, data=None, roots={},
        reuse=(), jobs=1, threads=None, nproc=2, dry_run=False,
    )  # fmt: skip

    def commands():
        return [list(step.command[3:]) for step in steps_of(plan, wanted, folder)]

    train, measure = commands()
    config = str(folder.config)
    assert train == ["train", "--preset", config, "--out", str(folder.run), "--nproc", "2"]
    assert measure[0] == "eval"
    assert {"--quality", "--limit", "2", "data/scenes/eval"} <= set(measure)

    folder.run.mkdir()
    (folder.run / "config.yaml").write_bytes(folder.config.read_bytes())
    assert commands()[0] == ["train", "--resume", str(folder.run), "--nproc", "2"]
    assert folder.progress(plan.measurements) == "training"

    (folder.run / "config.yaml").unlink()
    folder.run.rmdir()
    folder.run.symlink_to(here / "runs/pgseg-tiny")
    assert [command[0] for command in commands()] == ["eval"]
    assert folder.progress(plan.measurements) == "trained"

    write(here, evaluation=[{"dataset": "scenes", "limit": 2, "regroup": "tiny.yaml"}])
    plan = load_plan(here / "tiny.yaml", out)
    assert commands()[0][-4:] == ["--regroup", str(here / "tiny.yaml"), "--limit", "2"]

    report = folder.measured(plan.measurements[0]) / "report.json"
    report.parent.mkdir(parents=True)
    report.write_text("{}")
    assert commands() == []
    assert folder.progress(plan.measurements) == "finished"

    write(here, evaluation=[{"dataset": "scenes", "limit": 3}])
    plan = load_plan(here / "tiny.yaml", out)
    assert folder.progress(plan.measurements) == "trained", "another question has no answer yet"
    assert commands()[0][-2:] == ["--limit", "3"]
    assert not report.exists()


def test_gpus_are_shared_among_the_runs():
    from pgseg_cli.commands.sweep.programs import share_gpus

    assert share_gpus("", 4, 0, 2) == "0,2"
    assert share_gpus("", 4, 1, 2) == "1,3"
    assert share_gpus("5,7", 2, 1, 2) == "7"
    assert share_gpus("", 2, 3, 4) == "1"
