"""`pgseg train --dry-run` and `pgseg doctor`, as typed."""

import json
import os
import shlex
import subprocess
import sys

import pytest

TINY = (
    "--set train.precision=fp32 --set train.device=cpu --set model.text.vocab_size=49408 "
    "--set model.projector_width=32"
)


def test_a_dry_run_shows_the_plan_and_starts_nothing(here, pgseg):
    result = pgseg(f"train --dry-run --devices 4 --device-kind a100 --out new {TINY}")
    assert result.code == 0, result.err
    for words in (
        "projector_width: 32", "image encoder", "ZeRO 3", "a step on 4 x a100",
        "steps per epoch", "shards per rank",
    ):  # fmt: skip
        assert words.lower() in result.words.lower(), words
    assert not (here / "new").exists()


def test_its_json_adds_up(here, pgseg):
    result = pgseg(f"train --dry-run --devices 4 --device-kind h100 --json {TINY}")
    assert result.code == 0, result.err
    plan = json.loads(result.out)
    assert plan["devices"] == 4
    assert sum(plan["sizes"]["parameters"].values()) == plan["sizes"]["total"]
    assert plan["data"]["pairs"] == 48
    assert plan["data"]["steps per epoch"] == 48 // plan["config"]["train"]["batch_size"]
    step = plan["step"]["0"]
    assert step["pairs_per_second"] == pytest.approx(step["pairs"] / step["seconds"])


@pytest.mark.parametrize(
    "line", [f"train --dry-run --devices 2 --device-kind h100 --json {TINY}", "doctor --json"]
)
def test_nothing_but_json_is_on_standard_output(here, line):
    """In a process of its own: DeepSpeed logs to standard output when it is first imported."""
    alone = {name: value for name, value in os.environ.items() if name != "DS_ACCELERATOR"}
    command = [sys.executable, "-m", "pgseg_cli.main", *shlex.split(line)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=alone)
    assert json.loads(done.stdout)


def test_a_batch_that_devices_cannot_share_is_refused(here, pgseg):
    result = pgseg(f"train --dry-run --devices 5 {TINY}")
    assert result.code == 2
    assert "is not a multiple of 5 ranks" in result.words


def test_doctor_knows_this_machine(here, pgseg):
    result = pgseg("doctor --json")
    assert result.code == 0, result.err
    found = {finding["name"]: finding for finding in json.loads(result.out)}
    assert found["torch"]["value"]
    assert {"single", "ddp", "deepspeed"} <= set(found["backends"]["value"].split(", "))
    assert "GiB free" in found["disk here"]["value"]
    for name in ("wandb", "trackio", "deepspeed"):
        finding = found[name]
        missing = finding["value"].startswith("not installed")
        assert missing == (finding["advice"] == f"pip install 'pgseg[{name}]'")
