"""Runs on two processes through the command line: the same curve, resuming, dying, hanging."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pgseg_core.checkpoint import list_checkpoints, load_checkpoint

pytestmark = [pytest.mark.dist, pytest.mark.slow]

SETTINGS = [
    "data.workers=0", "data.num_nouns=2", "train.batch_size=8", "train.epochs=2",
    "train.warmup_epochs=0", "train.lr=1e-5", "train.min_lr=1e-5", "train.precision=fp32",
    "train.device=cpu", "train.log_every=1", "train.save_every=4", "model.image.width=32",
    "model.image.depths=[1,0]", "model.text.width=32", "model.text.depth=1",
    "model.npr.reconstruct_width=32", "model.projector_width=32", "model.joint_width=32",
]  # fmt: skip


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "pgseg_cli.main", "train", *map(str, arguments)]


def start(data: Path, out: Path, *more: object) -> list[str]:
    changes = [part for setting in SETTINGS for part in ("--set", setting)]
    return command("--data", data, "--out", out, *changes, *more)


def run(line: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)


def curve(folder: Path) -> dict[int, float]:
    lines = (folder / "log.jsonl").read_text().splitlines()
    return {entry["step"]: entry["loss"] for entry in map(json.loads, lines)}


def ranks_of(process: subprocess.Popen) -> list[int]:
    return [
        int(pid)
        for task in Path(f"/proc/{process.pid}/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]


def test_other_numbers_of_ranks_continue_the_same_curve(prepared, tmp_path):
    alone = run(start(prepared, tmp_path / "one"))
    assert alone.returncode == 0, alone.stderr
    both = run(start(prepared, tmp_path / "two", "--nproc", 2))
    assert both.returncode == 0, both.stderr
    assert curve(tmp_path / "two") == pytest.approx(curve(tmp_path / "one"), rel=1e-5)
    assert both.stderr.count("done after 12 steps") == 1

    newest = list_checkpoints(tmp_path / "two")[-1]
    for file in newest.iterdir():
        file.unlink()
    newest.rmdir()  # as if all had been killed after step 8
    resumed = run(command("--resume", tmp_path / "two", "--nproc", 1, "--backend", "single"))
    assert resumed.returncode == 0, resumed.stderr
    assert "going on from step 8" in resumed.stderr
    assert curve(tmp_path / "two") == pytest.approx(curve(tmp_path / "one"), rel=1e-5)
    assert load_checkpoint(tmp_path / "two").state["step"] == 12


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (signal.SIGKILL, "rank 1 of 2 was killed by signal 9"),
        (signal.SIGSTOP, "did not answer within 5 s"),
    ],
)
def test_a_rank_that_dies_or_hangs_ends_the_job(prepared, tmp_path, sent, sentence):
    line = start(prepared, tmp_path / "run", "--nproc", 2, "--timeout", 5)
    line += ["--set", "train.epochs=2000"]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not list_checkpoints(tmp_path / "run") and time.monotonic() < deadline:
            time.sleep(0.2)
        ranks = ranks_of(process)
        os.kill(ranks[1], sent)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert sentence in " ".join(err.split())
    assert all(not Path(f"/proc/{pid}").exists() for pid in ranks)


def test_a_batch_that_cannot_be_cut_is_refused_at_once(prepared, tmp_path):
    result = run(start(prepared, tmp_path / "run", "--nproc", 3))
    assert result.returncode == 2
    assert "batch_size 8 is not a multiple of 3 ranks" in " ".join(result.stderr.split())
    assert not (tmp_path / "run").exists()
