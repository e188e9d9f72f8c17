"""Runs on two processes through the command line: dying, hanging, going on with others.

Every test ends in the curve and the weights of one run that nothing happened to.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from pgseg_core.checkpoint import list_checkpoints, load_checkpoint
from tests.patience import PATIENCE

pytestmark = [pytest.mark.dist, pytest.mark.slow]

STEPS = 18
SETTINGS = [
    "data.workers=0", "data.num_nouns=2", "train.batch_size=8", "train.epochs=3",
    "train.warmup_epochs=0", "train.lr=1e-5", "train.min_lr=1e-5", "train.precision=fp32",
    "train.device=cpu", "train.log_every=1", "train.save_every=2", "model.image.width=32",
    "model.image.depths=[1,0]", "model.text.width=32", "model.text.depth=1",
    "model.npr.reconstruct_width=32", "model.projector_width=32", "model.joint_width=32",
    "model.image.stem=patch", "model.text.pool=end", "evaluation.limit=6", "train.keep_last=9",
]  # fmt: skip


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "pgseg_cli.main", "train", *map(str, arguments)]


def start(data: Path, out: Path, *more: object) -> list[str]:
    changes = [part for setting in SETTINGS for part in ("--set", setting)]
    root = f"evaluation.root={data / 'eval'}"
    return command("--data", data, "--out", out, "--nproc", 2, *changes, "--set", root, *more)


def run(line: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, check=False)


def log(folder: Path) -> list[dict]:
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


def curve(folder: Path, term: str = "loss") -> dict[int, float]:
    return {entry["step"]: entry[term] for entry in log(folder) if term in entry}


def scores(folder: Path) -> dict[int, float]:
    return {entry["step"]: entry["miou"] for entry in log(folder) if "miou" in entry}


def weights(checkpoint: Path):
    return load_file(checkpoint / "model.safetensors")


def ranks_of(process: subprocess.Popen) -> list[int]:
    return [
        int(pid)
        for task in Path(f"/proc/{process.pid}/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]


def struck(
    line: list[str], out: Path, number: int, *, everybody: bool = False, checkpoints: int = 0
) -> str:
    """Start ranks, and send a signal to rank 1, or to all and their parent, at a random step.

    Not before there are as many checkpoints as asked for.

    Returns:
        What the parent says; it ends with exit code 2, and no rank outlives it.
    """
    step = _last(out) + random.choice((1, 2, 3))
    deadline = time.monotonic() + PATIENCE
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        while (
            len(ranks_of(process)) < 2
            or _last(out) < step
            or len(list_checkpoints(out)) < checkpoints
        ):
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.05)
        ranks = ranks_of(process)
        for pid in [process.pid, *ranks] if everybody else ranks[1:]:
            os.kill(pid, number)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == (-number if everybody else 2)
    deadline = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{pid}").exists() for pid in ranks) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in ranks), "a rank outlived the job"
    return " ".join(err.split())


def _last(out: Path) -> int:
    return max(curve(out), default=0) if (out / "log.jsonl").exists() else 0


@pytest.fixture(scope="module")
def whole(scenes, tmp_path_factory) -> Path:
    """A run of two processes that nothing happens to, evaluated on the way."""
    out = tmp_path_factory.mktemp("whole") / "run"
    done = run(start(scenes, out, "--eval-every", 6))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(f"done after {STEPS} steps") == 1, "one display, of rank 0"
    return out


def test_what_a_run_of_two_ranks_leaves_behind(pgseg, whole, scenes):
    last = log(whole)[-2]
    both = 2 * last["images_per_second_per_device"]
    assert last["images_per_second"] == pytest.approx(both, rel=1e-4)
    assert last["memory_gib"] > 0
    assert last["clipped"] + last["skipped"] <= 1
    assert last["i_npr_1_pairs"] == pytest.approx(last["i_npr_1_kept"] * 2 * 8 * 8, rel=1e-4)
    for name in ("grad_info_nce", "grad_t_npr", "drift_image.0", "drift_text"):
        assert last[name] > 0, name
    found = scores(whole)
    assert list(found) == [6, 12, 18]
    best = min(step for step in found if found[step] == max(found.values()))
    assert (whole / "best").resolve().name == f"step-{best:07d}"
    assert load_checkpoint(whole / "best").state["step"] == best

    line = ["eval", "--weights", str(whole), "--dataset", "scenes", "--limit", "6", "--json"]
    alone = pgseg([*line, "--data-root", str(scenes / "eval")])
    assert alone.code == 0, alone.err
    both = json.loads((list_checkpoints(whole)[-1] / "scores.json").read_text())
    assert json.loads(alone.out)["scores"]["miou"] == both["miou"], "two count what one counts"


def test_killed_or_hung_at_any_moment_a_run_ends_as_if_nothing_had_happened(
    whole, scenes, tmp_path
):
    """One rank killed, all killed, one that hangs; then another engine, past a damaged checkpoint.

    It is one run, because starting ranks costs more than their steps.
    """
    pytest.importorskip("deepspeed")
    out = tmp_path / "run"
    err = struck(start(scenes, out), out, signal.SIGKILL)
    assert "rank 1 of 2 was killed by signal 9" in err
    assert f"pgseg train --resume {out} --nproc 2" in err
    again = command("--resume", out, "--nproc", 2)
    struck(again, out, signal.SIGKILL, everybody=True)
    err = struck([*again, "--timeout", "15"], out, signal.SIGSTOP, checkpoints=2)
    assert "did not answer within 15 s" in err
    steps = curve(out)
    assert len(steps) > 2
    assert steps == {step: curve(whole)[step] for step in steps}
    written = list_checkpoints(out)
    for checkpoint in written:
        ours, theirs = weights(checkpoint), weights(whole / "checkpoints" / checkpoint.name)
        assert all(ours[name].equal(theirs[name]) for name in theirs), checkpoint.name

    with (written[-1] / "optimizer.safetensors").open("r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(b"damaged!")
    zero = tmp_path / "ds.json"
    zero.write_text('{"zero_optimization": {"stage": 2}, "train_batch_size": "auto"}')
    done = run(command("--resume", out, "--nproc", 1, "--deepspeed", zero, "--timeout", 600))
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stderr.split())
    assert "optimizer.safetensors is damaged" in told
    assert f"going on from step {int(written[-2].name.removeprefix('step-'))}" in told
    # rounding may move a pair across the threshold of hard rejection; all else is within 1e-5
    for term in ("info_nce", "multi_label", "group_info_nce"):
        assert curve(out, term) == pytest.approx(curve(whole, term), rel=1e-5)
    assert curve(out) == pytest.approx(curve(whole), rel=1e-3)
    ours, theirs = weights(list_checkpoints(out)[-1]), weights(list_checkpoints(whole)[-1])
    # and where a gradient is next to nothing, Adam's step is as long as any other
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in theirs) < 5e-4


def test_a_batch_that_cannot_be_cut_is_refused_at_once(pgseg, prepared, tmp_path):
    line = start(prepared, tmp_path / "run")
    result = pgseg([*line[line.index("train") :], "--nproc", "3"])
    assert result.code == 2
    assert "batch_size 8 is not a multiple of 3 ranks" in result.words
    assert not (tmp_path / "run").exists()
